"""The ledger by month: a reference is unique over all months, and the books agree when old ones were put away."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum

from accounts.models import Client
from crm.common.months import MONTH, begin_of, first_of, number_in, number_of
from crm.common.partitions import Month
from wallet import queries, services
from wallet.models import CARRIED, LedgerEntry, Wallet
from wallet.months import CLOSED, LEDGER, close_before
from wallet.reconciliation import CHECKS

postgres_only = pytest.mark.skipif(connection.vendor != "postgresql", reason="partitions are PostgreSQL's")


def test_a_reference_names_the_month_of_its_key() -> None:
    december = datetime.fromisoformat("2026-12-05T10:00:00Z")
    assert (number_of(december), begin_of(number_of(december))) == (11, first_of(december))
    assert number_in("message:110000000081") == 11
    assert number_in("message:81") == number_in("topup:TXN-20261205-001") == number_in("trial") == 0
    assert number_in("month:2026-12/110000000081") == 0


@pytest.fixture
def month(db: None) -> Month:
    """The first month of its own; the messages about which it is have keys from `key(month)` on."""
    LEDGER.make_months()
    return LEDGER.months()[1]


def key(month: Month, number: int = 0) -> str:
    assert month.ends
    return f"message:{number_of(first_of(month.ends, -1)) * MONTH + number}"


def place_of(reference: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM wallet_ledgerentry WHERE reference = %s", [reference])
        return {name for (name,) in cursor.fetchall()}


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Called with a number, the clock of the ledger stands so many hours after a moment of the past."""
    start = datetime.fromisoformat("2026-11-03T09:59:00Z")
    now = [start]

    class Clock:
        @staticmethod
        def now() -> datetime:
            return now[0]

    monkeypatch.setattr(services, "timezone", Clock)
    return lambda count: now.__setitem__(0, start + timedelta(hours=count))


def debit(client: Client, reference: str, micros: int = 2_000_000, within: str | None = None) -> None:
    services.debit_many(client_id=client.pk, charges=[(reference, micros)], reservation=within)


@postgres_only
def test_entries_lie_in_the_month_of_their_message_and_a_refund_beside_its_debit(acme: Client, month: Month) -> None:
    debit(acme, key(month))
    debit(acme, "message:81")
    assert services.refund_many(client_id=acme.pk, refunds=[(key(month), 2_000_000)]) == {key(month): 2_000_000}
    assert place_of(key(month)) == {month.name}
    assert place_of("message:81") == place_of("topup:1") == {"wallet_ledgerentry_first"}


@postgres_only
def test_M6_a_reference_is_unique_whatever_month_somebody_gives_it(acme: Client, month: Month) -> None:
    debit(acme, key(month))
    with pytest.raises(IntegrityError, match="duplicate key"), transaction.atomic():
        debit(acme, key(month))
    row = LedgerEntry.objects.for_client(acme).get(reference=key(month))
    for period in (0, row.period + 1):
        with pytest.raises(IntegrityError, match="period_of_reference"), transaction.atomic():
            LedgerEntry.objects.create(
                wallet_id=acme.pk, kind="debit", amount_micros=-1, balance_after_micros=1, reference=row.reference,
                period=period,
            )  # fmt: skip
    assert LedgerEntry.objects.for_client(acme).filter(kind="debit").count() == 1


@postgres_only
def test_an_entry_of_a_month_that_nobody_made_is_kept_and_moves_when_it_is_made(acme: Client, month: Month) -> None:
    last = LEDGER.months()[-2].ends
    assert last
    reference = f"message:{number_of(last) * MONTH + 1}"
    debit(acme, reference)
    assert place_of(reference) == {"wallet_ledgerentry_rest"}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        LEDGER._make(cursor, LEDGER.name_of(last), last)
    assert place_of(reference) == {LEDGER.name_of(last)}
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        connection.cursor().execute("DELETE FROM wallet_ledgerentry_rest; DELETE FROM wallet_ledgerentry")


def sums_of(client: Client, *fields: str) -> list[tuple[Any, ...]]:
    found = LedgerEntry.objects.for_client(client).order_by(*fields).values_list(*fields)
    return list(found.annotate(total=Sum("amount_micros")))


def differences() -> list[str]:
    return [difference.text for check in CHECKS for difference in check.find() if "message" not in check.name]


@postgres_only
def test_M1_a_month_that_is_put_away_leaves_books_that_agree(
    acme: Client, stranger: Client, month: Month, hours: Any
) -> None:
    assert month.ends
    services.reserve(client=acme, amount=Decimal(20), reference="campaign:7")
    for number in range(3):
        debit(acme, key(month, number))
    debit(stranger, key(month, 90), 7_000_000)
    services.refund_many(client_id=acme.pk, refunds=[(key(month, 1), 2_000_000)])
    debit(acme, "message:5")  # of the time before months, and the month's others go on after it
    hours(1)
    services.debit_many(
        client_id=acme.pk,
        charges=[(key(month, number), 1_000_000) for number in range(10, 20)],
        reservation="campaign:7",
    )
    services.credit_wallet(client=acme, amount=Decimal(50), reference="topup:2")
    services.refund_many(client_id=acme.pk, refunds=[(key(month, 12), 1_000_000), (key(month, 2), 2_000_000)])
    services.release_reservation(client_id=acme.pk, reference="campaign:7")
    by = [("kind",), ("within", "kind"), ("wallet_id",), ("created_at__hour",)]
    before = [[sums_of(client, *fields) for fields in by] for client in (acme, stranger)]
    balance = Wallet.objects.for_client(acme).get().balance_micros
    counted = LedgerEntry.objects.for_client(acme).count()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert differences() == []

    assert close_before(month.ends) == [month.name]

    assert differences() == []
    assert [[sums_of(client, *fields) for fields in by] for client in (acme, stranger)] == before
    assert Wallet.objects.for_client(acme).get().balance_micros == balance
    lines = list(LedgerEntry.objects.for_client(acme).filter(reference__startswith=CARRIED))
    assert [(line.kind, line.within, line.amount_micros) for line in lines] == [
        ("refund", None, 2_000_000),
        ("debit", None, -6_000_000),
        ("debit", "campaign:7", -10_000_000),
        ("refund", None, 2_000_000),
        ("refund", "campaign:7", 1_000_000),
    ]
    newest = queries.entries_for(acme.pk).first()
    assert newest
    assert newest.balance_after_micros == balance
    assert LedgerEntry.objects.for_client(acme).count() == counted - 16 + len(lines)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {month.name}")
        assert cursor.fetchone()[0] == 17


@postgres_only
def test_M6_nothing_is_booked_about_a_month_that_was_put_away(acme: Client, month: Month) -> None:
    assert month.ends
    debit(acme, key(month))
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    close_before(month.ends)
    with pytest.raises(IntegrityError, match=CLOSED), transaction.atomic():
        debit(acme, key(month))
    with pytest.raises(services.RefundMismatch), transaction.atomic():
        services.refund_many(client_id=acme.pk, refunds=[(key(month), 2_000_000)])
    following = LEDGER.months()[2]
    assert following.ends
    debit(acme, key(following))
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert close_before(following.ends) == [following.name]  # what is closed grows by a month
    assert differences() == []
    with pytest.raises(IntegrityError, match=CLOSED), transaction.atomic():
        debit(acme, key(month))
    assert close_before(following.ends) == []
