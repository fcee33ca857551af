"""What money holds of people: the phones that paid, and what the operator said. The ledger names nobody and stays."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from accounts.personal_data import Limits, Part, Person, facts_of, register
from wallet.models import LedgerEntry, MpesaEvent, TopUp


def register_part() -> None:
    register(Part("wallet", _collect, _erase, _purge, _tables))


def _collect(client_id: int, person: Person) -> Iterator[tuple[str, dict[str, Any]]]:
    for top_up in TopUp.objects.for_client(client_id).filter(phone__in=person.phones):
        yield "top-up", facts_of(top_up, "transaction_id", "amount", "currency", "phone", "state", "created_at")


def _erase(client_id: int, person: Person) -> tuple[int, bool]:
    """A prompt that is still on the phone is waited for; how the payment ended stays."""
    paid = TopUp.objects.for_client(client_id).filter(phone__in=person.phones)
    return _forget_payers(paid.filter(live_phone=None)), not paid.exclude(live_phone=None).exists()


def _forget_payers(top_ups: QuerySet[TopUp]) -> int:
    ids = list(top_ups.values_list("pk", flat=True)[:1000])
    MpesaEvent.objects.filter(top_up_id__in=ids, processed_at__isnull=False).update(body=b"")
    return TopUp.objects.unscoped().filter(pk__in=ids).update(phone="") if ids else 0


def _purge(client_id: int, limits: Limits, cursors: dict[str, Any], most: int, dry_run: bool) -> int:
    """Payments are kept as bookkeeping asks, until the organisation is closed."""
    if not limits.everything:
        return 0
    paid = TopUp.objects.for_client(client_id).exclude(phone="").filter(live_phone=None)
    return paid.count() if dry_run else _forget_payers(paid)


def _tables(client_id: int) -> dict[str, QuerySet]:
    return {
        "ledger": LedgerEntry.objects.for_client(client_id),
        "top-ups": TopUp.objects.for_client(client_id),
    }
