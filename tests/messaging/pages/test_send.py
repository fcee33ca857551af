"""Send one now: numbers as people write them, the price first, one run per page however often the button is pressed."""

import re
from decimal import Decimal

import pytest

from contacts import services as contacts
from messaging.models import Campaign, Message, OwnNumber
from messaging.services.direct import read_numbers
from tests.messaging.pages.conftest import FRAGMENT, add_member, fill_group, sign_in
from wallet.models import LedgerEntry, PricePlan
from wallet.queries import balance_of


def opened(browser, address="/app/send") -> dict:
    page = browser.get(address).content.decode()
    return {"token": re.search(r'name="token" value="([^"]+)"', page)[1], "sender": "HOSPITAL", "find": ""}


def figures(page: str) -> dict:
    return {name: re.search(rf'name="{name}" value="(\d+)"', page)[1]
            for name in ("expected_recipients", "expected_cost_micros")}  # fmt: skip


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("\xa0", " ")


def prepared(browser, **fields) -> dict:
    """What the form would post after its summary was loaded."""
    posted = opened(browser) | fields
    return posted | figures(browser.post("/app/send/check", posted, headers=FRAGMENT).content.decode())


@pytest.mark.parametrize(
    ("typed", "numbers", "invalid", "duplicates"),
    [
        ("0712345678", ["+254712345678"], 0, 0),
        ("0712 345 678", ["+254712345678"], 0, 0),
        ("0712 345 678 0713 345 678", ["+254712345678", "+254713345678"], 0, 0),
        ("0712345678 712345679,+254 712 345 680", ["+254712345678", "+254712345679", "+254712345680"], 0, 0),
        ("0712345678\r\n254712345678;00254 712 345 678", ["+254712345678"], 0, 2),
        ("0712345678\t0713345678\n\n", ["+254712345678", "+254713345678"], 0, 0),
        ("0712345678, 12, hello", ["+254712345678"], 2, 0),
        ("2.54713E+11", [], 1, 0),
        ("", [], 0, 0),
    ],
)
def test_numbers_are_read_as_people_write_them(typed, numbers, invalid, duplicates):
    found = read_numbers(typed, "KE")
    assert (found.numbers, len(found.invalid), found.duplicates) == (numbers, invalid, duplicates)
    assert all(why for _, why in found.invalid)


def test_the_answer_while_typing_counts_and_prices(acme, browser, parents):
    typed = "0712000000, 0712000004, 0722000001, 0722 000 001, nobody"
    fields = opened(browser) | {"to": typed, "text": "Habari {name|rafiki}"}
    page = browser.post("/app/send/check", fields, headers=FRAGMENT).content.decode()
    text = words(page)
    assert "2 people · 1 not a number · 1 given twice · 1 opted out" in text
    assert "Amina Wanjiru +254 712 000 000" in text
    assert "Send 2 messages · KES 2.00" in text
    assert "KES 1,049.00 → KES 1,047.00" in text
    assert figures(page) == {"expected_recipients": "2", "expected_cost_micros": "2000000"}
    assert "Habari Amina Wanjiru" in page
    assert not Message.objects.for_client(acme).exists()


@pytest.mark.parametrize("rule", ["per_160", "segments"])
def test_sends_once_for_the_price_shown(acme, browser, provider, rule):
    PricePlan.objects.filter(wallets__client=acme).update(unit_rule=rule)
    text = "[" * 80 + "a"  # 81 characters or 161 septets
    units = {"per_160": 1, "segments": 2}[rule]
    posted = prepared(browser, to="0712345678, 0713345678", text=text)
    assert posted["expected_cost_micros"] == str(2 * units * 1_000_000)
    for _ in range(3):  # double click, then Back and again
        answer = browser.post("/app/send", posted)
        assert answer.status_code == 302
    sent = Message.objects.for_client(acme).order_by("pk")
    assert [(row.recipient, row.text, row.units, row.source) for row in sent] == [
        ("+254712345678", text, units, "dashboard"), ("+254713345678", text, units, "dashboard"),
    ]  # fmt: skip
    assert answer.url == f"/app/send/{sent[0].pk}"
    debits = LedgerEntry.objects.for_client(acme).filter(kind="debit")
    assert sum(entry.amount_micros for entry in debits) == -2 * units * 1_000_000
    page = words(browser.get(answer.url).content.decode())
    assert "Nothing was sent a second time" in page
    assert "2 messages on their way" in page
    assert f"{2 * units} SMS, KES {2 * units}.00" in page


