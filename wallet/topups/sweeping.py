"""What happens by the clock: payments nobody told us about are asked for, lost wake-ups made up for (P5)."""

from datetime import timedelta

from django.db.models import Q

from crm.common.sql import database_now
from wallet import wake
from wallet.errors import CheckedJustNow
from wallet.models import PaybillPayment, PaybillState, TopUp, TopUpState

MOST_AT_ONCE = 50
LEASE = timedelta(seconds=60)  # until a top-up whose task was lost is due again
CHECK_NOW_SECONDS = 5


def sweep_top_ups() -> int:
    """Send a task for each top-up and payment that is due. Returns how many."""
    now = database_now()
    due = TopUp.objects.unscoped().filter(next_check_at__lte=now).order_by("next_check_at")
    found = 0
    for pk in list(due.values_list("pk", flat=True)[:MOST_AT_ONCE]):
        # Ours for a minute: another sweep must not ask the operator at the same moment.
        if due.filter(pk=pk).update(next_check_at=now + LEASE):
            wake.top_up_now(pk)
            found += 1
    payments = PaybillPayment.objects.filter(state=PaybillState.NEW, next_check_at__lte=now).order_by("next_check_at")
    for pk in list(payments.values_list("pk", flat=True)[:MOST_AT_ONCE]):
        if payments.filter(pk=pk).update(next_check_at=now + LEASE):
            wake.payment_now(pk)
            found += 1
    return found


def check_now(*, top_up: TopUp) -> None:
    """The payer says it was paid: ask the operator now. Raises: CheckedJustNow, within five seconds of the last."""
    now = database_now()
    rows = TopUp.objects.for_client(top_up.client_id).filter(pk=top_up.pk).exclude(state=TopUpState.COMPLETED)
    ago = now - timedelta(seconds=CHECK_NOW_SECONDS)
    if not rows.filter(Q(checked_at=None) | Q(checked_at__lte=ago)).update(checked_at=now, next_check_at=now):
        if top_up.state == TopUpState.COMPLETED:
            return
        raise CheckedJustNow(retry_after=CHECK_NOW_SECONDS)
    wake.top_up(top_up.pk)
