"""Few wake-ups for much work: senders of wake-ups say nothing twice, receivers look again for a while.

A busy door would otherwise send one task a row. Both halves belong together: whoever keeps quiet may do so for
QUIET_SECONDS only because whoever was woken keeps looking for LINGER_SECONDS after the last thing it found.
"""

import threading
import time
from collections.abc import Callable, Hashable

from crm.common.stopping import pause, stop_requested

QUIET_SECONDS = 0.3
LINGER_SECONDS = 1.0
PAUSE_SECONDS = 0.1

_guard = threading.Lock()
_said: dict[Hashable, float] = {}
_running: dict[Hashable, bool] = {}  # key → somebody asked again meanwhile


def said_just_now(key: Hashable) -> bool:
    """Whether this process said `key` within QUIET_SECONDS; if not, it counts as said now."""
    now = time.monotonic()
    with _guard:
        if now - _said.get(key, float("-inf")) < QUIET_SECONDS:
            return True
        if len(_said) > 1000:
            _said.clear()
        _said[key] = now
        return False


def forget() -> None:
    """Nothing counts as said any more."""
    with _guard:
        _said.clear()


def keep_at(key: Hashable, step: Callable[[], int]) -> int:
    """Repeat `step`, which returns how much it did, until it has had nothing to do for LINGER_SECONDS.

    At most one per key runs in a process; a further call tells that one to go on and returns 0. Ends early when the
    process is stopping. Returns the sum of what `step` did.
    """
    with _guard:
        if key in _running:
            _running[key] = True
            return 0
        _running[key] = False
    total, last = 0, time.monotonic()
    try:
        while True:
            done = step()
            total += done
            with _guard:
                asked, _running[key] = _running[key], False
                if done or asked:
                    last = time.monotonic()
                if stop_requested() or (not done and not asked and time.monotonic() - last > LINGER_SECONDS):
                    del _running[key]  # whoever asks from here on starts anew
                    return total
            if not done:
                pause(PAUSE_SECONDS)
    except BaseException:
        with _guard:
            _running.pop(key, None)
        raise
