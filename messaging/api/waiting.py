"""Calls that may wait for what is done beside them.

A waiting call holds a thread, and a web process has few: one may wait, others are answered at once.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

LONGEST_WAIT = 10  # seconds: programs commonly give a call half a minute, proxies a minute
_STEP = 0.2  # seconds

Answer = TypeVar("Answer")
_seat = threading.BoundedSemaphore(1)


@contextmanager
def seat() -> Iterator[bool]:
    """Whether the block may wait. No transaction may be open while it does."""
    seated = _seat.acquire(blocking=False)
    try:
        yield seated
    finally:
        if seated:
            _seat.release()


def ask_until(
    enough: Callable[[Answer], bool], ask: Callable[[], Answer], seconds: float = float("inf")
) -> tuple[Answer, bool]:
    """What `ask` gives once that is `enough`, or when `seconds` are over; and whether it could wait where it had to."""
    deadline = time.monotonic() + min(seconds, LONGEST_WAIT)
    answer = ask()
    if enough(answer):
        return answer, True
    with seat() as seated:
        while seated and time.monotonic() < deadline and not enough(answer):
            time.sleep(_STEP)
            answer = ask()
    return answer, seated
