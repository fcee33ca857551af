"""Credits, debits and refunds: exact balances, one entry each, and refusals that move nothing."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Client, User
from crm.common.money import to_micros
from crm.common.sql import on_postgres
from wallet import queries
from wallet.errors import AdjustmentRefused, InsufficientBalance, RefundMismatch
from wallet.models import LedgerEntry, PricePlan, Rate, Wallet
from wallet.services import (
    adjust_balance,
    create_price_plan,
    credit_wallet,
    debit_many,
    debit_wallet,
    open_wallet,
    refund_many,
    set_price_plan,
)

SECOND_PERSON_ABOVE = 10_000  # ADJUSTMENT_ALONE_UP_TO as it is by default

MANY = 3 if on_postgres() else 4  # statements of a charge of many
ONE = 1_000_000  # micros


def ledger(client):
    """(kind, amount, balance after, reference) in order, amounts in whole units."""
    return [
        (e.kind, e.amount_micros / ONE, e.balance_after_micros / ONE, e.reference)
        for e in LedgerEntry.objects.for_client(client).order_by("pk")
    ]


def balance(client):
    return queries.balance_of(client.pk).balance


@pytest.fixture
def unmoved(acme):
    """Checks after the test that Acme's ledger and balance are as they began."""
    yield
    assert ledger(acme) == [("credit", 100, 100, "topup:1")]
    assert balance(acme) == 100
    assert queries.check_wallets() == queries.check_running_balances() == []


def test_debit_takes_the_amount_once(acme, stranger):
    entry = debit_wallet(client=acme, amount=Decimal("0.30"), reference="message:1", description="SMS")
    assert (entry.amount_micros, entry.balance_after_micros) == (-300_000, 99_700_000)
    assert balance(acme) == Decimal("99.70")
    assert balance(stranger) == 7


def test_refused_debit_moves_no_money(acme, unmoved):
    with pytest.raises(InsufficientBalance) as refused:
        debit_wallet(client=acme, amount=Decimal("100.000001"), reference="message:1")
    assert refused.value.facts == {
        "needed": Decimal("100.000001"), "available": Decimal(100), "balance": Decimal(100), "currency": "KES",
    }  # fmt: skip
    assert str(refused.value) == "Your account balance is too low. Current balance: KES 100.00"


def test_the_last_cent_can_be_spent(acme):
    debit_wallet(client=acme, amount=Decimal(100), reference="message:1")
    assert balance(acme) == 0


@pytest.mark.parametrize("amount", [Decimal(0), Decimal(-1)])
@pytest.mark.parametrize("move", [debit_wallet, credit_wallet])
def test_amounts_are_positive(acme, unmoved, move, amount):
    with pytest.raises(ValueError, match="positive"):
        move(client=acme, amount=amount, reference="message:1")


def test_a_reference_is_charged_once(acme):
    debit_wallet(client=acme, amount=Decimal(1), reference="message:1")
    with pytest.raises(IntegrityError), transaction.atomic():
        debit_wallet(client=acme, amount=Decimal(1), reference="message:1")
    assert balance(acme) == 99


def test_a_payment_is_credited_once(acme, unmoved):
    with pytest.raises(IntegrityError), transaction.atomic():
        credit_wallet(client=acme, amount=Decimal(100), reference="topup:1")


def test_debit_many_writes_an_entry_per_charge_with_its_running_balance(acme, django_assert_num_queries):
    charges = [("message:1", ONE), ("message:2", 0), ("message:3", 2 * ONE)]
    with django_assert_num_queries(MANY):  # savepoint, update and insert, release
        assert debit_many(client_id=acme.pk, charges=charges, description="Campaign") == 3 * ONE
    assert ledger(acme)[1:] == [("debit", -1, 99, "message:1"), ("debit", -2, 97, "message:3")]
    assert balance(acme) == 97
    assert queries.check_running_balances() == []


def test_the_number_of_statements_does_not_grow_with_the_charges(acme, django_assert_num_queries):
    charges = [(f"message:{n}", 1000) for n in range(3000)]
    with django_assert_num_queries(MANY):
        debit_many(client_id=acme.pk, charges=charges)
    with django_assert_num_queries(5 if on_postgres() else 6):  # entries that are copied are not counted
        assert len(refund_many(client_id=acme.pk, refunds=charges)) == 3000
    assert balance(acme) == 100
    assert queries.check_wallets() == queries.check_running_balances() == queries.check_refunds() == []


def test_free_messages_write_nothing(acme, unmoved):
    assert debit_many(client_id=acme.pk, charges=[("message:1", 0)]) == 0
    assert debit_many(client_id=acme.pk, charges=[]) == 0
    assert refund_many(client_id=acme.pk, refunds=[("message:1", 0)]) == {}


def test_debit_many_takes_all_or_nothing(acme, unmoved):
    with pytest.raises(InsufficientBalance):
        debit_many(client_id=acme.pk, charges=[("message:1", 60 * ONE), ("message:2", 41 * ONE)])
    with pytest.raises(IntegrityError), transaction.atomic():
        debit_many(client_id=acme.pk, charges=[("message:1", ONE), ("message:1", ONE)])
    with pytest.raises(ValueError, match="negative"):
        debit_many(client_id=acme.pk, charges=[("message:1", ONE), ("message:2", -ONE)])


