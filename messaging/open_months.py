"""In which months messages are that something is still to be done about: what statements of the sending path name.

A message that is over never waits again (messaging/states.py), so the oldest month with one that does only moves on,
unless an old one that was held is queued. So a process may remember it for a moment: what it overlooks meanwhile is
found a moment later.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import connection

from crm.common.months import MONTH
from crm.common.spans import EVERYTHING, Span, border_of, has_months, span_between, span_since
from messaging.models import Campaign, Message

LOOK_AGAIN = 5.0  # seconds; what is queued anew in an old month is claimed so much later at most

_QUEUED = "status = 'queued'"
_OPEN = ("status = 'scheduled'", "status = 'sent' AND NOT closed")  # each has an index of just these


@dataclass(slots=True)
class _Known:
    """Where the oldest queued and the oldest open month begin, None for before months; until: monotonic."""

    queued: int | None = None
    opened: int | None = None
    until: float = 0.0
    guard: threading.Lock = field(default_factory=threading.Lock)


_known = _Known()


def queued() -> Span:
    """The months that messages of the queue are in."""
    return _span("queued")


def opened() -> Span:
    """The months of what is queued, scheduled, or sent without a report. What is held besides may lie in others."""
    return _span("opened")


def of_campaigns(campaigns: Sequence[Campaign]) -> Span:
    """The months that messages of these may be in: those since they were confirmed."""
    confirmed = [campaign.confirmed_at for campaign in campaigns]
    known = [at for at in confirmed if at]
    return span_between(Message, min(known) if known and len(known) == len(confirmed) else None)


def forget() -> None:
    """Look again at once."""
    _known.until = 0.0


def _span(what: str) -> Span:
    if not has_months(Message):
        return EVERYTHING
    now = span_since(Message, 0)
    if now.start is None:
        return now
    with _known.guard:
        if time.monotonic() >= _known.until:
            _known.queued, _known.opened = _look(now.start)
            _known.until = time.monotonic() + LOOK_AGAIN
        return Span(_known.queued if what == "queued" else _known.opened, now.end)


def _look(current: int) -> tuple[int | None, int | None]:
    """Where the oldest months begin; `current` where nothing older is."""
    border = border_of(Message._meta.db_table)
    spans = [Span(None, border), *(Span(start, start + MONTH) for start in range(border, current, MONTH))]
    parts = [
        f"EXISTS (SELECT 1 FROM messaging_message WHERE {condition}{span.sql()})"
        for span in spans
        for condition in (_QUEUED, *_OPEN)
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}")
        found = cursor.fetchone()
    each = 1 + len(_OPEN)
    starts = [(span.start, found[place * each : (place + 1) * each]) for place, span in enumerate(spans)]
    queued = [start for start, there in starts if there[0]]
    opened = [start for start, there in starts if any(there)]
    return queued[0] if queued else current, opened[0] if opened else current
