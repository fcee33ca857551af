"""In which keys to look, where a table of PostgreSQL is partitioned by keys that carry months (crm/common/months.py).

PostgreSQL plans a statement for every partition that it cannot leave out by what the statement's text says: with a
dozen indexes each, that is a third of a millisecond a month. So statements name the keys they are about, by whole
months: those borders are the partitions' own, while narrow borders around rows that are newer than the statistics look
to the planner like one row.

A model whose keys carry months says so by `keys_by_month`. On SQLite there is one table, and nothing to name.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django.db import connection, models
from django.db.models import F, Func, Q

from crm.common.months import MONTH, begin_of, number_of

_LAST = datetime.max.replace(tzinfo=UTC)
SLACK = timedelta(hours=1)  # between the clocks of this host and of the database, and between a key and its commit


@dataclass(frozen=True, slots=True)
class Span:
    """Keys from `start` on and before `end`, which are borders of partitions; None: without a border."""

    start: int | None = None
    end: int | None = None

    def sql(self, alias: str = "") -> str:
        """Conditions to go on with in a WHERE: " AND id >= … AND id < …". Numbers, not parameters: they are planned by,
        and a prepared statement differs by the month alone."""
        return "".join(f" AND {words % (f'{alias}.id' if alias else 'id')}" for words in self._words())

    @property
    def q(self) -> Q:
        """The same for a queryset."""
        found = Q()
        for words in self._words():
            found &= Q(Func(F("pk"), template=words % "%(expressions)s", output_field=models.BooleanField()))
        return found

    def _words(self) -> Iterator[str]:
        """With %s for the column. ANY of one: partitions are left out by it as by a plain comparison. But two plain
        ones PostgreSQL takes for a narrow range where it has no statistics, as in the first minute of a month, and then
        reads all of the month by its key.
        """
        if self.start is not None:
            yield f"%s >= ANY('{{{self.start}}}'::bigint[])"
        if self.end is not None:
            yield f"%s < ANY('{{{self.end}}}'::bigint[])"


EVERYTHING = Span()


def has_months(model: type[models.Model]) -> bool:
    """Whether the keys of this model carry months in this database."""
    return getattr(model, "keys_by_month", False) and connection.vendor == "postgresql"


def span_of(model: type[models.Model], ids: Collection[int]) -> Span:
    """The months in whose keys these lie."""
    if not ids or not has_months(model):
        return EVERYTHING
    return Span(start_of(model, min(ids)), end_of(model, max(ids)))


def span_since(model: type[models.Model], seconds: float) -> Span:
    """The months in which rows were made in the last `seconds`, this one included."""
    if not has_months(model):
        return EVERYTHING
    now = datetime.now(UTC)
    first = number_of(now - timedelta(seconds=seconds) - SLACK) * MONTH
    return Span(start_of(model, first), end_of(model, number_of(now + SLACK) * MONTH))


def span_between(model: type[models.Model], since: datetime | None = None, before: datetime | None = None) -> Span:
    """The months in which rows were made at or after one moment and before another; without the second until now:
    without the months that were made ahead, a list in the order of keys ends with the first that has enough.
    """
    if not has_months(model):
        return EVERYTHING
    last = min(before or _LAST, datetime.now(UTC)) + SLACK
    end = end_of(model, number_of(last) * MONTH)
    if since is None or since < begin_of(0) + SLACK:
        return Span(None, end)
    return Span(start_of(model, number_of(since - SLACK) * MONTH), end)


def newest_first(found: models.QuerySet, size: int, *, before: int | None = None) -> list[Any]:
    """The first `size` of a list in the order of falling keys, or of those below `before`: from the newest month that
    may have some and the one before it, and where these do not have enough, from all.
    """
    if before is not None:
        found = found.filter(pk__lt=before)
    if not has_months(found.model):
        return list(found[:size])
    place = number_of(datetime.now(UTC) + SLACK) * MONTH
    start = start_of(found.model, max(min(place, before or place) - MONTH, 0))
    if start is None:
        return list(found[:size])
    rows = list(found.filter(pk__gte=start)[:size])
    return rows + list(found.filter(pk__lt=start)[: size - len(rows)]) if len(rows) < size else rows


def start_of(model: type[models.Model], key: int) -> int | None:
    """Where the partition of a key begins; None for what is before months, in the oldest one."""
    return None if key < border_of(model._meta.db_table) else key // MONTH * MONTH


def end_of(model: type[models.Model], key: int) -> int:
    """Where it ends."""
    border = border_of(model._meta.db_table)
    return border if key < border else (key // MONTH + 1) * MONTH


@cache
def border_of(table: str) -> int:
    """Where the oldest partition ends; of a table that has none, 0. It only ever rises, as months are put away: what
    was read once is true enough."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''?([0-9]+)') FROM pg_inherits i "
            "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(%s)",
            [table],
        )
        return min((int(end) for (end,) in cursor.fetchall() if end), default=0)


def forget_borders(**_: Any) -> None:
    """For whoever changes partitions."""
    border_of.cache_clear()
