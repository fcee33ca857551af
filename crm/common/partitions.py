"""Tables by month on PostgreSQL: partitions made ahead, and old ones detached or dropped.

A migration made each of them from a table in use (crm/common/live_migrations.py): what was there before is its first
partition. Rows for which no month was made land in the one called `_rest`, so that nothing is ever refused; they move
when their month is made. On SQLite a table is one.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from crm.common.months import begin_of, first_of, number_of
from crm.common.sql import database_now

AHEAD = 3  # months that are ready before they begin: so long the schedule may stand still
LOCK_SECONDS = 2  # writers wait behind us for no longer; the next run tries again
_LOCK = 7_226_144_002
_END = re.compile(r"TO \('?([^')]+)'?\)")
_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Month:
    """A partition. ends: the first moment that is not in it, None of the rest. megabytes: with its indexes."""

    name: str
    ends: datetime | None
    megabytes: float


@dataclass(frozen=True, slots=True)
class Key:
    """What a table is partitioned by. border: where a month begins, as the column has it; begin: the reverse."""

    column: str
    border: Callable[[datetime], str]
    begin: Callable[[str], datetime]


def by_time(column: str) -> Key:
    return Key(column, lambda moment: str(moment), lambda text: datetime.fromisoformat(text).astimezone(UTC))


def by_number(column: str, keys: int = 1) -> Key:
    """keys: how many values a month has; months.MONTH for keys that carry it, 1 for the number itself."""
    return Key(column, lambda moment: str(number_of(moment) * keys), lambda text: begin_of(int(text) // keys))


@dataclass(frozen=True, slots=True)
class ByMonth:
    """A table. references: the foreign keys of each of its partitions, column and table."""

    table: str
    key: Key
    references: tuple[tuple[str, str], ...]

    @property
    def rest(self) -> str:
        return f"{self.table}_rest"

    def is_partitioned(self) -> bool:
        if connection.vendor != "postgresql":
            return False
        with connection.cursor() as cursor:
            cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)", [self.table])
            found = cursor.fetchone()
        return bool(found and found[0])

    def months(self) -> list[Month]:
        """The partitions, oldest first, the rest last; none where the table is one."""
        if not self.is_partitioned():
            return []
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), pg_total_relation_size(c.oid) "
                "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(%s)",
                [self.table],
            )
            rows = cursor.fetchall()
        found = [Month(name, self._end_of(bound), size / 1e6) for name, bound, size in rows]
        return sorted(found, key=lambda month: month.ends or _LAST)

    def make_months(self) -> list[str]:
        """Make what is missing of this month and the next AHEAD ones; the names of what was made.

        Each in a transaction of its own, which waits LOCK_SECONDS at most. Raises: OperationalError when that is too
        short.
        """
        known = [month.ends for month in self.months() if month.ends]
        if not known:
            return []
        made, now, last = [], database_now(), max(known)
        for later in range(AHEAD + 1):
            begins = first_of(now, later)
            if begins < last:
                continue
            with transaction.atomic(), connection.cursor() as cursor:
                take_turn(cursor)
                name = self.name_of(begins)
                cursor.execute("SELECT to_regclass(%s) IS NULL", [name])
                if cursor.fetchone()[0]:
                    self._make(cursor, name, begins)
                    made.append(name)
        return made

    def name_of(self, begins: datetime) -> str:
        return f"{self.table}_{begins:%Y_%m}"

    def _make(self, cursor: Any, name: str, begins: datetime) -> None:
        """A partition with all that the others have. Rows of that month leave the rest."""
        execute, key = cursor.execute, self.key
        start, end = key.border(begins), key.border(first_of(begins, 1))
        self.create(cursor, name)
        for column, table in self.references:
            execute(f"ALTER TABLE {name} ADD FOREIGN KEY ({column}) REFERENCES {table} DEFERRABLE INITIALLY DEFERRED")
        inside = f"FROM {self.rest} WHERE {key.column} >= '{start}' AND {key.column} < '{end}'"
        execute(f"SELECT EXISTS (SELECT 1 {inside})")
        if cursor.fetchone()[0]:  # they are moved, not changed: a guard against changes has nothing to say
            execute(f"ALTER TABLE {self.rest} DISABLE TRIGGER USER")
            execute(f"WITH moved AS (DELETE {inside} RETURNING *) INSERT INTO {name} SELECT * FROM moved")
            execute("SET CONSTRAINTS ALL IMMEDIATE")  # what the move left to be checked would stand in the way
            execute(f"ALTER TABLE {self.rest} ENABLE TRIGGER USER")
        execute(f"ALTER TABLE {self.table} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')")

    def create(self, cursor: Any, name: str, besides: str = "") -> None:
        """A table such as a partition is; besides: further constraints."""
        cursor.execute(
            f"CREATE TABLE {name} (LIKE {self.table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES, "
            f"PRIMARY KEY (id){besides})"
        )

    def ended_by(self, moment: datetime) -> list[Month]:
        return [month for month in self.months() if month.ends and month.ends <= moment]

    def detach(self, name: str, *, drop: bool) -> None:
        """Take a month away, in the caller's transaction. Without `drop` it stays as a table of its own."""
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {self.table} DETACH PARTITION {name}")
            if drop:
                cursor.execute(f"DROP TABLE {name}")

    def detach_before(self, moment: datetime, *, drop: bool) -> list[str]:
        """Take away the months that ended by `moment`; their names."""
        old = [month.name for month in self.ended_by(moment)]
        for name in old:
            with transaction.atomic(), connection.cursor() as cursor:
                take_turn(cursor)
                self.detach(name, drop=drop)
        return old

    def rows_without_month(self) -> int:
        """How many rows wait in the rest, up to a thousand."""
        if not self.is_partitioned():
            return 0
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM (SELECT 1 FROM {self.rest} LIMIT 1000) AS found")
            return int(cursor.fetchone()[0])

    def _end_of(self, bound: str) -> datetime | None:
        found = _END.search(bound)
        return self.key.begin(found[1]) if found else None


def take_turn(cursor: Any) -> None:
    """One at a time changes partitions; locks of tables are waited for LOCK_SECONDS at most."""
    cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS} s'")
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
