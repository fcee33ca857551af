"""Counts calls in fixed windows of a minute: one atomic step, shared by all processes, exact under concurrency (L1)."""

import logging
import time
from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction

from accounts.models import RateCounter
from crm.common.sql import on_postgres

log = logging.getLogger(__name__)

_WINDOW = 60


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


def count_call(*, name: str, limit: int) -> Rate:
    """Count a call under `name` ("kind:key id"). The cache counts when it is Redis, else the database.

    A Redis that does not answer is replaced by the database, so that no call is ever let through uncounted.
    """
    if settings.CACHE_URL:
        try:
            return _count_in_cache(name, limit)
        except Exception as error:  # whatever the cache's client raises
            log.warning("the cache did not count a call (%s); the database does", type(error).__name__)
    return _count_in_database(name, limit)


def forget_old_counters() -> int:
    """Delete counters unused for an hour; returns how many."""
    epoch = "FLOOR(EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP()))" if on_postgres() else "STRFTIME('%%s', 'NOW')"
    with connection.cursor() as cursor:
        table = RateCounter._meta.db_table
        cursor.execute(f'DELETE FROM "{table}" WHERE minute < CAST({epoch} AS bigint) / %s - 60', [_WINDOW])
        return cursor.rowcount


def _count_in_cache(name: str, limit: int) -> Rate:
    # The minute is part of the key, so a counter outlives its use by a minute and never expires between the two steps.
    minute, passed = divmod(int(time.time()), _WINDOW)
    key = f"rate:{name}:{minute}"
    cache.add(key, 0, timeout=2 * _WINDOW)
    return Rate(limit, cache.incr(key), _WINDOW - passed)


def _count_in_database(name: str, limit: int) -> Rate:
    epoch = "FLOOR(EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP()))" if on_postgres() else "STRFTIME('%%s', 'NOW')"
    seconds = f"CAST({epoch} AS bigint)"
    statement = (
        f'INSERT INTO "{RateCounter._meta.db_table}" AS t (name, minute, calls) VALUES (%s, {seconds} / {_WINDOW}, 1) '
        "ON CONFLICT (name) DO UPDATE SET minute = excluded.minute, "
        "calls = CASE WHEN t.minute = excluded.minute THEN t.calls + 1 ELSE 1 END "
        f"RETURNING calls, {_WINDOW} - {seconds} %% {_WINDOW}"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, [name])
        calls, seconds_left = cursor.fetchone()
    return Rate(limit, calls, seconds_left)
