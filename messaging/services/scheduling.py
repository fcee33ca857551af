"""When a campaign leaves: set while it is a draft, fired by the database's clock, taken back before it began."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from accounts.models import Client
from accounts.services.access import needs
from crm.common.errors import InvalidInput, WrongState
from crm.common.sql import database_now
from messaging import wake
from messaging.models import Campaign, CampaignState, MessageClass, SenderState
from messaging.services.accept import FURTHEST_SCHEDULE
from messaging.services.announcing import tell_paused
from messaging.services.campaigns import audit_campaign, get_campaign
from messaging.services.hours import HoursBook
from wallet import services as wallet

LONGEST_SPREAD = 12  # hours
MISSED_AFTER = timedelta(minutes=30)


@needs("campaigns.write")
@transaction.atomic
def set_timing(
    *,
    client: Client,
    campaign_id: int,
    message_class: str | None = None,
    schedule_at: datetime | None = None,
    spread_hours: int = 0,
) -> Campaign:
    """Say of a draft when it leaves (aware; None: once confirmed), over how many hours, and what it is for (None: as it
    was).

    Raises: InvalidInput (schedule_at, spread_hours, message_class), NotFound, WrongState.
    """
    errors: dict[str, list[str]] = {}
    if message_class is not None and message_class not in MessageClass.values:
        errors["message_class"] = [_("Say whether it is information or promotion.")]
    if not 0 <= spread_hours <= LONGEST_SPREAD:
        errors["spread_hours"] = [_("It is spread over at most %(most)s hours.") % {"most": LONGEST_SPREAD}]
    now = database_now()
    if schedule_at is not None and not now < schedule_at <= now + FURTHEST_SCHEDULE:
        errors["schedule_at"] = [_("The time to send must lie in the future and within one year.")]
    if errors:
        raise InvalidInput(errors)
    get_campaign(client=client, campaign_id=campaign_id)
    drafts = Campaign.objects.for_client(client).filter(pk=campaign_id, state=CampaignState.DRAFT)
    changes = {} if message_class is None else {"message_class": message_class}
    if not drafts.update(schedule_at=schedule_at, spread_hours=spread_hours, updated_at=timezone.now(), **changes):
        raise WrongState(_("This campaign was started already and cannot be changed."))
    return get_campaign(client=client, campaign_id=campaign_id)


@needs("campaigns.send")
@transaction.atomic
def withdraw_campaign(*, client: Client, campaign_id: int) -> Campaign:
    """Make a campaign that has not begun a draft again and free its money. Raises: NotFound, WrongState."""
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    waiting = Campaign.objects.for_client(client).filter(pk=campaign_id, state=CampaignState.SCHEDULED)
    if not waiting.update(
        state=CampaignState.DRAFT,
        starts_at=None,
        confirmed_by=None,
        confirmed_at=None,
        quoted_recipients=0,
        quoted_units=0,
        quoted_cost_micros=0,
        updated_at=timezone.now(),
    ):
        raise WrongState(_("It began already. Pause or cancel it instead."))
    wallet.withdraw_reservation(client_id=client.pk, reference=campaign.reservation)
    audit_campaign(campaign, "withdrawn", before={"starts_at": campaign.starts_at})
    return get_campaign(client=client, campaign_id=campaign_id)


def fire_due_campaigns() -> int:
    """Start the campaigns whose time has come by the database's clock (D9, D11); returns how many were started.

    One that was missed by more than half an hour, or that may not be sent any more, is paused with the reason: a
    person decides. Harmless to run twice at once: each row moves by a conditional update.
    """
    now = database_now()
    due = Campaign.objects.unscoped().filter(state=CampaignState.SCHEDULED, starts_at__lte=now)
    started = 0
    for campaign in due.select_related("client", "sender").order_by("starts_at", "pk")[:500]:
        with override(campaign.client.language):  # that of its people, who read it
            reason = _why_not(campaign, now)
        state = CampaignState.PAUSED if reason else CampaignState.SENDING
        with transaction.atomic():
            waiting = Campaign.objects.for_client(campaign.client).filter(
                pk=campaign.pk, state=CampaignState.SCHEDULED, starts_at=campaign.starts_at
            )
            kind = campaign.pause_kind or "start" if reason else ""
            moved = waiting.update(state=state, pause_reason=reason, pause_kind=kind)
            if moved and reason:
                tell_paused(campaign, reason)
            if moved and not reason:
                wake.expansion(campaign.pk)
                started += 1
    return started


def missed() -> str:
    """What is asked of a person where a time was missed."""
    return _("Its time was missed by more than 30 minutes: the service was not running. Is it still right to send it?")


def _why_not(campaign: Campaign, now: datetime) -> str:
    """What changed since it was confirmed, as a sentence; "" where it may start."""
    if not campaign.client.is_active:
        return _("The account was suspended when its time came.")
    if campaign.starts_at is not None and now - campaign.starts_at > MISSED_AFTER:
        return missed()
    if campaign.pause_kind == "burst":
        return campaign.pause_reason
    if campaign.sender is None or campaign.sender.state != SenderState.APPROVED:
        return _("Its sender ID was not approved any more when its time came.")
    hours = HoursBook(campaign.message_class, campaign.client.time_zone)
    if not hours.allows(now, campaign.countries):
        return _("Its time fell outside the hours in which promotions may be sent.")
    return ""
