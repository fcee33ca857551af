"""Thin tasks: ids in, one service called. The rows are the truth; a task that is lost or doubled is harmless."""

import time

from celery import shared_task

from messaging import wake
from messaging.sending import runner
from messaging.sending import simulation as simulated
from messaging.sending import sweep as sweeping
from messaging.services import campaigns, expansion, reports


@shared_task(name=wake.DISPATCH, ignore_result=True)
def dispatch(account_id: int) -> None:
    """Send what waits for one provider account."""
    if runner.send_waiting(account_id=account_id):
        campaigns.finish_campaigns()


@shared_task(name=wake.SIMULATE, ignore_result=True)
def simulate() -> None:
    """Advance simulated messages until none is under way, for half a minute at most; the sweep goes on from there."""
    until = time.monotonic() + 30
    more = True
    while more and time.monotonic() < until:
        moved, more = simulated.advance_simulated()
        if more and not moved:
            time.sleep(0.2)
    campaigns.finish_campaigns()


@shared_task(name=wake.EXPAND, ignore_result=True)
def expand_campaign(campaign_id: int) -> None:
    """Write a confirmed campaign's messages, or refund a cancelled one's."""
    expansion.expand_campaign(campaign_id=campaign_id)
    campaigns.finish_campaigns()


@shared_task(name=wake.CALLBACKS, ignore_result=True)
def process_callbacks() -> None:
    """Read what providers posted until nothing is due."""
    while reports.process_callbacks():
        pass


@shared_task(name="messaging.sweep", ignore_result=True)
def sweep() -> None:
    """Find what a lost wake-up left behind."""
    sweeping.sweep()
