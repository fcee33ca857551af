"""Which step of a message's life may follow which. Every change of status, in Python or SQL, asks this table."""

from messaging.models import MessageStatus as S

STEPS: dict[str, frozenset[str]] = {
    S.SCHEDULED: frozenset({S.QUEUED, S.CANCELLED}),
    S.HELD: frozenset({S.QUEUED, S.CANCELLED}),
    S.QUEUED: frozenset({S.CLAIMED, S.HELD, S.CANCELLED, S.FAILED}),
    S.CLAIMED: frozenset({S.SUBMITTING, S.QUEUED, S.HELD, S.CANCELLED, S.FAILED}),
    S.SUBMITTING: frozenset({S.SENT, S.QUEUED, S.HELD, S.FAILED}),
    S.SENT: frozenset({S.DELIVERED, S.READ, S.FAILED}),
    S.DELIVERED: frozenset({S.READ}),
    S.READ: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
}
# Not yet with the provider: what pausing holds and cancelling refunds.
WAITING = (S.SCHEDULED, S.HELD, S.QUEUED, S.CLAIMED)
# A campaign is done when none of its messages is in one of these.
UNSETTLED = (*WAITING, S.SUBMITTING)


def may_step(old: str, new: str) -> bool:
    """Whether a message in status `old` may become `new`."""
    return new in STEPS[S(old)]


def sources_sql(new: str) -> str:
    """The statuses from which `new` may be reached, as a SQL list for a WHERE … IN."""
    return "(" + ", ".join(f"'{S(old).value}'" for old, targets in STEPS.items() if new in targets) + ")"
