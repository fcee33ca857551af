"""Staff read wallets and the ledger, edit prices, and adjust a balance by the service."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.test import Client as Browser
from django.utils.html import strip_tags

from accounts.models import User
from wallet import queries
from wallet.models import AdjustmentRequest, LedgerEntry, PricePlan, Rate, Wallet
from wallet.pricing import load_prices
from wallet.reconciliation import run_if_due
from wallet.services import create_price_plan, reserve


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
        "rates-TOTAL_FORMS": "3", "rates-INITIAL_FORMS": "1",
        "rates-0-id": rate.pk, "rates-0-plan": plan.pk, "rates-0-channel": "sms", "rates-0-price": "1.00",
        "rates-1-plan": plan.pk, "rates-1-channel": "sms", "rates-1-price": "0.305", "rates-1-cost": "0.2",
        "rates-2-plan": plan.pk, "rates-2-channel": "sms", "rates-2-country": "tz", "rates-2-price": "2",
    }  # fmt: skip
    assert browser.post(url, form).status_code == 302
    kept = Rate.objects.values_list("country", "unit_price_micros", "unit_cost_micros")
    assert list(kept) == [("", 1_000_000, None), ("", 305_000, 200_000), ("TZ", 2_000_000, None)]
    refused = browser.post(url, form | {"rates-INITIAL_FORMS": "0", "rates-0-id": "", "rates-0-price": "-1"})
    assert refused.status_code == 200
    assert "greater than or equal to 0" in refused.content.decode()
    refused = browser.post(url, form | {"rates-2-country": "XX", "rates-2-channel": "fax"})
    assert "Give an ISO 3166 code such as KE" in refused.content.decode()
    assert "fax is not one of the available choices" in refused.content.decode()
    assert Rate.objects.count() == 3


def test_a_rate_that_holds_is_followed_not_changed(acme, browser):
    plan, rate = PricePlan.objects.get(), Rate.objects.get()
    url = f"/staff/wallet/priceplan/{plan.pk}/change/"
    kept = {
        "name": "Standard", "unit_rule": "per_160", "is_default": "on",
        "rates-TOTAL_FORMS": "1", "rates-INITIAL_FORMS": "1",
        "rates-0-id": rate.pk, "rates-0-plan": plan.pk, "rates-0-channel": "sms", "rates-0-price": "1.00",
    }  # fmt: skip
    assert "This rate holds already" in browser.post(url, kept | {"rates-0-price": "9"}).content.decode()
    assert "cannot be removed" in browser.post(url, kept | {"rates-0-DELETE": "on"}).content.decode()
    later = {"rates-TOTAL_FORMS": "2", "rates-1-plan": plan.pk, "rates-1-channel": "sms", "rates-1-price": "3"}
    past = kept | later | {"rates-1-from_day": "2026-01-01"}
    assert "This day is over" in browser.post(url, past).content.decode()
    assert Rate.objects.count() == 1
    assert browser.post(url, kept | later | {"rates-1-from_day": "2099-01-01"}).status_code == 302
    following = Rate.objects.last()
    assert following.valid_from == datetime(2098, 12, 31, 21, tzinfo=UTC)  # midnight in Nairobi
    assert load_prices(acme.pk).unit_price_micros("sms", "KE") == 1_000_000
    assert load_prices(acme.pk, datetime(2099, 1, 1, tzinfo=UTC)).unit_price_micros("sms", "KE") == 3_000_000


def test_the_worked_example_prices_a_text_now_and_on_a_day(acme, browser):
    plan = PricePlan.objects.get()
    Rate.objects.update(unit_cost_micros=400_000)
    Rate.objects.create(plan=plan, valid_from=datetime(2099, 1, 1, tzinfo=UTC), unit_price_micros=2_000_000)
    url = f"/staff/wallet/priceplan/{plan.pk}/example/"
    asked = {"text": "x" * 161, "channel": "sms", "country": "ke", "day": "2099-06-01"}
    page = " ".join(strip_tags(browser.get(url, asked).content.decode().replace("<", " <")).split())
    page = page.replace("\u00a0", " ")
    assert "Now One unit per 160 characters started ✓ 161 gsm7 2 2 KES 1.00 KES 2.00 KES 1.20 (60 %)" in page
    assert "01 Jun 2099 One unit per 160 characters started ✓ 161 gsm7 2 2 KES 2.00 KES 4.00 unknown" in page
    assert "has no price for email to KE" in browser.get(url, asked | {"channel": "email"}).content.decode()
    assert browser.get(url).status_code == 200


def test_M10_a_large_adjustment_waits_for_somebody_else(acme, browser, staff):
    url = f"/staff/wallet/wallet/{acme.pk}/adjust/"
    form = {"amount": "10001", "reason": "Bank transfer", "token": str(uuid4())}
    for _ in range(2):  # pressed twice: asked for once
        assert browser.post(url, form).status_code == 302
    asked = AdjustmentRequest.objects.unscoped().get()
    assert Wallet.objects.unscoped().get(pk=acme.pk).balance_micros == 100_000_000
    decide = f"/staff/wallet/adjustmentrequest/{asked.pk}/decide/"
    assert "Bank transfer" in shown(browser.get(decide))
    assert "not whoever asked" in browser.post(decide, {"approve": "1"}, follow=True).content.decode()
    assert Wallet.objects.unscoped().get(pk=acme.pk).balance_micros == 100_000_000
    second = Browser()
    second.force_login(User.objects.create_superuser("second@tarishi.test"))
    assert second.post(decide, {"approve": "1"}).status_code == 302
    assert Wallet.objects.unscoped().get(pk=acme.pk).balance_micros == 10_101_000_000
    assert "decided before" in second.post(decide, {"approve": "1"}, follow=True).content.decode()
    entry = LedgerEntry.objects.unscoped().get(kind="adjustment")
    assert entry.by == staff
    assert "approved by second@tarishi.test" in entry.description


def test_M10_a_declined_adjustment_moves_nothing(acme, browser):
    form = {"amount": "-10001", "reason": "Wrong account", "token": str(uuid4())}
    assert browser.post(f"/staff/wallet/wallet/{acme.pk}/adjust/", form).status_code == 302
    asked = AdjustmentRequest.objects.unscoped().get()
    browser.post(f"/staff/wallet/adjustmentrequest/{asked.pk}/decide/", {"decline": "1"})
    asked.refresh_from_db()
    assert asked.state == "declined"
    assert LedgerEntry.objects.unscoped().filter(kind="adjustment").count() == 0


def test_what_the_daily_reconciliation_found_is_shown(acme, browser):
    Wallet.objects.unscoped().filter(pk=acme.pk).update(balance_micros=1)
    run = run_if_due()
    assert run.differences == 1
    assert run_if_due() is None
    page = browser.get(f"/staff/wallet/reconciliationrun/{run.pk}/change/").content.decode()
    assert f"client {acme.pk}: balance" in page
    assert "--fix sets the cached sums" in page
    assert browser.get("/staff/wallet/reconciliationrun/").status_code == 200
