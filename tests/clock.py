"""Waiting for the real clock, where a test counts within its minute."""

import time


def wait_for_room_in_the_minute(seconds: int = 10) -> None:
    """Return when the present minute has at least `seconds` left."""
    left = 60 - time.time() % 60
    if left < seconds:
        time.sleep(left + 0.1)
