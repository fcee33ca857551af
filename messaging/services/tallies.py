"""Counting messages as they move: deltas written beside the move, melted together by the sweep."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection, transaction

from crm.common.spans import span_of
from crm.common.sql import Insert, among_ids, as_datetime, insert_rows, listed_ids, on_postgres, skip_locked
from messaging.models import Message, MessageStatus, MessageTally, TallyState
from messaging.models.tallies import state_of

# (client id, accepted at, channel, status before or "", status after, cost in micros)
Step = tuple[int, datetime, str, str, str, int]
_COLUMNS = ("client_id", "hour", "channel", "state", "messages", "cost_micros", "merged")
MERGED_AT_ONCE = 5_000


_TOLD_APART = frozenset(TallyState.values) & frozenset(MessageStatus.values)


def count_steps(steps: Iterable[Step]) -> None:
    """Add what these steps change to the tallies, in one statement and inside the caller's transaction."""
    insert_rows(*step_rows(steps))


def step_rows(steps: Iterable[Step]) -> Insert:
    """The same, for a caller who inserts other things in the same statement."""
    alike: dict[tuple, list[int]] = defaultdict(lambda: [0, 0])  # what one call or campaign wrote has one moment
    for client_id, accepted_at, channel, before, after, cost in steps:
        alike_ones = alike[client_id, accepted_at, channel, before, after]
        alike_ones[0] += 1
        alike_ones[1] += cost
    changes: dict[tuple[int, datetime, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for (client_id, accepted_at, channel, before, after), (count, cost) in alike.items():
        hour = as_datetime(accepted_at).replace(minute=0, second=0, microsecond=0)
        old, new = state_of(before) if before else "", state_of(after)
        if old == new:
            continue
        if old:
            change = changes[client_id, hour, channel, old]
            change[0] -= count
            change[1] -= cost
        change = changes[client_id, hour, channel, new]
        change[0] += count
        change[1] += cost
    return MessageTally, _COLUMNS, [(*key, *change, False) for key, change in changes.items() if any(change)]


def lock_statuses(ids: Sequence[int]) -> dict[int, str]:
    """The status of each message, which cannot change before the caller's commit; rows are locked in key order."""
    lock = "ORDER BY id FOR UPDATE" if on_postgres() else ""  # SQLite has one writer at a time: us
    span = span_of(Message, ids).sql()
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT id, status FROM "{Message._meta.db_table}" WHERE id {among_ids()}{span} {lock}',
            [listed_ids(ids)],
        )
        return dict(cursor.fetchall())


_MERGE = (
    "ON CONFLICT (client_id, hour, channel, state) WHERE merged DO UPDATE SET "
    "messages = messaging_messagetally.messages + excluded.messages, "
    "cost_micros = messaging_messagetally.cost_micros + excluded.cost_micros"
)


@transaction.atomic
def merge_tallies(*, limit: int = MERGED_AT_ONCE) -> int:
    """Melt up to `limit` fresh rows into the merged ones; returns how many. Safe to run twice at once."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""DELETE FROM messaging_messagetally WHERE id IN (
                    SELECT id FROM messaging_messagetally WHERE NOT merged ORDER BY id LIMIT %s {skip_locked()})
                RETURNING client_id, hour, channel, state, messages, cost_micros""",
            [limit],
        )
        taken = cursor.fetchall()
    sums: dict[tuple, list[int]] = defaultdict(lambda: [0, 0])
    for client_id, hour, channel, state, messages, cost in taken:
        total = sums[client_id, as_datetime(hour), channel, state]
        total[0] += messages
        total[1] += cost
    # In key order: two mergers that meet the same rows wait for each other instead of deadlocking.
    insert_rows(MessageTally, _COLUMNS, [(*key, *sums[key], True) for key in sorted(sums)], suffix=_MERGE)
    return len(taken)


_HOUR = {
    "postgresql": "DATE_TRUNC('hour', created_at, 'UTC')",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:00:00', created_at)",
}
_KNOWN = ", ".join(f"'{status}'" for status in sorted(_TOLD_APART))


def counted_sql(where: str = "") -> str:
    """A SELECT over messages, those that were put away included, giving client, hour, channel, state, number and cost:
    what the tallies must add up to. where: stands in it twice."""
    state = f"CASE WHEN status IN ({_KNOWN}) THEN status ELSE 'waiting' END"
    return (
        "SELECT client_id, hour, channel, state, SUM(messages) AS messages, SUM(cost_micros) AS cost_micros FROM ("
        f"SELECT client_id, {_HOUR[connection.vendor]} AS hour, channel, {state} AS state, COUNT(*) AS messages, "
        f"SUM(cost_micros) AS cost_micros FROM messaging_message {where} GROUP BY 1, 2, 3, 4 UNION ALL "
        f"SELECT client_id, hour, channel, {state}, messages, cost_micros FROM messaging_messagesum {where}"
        ") AS together GROUP BY 1, 2, 3, 4"
    )


@transaction.atomic
def recount(*, client_id: int) -> None:
    """Set a client's tallies to what its messages are. One snapshot sees both, so moves meanwhile are not lost."""
    fresh = (
        "INSERT INTO messaging_messagetally (client_id, hour, channel, state, messages, cost_micros, merged) "
        f"SELECT c.*, false FROM ({counted_sql('WHERE client_id = %s')}) AS c"
    )
    gone = "DELETE FROM messaging_messagetally WHERE client_id = %s"
    with connection.cursor() as cursor:
        if on_postgres():
            cursor.execute(f"WITH gone AS ({gone}) {fresh}", [client_id] * 3)
        else:
            cursor.execute(gone, [client_id])
            cursor.execute(fresh, [client_id, client_id])
