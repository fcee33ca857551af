"""Templates: words to use again, in each language, with every version kept."""

import re

import pytest

from contacts.services import create_contact
from crm.common.text_units import count_units
from messaging.models import Template, TemplateVersion
from messaging.queries import template_texts, templates_for
from messaging.services.templates import save_template
from tests.messaging.pages.conftest import add_member, sign_in
from tests.messaging.pages.test_send import words

FORM = {"name": "Fees", "text_en": "Dear {name|parent}, fees are due.", "text_fr": "", "text_sw": "Ada inatakiwa."}


@pytest.fixture
def fees(acme) -> Template:
    return save_template(client=acme, by=None, name="Fees", texts={"en": "Fees are due.", "sw": "Ada inatakiwa."})


def test_a_template_is_made_listed_and_used(acme, browser, provider):
    assert browser.post("/app/templates/new", FORM).url == "/app/templates"
    template = templates_for(acme).get()
    page = browser.get("/app/templates").content.decode()
    assert "Dear {name|parent}, fees are due." in page
    assert "Ada inatakiwa." in page
    offers = {
        "/app/send": 'data-insert="Dear {name|parent}, fees are due."',
        "/app/campaigns/new": f'name="use_template" value="{template.pk}"',
    }
    for door, offer in offers.items():
        opened = browser.get(f"{door}?template={template.pk}&language=sw").content.decode()
        assert ">\nAda inatakiwa.</textarea>" in opened
        assert offer in opened


def test_a_change_is_a_new_version_and_the_same_text_is_none(acme, browser, fees):
    changed = FORM | {"name": "School fees", "text_en": "Fees are due on Friday.", "text_fr": "Frais.", "text_sw": ""}
    browser.post(f"/app/templates/{fees.pk}", changed)
    assert template_texts(acme, [fees.pk]) == {fees.pk: {"en": "Fees are due on Friday.", "fr": "Frais."}}
    versions = TemplateVersion.objects.for_client(acme).order_by("pk").values_list("language", "text")
    assert list(versions) == [
        ("en", "Fees are due."), ("sw", "Ada inatakiwa."), ("en", "Fees are due on Friday."), ("fr", "Frais."),
        ("sw", ""),
    ]  # fmt: skip
    browser.post(f"/app/templates/{fees.pk}", changed)
    assert TemplateVersion.objects.for_client(acme).count() == 5
    page = words(browser.get(f"/app/templates/{fees.pk}").content.decode())
    assert "Fees are due." in page
    assert "amina@acme.test" in page


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": " "}, "required"),
        ({"name": "x" * 81}, "80 characters"),
        ({"name": "fees"}, "already"),
        ({"text_en": "", "text_sw": " "}, "at least one language"),
        ({"text_fr": "é" * 481}, "at most 480"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_what_was_typed(acme, browser, fees, changes, says):
    answer = browser.post("/app/templates/new", FORM | {"name": "Meeting"} | changes)
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert Template.objects.for_client(acme).count() == 1


def test_deleting_asks_first(acme, browser, fees):
    assert "Delete “Fees”?" in browser.get(f"/app/templates/{fees.pk}/delete").content.decode()
    assert Template.objects.for_client(acme).exists()
    browser.post(f"/app/templates/{fees.pk}/delete")
    assert not Template.objects.for_client(acme).exists()


def test_T2_T3_strangers_see_none_and_viewers_only_read(acme, browser, stranger, fees):
    zuri = sign_in("zuri@else.test")
    for address in (f"/app/templates/{fees.pk}", f"/app/templates/{fees.pk}/delete"):
        assert zuri.get(address).status_code == 404
        assert zuri.post(address, FORM).status_code == 404
    assert "Fees are due." not in zuri.get(f"/app/campaigns/new?template={fees.pk}").content.decode()
    assert "Fees" not in zuri.get("/app/templates").content.decode()
    viewer = add_member(acme, "viewer")
    assert "Fees are due." in viewer.get("/app/templates").content.decode()
    assert viewer.get("/app/templates/new").status_code == 403
    assert viewer.post(f"/app/templates/{fees.pk}/delete").status_code == 403


def test_the_number_of_queries_does_not_grow_with_the_templates(acme, browser, django_assert_num_queries):
    counts = []
    for number in range(1, 16):
        save_template(client=acme, by=None, name=f"Fees {number}", texts={"en": "Due."})
        if number in (1, 15):
            with django_assert_num_queries(counts[0] if counts else 10) as found:
                browser.get("/app/templates")
            counts.append(len(found))


def test_each_language_is_measured_as_it_is_sent_and_read_by_a_person_of_the_book(acme, browser, provider, fees):
    create_contact(client=acme, phone="0712000001", name="Aïssatou")
    page = browser.get(f"/app/templates/{fees.pk}").content.decode()
    assert [name in page for name in ('id="meter_en"', 'id="meter_fr"', 'id="meter_sw"')] == [True] * 3
    typed = FORM | {"text_fr": "Bonjour {name}, à lundi", "show": "fr", "channel": "sms"}
    answer = browser.post("/app/templates/preview", typed, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in answer
    assert "Bonjour Aïssatou, à lundi" in words(re.sub(r"</?mark[^>]*>", "", answer))
    assert "+254 712 000 001" in words(answer).replace("\u00a0", " ")
    assert 'name="shown" value="fr"' in answer
    units = [int(found) for found in re.findall(r"<strong data-units>(\d+)</strong>", answer)]
    texts = ["Dear Aïssatou, fees are due.", "Bonjour Aïssatou, à lundi", "Ada inatakiwa."]
    assert units == [count_units(text, "per_160").units for text in texts]
    assert "<html" in browser.post("/app/templates/preview", typed).content.decode()


def test_a_mail_is_shown_as_its_reader_sees_it_and_its_frame_may_do_nothing(acme, browser, provider):
    create_contact(client=acme, email="asha@people.test", name="Asha <b>")
    typed = {
        "channel": "email", "name": "Fees", "show": "sw", "subject_sw": "Karo ya {name}", "text_sw": "Habari",
        "html_sw": "<p>Mpendwa {name}</p><script>alert(1)</script>",
    }  # fmt: skip
    answer = words(browser.post("/app/templates/preview", typed, headers={"HX-Request": "true"}).content.decode())
    assert "Karo ya Asha" in answer
    assert "asha@people.test" in answer
    assert "frame-src 'self'" in browser.get("/app/templates/new?channel=email")["Content-Security-Policy"]
    frame = browser.post("/app/templates/mail", typed)
    assert "<p>Mpendwa Asha &lt;b&gt;</p>" in frame.content.decode()
    assert "<script" not in frame.content.decode()
    assert "script-src 'none'" in frame["Content-Security-Policy"]
    save_template(
        client=acme, by=None, name="Mail", texts={}, contents={"en": {"subject": "Hi", "html": "<p>Kept</p>"}},
        channel="email",
    )  # fmt: skip
    kept = templates_for(acme, "email").get()
    assert "<p>Kept</p>" in browser.get(f"/app/templates/mail?template={kept.pk}").content.decode()
