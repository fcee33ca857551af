"""The timelines of messages by month, on PostgreSQL: partitions made ahead, and old ones detached or dropped.

The table `messaging_messageevent` is partitioned by `at` (migration `events_by_month`). What was there before is its
first partition. Rows for which no month was made land in the one called `_rest`, so that nothing is ever refused; they
move when their month is made. On SQLite the table is one, and old rows are deleted.
"""

import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction

from crm.common.sql import database_now
from crm.common.stopping import stop_requested
from messaging.models import MessageEvent

log = logging.getLogger(__name__)

TABLE = "messaging_messageevent"
REST = f"{TABLE}_rest"
AHEAD = 3  # months that are ready before they begin: so long the schedule may stand still
LOCK_SECONDS = 2  # writers wait behind us for no longer; the next run tries again
DELETED_AT_ONCE = 5000
_LOCK = 7_226_144_002
_END = re.compile(r"TO \('([^']+)'\)")


@dataclass(frozen=True, slots=True)
class Month:
    """A partition. ends: the first moment that is not in it, None of the rest. megabytes: with its indexes."""

    name: str
    ends: datetime | None
    megabytes: float


def first_of(moment: datetime, later: int = 0) -> datetime:
    """The beginning of a month, in UTC: of the one `moment` is in, or of one some months later or, below 0, earlier."""
    count = moment.year * 12 + moment.month - 1 + later
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)


def is_partitioned() -> bool:
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)", [TABLE])
        found = cursor.fetchone()
    return bool(found and found[0])


def months() -> list[Month]:
    """The partitions, oldest first, the rest last; none where the table is one."""
    if not is_partitioned():
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), pg_total_relation_size(c.oid) FROM pg_inherits i "
            "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(%s)",
            [TABLE],
        )
        rows = cursor.fetchall()
    found = [Month(name, _end_of(bound), size / 1e6) for name, bound, size in rows]
    return sorted(found, key=lambda month: month.ends or datetime.max.replace(tzinfo=UTC))


def _end_of(bound: str) -> datetime | None:
    found = _END.search(bound)
    return datetime.fromisoformat(found[1]).astimezone(UTC) if found else None


def make_months() -> list[str]:
    """Make what is missing of this month and the next AHEAD ones; the names of what was made.

    Each in a transaction of its own, which waits LOCK_SECONDS at most. Raises: OperationalError when that is too short.
    """
    known = [month.ends for month in months() if month.ends]
    if not known:
        return []
    made, now, last = [], database_now(), max(known)
    for later in range(AHEAD + 1):
        begins = first_of(now, later)
        if begins < last:
            continue
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS} s'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            name = f"{TABLE}_{begins:%Y_%m}"
            cursor.execute("SELECT to_regclass(%s) IS NULL", [name])
            if cursor.fetchone()[0]:
                _make(cursor, name, begins, first_of(begins, 1))
                made.append(name)
    return made


def _make(cursor: Any, name: str, begins: datetime, ends: datetime) -> None:
    """A partition with all that the first one has. Rows of that month leave the rest."""
    execute = cursor.execute
    execute(f"CREATE TABLE {name} (LIKE {TABLE} INCLUDING DEFAULTS INCLUDING INDEXES, PRIMARY KEY (id))")
    for column, table in (("message_id", "messaging_message"), ("client_id", "accounts_client")):
        execute(f"ALTER TABLE {name} ADD FOREIGN KEY ({column}) REFERENCES {table} (id) DEFERRABLE INITIALLY DEFERRED")
    execute(
        f"WITH moved AS (DELETE FROM {REST} WHERE at >= %s AND at < %s RETURNING *) INSERT INTO {name} "
        "SELECT * FROM moved",
        [begins, ends],
    )
    execute("SET CONSTRAINTS ALL IMMEDIATE")  # what the move left to be checked would stand in the way
    execute(f"ALTER TABLE {TABLE} ATTACH PARTITION {name} FOR VALUES FROM ('{begins}') TO ('{ends}')")


def detach_before(moment: datetime, *, drop: bool) -> list[str]:
    """Take away the months that ended by `moment`; their names. Without `drop` they stay as tables of their own."""
    old = [month.name for month in months() if month.ends and month.ends <= moment]
    for name in old:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS} s'")
            cursor.execute(f"ALTER TABLE {TABLE} DETACH PARTITION {name}")
            if drop:
                cursor.execute(f"DROP TABLE {name}")
    return old


def delete_before(moment: datetime, most: int, dry_run: bool = False) -> int:
    """Where the table is one: delete up to `most` of its oldest rows that are older than `moment`; how many there are.

    Rows are written as time passes, so the oldest have the lowest keys.
    """
    oldest = MessageEvent.objects.unscoped().order_by("pk").values_list("pk", "at")[: min(most, DELETED_AT_ONCE)]
    ids = [pk for pk, at in oldest if at < moment]
    if ids and not dry_run:
        MessageEvent.objects.unscoped().filter(pk__in=ids).delete()
    return len(ids)


def rows_without_month() -> int:
    """How many rows wait in the rest, up to a thousand."""
    if not is_partitioned():
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM (SELECT 1 FROM {REST} LIMIT 1000) AS found")
        return int(cursor.fetchone()[0])


def keep_months() -> None:
    """What the schedule does hourly: the months to come are made, and those that are not kept are taken away.

    A lock that could not be had in time is waited for by the next run.
    """
    try:
        if made := make_months():
            log.info("made for timelines: %s", ", ".join(made))
        kept = settings.EVENT_MONTHS_KEPT
        if kept and (gone := take_away(first_of(database_now(), -kept))):
            log.info("timelines that are older than %d months: %s", kept, gone)
    except OperationalError as error:
        log.warning("months of timelines wait for a lock (%s)", type(error).__name__)


def take_away(moment: datetime) -> str:
    """Remove timelines that ended by `moment`, which begins a month; in words what went, "" for nothing."""
    if is_partitioned():
        return ", ".join(detach_before(moment, drop=True))
    total = 0
    while not stop_requested() and (deleted := delete_before(moment, DELETED_AT_ONCE)):
        total += deleted
    return f"{total} rows" if total else ""
