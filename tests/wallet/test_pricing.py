"""One function answers what a message costs."""

from decimal import Decimal

import pytest

from accounts.models import Client
from wallet.errors import NoPrice
from wallet.models import Rate
from wallet.pricing import PriceList, load_prices
from wallet.services import create_price_plan, debit_many, open_wallet, refund_many, set_price_plan

ONE = 1_000_000


@pytest.fixture
def plan(acme):
    plan = create_price_plan(name="Region", currency="KES", price_per_unit=Decimal("3.50"), unit_rule="segments")
    Rate.objects.create(plan=plan, channel="sms", country="KE", unit_price_micros=800_000)
    set_price_plan(client=acme, plan=plan)
    return plan


@pytest.mark.parametrize(("characters", "units"), [(1, 1), (160, 1), (161, 2), (320, 2), (321, 3), (480, 3)])
def test_the_published_table_is_the_standard_plan(acme, characters, units):
    quote = load_prices(acme.pk).quote("a" * characters, "sms", "KE")
    assert (quote.units, quote.unit_price_micros, quote.cost_micros) == (units, ONE, units * ONE)


def test_unicode_is_priced_by_segments(acme):
    quote = load_prices(acme.pk).quote("ж" * 71, "sms", "KE")
    assert quote == (2, 2, "ucs2", 71, ONE, 2 * ONE)


def test_a_country_with_its_own_rate_pays_that(acme, plan):
    prices = load_prices(acme.pk)
    assert prices.quote("a" * 161, "sms", "KE").cost_micros == 1_600_000
    assert prices.quote("a" * 307, "sms", "TZ").cost_micros == 3 * 3_500_000
    assert prices.quote("a", "sms", "").cost_micros == 3_500_000


def test_a_destination_without_a_rate_has_no_price(acme, plan):
    Rate.objects.filter(plan=plan, country="").delete()
    prices = load_prices(acme.pk)
    assert prices.quote("a", "sms", "KE").units == 1
    for channel, country in [("sms", "TZ"), ("whatsapp", "KE")]:
        with pytest.raises(NoPrice) as refused:
            prices.quote("a", channel, country)
        assert refused.value.facts == {"channel": channel, "country": country}
    with pytest.raises(NoPrice, match=r"^Your price plan has no price for sms to TZ\.$"):
        prices.quote("a", "sms", "TZ")


def test_a_client_without_a_wallet_has_no_prices(db):
    client = Client.objects.create(name="Acme")
    with pytest.raises(NoPrice):
        load_prices(client.pk).quote("a", "sms", "KE")


def test_prices_load_in_one_query_and_quote_in_none(acme, plan, django_assert_num_queries):
    with django_assert_num_queries(1):
        prices = load_prices(acme.pk)
        for region in ("KE", "TZ", "UG", "TZ"):
            prices.quote("Habari", "sms", region)


def test_a_free_rate_costs_nothing():
    assert PriceList("per_160", {("sms", ""): 0}).quote("a", "sms", "KE").cost_micros == 0


def test_M7_a_later_price_changes_nothing_already_accepted(acme):
    quote = load_prices(acme.pk).quote("Habari", "sms", "KE")
    debit_many(client_id=acme.pk, charges=[("message:1", quote.cost_micros)])
    Rate.objects.update(unit_price_micros=9 * ONE)
    assert refund_many(client_id=acme.pk, refunds=[("message:1", quote.cost_micros)]) == {"message:1": ONE}
    assert load_prices(acme.pk).quote("Habari", "sms", "KE").cost_micros == 9 * ONE


def test_open_wallet_on_a_plan_of_its_own(db):
    client = Client.objects.create(name="Acme")
    plan = create_price_plan(name="Acme", currency="KES", price_per_unit=Decimal("0.75"))
    open_wallet(client=client, plan=plan)
    assert load_prices(client.pk).quote("a", "sms", "KE").cost_micros == 750_000
