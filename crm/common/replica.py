"""Reading histories and results from a copy of the database that follows it, where DATABASE_REPLICA_URL names one.

Nothing is guessed from a query: what may be read there says so by `from_replica` or `read`, and within that only the
tables of READ_THERE are. Money, claims, keys, sessions and idempotency are not among them. A copy that is away, or
more than MOST_BEHIND seconds late, is left alone for a while and the database itself is read, with a line in the log.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, OperationalError, connection, connections

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

ALIAS = "replica"
READ_THERE = frozenset({
    "messaging.message", "messaging.messageevent", "messaging.messagetally", "messaging.campaign",
    "messaging.campaignrecipient", "contacts.contact", "contacts.optout",
})  # fmt: skip
MOST_BEHIND = 10.0  # seconds; what is later would look like a loss to whoever just sent
LOOK_EVERY = 5.0
REST_SECONDS = 30.0

# Nothing new may have been written for hours: then the copy's last change is old, and it is not late.
_LAG = """
SELECT CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= %s::pg_lsn THEN 0 ELSE EXTRACT(EPOCH FROM
    clock_timestamp() - COALESCE(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) END
"""

_reading: ContextVar[bool] = ContextVar("reading_from_replica", default=False)


class ReplicaAway(Exception):
    """The copy cannot be asked. Its text says why, without an address."""


class Router:
    """Sends the reads of READ_THERE to the copy within `from_replica`, and all else to the database itself."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return ALIAS if _reading.get() and model._meta.label_lower in READ_THERE else DEFAULT_DB_ALIAS

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return DEFAULT_DB_ALIAS

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True  # the same rows, wherever they were read

    def allow_migrate(self, db: str, *args: Any, **hints: Any) -> bool:
        return db != ALIAS


def is_configured() -> bool:
    return ALIAS in connections.settings


def from_replica(function: Callable[P, R]) -> Callable[P, R]:
    """Marks a function that only reads, and returns rows instead of querysets: its reads may be of a few seconds ago.

    It runs again, on the database itself, where the copy fails under it.
    """

    @wraps(function)
    def reading(*args: P.args, **kwargs: P.kwargs) -> R:
        # Inside a transaction one reads what one wrote.
        if not is_configured() or connection.in_atomic_block or not _watch.may_be_read():
            return function(*args, **kwargs)
        token = _reading.set(True)
        try:
            return function(*args, **kwargs)
        except (DatabaseError, InterfaceError) as error:  # also where a migration has not reached it yet
            _watch.leave_alone(type(error).__name__)
        finally:
            _reading.reset(token)
        return function(*args, **kwargs)

    return reading


def read(function: Callable[[], R]) -> R:
    """`from_replica` for one call."""
    return from_replica(function)()


def lag_seconds() -> float:
    """How far the copy is behind the database now. Raises: ReplicaAway, and DatabaseError where the database is."""
    question, facts = "SELECT 0", []
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_lsn()::text")
            facts = [cursor.fetchone()[0]]
        question = _LAG
    try:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(question, facts)
            return max(0.0, float(cursor.fetchone()[0]))
    except (OperationalError, InterfaceError) as error:
        connections[ALIAS].close()
        raise ReplicaAway(type(error).__name__) from error


class _Watch:
    """What this process believes of the copy; looked at anew every few seconds, by one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self._good, self._until = True, float("-inf")

    def may_be_read(self) -> bool:
        if time.monotonic() >= self._until and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._good

    def leave_alone(self, why: str) -> None:
        connections[ALIAS].close()
        self._note(False, why, REST_SECONDS)

    def _look(self) -> None:
        try:
            lag = lag_seconds()
        except ReplicaAway as error:
            self._note(False, str(error), REST_SECONDS)
            return
        self._note(lag <= MOST_BEHIND, f"{lag:.0f} s behind", LOOK_EVERY)

    def _note(self, good: bool, why: str, seconds: float) -> None:
        if good != self._good:
            if good:
                log.info("the read replica is used again (%s)", why)
            else:
                log.warning("the read replica is left alone (%s): histories are read from the database itself", why)
        self._good, self._until = good, time.monotonic() + seconds


_watch = _Watch()


def forget() -> None:
    """What is believed of the copy; for tests."""
    _watch.forget()
