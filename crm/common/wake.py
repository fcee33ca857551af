"""Nudges for workers. A lost wake-up costs delay, never work: the row is the truth and a sweep finds it (D3)."""

import logging
from collections.abc import Callable
from typing import Any

from celery import current_app
from django.db import transaction

from crm.common.linger import said_just_now

log = logging.getLogger(__name__)

# Set by the main worker, which can run a task itself: takes (name, arguments), returns whether it took the task.
when_broker_is_away: Callable[[str, tuple], bool] | None = None


def send_after_commit(task: str, *args: Any) -> None:
    """Send the task named `task` once the surrounding transaction has committed; at once where there is none."""
    transaction.on_commit(lambda: send_now(task, *args))


def nudge_after_commit(task: str, *args: Any) -> None:
    """As send_after_commit, for tasks that linger (crm/common/linger.py): a busy process says it thrice a second."""

    def nudge() -> None:
        if not said_just_now((task, *args)):
            send_now(task, *args)

    transaction.on_commit(nudge)


def send_now(task: str, *args: Any, **options: Any) -> bool:
    """Send a task by name. A broker that is down is logged and survived; returns whether somebody took the task.

    options: Celery's own for the message, such as `expires` in seconds.
    """
    try:
        current_app.send_task(task, args=args, **options)
    except Exception as error:  # whatever the broker's client raises: the sweep is the safety net
        if when_broker_is_away and when_broker_is_away(task, args):
            return True
        log.warning("the broker did not take %s (%s); the sweep will pick the work up", task, type(error).__name__)
        return False
    return True
