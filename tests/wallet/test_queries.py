"""Balances and ledger pages."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine

from accounts.models import Client
from wallet import queries
from wallet.models import Rate, Wallet
from wallet.services import credit_wallet, debit_many, debit_wallet, refund_many, reserve

ONE = 1_000_000


def test_balance_in_money_and_units_in_one_query(acme, django_assert_num_queries):
    Rate.objects.update(unit_price_micros=300_000)
    reserve(client=acme, amount=Decimal(10), reference="campaign:1")
    with django_assert_num_queries(1):
        now = queries.balance_of(acme.pk)
    assert (now.balance, now.reserved, now.available, now.currency) == (100, 10, 90, "KES")
    assert (now.unit_price, now.units, now.threshold) == (Decimal("0.30"), 333, 100)


def test_units_are_at_the_price_of_the_clients_own_country(acme):
    plan = Rate.objects.get().plan
    Rate.objects.create(plan=plan, channel="sms", country="KE", unit_price_micros=2 * ONE)
    Rate.objects.create(plan=plan, channel="sms", country="TZ", unit_price_micros=5 * ONE)
    Rate.objects.create(plan=plan, channel="email", country="KE", unit_price_micros=ONE // 10)
    assert queries.balance_of(acme.pk).units == 50
    Rate.objects.filter(country__in=["KE", ""]).delete()
    assert (queries.balance_of(acme.pk).unit_price, queries.balance_of(acme.pk).units) == (None, 0)


def test_low_means_below_the_threshold(acme):
    assert queries.balance_of(acme.pk).low is False
    debit_wallet(client=acme, amount=Decimal("0.01"), reference="message:1")
    assert queries.balance_of(acme.pk).low is True


def test_what_a_trial_begins_with_is_not_called_low_until_money_was_added(acme):
    tried = Client.objects.create(name="Foods")
    credit_wallet(client=tried, amount=Decimal(5), reference=queries.TRIAL)
    assert queries.balance_of(tried.pk).low is False
    credit_wallet(client=tried, amount=Decimal(1), reference="topup:2")
    assert queries.balance_of(tried.pk).low is True


def test_entries_newest_first_and_only_ones_own(acme, stranger):
    debit_many(client_id=acme.pk, charges=[("message:1", ONE), ("message:2", ONE)])
    assert [e.reference for e in queries.entries_for(acme.pk)] == ["message:2", "message:1", "topup:1"]
    assert [e.reference for e in queries.entries_for(acme.pk, kind="debit")] == ["message:2", "message:1"]
    assert [e.amount_micros for e in queries.entries_for(stranger.pk)] == [7 * ONE]


def test_dates_are_days_of_the_clients_time_zone(db, acme):
    # 21:30 UTC on the 9th is half past midnight on the 10th in Nairobi.
    with time_machine.travel(datetime(2030, 10, 9, 21, 30, tzinfo=UTC), tick=False):
        debit_wallet(client=acme, amount=Decimal(1), reference="message:1")
    ninth, tenth = date(2030, 10, 9), date(2030, 10, 10)

    def found(from_date, to_date, zone):
        entries = queries.entries_for(acme.pk, from_date=from_date, to_date=to_date, time_zone=zone)
        return [entry.reference for entry in entries]

    assert found(ninth, ninth, "UTC") == found(tenth, tenth, "Africa/Nairobi") == ["message:1"]
    assert found(tenth, tenth, "UTC") == found(ninth, ninth, "Africa/Nairobi") == []


@pytest.mark.parametrize("zone", ["Africa/Nairobi", "America/New_York", "UTC"])
def test_the_ends_of_the_calendar_are_dates_too(acme, zone):
    assert queries.entries_for(acme.pk, from_date=date.min, to_date=date.max, time_zone=zone).count() == 1
    assert queries.entries_for(acme.pk, from_date=date.max, to_date=date.min, time_zone=zone).count() == 0


def test_the_month_so_far(db, acme):
    with time_machine.travel(datetime(2030, 1, 31, 21, 30, tzinfo=UTC), tick=False):  # February in Nairobi
        credit_wallet(client=acme, amount=Decimal(50), reference="topup:2")
        debit_many(client_id=acme.pk, charges=[("message:1", 5 * ONE), ("message:2", 5 * ONE)])
        refund_many(client_id=acme.pk, refunds=[("message:2", 5 * ONE)])
    february = queries.summary_of_month(acme.pk, date(2030, 2, 3), "Africa/Nairobi")
    assert february == queries.MonthSummary(date(2030, 2, 1), Decimal(100), Decimal(50), Decimal(5), Decimal(145))
    assert queries.summary_of_month(acme.pk, date(2030, 2, 3), "UTC").spent == 0


def test_M1_check_wallets_finds_a_wrong_sum(acme, stranger):
    assert queries.check_wallets() == []
    Wallet.objects.for_client(acme).update(balance_micros=99 * ONE, reserved_micros=ONE)
    assert queries.check_wallets() == [queries.WalletDifference(acme.pk, 99 * ONE, 100 * ONE, ONE, 0)]
