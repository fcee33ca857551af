"""Campaigns that run: paused, resumed, cancelled, finished. Expansion is next door."""

from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts.models import Client
from accounts.services.access import needs
from accounts.services.audit import record_audit
from crm.common.errors import WrongState
from crm.common.sql import database_now, in_key_order, now_sql, one_of, skip_locked
from messaging import open_months, wake
from messaging.models import Campaign, CampaignState, MessageStatus
from messaging.queries import messages_of
from messaging.sending.claims import hold_queued
from messaging.services.accept import check_may_send
from messaging.services.announcing import announce_campaigns
from messaging.services.campaigns.drafts import get_campaign
from messaging.services.hours import HoursBook, OutsideHours
from wallet import services as wallet

# Causes of a pause that a person waives by resuming: the same cause does not pause that campaign again.
WAIVABLE = ("burst", "failures", "provider")


@needs("campaigns.send")
@transaction.atomic
def pause_campaign(*, client: Client, campaign_id: int) -> Campaign:
    """Keep back everything that has not been written to a provider. Raises: NotFound, WrongState.

    Whoever is expanding the campaign loses the lease, so that resuming need not wait for its end.
    """
    _step(
        client,
        campaign_id,
        CampaignState.SENDING,
        CampaignState.PAUSED,
        _("Only a running campaign can be paused."),
        lease_owner="",
        lease_until=None,
    )
    hold_messages(campaign_id=campaign_id)
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    audit_campaign(campaign, "paused")
    return campaign


@needs("campaigns.send")
@transaction.atomic
def resume_campaign(*, client: Client, campaign_id: int) -> Campaign:
    """Send the rest, and only the rest. Raises: NotFound, WrongState, ClientSuspended, OutsideHours."""
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    check_may_send(client, campaign.channel)
    hours = HoursBook(campaign.message_class, client.time_zone)
    if not hours.allows(now := database_now(), campaign.countries):
        raise OutsideHours(next_slot=hours.next_slot(now, campaign.countries))
    _step(
        client,
        campaign_id,
        CampaignState.PAUSED,
        CampaignState.SENDING,
        _("Only a paused campaign can be resumed."),
        pause_reason="",
        pause_kind="",
        waived=[*campaign.waived, campaign.pause_kind] if campaign.pause_kind in WAIVABLE else campaign.waived,
    )
    held = messages_of(campaign).filter(status=MessageStatus.HELD)
    accounts = set(held.values_list("provider_account_id", flat=True).order_by().distinct())
    months = open_months.of_campaigns([campaign]).sql()
    kept_back = f"""SELECT id FROM messaging_message WHERE campaign_id = %s AND status = 'held'{months}
                    {in_key_order()}"""
    with connection.cursor() as cursor:
        cursor.execute(  # `queued_at` anew: the time on hold is not time spent trying (D6)
            f"""UPDATE messaging_message SET status = 'queued', queued_at = {now_sql()}
                WHERE id {one_of(kept_back)}{months}""",
            [campaign_id],
        )
    wake.senders(accounts)
    wake.expansion(campaign_id)
    audit_campaign(campaign, "resumed")
    return get_campaign(client=client, campaign_id=campaign_id)


@needs("campaigns.send")
@transaction.atomic
def cancel_campaign(*, client: Client, campaign_id: int) -> Campaign:
    """End a campaign: nothing more leaves from this moment, and the money of what has not left goes back.

    What is still reserved is free at once. Refunds are written by a worker, in chunks, and by the sweep after a crash.
    Raises: NotFound, WrongState.
    """
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    running = Campaign.objects.for_client(client).filter(
        pk=campaign_id,
        state__in=[CampaignState.SCHEDULED, CampaignState.REPEATING, CampaignState.SENDING, CampaignState.PAUSED],
    )
    if not running.update(state=CampaignState.CANCELLED, expanded_at=Now(), finished_at=Now()):
        raise WrongState(_("Only a scheduled, running or paused campaign can be cancelled."))
    hold_messages(campaign_id=campaign_id)
    wallet.release_reservation(client_id=client.pk, reference=campaign.reservation)
    wake.expansion(campaign_id)
    audit_campaign(campaign, "cancelled", before={"state": campaign.state})
    return get_campaign(client=client, campaign_id=campaign_id)


def hold_messages(*, campaign_id: int) -> int:
    """Keep back what of a campaign is not being written to a provider; returns how many messages."""
    return hold_queued(column="campaign_id", pk=campaign_id)


def audit_campaign(campaign: Campaign, verb: str, **facts: Any) -> None:
    """Say in the audit log what was done to a campaign; last in the transaction."""
    record_audit(client=campaign.client_id, action=f"campaign.{verb}", target=f"campaign:{campaign.pk}", **facts)


def _step(client: Client, campaign_id: int, old: str, new: str, sentence: str, **changes: Any) -> None:
    get_campaign(client=client, campaign_id=campaign_id)
    if not Campaign.objects.for_client(client).filter(pk=campaign_id, state=old).update(state=new, **changes):
        raise WrongState(sentence)


@transaction.atomic
def finish_campaigns() -> list[int]:
    """Mark campaigns done whose every recipient is accounted for, and free what is left of their reservation."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_campaign SET state = 'done', finished_at = {now_sql()}
                WHERE id IN (
                    SELECT id FROM messaging_campaign c WHERE state = 'sending' AND expanded_at IS NOT NULL
                    AND NOT EXISTS (
                        SELECT 1 FROM messaging_message m WHERE m.campaign_id = c.id
                        AND m.status IN ('scheduled', 'held', 'queued'))
                    ORDER BY id {skip_locked()})
                RETURNING id, client_id""",
            [],
        )
        finished = cursor.fetchall()
    for campaign_id, client_id in sorted(finished):
        wallet.release_reservation(client_id=client_id, reference=f"campaign:{campaign_id}")
    announce_campaigns(finished)
    return [campaign_id for campaign_id, _client in finished]
