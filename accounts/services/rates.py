"""Counts calls in fixed windows of a minute: one atomic step, shared by all processes, exact under concurrency (L1)."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache
from django.db import connection

from accounts.models import ApiKey, Client, RateCounter
from crm.common.sql import on_postgres, prepared_cursor
from crm.common.together import Together

log = logging.getLogger(__name__)

_WINDOW = 60
Counted = tuple[int, int]  # a call's number in its minute, and the seconds until the next minute


@dataclass(frozen=True, slots=True)
class Rate:
    """One call, counted. calls: made in this minute, this one included; seconds_left: until the next minute."""

    limit: int
    calls: int
    seconds_left: int

    @property
    def is_exceeded(self) -> bool:
        return self.calls > self.limit

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.calls)


def limit_for(client: Client, documented: int | None = None) -> int:
    """Calls a minute: the client's own limit where one is set, else the contract's, else the installation's."""
    return client.rate_limit or documented or settings.API_RATE_PER_MINUTE


def counter_of(kind: str, key: ApiKey) -> str:
    """The name under which calls of a key are counted. kind: of calls that have a limit together."""
    return f"{kind}:{key.pk or f'client-{key.client_id}'}"  # a key lent by a page of ours has no row


def count_call(*, name: str, limit: int) -> Rate:
    """Count a call under `name` ("kind:key id"). The cache counts when it is Redis, else the database.

    A Redis that does not answer is replaced by the database, so that no call is ever let through uncounted.
    """
    return Rate(limit, *_counting.ask(name, name))


def count_calls(*, name: str, calls: int) -> list[Counted]:
    """The same of several calls at once."""
    return _count([name] * calls)


def _count(names: Sequence[str]) -> list[Counted]:
    """For each of these calls under one name its number in the minute, and the seconds until the next minute."""
    if settings.CACHE_URL:
        try:
            last, seconds_left = _count_in_cache(names[0], len(names))
        except Exception as error:  # whatever the cache's client raises
            log.warning("the cache did not count a call (%s); the database does", type(error).__name__)
            last, seconds_left = _count_in_database(names[0], len(names))
    else:
        last, seconds_left = _count_in_database(names[0], len(names))
    return [(number, seconds_left) for number in range(last - len(names) + 1, last + 1)]


_counting: Together[str, Counted] = Together(_count)


def forget_old_counters() -> int:
    """Delete counters unused for an hour; returns how many."""
    with connection.cursor() as cursor:
        table = RateCounter._meta.db_table
        cursor.execute(f'DELETE FROM "{table}" WHERE minute < {_seconds_sql()} / %s - 60', [_WINDOW])
        return cursor.rowcount


def _seconds_sql() -> str:
    """SQL for the database's clock as whole seconds since 1970."""
    if on_postgres():
        return "CAST(FLOOR(EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP())) AS bigint)"
    return "CAST(STRFTIME('%%s', 'NOW') AS bigint)"


def _count_in_cache(name: str, more: int) -> tuple[int, int]:
    # The minute is part of the key, so a counter outlives its use by a minute and never expires between the two steps.
    minute, passed = divmod(int(time.time()), _WINDOW)
    key = f"rate:{name}:{minute}"
    try:
        calls = cache.incr(key, more)
    except ValueError:  # the first of its minute; of several that see this, each adds its own to the same nought
        cache.add(key, 0, timeout=2 * _WINDOW)
        calls = cache.incr(key, more)
    return calls, _WINDOW - passed


def _count_in_database(name: str, more: int) -> tuple[int, int]:
    seconds = _seconds_sql()
    statement = (
        f'INSERT INTO "{RateCounter._meta.db_table}" AS t (name, minute, calls) VALUES (%s, {seconds} / {_WINDOW}, %s) '
        "ON CONFLICT (name) DO UPDATE SET minute = excluded.minute, "
        "calls = CASE WHEN t.minute = excluded.minute THEN t.calls + excluded.calls ELSE excluded.calls END "
        f"RETURNING calls, {_WINDOW} - {seconds} %% {_WINDOW}"
    )
    with _without_disk_sync(), prepared_cursor() as cursor:
        cursor.execute(statement, [name, more])
        ((calls, seconds_left),) = cursor.fetchall()  # all: SQLite commits when the statement has no row left
    return calls, seconds_left


@contextmanager
def _without_disk_sync() -> Iterator[None]:
    """On SQLite, spare the commit inside its wait for the disk: it is half of an API call, and a count that a power
    cut undoes harms nobody. The next ordinary commit writes all before it (WAL), so nothing else becomes less safe.
    On PostgreSQL the table is unlogged, which comes to the same.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        (level,) = cursor.fetchone()
        cursor.execute("PRAGMA synchronous = NORMAL")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA synchronous = {int(level)}")
