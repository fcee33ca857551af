"""M3: ledger entries are final, whoever tries; M1: so are the limits of a wallet."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from wallet.models import EntryIsFinal, LedgerEntry, Wallet


@pytest.fixture
def entry(acme):
    return LedgerEntry.objects.for_client(acme).get()


def test_M3_the_model_refuses_to_change_or_delete_an_entry(entry):
    entry.amount_micros = 1
    with pytest.raises(EntryIsFinal):
        entry.save()
    with pytest.raises(EntryIsFinal):
        entry.delete()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE wallet_ledgerentry SET description = 'x'",
        "UPDATE wallet_ledgerentry SET amount_micros = amount_micros + 1",
        "DELETE FROM wallet_ledgerentry",
    ],
)
def test_M3_the_database_refuses_to_change_or_delete_an_entry(entry, statement):
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        connection.cursor().execute(statement)
    kept = LedgerEntry.objects.unscoped().get()
    assert (kept.amount_micros, kept.description) == (100_000_000, "")


def test_M3_querysets_cannot_change_or_delete_entries_either(acme, entry):
    entries = LedgerEntry.objects.for_client(acme)
    with pytest.raises(IntegrityError), transaction.atomic():
        entries.update(description="x")
    with pytest.raises(IntegrityError), transaction.atomic():
        entries.delete()
    assert entries.count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"balance_micros": -1},
        {"reserved_micros": -1},
        {"reserved_micros": 100_000_001},
        {"balance_micros": 5, "reserved_micros": 6},
    ],
)
def test_M1_the_database_refuses_impossible_sums(acme, change):
    with pytest.raises(IntegrityError), transaction.atomic():
        Wallet.objects.for_client(acme).update(**change)


@pytest.mark.parametrize(("kind", "micros"), [("debit", 1), ("credit", -1), ("refund", -1), ("adjustment", 0)])
def test_an_entry_has_the_sign_of_its_kind(acme, kind, micros):
    with pytest.raises(DatabaseError), transaction.atomic():
        LedgerEntry.objects.create(
            wallet_id=acme.pk, kind=kind, amount_micros=micros, balance_after_micros=1, reference="x"
        )
