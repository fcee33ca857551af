"""Which step of a message's life may follow which. Every change of status, in Python or SQL, asks this table."""

from messaging.models import MessageStatus as S

STEPS: dict[str, frozenset[str]] = {
    S.SCHEDULED: frozenset({S.QUEUED, S.CANCELLED}),
    S.HELD: frozenset({S.QUEUED, S.CANCELLED}),
    S.QUEUED: frozenset({S.SENT, S.HELD, S.CANCELLED, S.FAILED}),
    S.SENT: frozenset({S.DELIVERED, S.READ, S.FAILED}),
    S.DELIVERED: frozenset({S.READ}),
    S.READ: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
}
# Not yet with the provider: what pausing holds and cancelling refunds, unless the provider is being given it that very
# moment (claims.take_back). A campaign is done when none of its messages is in one of these.
WAITING = (S.SCHEDULED, S.HELD, S.QUEUED)


def may_step(old: str, new: str) -> bool:
    """Whether a message in status `old` may become `new`."""
    return new in STEPS[S(old)]


def sources_sql(new: str) -> str:
    """The statuses from which `new` may be reached, as a SQL list for a WHERE … IN."""
    return "(" + ", ".join(f"'{S(old).value}'" for old, targets in STEPS.items() if new in targets) + ")"
