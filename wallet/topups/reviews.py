"""Top-ups that a person has to look at: what their `review` says, until staff mark them as seen."""

from django.db import transaction

from accounts.models import User
from accounts.services.audit import record_audit
from wallet.models import TopUp


@transaction.atomic
def mark_seen(*, top_up: TopUp, by: User) -> bool:
    """A member of staff has looked at what `review` says. Returns whether anything waited; money is not touched."""
    rows = TopUp.objects.unscoped().filter(pk=top_up.pk).exclude(review="")
    if not rows.update(review=""):
        return False
    record_audit(
        client=top_up.client,
        action="topup.seen",
        target=f"topup:{top_up.transaction_id}",
        before={"review": top_up.review},
        after={"by": str(by)},
    )
    return True
