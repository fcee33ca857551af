"""Many threads that start together, each with a connection of its own.

PostgreSQL has a hundred seats as it comes. Tests with twenty threads or more are of pytest-xdist's group "crowd", so
that one process runs them, one after the other.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, OperationalError, connection

log = logging.getLogger(__name__)


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """The results of `act(n)` in `count` threads that start together; an exception is its own result."""
    barrier, results = threading.Barrier(count), []

    def run(index: int) -> None:
        try:
            _take_seat()
            barrier.wait(timeout=60)
            results.append(act(index))
        except Exception as error:
            if isinstance(error, DatabaseError):
                log.warning("thread %d: %r", index, error)  # by its text a failure on another machine is known
            results.append(error)
        finally:
            connection.close()

    before = _connections()
    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=90)
    assert len(results) == count, "a thread did not end"
    _wait_until_gone(before)
    return results


def _take_seat(seconds: float = 30) -> None:
    """This thread's connection. A server's seats may be taken by tests in other workers, so it asks again meanwhile."""
    until = time.monotonic() + seconds
    while True:
        try:
            return connection.ensure_connection()
        except OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _wait_until_gone(before: int, seconds: float = 10) -> None:
    """PostgreSQL ends a connection a moment after it was closed; the next crowd must not find the seats taken."""
    until = time.monotonic() + seconds
    while _connections() > before and time.monotonic() < until:
        time.sleep(0.05)


def _connections() -> int:
    """To this database; 0 on SQLite, where they cost nothing."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
