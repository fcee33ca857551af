"""Periodic work of accounts; the schedule is in crm/settings.py."""

from celery import shared_task

from accounts.services.idempotency import forget_expired_answers
from accounts.services.rates import forget_old_counters


@shared_task(name="accounts.sweep", ignore_result=True)
def sweep() -> None:
    """Forget counters and kept answers that have served their time."""
    forget_old_counters()
    forget_expired_answers()