def test_another_text_from_the_same_page_asks_once_more(acme, browser, provider):
    posted = prepared(browser, to="0712345678", text="Habari")
    browser.post("/app/send", posted)
    answer = browser.post("/app/send", posted | {"text": "Hujambo"})
    assert answer.status_code == 409
    page = answer.content.decode()
    assert "You sent another message from this page already" in page
    assert "Hujambo" in page
    assert Message.objects.for_client(acme).count() == 1
    fresh = re.search(r'name="token" value="([^"]+)"', page)[1]
    assert browser.post("/app/send", posted | {"text": "Hujambo", "token": fresh}).status_code == 302
    assert Message.objects.for_client(acme).count() == 2


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"to": ""}, 422, "There is nobody to send to."),
        ({"text": "  "}, 422, "There is no text to send"),
        ({"text": "a" * 481}, 422, "at most 480"),
        ({"text": "Habari {plot}"}, 422, "no value for {plot}"),
        ({"sender": "BANK"}, 422, "not approved"),
        ({"token": ""}, 422, "incomplete"),
        ({"expected_cost_micros": "1"}, 409, "Nothing was sent"),
        ({"expected_recipients": "x"}, 422, "Habari"),
        ({"to": "0712345678,0713345678"}, 409, "Nothing was sent"),
        ({"contact": "x"}, 422, "Habari"),
    ],
)
def test_a_refusal_moves_nothing_and_keeps_what_was_typed(acme, browser, provider, changes, status, says):
    answer = browser.post("/app/send", prepared(browser, to="0712345678", text="Habari") | changes)
    assert answer.status_code == status
    page = answer.content.decode()
    assert says in page.replace("&#x27;", "'")
    assert 'value="HOSPITAL"' in page
    assert not Message.objects.for_client(acme).exists()
    assert balance_of(acme.pk).balance == Decimal("1049.00")


def test_without_javascript_the_first_press_shows_the_price(acme, browser, provider):
    fields = opened(browser) | {"to": "0712345678", "text": "Habari", "action": "price"}
    answer = browser.post("/app/send", fields)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "<html" in page
    assert "Send 1 message · KES 1.00" in words(page)
    assert not Message.objects.for_client(acme).exists()
    assert browser.post("/app/send", fields | figures(page) | {"action": "send"}).status_code == 302
    assert Message.objects.for_client(acme).count() == 1


def test_too_little_money_is_said_with_the_shortage(acme, browser, provider):
    people = ",".join(f"0712{number:06d}" for number in range(600))
    posted = prepared(browser, to=people, text="é" * 161 + "ç")  # Unicode: three units for each
    page = words(browser.post("/app/send/check", posted, headers=FRAGMENT).content.decode())
    assert "KES 751.00 is missing" in page
    answer = browser.post("/app/send", posted)
    assert answer.status_code == 422
    assert not Message.objects.for_client(acme).exists()


def test_contacts_are_found_and_groups_are_ticked(acme, browser, parents):
    fields = opened(browser) | {"find": "Baraka", "to": "", "text": "Habari {first_name}"}
    page = browser.post("/app/send/check", fields, headers=FRAGMENT).content.decode()
    picked = re.search(r'name="contact" id="\w+" value="(\d+)"><span>Baraka Otieno', page)[1]
    posted = prepared(browser, contact=picked, to="0712000001", text="Habari {first_name}")
    assert posted["expected_recipients"] == "1"
    answer = browser.post("/app/send", posted)
    assert [row.text for row in Message.objects.for_client(acme)] == ["Habari Baraka"]
    assert "Baraka Otieno" in browser.get(answer.url).content.decode()
    posted = prepared(browser, groups=parents.pk, to="0712000001", text="Karibu")
    assert posted["expected_recipients"] == "4"


def test_more_than_a_thousand_people_become_a_campaign(acme, browser, provider):
    group = fill_group(acme, "Everybody", 1001)
    fields = opened(browser) | {"groups": group.pk, "to": "0799000001", "text": "Karibu"}
    page = words(browser.post("/app/send/check", fields, headers=FRAGMENT).content.decode())
    assert "Go on as a campaign" in page
    assert "Send " not in page
    answer = browser.post("/app/send", fields | {"action": "campaign"})
    campaign = Campaign.objects.for_client(acme).get()
    assert answer.url == f"/app/campaigns/{campaign.pk}/review"
    assert "Send to 1,002 people for KES 1,002.00" in words(browser.get(answer.url).content.decode())
    refused = browser.post("/app/send", fields | {"expected_recipients": "1002", "expected_cost_micros": "1002000000"})
    assert refused.status_code == 422
    assert not Message.objects.for_client(acme).exists()


