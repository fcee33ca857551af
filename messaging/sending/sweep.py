"""What a lost wake-up, a dead worker or a restarted broker left behind is found here, within seconds (D3)."""

import logging
from dataclasses import asdict, dataclass

from django.db import connection, transaction

from crm.common.spans import span_of
from crm.common.sql import (
    among_ids,
    database_now,
    later_sql,
    listed_ids,
    lock_rows,
    now_sql,
    on_postgres,
    plan_by_index_order,
    skip_locked,
)
from messaging import open_months, wake
from messaging.models import EventKind, Message
from messaging.providers.base import Outcome
from messaging.sending import claims, lookups
from messaging.sending.recording import FINAL_AFTER, fail_unconfirmed, record_outcomes
from messaging.sending.runner import accounts_with_work
from messaging.services import quoting, template_news
from messaging.services.campaigns import finish_campaigns
from messaging.services.expansion import campaigns_to_expand
from messaging.services.provider_tallies import coarsen_provider_tallies, merge_provider_tallies
from messaging.services.providers import accounts_out_of_use
from messaging.services.queues import accounts_to_look_at, age_queues, divert_queue
from messaging.services.repeating import fire_due_runs
from messaging.services.scheduling import fire_due_campaigns
from messaging.services.tallies import merge_tallies
from messaging.services.timeline import write_events
from messaging.services.trials import accounts_to_ask_for_balance
from messaging.services.watching import watch_campaigns
from wallet.low_balances import tell_low_balances

log = logging.getLogger(__name__)

CALLBACKS_KEPT_DAYS = 30


@dataclass(slots=True)
class Swept:
    """What one sweep found: numbers for the log and for tests."""

    requeued: int = 0
    unknown: int = 0
    due: int = 0
    accounts: int = 0
    campaigns: int = 0


def sweep() -> Swept:
    """Free dead leases, queue what is due, and wake whoever has work. Harmless to repeat and to run twice at once."""
    found = Swept()
    found.requeued, found.unknown = free_leases()
    found.due = queue_due()
    for account_id in {*accounts_out_of_use(), *accounts_to_look_at()}:
        divert_queue(account_id=account_id)
    age_queues()
    accounts = accounts_with_work()
    found.accounts = len(accounts)
    wake.senders(accounts)
    if _exists(f"messaging_message WHERE simulated AND status IN ('queued', 'sent'){open_months.opened().sql()}"):
        wake.senders([None])
    fire_due_campaigns()
    fire_due_runs()
    expandable = campaigns_to_expand()
    found.campaigns = len(expandable)
    for campaign_id in expandable:
        wake.expansion_now(campaign_id)
    if _exists(f"messaging_providercallback WHERE processed_at IS NULL AND due_at <= {now_sql()}"):
        wake.callbacks()
    wake.lookups(lookups.accounts_to_ask())
    wake.balances(accounts_to_ask_for_balance())
    wake.templates(template_news.accounts_to_ask())
    finish_campaigns()
    watch_campaigns()
    merge_tallies()
    merge_provider_tallies()
    coarsen_provider_tallies()
    close_unreported()
    tell_low_balances()
    quoting.forget_quotes()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""DELETE FROM messaging_providercallback WHERE id IN (
                    SELECT id FROM messaging_providercallback WHERE processed_at IS NOT NULL
                    AND received_at <= {later_sql(-86400 * CALLBACKS_KEPT_DAYS)} LIMIT 5000)""",
            [],
        )
    if found.requeued or found.unknown:
        log.warning("leases of a lost sender ended: %s", asdict(found))
    return found


@transaction.atomic
def free_leases() -> tuple[int, int]:
    """Requeue what was claimed by the dead; record as unknown what they may have written (D4, D5)."""
    requeued, unknown = claims.free_expired()
    if unknown:
        record_outcomes(
            [
                Outcome(pk, "ambiguous", error_code="sender_lost", error_message="The sender stopped in the middle")
                for pk in unknown
            ]
        )
    return requeued, len(unknown)


@transaction.atomic
def queue_due(limit: int = 5000) -> int:
    """Scheduled messages whose time has come by the database's clock join the queue (D9, D11).

    Those of a suspended client wait until it may act again.
    """
    with connection.cursor() as cursor:
        plan_by_index_order(cursor)
        cursor.execute(
            f"""SELECT m.id FROM messaging_message m WHERE m.status = 'scheduled' AND m.schedule_at <= {now_sql()}
                AND EXISTS (SELECT 1 FROM accounts_client c WHERE c.id = m.client_id AND c.state = 'active')
                {open_months.opened().sql("m")} ORDER BY m.schedule_at LIMIT %s {skip_locked()}""",
            [limit],
        )
        ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return 0
        cursor.execute(  # apart from finding them, so that it names their months
            f"""UPDATE messaging_message SET status = 'queued', queued_at = {now_sql()}
                WHERE id {among_ids()}{span_of(Message, ids).sql()} RETURNING id, client_id""",
            [listed_ids(ids)],
        )
        rows = cursor.fetchall()
    write_events([(pk, client_id, EventKind.QUEUED, "", "") for pk, client_id in rows], at=database_now())
    return len(rows)


@transaction.atomic
def close_unreported(limit: int = 2000) -> int:
    """Make `sent` final for what no report came for in 72 hours (D2); returns how many.

    It stays charged. Where the provider's answer was lost and its account is set to refund such messages, they fail
    instead and the money goes back.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT m.id, m.unconfirmed AND a.refund_unconfirmed FROM messaging_message m
                JOIN messaging_provideraccount a ON a.id = m.provider_account_id
                WHERE m.status = 'sent' AND NOT m.closed AND m.sent_at <= {later_sql(-FINAL_AFTER.total_seconds())}
                {open_months.opened().sql("m")} LIMIT %s""",
            [limit],
        )
        rows = cursor.fetchall()
        if not rows:
            return 0
        fail_unconfirmed(ids=[pk for pk, refunded in rows if refunded])
        ids = [pk for pk, _ in rows]
        lock_rows(Message, ids)
        cursor.execute(
            f"""UPDATE messaging_message SET closed = {"TRUE" if on_postgres() else "1"}
                WHERE id {among_ids()} AND status = 'sent' AND NOT closed{span_of(Message, ids).sql()}
                RETURNING id, client_id""",
            [listed_ids(ids)],
        )
        closed = cursor.fetchall()
    write_events([(pk, client_id, EventKind.UNREPORTED, "", "") for pk, client_id in closed], at=database_now())
    return len(rows)


def _exists(source: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {source})", [])
        return bool(cursor.fetchone()[0])
