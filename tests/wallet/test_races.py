"""Real threads, real commits, one wallet."""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import pytest

from accounts.models import Client
from tests import crowd
from wallet import queries
from wallet.errors import InsufficientBalance
from wallet.models import LedgerEntry, Wallet
from wallet.services import (
    credit_wallet,
    debit_many,
    debit_wallet,
    open_wallet,
    refund_many,
    release_reservation,
    reserve,
)

ONE = 1_000_000
# Fifty connections at once: in one worker, so that two such modules do not ask a server for more than it has.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("crowd")]


def at_once(count: int, act: Callable[[int], object]) -> Counter:
    """Run `act(n)` in `count` threads that start together; counts results, an exception by its type's name."""
    return Counter(
        type(found).__name__ if isinstance(found, Exception) else found for found in crowd.at_once(count, act)
    )


@pytest.fixture
def acme():
    client = Client.objects.create(name="Acme")
    credit_wallet(client=client, amount=Decimal(20), reference="topup:1")
    return client


@pytest.fixture(autouse=True)
def books_agree():
    yield
    assert queries.check_wallets() == queries.check_running_balances() == queries.check_refunds() == []


@pytest.mark.parametrize("round_", range(3))
def test_M5_fifty_sends_with_money_for_twenty(acme, round_):
    outcome = at_once(50, lambda n: bool(debit_wallet(client=acme, amount=Decimal(1), reference=f"message:{n}")))
    assert outcome == {True: 20, InsufficientBalance.__name__: 30}
    assert queries.balance_of(acme.pk).balance == 0
    assert LedgerEntry.objects.for_client(acme).filter(kind="debit").count() == 20


def test_M6_parallel_refunds_of_the_same_messages_pay_once(acme):
    charges = [(f"message:{n}", ONE) for n in range(20)]
    debit_many(client_id=acme.pk, charges=charges)
    outcome = at_once(8, lambda n: len(refund_many(client_id=acme.pk, refunds=charges[n:] + charges[:n])))
    assert outcome == {20: 1, 0: 7}
    assert queries.balance_of(acme.pk).balance == 20


def test_P3_a_payment_told_twenty_times_is_credited_once(acme):
    outcome = at_once(20, lambda n: bool(credit_wallet(client=acme, amount=Decimal(50), reference="topup:2")))
    assert outcome == {True: 1, "IntegrityError": 19}
    assert queries.balance_of(acme.pk).balance == 70


def test_charges_refunds_and_release_at_once_lose_nothing(acme):
    reserve(client=acme, amount=Decimal(15), reference="campaign:1")
    debit_many(client_id=acme.pk, charges=[("message:0", ONE)])

    def act(number: int) -> str:
        if number == 5:
            release_reservation(client_id=acme.pk, reference="campaign:1")
        elif number % 5 == 1:
            refund_many(client_id=acme.pk, refunds=[("message:0", ONE)])
        else:
            debit_many(client_id=acme.pk, charges=[(f"message:{number + 1}", ONE)], reservation="campaign:1")
        return "done"

    outcome = at_once(20, act)
    assert set(outcome) <= {"done", "ReservationShort"}
    charged = LedgerEntry.objects.for_client(acme).filter(kind="debit").count() - 1
    now = queries.balance_of(acme.pk)
    assert (now.balance, now.reserved) == (20 - charged, 0)


def test_a_wallet_is_opened_once(db):
    client = Client.objects.create(name="Acme")
    assert at_once(8, lambda n: open_wallet(client=client).pk) == {client.pk: 8}
    assert Wallet.objects.for_client(client).get().price_plan.rates.count() == 1