def test_a_caller_that_rolls_back_takes_the_charge_with_it(acme, unmoved):
    with transaction.atomic():
        debit_many(client_id=acme.pk, charges=[("message:1", ONE)])
        transaction.set_rollback(True)


def test_M6_a_refund_returns_the_debit_exactly_once(acme):
    debit_many(client_id=acme.pk, charges=[("message:1", ONE), ("message:2", 2 * ONE)])
    assert refund_many(client_id=acme.pk, refunds=[("message:1", ONE), ("message:1", ONE)]) == {"message:1": ONE}
    assert refund_many(client_id=acme.pk, refunds=[("message:1", ONE), ("message:2", 2 * ONE)]) == {
        "message:2": 2 * ONE
    }
    assert refund_many(client_id=acme.pk, refunds=[("message:1", ONE)]) == {}
    assert ledger(acme)[3:] == [("refund", 1, 98, "message:1"), ("refund", 2, 100, "message:2")]
    assert balance(acme) == 100


@pytest.mark.parametrize("refund", [("message:1", 2 * ONE), ("message:9", ONE)])
def test_M6_only_what_was_charged_is_refunded(acme, refund):
    debit_many(client_id=acme.pk, charges=[("message:1", ONE), ("message:2", ONE)])
    with pytest.raises(RefundMismatch):
        refund_many(client_id=acme.pk, refunds=[("message:2", ONE), refund])
    assert balance(acme) == 98


def test_the_references_of_another_client_are_no_ones_business(acme, stranger):
    debit_many(client_id=acme.pk, charges=[("message:1", ONE)])
    with pytest.raises(RefundMismatch):
        refund_many(client_id=stranger.pk, refunds=[("message:1", ONE)])
    debit_many(client_id=stranger.pk, charges=[("message:1", ONE)])
    assert (balance(acme), balance(stranger)) == (99, 6)


def test_a_client_without_a_wallet_has_nothing(db):
    client = Client.objects.create(name="Acme", currency="TZS")
    assert (balance(client), queries.balance_of(client.pk).currency) == (0, "TZS")
    with pytest.raises(InsufficientBalance):
        debit_wallet(client=client, amount=Decimal(1), reference="message:1")
    credit_wallet(client=client, amount=Decimal(5), reference="topup:1")
    assert balance(client) == 5


class TestAdjustments:
    @pytest.fixture
    def staff(self, db):
        return User.objects.create_user("baraka@acme.test", is_staff=True)

    def test_an_adjustment_is_an_entry_with_reason_and_person(self, acme, staff):
        entry = adjust_balance(
            client=acme, amount=Decimal("-2.50"), reason="Charged twice in March", by=staff, reference="adjustment:a"
        )
        assert (entry.kind, entry.amount_micros, entry.by, entry.description) == (
            "adjustment", -2_500_000, staff, "Charged twice in March",
        )  # fmt: skip
        assert balance(acme) == Decimal("97.50")

    def test_it_needs_a_reason_and_staff(self, acme, unmoved, staff):
        amina = User.objects.create_user("amina@acme.test")
        for by, reason in [(staff, "  "), (amina, "Because")]:
            with pytest.raises(AdjustmentRefused):
                adjust_balance(client=acme, amount=Decimal(1), reason=reason, by=by, reference="adjustment:a")

    def test_M10_a_large_one_needs_a_second_person(self, acme, staff):
        second = User.objects.create_user("zawadi@acme.test", is_staff=True)
        amina = User.objects.create_user("amina@acme.test")
        large = {
            "client": acme, "amount": SECOND_PERSON_ABOVE + 1, "reason": "Cash", "by": staff, "reference": "x",
        }  # fmt: skip
        for nobody in (None, staff, amina):
            with pytest.raises(AdjustmentRefused, match=r"above KES 10,000\.00"):
                adjust_balance(**large, approved_by=nobody)
        assert balance(acme) == 100
        adjust_balance(**large, approved_by=second)
        assert balance(acme) == SECOND_PERSON_ABOVE + 101

    def test_it_cannot_take_more_than_there_is(self, acme, unmoved, staff):
        with pytest.raises(InsufficientBalance):
            adjust_balance(client=acme, amount=Decimal(-101), reason="Fee", by=staff, reference="adjustment:a")


class TestPlans:
    def test_wallets_of_a_currency_share_its_standard_plan(self, acme, stranger):
        open_wallet(client=acme)
        plans = {wallet.price_plan for wallet in Wallet.objects.unscoped().select_related("price_plan")}
        (plan,) = plans
        assert (plan.name, plan.currency, plan.unit_rule, plan.is_default) == ("Standard", "KES", "per_160", True)
        assert list(Rate.objects.values_list("channel", "country", "unit_price_micros")) == [("sms", "", ONE)]

    def test_a_plan_is_in_the_wallets_currency(self, acme, db):
        plan = create_price_plan(name="Dar", currency="TZS", price_per_unit=Decimal(20))
        with pytest.raises(ValueError, match="TZS"):
            set_price_plan(client=acme, plan=plan)
        with pytest.raises(ValueError, match="KES"):
            open_wallet(client=Client.objects.create(name="Second"), plan=plan)

    def test_there_is_one_default_plan_a_currency(self, acme):
        first = PricePlan.objects.get()
        assert create_price_plan(name="X", currency="KES", price_per_unit=Decimal(9), is_default=True) == first
        assert to_micros(Decimal(1)) == Rate.objects.get().unit_price_micros
