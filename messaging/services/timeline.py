"""A message's timeline, written in bulk beside whatever moved the message."""

from collections.abc import Iterable
from datetime import datetime

from crm.common.sql import Insert, insert_rows
from messaging.models import MessageEvent

_COLUMNS = ("message_id", "client_id", "kind", "code", "detail", "at")
# (message id, client id, kind, our code, the provider's words)
Line = tuple[int, int, str, str, str]


def write_events(lines: Iterable[Line], *, at: datetime) -> None:
    """Append lines to timelines, all at the same moment, in one statement. Runs in the caller's transaction."""
    insert_rows(*event_rows(lines, at=at))


def event_rows(lines: Iterable[Line], *, at: datetime) -> Insert:
    """The same, for a caller who inserts other things in the same statement."""
    rows = [(message, client, kind, code[:40], detail[:300], at) for message, client, kind, code, detail in lines]
    return MessageEvent, _COLUMNS, rows


def charge_reference(message_pk: int) -> str:
    """The ledger reference of a message's debit and of its refund."""
    return f"message:{message_pk}"
