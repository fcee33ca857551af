"""From draft to campaign: priced to the last unit, checked, confirmed or submitted to a second person."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Client, User
from accounts.services.access import needs
from accounts.services.audit import record_audit
from crm.common.errors import InvalidInput, WrongState
from crm.common.money import from_micros
from crm.common.sql import database_now
from messaging import wake
from messaging.errors import QuoteChanged
from messaging.models import Campaign, CampaignState, SendingRules
from messaging.services.accept import check_may_send
from messaging.services.announcing import tell_awaiting, tell_paused
from messaging.services.audience import Quote, problems_of, quote_campaign
from messaging.services.campaigns.drafts import get_campaign
from messaging.services.guards import Guard
from messaging.services.hours import HoursBook, OutsideHours
from messaging.services.quoting import kept_figures, newest_contact
from wallet import services as wallet


@needs("campaigns.send")
def confirm_campaign(
    *,
    client: Client,
    campaign_id: int,
    by: User | None,
    expected_recipients: int | None,
    expected_cost_micros: int | None,
    hold_seconds: float = 0,
    approving: bool = False,
    held_because: str = "",
) -> Campaign:
    """Start a draft for exactly the people and the price that the person saw; its cost is reserved in this step.

    A program may leave either figure open (None): it takes what the campaign comes to now. A draft with a time to send
    waits for it; one without waits for hold_seconds, in which it can be withdrawn. One that repeats becomes the pattern
    of its series, and reserves nothing itself.
    Above the limits of the organisation's policy it is submitted to a second person instead, and nothing is reserved;
    approving: that person says yes (services.approval), or a series that was approved runs. held_because: it is
    reserved, but waits for a person, who reads this.
    Raises, and then nothing moved: NotFound, WrongState (started before), ClientSuspended, InvalidInput (a problem of
    the text, audience or time), OutsideHours (fact: next_slot), QuoteChanged (fact: quote), DailyLimit,
    wallet.errors.InsufficientBalance.
    """
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    before = CampaignState(campaign.state)
    if before not in ((CampaignState.DRAFT, CampaignState.AWAITING) if approving else (CampaignState.DRAFT,)):
        raise WrongState(_("This campaign was started already."))
    check_may_send(client, campaign.channel)
    kept = kept_figures(campaign)
    newest = kept.newest if kept else newest_contact(campaign)
    quote = kept.quote if kept else quote_campaign(campaign)
    problems = [problem.sentence for problem in problems_of(campaign, quote)]
    if quote.recipients == 0 and not problems:
        problems.append(_("Nobody in these groups can be sent to."))
    if problems:
        raise InvalidInput({"campaign": problems})
    seen = (expected_recipients, expected_cost_micros)
    if any(old not in (None, new) for old, new in zip(seen, (quote.recipients, quote.cost_micros), strict=True)):
        raise QuoteChanged(quote=quote)
    with transaction.atomic():
        now = database_now()
        starts_at = check_time(campaign, quote, now) or now + timedelta(seconds=hold_seconds)
        guard = Guard(client)
        guard.check_day(now, more=quote.recipients, more_micros=quote.cost_micros)
        if not approving and needs_approval(guard.rules, quote, simulated=client.simulation):
            _submit(campaign, by, quote)
            return get_campaign(client=client, campaign_id=campaign_id)
        doubt = "" if "burst" in campaign.waived else guard.suspicion(quote.by_country, quote.foreign_run)
        state = _state_after(campaign, waits=starts_at > now, held=bool(held_because or doubt))
        started = (
            Campaign.objects.for_client(client)
            .filter(pk=campaign.pk, state=before, updated_at=campaign.updated_at)
            .update(
                state=state,
                pause_kind="burst" if doubt else "missed" if held_because else "",
                pause_reason=(held_because or doubt)[:200],
                starts_at=starts_at,
                countries=sorted(quote.by_country),
                ending=guard.rules.ending(campaign.message_class),
                simulated=client.simulation,
                quoted_recipients=quote.recipients,
                quoted_units=quote.units,
                quoted_cost_micros=quote.cost_micros,
                until_contact=newest,
                confirmed_by=by,
                confirmed_at=Now(),
                updated_at=timezone.now(),
            )
        )
        if not started:
            raise WrongState(_("This campaign was changed or started meanwhile. Look at it again."))
        if state != CampaignState.REPEATING:
            _reserve(campaign, quote)
        if state == CampaignState.SENDING:
            wake.expansion(campaign.pk)
        elif state == CampaignState.SCHEDULED and campaign.schedule_at is None:
            wake.start_campaigns(after=hold_seconds)
        elif state == CampaignState.PAUSED:
            tell_paused(campaign, held_because or doubt)
        facts = {"people": quote.recipients, "cost_micros": quote.cost_micros, "state": str(state)}
        record_audit(client=client, action="campaign.confirmed", target=f"campaign:{campaign.pk}", after=facts)
    return get_campaign(client=client, campaign_id=campaign_id)


def _state_after(campaign: Campaign, *, waits: bool, held: bool) -> CampaignState:
    """What a confirmed campaign becomes. One held for a person that has a time is paused when that comes."""
    if campaign.repeat:
        return CampaignState.REPEATING
    if held and (campaign.schedule_at is None or not waits):
        return CampaignState.PAUSED
    return CampaignState.SCHEDULED if waits else CampaignState.SENDING


def needs_approval(rules: SendingRules, quote: Quote, *, simulated: bool) -> bool:
    """Whether the organisation wants a second person to look at a campaign of this size; a simulation needs none."""
    people, micros = rules.approve_above_people, rules.approve_above_micros
    over = (people is not None and quote.recipients > people) or (micros is not None and quote.cost_micros > micros)
    return over and not simulated


def _submit(campaign: Campaign, by: User | None, quote: Quote) -> None:
    """Hand a draft to a second person with the figures that the first one saw."""
    drafts = Campaign.objects.for_client(campaign.client).filter(
        pk=campaign.pk, state=CampaignState.DRAFT, updated_at=campaign.updated_at
    )
    if not drafts.update(
        state=CampaignState.AWAITING,
        submitted_by=by,
        submitted_at=Now(),
        returned_note="",
        quoted_recipients=quote.recipients,
        quoted_units=quote.units,
        quoted_cost_micros=quote.cost_micros,
        updated_at=timezone.now(),
    ):
        raise WrongState(_("This campaign was changed or started meanwhile. Look at it again."))
    tell_awaiting(campaign, by, quote.recipients, quote.cost_micros)
    facts = {"people": quote.recipients, "cost_micros": quote.cost_micros}
    record_audit(client=campaign.client, action="campaign.submitted", target=f"campaign:{campaign.pk}", after=facts)


def check_time(campaign: Campaign, quote: Quote, now: datetime) -> datetime | None:
    """The time for which a draft is scheduled, None for at once. Raises: InvalidInput (it has passed), OutsideHours."""
    at = campaign.schedule_at
    if at is not None and at <= now:
        raise InvalidInput({"campaign": [_("The time to send has passed. Choose another one.")]})
    hours = HoursBook(campaign.message_class, campaign.client.time_zone)
    span = timedelta(hours=campaign.spread_hours)
    if not hours.allows(at or now, quote.by_country, span=span):
        raise OutsideHours(next_slot=hours.next_slot(at or now, quote.by_country, span=span))
    return at


def next_slot(campaign: Campaign) -> datetime | None:
    """The first time from the one asked for at which everybody of a draft may be written to; None where none is."""
    now = database_now()
    at = campaign.schedule_at if campaign.schedule_at and campaign.schedule_at > now else now
    kept = kept_figures(campaign)
    countries = (kept.quote if kept else quote_campaign(campaign)).by_country
    hours = HoursBook(campaign.message_class, campaign.client.time_zone)
    return hours.next_slot(at, countries, span=timedelta(hours=campaign.spread_hours))


def _reserve(campaign: Campaign, quote: Quote) -> None:
    if quote.cost_micros:
        wallet.reserve(client=campaign.client, amount=from_micros(quote.cost_micros), reference=campaign.reservation)
