"""Adjustments by staff: small ones move at once, larger ones when a second person approves (GUARANTEES.md M10)."""

from decimal import Decimal

from django.db import transaction

from accounts.models import Client, User
from crm.common.money import from_micros, to_micros
from crm.common.sql import database_now
from wallet.errors import AdjustmentRefused
from wallet.models import AdjustmentRequest, LedgerEntry, RequestState
from wallet.services import adjust_balance, needs_second_person, open_wallet


@transaction.atomic
def request_adjustment(*, client: Client, amount: Decimal, reason: str, by: User, reference: str) -> LedgerEntry | None:
    """Correct a balance, or keep the wish until somebody else approves it; then None is returned and nothing moved.

    Raises, and then nothing is kept: AdjustmentRefused, InsufficientBalance, ValueError, IntegrityError (asked before).
    """
    if not needs_second_person(amount):
        return adjust_balance(client=client, amount=amount, reason=reason, by=by, reference=reference)
    if not reason.strip():
        raise AdjustmentRefused("Give the reason for this adjustment.")
    if not by.is_staff:
        raise AdjustmentRefused("Only staff can adjust a balance.")
    AdjustmentRequest.objects.create(
        wallet=open_wallet(client=client),
        amount_micros=to_micros(amount),
        reason=reason.strip()[:150],
        reference=reference,
        requested_by=by,
    )
    return None


@transaction.atomic
def decide_adjustment(*, request_id: int, approve: bool, by: User) -> LedgerEntry | None:
    """Approve a waiting adjustment, which moves the money, or decline it. Declining is open to whoever asked.

    Raises, and then nothing moved: AdjustmentRefused (decided before, the same person, no staff), InsufficientBalance.
    """
    asked = AdjustmentRequest.objects.unscoped().select_related("wallet__client", "requested_by").get(pk=request_id)
    if not by.is_staff or (approve and by == asked.requested_by):
        raise AdjustmentRefused("A second member of staff decides: not whoever asked for it.")
    waiting = AdjustmentRequest.objects.unscoped().filter(pk=request_id, state=RequestState.WAITING)
    state = RequestState.APPROVED if approve else RequestState.DECLINED
    if not waiting.update(state=state, decided_by=by, decided_at=database_now()):
        raise AdjustmentRefused("This adjustment was decided before.")
    if not approve:
        return None
    return adjust_balance(
        client=asked.wallet.client,
        amount=from_micros(asked.amount_micros),
        reason=asked.reason,
        by=asked.requested_by,
        reference=asked.reference,
        approved_by=by,
    )
