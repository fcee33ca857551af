"""A campaign in several languages: each is measured and shown as one reads it who prefers it."""

import html
import re

import pytest

from contacts.models import Contact
from crm.common.text_units import count_units, lay_out
from tests.messaging.pages.conftest import FRAGMENT
from tests.messaging.pages.test_unit_cases import CASES, text_of

pytestmark = pytest.mark.django_db

NEW, PREVIEW = "/app/campaigns/new", "/app/campaigns/preview"
BARAKA, ASHA = "+254712000001", "+254712000002"


@pytest.fixture
def readers(acme, parents):
    """The parents, of whom Baraka and Aïssatou prefer Swahili."""
    mine = Contact.objects.for_client(acme)
    mine.filter(phone__in=[BARAKA, ASHA]).update(attributes={"Language": "Kiswahili"})
    return parents


def fields(group, **changes):
    return {"step": "message", "name": "Fees", "groups": [group.pk], "sender": "HOSPITAL", **changes}


def words(page: str) -> str:
    text = re.sub(r"<[^>]+>", " ", re.sub(r"</?mark[^>]*>", "", page))
    return re.sub(r"\s+", " ", text).replace("\u00a0", " ")


def meters(page: str) -> dict[str, tuple[int, int]]:
    """By the id of a meter the units and the characters that it shows."""
    found = re.findall(r'<div id="(meter\w*)".*?data-units>(\d+)<.*?data-characters>(\d+)<', page, re.DOTALL)
    return {name: (int(units), int(characters)) for name, units, characters in found}


def test_each_language_has_its_meter_and_the_main_text_is_measured_for_who_reads_it(acme, browser, readers):
    typed = fields(readers, text="x" * 170, text_fr="", text_sw="Habari {name}, ada.")
    answer = browser.post(PREVIEW, typed, headers=FRAGMENT).content.decode()
    swahili = "Habari Baraka Otieno, ada."
    assert meters(answer) == {"meter": (2, 170), "meter_en": (0, 0), "meter_fr": (0, 0), "meter_sw": (1, len(swahili))}
    assert answer.count('hx-swap-oob="true"') >= 4


def test_a_language_is_shown_as_one_of_its_readers_reads_it(acme, browser, readers):
    typed = fields(readers, text="Hello {name}", text_sw="Habari {name}", show="sw")
    shown = browser.post(PREVIEW, typed, headers=FRAGMENT).content.decode()
    assert "Habari Baraka Otieno" in words(shown)
    assert 'name="shown" value="sw"' in shown
    assert "1 / 2" in words(shown)
    following = browser.post(PREVIEW, typed | {"person": "1"}, headers=FRAGMENT).content.decode()
    assert "Habari Aïssatou" in words(following)
    assert meters(following)["meter_sw"] == (count_units("Habari Aïssatou", "per_160").units, 15)
    back = browser.post(PREVIEW, typed | {"show": "", "shown": "sw"}, headers=FRAGMENT).content.decode()
    assert "Hello Amina Wanjiru" in words(back)
    assert 'name="shown"' not in back


def test_a_language_that_nobody_prefers_is_shown_all_the_same_and_says_so(acme, browser, readers):
    typed = fields(readers, text="Hello", text_fr="Bonjour {name}", show="fr")
    shown = words(browser.post(PREVIEW, typed, headers=FRAGMENT).content.decode())
    assert "Bonjour Amina Wanjiru" in shown
    assert "None of these people prefers this language" in shown


def test_what_the_test_costs_is_said_of_the_first_person_whatever_is_shown(acme, browser, readers):
    typed = fields(readers, text="x" * 170, text_sw="Ada", show="sw", person="1")
    answer = browser.post(PREVIEW, typed, headers=FRAGMENT).content.decode()
    assert re.search(r'id="test-cost"[^>]*> · KES\s2\.00<', answer)


@pytest.mark.parametrize("case", [case for case in CASES if 0 < len(text_of(case)) <= 480], ids=lambda one: one["what"])
def test_a_language_is_counted_by_the_table_as_the_main_text_is(acme, browser, provider, case):
    text = text_of(case)
    if "\r" in text or not text.strip():
        pytest.skip("a form sends it otherwise")
    answer = browser.post(PREVIEW, {"step": "message", "text_fr": text}, headers=FRAGMENT).content.decode()
    assert meters(answer)["meter_fr"][0] == case["per_160"][0] == len(lay_out(text, "per_160").parts)


def test_without_scripts_the_page_counts_what_was_kept_and_a_button_shows_a_language(acme, browser, readers):
    typed = fields(readers, text="Hello", text_sw="ş" * 71)
    saved = browser.post(NEW, typed | {"action": "save"})
    page = browser.get(saved.url).content.decode()
    assert meters(page)["meter_sw"] == (2, 71)
    assert '<details class="field" id="id_variants" open>' in page
    button = re.search(r'<button[^>]*name="show" value="sw"[^>]*>', page)[0]
    assert f'formaction="{PREVIEW}"' in button
    alone = browser.post(PREVIEW, typed | {"show": "sw"}).content.decode()
    assert "<html" in alone
    assert meters(alone) == {"meter": (2, 71)}


def test_what_is_measured_costs_no_query_for_each_language(acme, browser, readers, django_assert_max_num_queries):
    typed = fields(readers, text="Hello", text_sw="Habari", text_fr="Bonjour", text_en="Hi")
    browser.post(PREVIEW, typed, headers=FRAGMENT)
    with django_assert_max_num_queries(11):
        browser.post(PREVIEW, typed, headers=FRAGMENT)


def test_who_reads_french_is_told_letters_and_prices_in_french(acme, browser, readers):
    browser.cookies["django_language"] = "fr"
    answer = browser.post(PREVIEW, fields(readers, text="ç 😀"), headers=FRAGMENT).content.decode()
    shown = words(answer)
    assert "c cédille" in shown
    assert "U+1F600" in shown  # no name in French
    assert "1,00 KES" in shown
    assert "KES 1.00" not in shown


def test_without_javascript_the_page_of_a_preview_leads_to_the_next_person(browser, readers):
    typed = fields(readers, text='Hello {name}, "fees" & <b>', text_sw="Habari {name}", show="sw")
    page = browser.post(PREVIEW, typed).content.decode()
    assert "Habari Baraka Otieno" in words(page)
    kept = re.search(r'<form id="compose".*?</form>', page, re.DOTALL)[0]
    written = re.findall(r'name="(\w+)" value="([^"]*)"', kept)
    form = {name: [html.unescape(value) for of, value in written if of == name] for name, _ in written}
    assert form["text"] == [typed["text"]]
    following = browser.post(PREVIEW, form | {"person": "1"}).content.decode()
    assert "Habari Aïssatou" in words(following)
    assert "2 / 2" in words(following)
