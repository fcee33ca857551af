"""The wallet page in a browser: figures, filters, pages, and who may see it."""

import re
from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.models import Client, Membership, User
from messaging.models import Campaign, Message
from wallet.models import Rate
from wallet.services import debit_many, refund_many, reserve

ONE = 1_000_000
URL = "/app/wallet"
FRAGMENT = {"HX-Request": "true"}


def signed_in(client, role="owner", email="amina@acme.test"):
    user = User.objects.create_user(email)
    Membership.objects.create(user=user, client=client, role=role)
    browser = Browser()
    browser.force_login(user)
    return browser


@pytest.fixture
def browser(acme):
    return signed_in(acme)


def text(response):
    """What is read on the page, with plain single spaces."""
    return " ".join(strip_tags(response.content.decode().replace("<", " <")).replace("\u00a0", " ").split())


def test_the_page_shows_balance_units_reserve_and_entries(acme, stranger, browser):
    Rate.objects.update(unit_price_micros=300_000)
    debit_many(client_id=acme.pk, charges=[("message:1", 1_500_000)], description="Campaign “Karibu”")
    refund_many(client_id=acme.pk, refunds=[("message:1", 1_500_000)])
    reserve(client=acme, amount=30, reference="campaign:2")
    shown = text(browser.get(URL))
    assert "Balance KES 100.00 333 SMS at KES 0.30 each" in shown
    assert "Reserved KES 30.00" in shown
    assert "Available KES 70.00" in shown
    assert "Warn below KES 100.00" in shown
    assert "Campaign “Karibu” message:1 Charge" in shown
    assert "-KES 1.50 KES 98.50" in shown
    assert "Message 1 Refund" in shown
    assert "+ KES 1.50 KES 100.00" in shown
    assert "Spent, less refunds KES 0.00" in shown
    assert "7.00" not in shown  # the stranger's


def test_an_empty_wallet_explains_itself(db):
    shown = text(signed_in(Client.objects.create(name="Acme")).get(URL))
    assert "Nothing has moved yet" in shown
    assert "The balance is low" in shown
    assert "No SMS price is set" in shown


def test_filters_narrow_the_list_and_stay_in_the_url(acme, browser):
    debit_many(client_id=acme.pk, charges=[("message:1", ONE)])
    shown = text(browser.get(URL, {"kind": "credit"}))
    assert "Topup 1" in shown
    assert "Message 1" not in shown
    assert "Clear" in shown
    assert "Nothing matches these filters" in text(browser.get(URL, {"to_date": "2020-01-31"}))
    assert "Message 1" in text(browser.get(URL, {"from_date": "2020-01-31", "kind": ""}))


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        ({"from_date": "yesterday"}, "Enter a valid date."),
        ({"from_date": "2026-02-02", "to_date": "2026-02-01"}, "This day is before the first one."),
        ({"kind": "bribe"}, "bribe is not one of the available choices"),
        ({"from_date": "\x00"}, "Enter a valid date."),
    ],
)
def test_an_unreadable_filter_is_said_beside_its_field(browser, filters, sentence):
    response = browser.get(URL, filters)
    assert response.status_code == 422
    assert sentence in text(response)
    assert "Topup 1" not in text(response)


@pytest.mark.parametrize("dates", [{"from_date": "0001-01-01"}, {"to_date": "9999-12-31"}])
def test_the_ends_of_the_calendar_are_no_error(browser, dates):
    response = browser.get(URL, dates)
    assert response.status_code == 200
    assert "Topup 1" in text(response)


def test_pages(acme, browser):
    debit_many(client_id=acme.pk, charges=[(f"message:{n}", 1000) for n in range(1, 60)])
    first, second = text(browser.get(URL)), text(browser.get(URL, {"page": "2"}))
    assert "1–50 of 60 entries" in first
    assert "51–60 of 60 entries" in second
    assert "Topup 1" in second
    assert "Topup 1" not in first
    for beyond in ("99999999999999999999", "-1", "x", "\x00"):
        assert browser.get(URL, {"page": beyond}).status_code == 200


def test_each_line_says_what_it_paid_for_and_leads_there(acme):
    """Owners read numbers; finance, who may not open contacts, reads their ends and opens no message."""
    now = timezone.now()
    campaign = Campaign.objects.create(client=acme, name="Karibu", text="Habari")
    one = Message.objects.create(client=acme, recipient="+254712345678", sender="ACME", text="x", created_at=now)
    two = Message.objects.create(
        client=acme, recipient="+254799345111", sender="ACME", text="x", created_at=now, campaign=campaign
    )
    reserve(client=acme, amount=Decimal(5), reference=campaign.reservation)
    debit_many(client_id=acme.pk, charges=[(f"message:{one.pk}", ONE)])
    debit_many(client_id=acme.pk, charges=[(f"message:{two.pk}", ONE)], reservation=campaign.reservation)
    owner = signed_in(acme)
    shown = owner.get(URL)
    assert "SMS to +254 712 345 678 Charge" in text(shown)
    assert "SMS to +254 799 345 111 Campaign “Karibu” Charge" in text(shown)
    assert f'href="/app/messages?open={one.pk}"' in shown.content.decode()
    assert f'href="/app/campaigns/{campaign.pk}"' in shown.content.decode()
    assert "SMS to +254 712" not in text(owner.get(URL, {"within": campaign.reservation}))
    finance = signed_in(acme, "finance", "money@acme.test").get(URL)
    assert "SMS to •••678 Charge" in text(finance)
    assert "345 678" not in text(finance)
    assert "/app/messages?open" not in finance.content.decode()


def test_the_fragment_is_the_ledger_alone(browser):
    response = browser.get(URL, {"kind": "credit"}, headers=FRAGMENT)
    body = response.content.decode()
    assert body.lstrip().startswith('<section id="ledger"')
    assert "<html" not in body
    assert "no-store" in response["Cache-Control"]
    whole = browser.get(URL, headers=FRAGMENT | {"HX-History-Restore-Request": "true"})
    assert "<html" in whole.content.decode()
    assert {"HX-Request", "HX-History-Restore-Request"} <= set(re.split(r",\s*", whole["Vary"]))


def test_descriptions_are_data(acme, browser):
    debit_many(client_id=acme.pk, charges=[("message:1", ONE)], description="<script>alert(1)</script>")
    assert "<script>alert" not in browser.get(URL).content.decode()


def test_queries_do_not_grow_with_the_ledger(acme, browser, django_assert_num_queries):
    debit_many(client_id=acme.pk, charges=[(f"message:{n}", 1000) for n in range(60)])
    with django_assert_num_queries(
        12
    ):  # session, user, member, count, entries, messages, balance, month (3), account, imports
        browser.get(URL)
    with django_assert_num_queries(6):
        browser.get(URL, headers=FRAGMENT)


@pytest.mark.parametrize("role", ["owner", "admin", "sender", "approver", "finance", "developer", "viewer"])
def test_members_see_their_own_wallet_only(acme, stranger, role):
    response = signed_in(stranger, role, "zuri@traders.test").get(URL)
    assert response.status_code == 200
    assert "KES 7.00" in text(response)
    assert "KES 100.00 " not in text(response).replace("Warn below KES 100.00 ", "").replace("below KES 100.00", "")


def test_a_visitor_is_sent_to_sign_in(db):
    response = Browser().get(URL)
    assert response.status_code == 302
    assert response["Location"].endswith("?next=/app/wallet")


def test_nothing_is_posted_here(browser):
    assert browser.post(URL).status_code == 405
