"""Periodic work of accounts, and webhooks; the schedule is in crm/settings.py."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from accounts import wake
from accounts.delivery import claims, letters, upkeep
from accounts.delivery.loop import Deliverer
from accounts.requests.recording import forget_requests
from accounts.services import closing, retention
from accounts.services.exports import run_export, sweep_exports
from accounts.services.idempotency import forget_expired_answers
from accounts.services.privacy import run_erasure, sweep_requests
from accounts.services.rates import forget_old_counters
from accounts.services.tokens import forget_expired_tokens
from crm.common.linger import keep_at
from crm.common.stopping import stop_requested

REQUESTS_KEPT = timedelta(days=7)


@shared_task(name=wake.DELIVER_WEBHOOKS, ignore_result=True)
def deliver_webhooks() -> None:
    """Deliver the events that wait, and what joins them meanwhile."""
    keep_at(wake.DELIVER_WEBHOOKS, lambda: Deliverer(stop=stop_requested).run())


@shared_task(name=wake.SEND_NOTICES, ignore_result=True)
def send_notices() -> None:
    """Send the notices to members that wait, and what joins them meanwhile."""
    keep_at(wake.SEND_NOTICES, letters.send_waiting)


@shared_task(name=wake.WRITE_EXPORT, ignore_result=True)
def write_export(export_id: int) -> None:
    """Write the file of an export that waits, or whose worker died."""
    run_export(export_id=export_id)


@shared_task(name=wake.ERASE_PERSON, ignore_result=True)
def erase_person(request_id: int) -> None:
    """Erase one person everywhere, or go on with it."""
    run_erasure(request_id=request_id)


@shared_task(name=wake.PURGE, ignore_result=True)
def purge() -> None:
    """Remove what is older than clients keep it, and erase organisations whose closure is due."""
    retention.purge_due()
    closing.close_due()


@shared_task(name="accounts.sweep", ignore_result=True)
def sweep() -> None:
    """Find webhooks and notices that a lost wake-up left behind; forget what served its time; tell of failing hooks."""
    if claims.due_endpoints(limit=1):
        wake.deliverer()
    if letters.is_due():
        wake.notices()
    forget_old_counters()
    forget_expired_answers()
    forget_expired_tokens()
    forget_requests(before=timezone.now() - REQUESTS_KEPT)
    upkeep.forget_old_deliveries()
    letters.forget_old_notices()
    sweep_exports()
    sweep_requests()
    retention.sweep_retention()
    upkeep.tell_owners()
