"""Staff read wallets and the ledger, edit prices, and adjust a balance by the service."""

import re
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.test import Client as Browser

from accounts.models import User
from wallet import queries
from wallet.models import LedgerEntry, PricePlan, Rate, Wallet
from wallet.services import SECOND_PERSON_ABOVE, create_price_plan, reserve


@pytest.fixture
def staff(db):
    return User.objects.create_superuser("baraka@acme.test")


@pytest.fixture
def browser(staff):
    browser = Browser()
    browser.force_login(staff)
    return browser


def shown(response):
    assert response.status_code == 200
    return response.content.decode().replace("\u00a0", " ")


def adjust(browser, client, **fields):
    url = f"/staff/wallet/wallet/{client.pk}/adjust/"
    token = re.search(r'name="token" value="([^"]+)"', browser.get(url).content.decode())[1]
    return browser.post(url, {"token": token, "reason": "Charged twice", **fields}), token


def test_money_is_listed_and_cannot_be_edited(acme, browser):
    held = reserve(client=acme, amount=Decimal(5), reference="campaign:1")
    entry = LedgerEntry.objects.for_client(acme).get()
    for model, pk in [("ledgerentry", entry.pk), ("reservation", held.pk)]:
        page = shown(browser.get(f"/staff/wallet/{model}/{pk}/change/"))
        assert 'name="_save"' not in page
        assert browser.post(f"/staff/wallet/{model}/{pk}/change/", {"reference": "x"}).status_code == 403
    for model, pk in [("wallet", acme.pk), ("ledgerentry", entry.pk), ("reservation", held.pk)]:
        assert "KES " in shown(browser.get(f"/staff/wallet/{model}/"))
        assert browser.post(f"/staff/wallet/{model}/{pk}/delete/", {"post": "yes"}).status_code == 403
        assert browser.get(f"/staff/wallet/{model}/add/").status_code == 403
    assert "topup:1" in shown(browser.get("/staff/wallet/ledgerentry/?q=Acme"))


def test_a_wallet_moves_to_another_plan_of_its_currency_and_nothing_else(acme, browser):
    plan = create_price_plan(name="Schools", currency="KES", price_per_unit=Decimal("0.60"))
    dar = create_price_plan(name="Dar", currency="TZS", price_per_unit=Decimal(20))
    url = f"/staff/wallet/wallet/{acme.pk}/change/"
    assert "Dar (TZS)" not in shown(browser.get(url))
    assert browser.post(url, {"price_plan": plan.pk, "balance_micros": "1", "currency": "USD"}).status_code == 302
    wallet = Wallet.objects.for_client(acme).get()
    assert (wallet.price_plan, wallet.balance_micros, wallet.currency) == (plan, 100_000_000, "KES")
    assert browser.post(url, {"price_plan": dar.pk}).status_code == 200
    assert Wallet.objects.for_client(acme).get().price_plan == plan


def test_an_adjustment_moves_money_once(acme, browser, staff):
    response, token = adjust(browser, acme, amount="-2.50")
    assert response.status_code == 302
    again = browser.post(
        f"/staff/wallet/wallet/{acme.pk}/adjust/", {"token": token, "reason": "Charged twice", "amount": "-2.50"}
    )
    assert again.status_code == 302
    entry = LedgerEntry.objects.for_client(acme).get(kind="adjustment")
    assert (entry.amount_micros, entry.description, entry.by) == (-2_500_000, "Charged twice", staff)
    assert queries.balance_of(acme.pk).balance == Decimal("97.50")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"amount": "0"}, "An adjustment moves something."),
        ({"amount": "-100.01"}, "Your account balance is too low."),
        ({"amount": str(SECOND_PERSON_ABOVE + 1)}, "needs a second member of staff"),
        ({"amount": "5", "reason": " "}, "This field is required."),
        ({"amount": "NaN"}, "Enter a number."),
        ({"amount": "1e99"}, "Ensure that there are no more than"),
    ],
)
def test_a_refused_adjustment_says_why_and_moves_nothing(acme, browser, fields, sentence):
    response, _ = adjust(browser, acme, **fields)
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert LedgerEntry.objects.for_client(acme).count() == 1


def test_adjusting_needs_its_permission(acme, staff):
    clerk = User.objects.create_user("clerk@acme.test", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_wallet"))
    browser = Browser()
    browser.force_login(clerk)
    assert browser.get(f"/staff/wallet/wallet/{acme.pk}/").status_code in (200, 302)
    assert browser.get(f"/staff/wallet/wallet/{acme.pk}/adjust/").status_code == 403
    assert Browser().get(f"/staff/wallet/wallet/{acme.pk}/adjust/").status_code == 302
    assert browser.get("/staff/wallet/wallet/999999/adjust/").status_code == 403


def test_prices_are_edited_as_amounts(acme, browser):
    plan, rate = PricePlan.objects.get(), Rate.objects.get()
    url = f"/staff/wallet/priceplan/{plan.pk}/change/"
    assert 'value="1.00"' in shown(browser.get(url))
    form = {
        "name": "Standard", "unit_rule": "per_160", "is_default": "on",
        "rates-TOTAL_FORMS": "2", "rates-INITIAL_FORMS": "1",
        "rates-0-id": rate.pk, "rates-0-plan": plan.pk, "rates-0-channel": "sms", "rates-0-price": "0.305",
        "rates-1-plan": plan.pk, "rates-1-channel": "sms", "rates-1-country": "tz", "rates-1-price": "2",
    }  # fmt: skip
    assert browser.post(url, form).status_code == 302
    assert list(Rate.objects.values_list("country", "unit_price_micros")) == [("", 305_000), ("TZ", 2_000_000)]
    refused = browser.post(url, form | {"rates-INITIAL_FORMS": "0", "rates-0-id": "", "rates-0-price": "-1"})
    assert refused.status_code == 200
    assert "greater than or equal to 0" in refused.content.decode()
    refused = browser.post(url, form | {"rates-1-country": "XX", "rates-1-channel": "fax"})
    assert "Give an ISO 3166 code such as KE" in refused.content.decode()
    assert "fax is not one of the available choices" in refused.content.decode()
    assert Rate.objects.count() == 2
