"""Thin tasks: ids in, one service called. The rows are the truth; a task that is lost or doubled is harmless."""

from celery import shared_task

from crm.common.linger import keep_at
from messaging import months, wake
from messaging.sending import lookups, runner
from messaging.sending import simulation as simulated
from messaging.sending import sweep as sweeping
from messaging.services import campaigns, expansion, quoting, reports, scheduling, template_news, trials, watching


@shared_task(name=wake.DISPATCH, ignore_result=True)
def dispatch(account_id: int) -> None:
    """Send what waits for one provider account, and what joins it meanwhile."""
    if keep_at((wake.DISPATCH, account_id), lambda: runner.send_waiting(account_id=account_id)):
        campaigns.finish_campaigns()
        watching.watch_campaigns()


@shared_task(name=wake.SIMULATE, ignore_result=True)
def simulate() -> None:
    """Advance simulated messages until none is under way."""
    if keep_at(wake.SIMULATE, lambda: simulated.advance_simulated()[0]):
        campaigns.finish_campaigns()


@shared_task(name=wake.EXPAND, ignore_result=True)
def expand_campaign(campaign_id: int) -> None:
    """Write a confirmed campaign's messages, or refund a cancelled one's."""
    expansion.expand_campaign(campaign_id=campaign_id)
    campaigns.finish_campaigns()


@shared_task(name=wake.QUOTE, ignore_result=True)
def quote_campaign(campaign_id: int) -> None:
    """Count what a draft to many people comes to, for those who look at it."""
    quoting.work_out(campaign_id=campaign_id)


@shared_task(name=wake.START, ignore_result=True)
def start_campaigns() -> None:
    """Start the campaigns whose time has come."""
    scheduling.fire_due_campaigns()


@shared_task(name=wake.CALLBACKS, ignore_result=True)
def process_callbacks() -> None:
    """Read what providers posted, and what they post meanwhile."""
    if keep_at(wake.CALLBACKS, reports.process_callbacks):
        watching.watch_campaigns()


@shared_task(name=wake.LOOK_UP, ignore_result=True)
def look_up(account_id: int) -> None:
    """Ask one provider what became of the messages that are due for a question."""
    keep_at((wake.LOOK_UP, account_id), lambda: lookups.look_up(account_id=account_id))


@shared_task(name=wake.BALANCE, ignore_result=True)
def read_balance(account_id: int) -> None:
    """Ask one provider how much credit is left."""
    trials.read_balance(account_id=account_id)


@shared_task(name=wake.TEMPLATES, ignore_result=True)
def read_templates(account_id: int) -> None:
    """Ask WhatsApp for one account's templates."""
    template_news.read_templates(account_id=account_id)


@shared_task(name="messaging.sweep", ignore_result=True)
def sweep() -> None:
    """Find what a lost wake-up left behind."""
    sweeping.sweep()


@shared_task(name="messaging.heavy.months", ignore_result=True)
def keep_months() -> None:
    """Make the months of timelines that come, and take away those that are not kept."""
    months.keep_months()
