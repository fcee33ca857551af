"""Signs of life of the workers, in the cache that all processes share, stamped by the database's clock (D11)."""

from datetime import datetime

from django.core.cache import cache

from crm.common.sql import database_now

QUEUES = ("main", "heavy")  # one kind of worker for each; `main` also keeps the schedule
EVERY_SECONDS = 4.0
STALE_SECONDS = 20.0
_KEPT_SECONDS = 24 * 3600  # longer than STALE_SECONDS, so that `doctor` can say how long a worker has been silent


def beat(queue: str) -> None:
    """Note that a worker of `queue` lives. Raises whatever the database or the cache raises."""
    cache.set(f"worker:{queue}", database_now().isoformat(), _KEPT_SECONDS)


def silent_seconds(queue: str, now: datetime) -> float | None:
    """Seconds between the last sign of life of `queue` and `now` (the database's); None: none in the last day."""
    seen = cache.get(f"worker:{queue}")
    return max(0.0, (now - datetime.fromisoformat(seen)).total_seconds()) if seen else None


def is_alive(queue: str, now: datetime) -> bool:
    silence = silent_seconds(queue, now)
    return silence is not None and silence < STALE_SECONDS
