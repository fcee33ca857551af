"""Nudges for workers. A lost wake-up costs delay, never work: the row is the truth and a sweep finds it (D3)."""

import logging
from typing import Any

from celery import current_app
from django.db import transaction

log = logging.getLogger(__name__)


def send_after_commit(task: str, *args: Any) -> None:
    """Send the task named `task` once the surrounding transaction has committed; at once where there is none."""
    transaction.on_commit(lambda: send_now(task, *args))


def send_now(task: str, *args: Any) -> bool:
    """Send a task by name. A broker that is down is logged and survived; returns whether it took the task."""
    try:
        current_app.send_task(task, args=args)
    except Exception as error:  # whatever the broker's client raises: the sweep is the safety net
        log.warning("the broker did not take %s (%s); the sweep will pick the work up", task, type(error).__name__)
        return False
    return True