def test_a_test_to_oneself_takes_three_interactions_at_most(acme, browser, provider):
    assert 'href="/app/send?test=1"' in browser.get("/app").content.decode()  # 1: press it
    posted = opened(browser, "/app/send?test=1") | {"own": "True", "to": "0712345678", "text": "Hello!"}  # 2: type
    posted |= figures(browser.post("/app/send/check", posted, headers=FRAGMENT).content.decode())
    assert browser.post("/app/send", posted).status_code == 302  # 3: send
    assert OwnNumber.objects.for_client(acme).get().phone == "+254712345678"
    again = words(browser.get("/app/send?test=1").content.decode())
    assert "Send 1 message · KES 1.00" in again
    assert "+254712345678" in again


def test_T2_strangers_see_and_reach_nothing(acme, browser, stranger, parents):
    answer = browser.post("/app/send", prepared(browser, to="0712345678", text="Habari"))
    zuri = sign_in("zuri@else.test")
    assert zuri.get(answer.url).status_code == 404
    fields = opened(zuri) | {"to": "", "text": "Habari", "groups": parents.pk}
    page = words(zuri.post("/app/send/check", fields, headers=FRAGMENT).content.decode())
    assert "0 people" in page
    mine = contacts.create_contact(client=acme, phone="0733000001", name="Siri")
    page = zuri.post("/app/send/check", fields | {"contact": mine.pk, "groups": ""}, headers=FRAGMENT)
    assert "Siri" not in page.content.decode()


@pytest.mark.parametrize("role", ["viewer", "finance", "developer", "approver"])
def test_T3_only_those_who_may_send_see_the_page(acme, role):
    other = add_member(acme, role)
    assert other.get("/app/send").status_code == 403
    assert other.post("/app/send", {}).status_code == 403
    assert "/app/send" not in other.get("/app").content.decode()


def test_suspended_and_simulated(acme, browser, provider):
    posted = prepared(browser, to="0712345678", text="Habari")
    acme.simulation = True
    acme.save()
    assert browser.post("/app/send", posted).status_code == 409  # the price is zero now
    posted = prepared(browser, to="0712345678", text="Habari")
    assert posted["expected_cost_micros"] == "0"
    answer = browser.post("/app/send", posted)
    assert "Simulated" in browser.get(answer.url).content.decode()
    acme.state = "suspended"
    acme.save()
    refused = browser.post("/app/send", prepared(browser, to="0713345678", text="Habari"))
    assert refused.status_code == 422
    assert Message.objects.for_client(acme).count() == 1


def test_the_number_of_queries_does_not_grow_with_the_people(acme, browser, provider, django_assert_max_num_queries):
    people = ",".join(f"0712{number:06d}" for number in range(500))
    posted = prepared(browser, to=people, text="Habari")
    with django_assert_max_num_queries(60):
        assert browser.post("/app/send", posted).status_code == 302
    assert Message.objects.for_client(acme).count() == 500


def test_the_heading_of_what_was_sent_follows_what_became_of_it(acme, browser, provider):
    address = browser.post("/app/send", prepared(browser, to="0712345678", text="Habari")).url
    assert "1 message on its way" in browser.get(address).content.decode()
    Message.objects.for_client(acme).update(status="delivered")
    swapped = browser.get(address, headers=FRAGMENT).content.decode()
    assert '<span id="sent-heading" hx-swap-oob="true">1 message delivered</span>' in swapped
    Message.objects.for_client(acme).update(status="failed")
    assert "1 message sent" in browser.get(address).content.decode()


def test_a_message_to_oneself_is_sent_from_the_top_of_its_page(acme, browser, provider):
    page = browser.get("/app/send").content.decode()
    assert page.index('id="id_text"') < page.index('id="send-answer"')
    page = browser.get("/app/send?test=1").content.decode()
    assert page.index('id="send-answer"') < page.index('id="id_text"')
    assert page.count('id="send-answer"') == 1
