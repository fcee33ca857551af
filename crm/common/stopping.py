"""Whether this process was asked to end. Long loops look between two steps, finish what is in flight and return."""

import threading

_asked = threading.Event()


def request_stop() -> None:
    """Ask every loop of this process to end; safe to call from a signal handler and more than once."""
    _asked.set()


def stop_requested() -> bool:
    return _asked.is_set()


def pause(seconds: float) -> bool:
    """Sleep, but not longer than until the process is asked to end. Returns whether it was."""
    return _asked.wait(seconds)
