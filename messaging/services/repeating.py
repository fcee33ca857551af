"""Campaigns that repeat: each run is a campaign of its own, with its own people, price and reservation.

The pattern keeps the moment of its next run, which the sweep moves on by a conditional update in the transaction that
writes the run down: a run is fired once however many sweepers there are (D9). Times are those of the client's clock,
reckoned from the first run, so that neither a change of daylight saving nor a short month shifts the others.
"""

import calendar
import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from accounts.models import Client
from accounts.services.access import needs
from accounts.services.audit import record_audit
from crm.common.errors import DomainError, InvalidInput, WrongState
from crm.common.sql import database_now
from messaging.models import Campaign, CampaignRecipient, CampaignState, Repeat
from messaging.services.announcing import tell_finished
from messaging.services.campaigns import confirm_campaign, get_campaign, list_recipients
from messaging.services.scheduling import MISSED_AFTER, missed

MOST_TIMES = 366
SHOWN = 5  # next runs


@needs("campaigns.write")
@transaction.atomic
def set_repeat(
    *, client: Client, campaign_id: int, repeat: str = "", until: date | None = None, times: int | None = None
) -> Campaign:
    """Say how often a draft runs from its time on (Repeat; "": once), until a local day or so many times.

    Raises: InvalidInput (repeat, repeat_until, repeat_times, schedule_at), NotFound, WrongState.
    """
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    errors: dict[str, list[str]] = {}
    if repeat and repeat not in Repeat.values:
        errors["repeat"] = [_("Choose how often it is sent.")]
    if repeat and campaign.schedule_at is None:
        errors["schedule_at"] = [_("Choose the day and time of the first run.")]
    if repeat and times is not None and not 2 <= times <= MOST_TIMES:
        errors["repeat_times"] = [_("Give a number from 2 to %(most)s.") % {"most": MOST_TIMES}]
    if repeat and until and campaign.schedule_at and until < campaign.schedule_at.astimezone(_zone(campaign)).date():
        errors["repeat_until"] = [_("This day lies before the first run.")]
    if errors:
        raise InvalidInput(errors)
    drafts = Campaign.objects.for_client(client).filter(pk=campaign_id, state=CampaignState.DRAFT)
    if not drafts.update(
        repeat=repeat,
        repeat_until=until if repeat else None,
        repeat_times=times if repeat else None,
        updated_at=timezone.now(),
    ):
        raise WrongState(_("This campaign was started already and cannot be changed."))
    return get_campaign(client=client, campaign_id=campaign_id)


def _zone(campaign: Campaign) -> ZoneInfo:
    return ZoneInfo(campaign.client.time_zone)


def runs_of(campaign: Campaign) -> Iterator[tuple[int, datetime]]:
    """(number, moment in UTC) of every run, the first one being 1; without end where none is set."""
    if campaign.schedule_at is None or not campaign.repeat:
        return
    zone = _zone(campaign)
    first = campaign.schedule_at.astimezone(zone)
    for number in itertools.count(1):
        day = _day(first.date(), campaign.repeat, number - 1)
        if campaign.repeat_until and day > campaign.repeat_until:
            return
        if campaign.repeat_times and number > campaign.repeat_times:
            return
        yield number, _moment(day, first.time(), zone)


def _day(first: date, repeat: str, steps: int) -> date:
    if repeat == Repeat.DAILY:
        return first + timedelta(days=steps)
    if repeat == Repeat.WEEKLY:
        return first + timedelta(weeks=steps)
    year, month = divmod(first.year * 12 + first.month - 1 + steps, 12)
    return date(year, month + 1, min(first.day, calendar.monthrange(year, month + 1)[1]))


def _moment(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """The moment at which local clocks show this time: the earlier one where they show it twice; where they skip it,
    as much later as they jump."""
    return datetime.combine(day, clock.replace(tzinfo=None), zone).astimezone(UTC)


def next_runs(campaign: Campaign, *, after: datetime | None = None, count: int = SHOWN) -> list[tuple[int, datetime]]:
    """The next runs, from the one that is due on a pattern, or from the first of a draft; for pages."""
    start = after or (campaign.starts_at if campaign.state == CampaignState.REPEATING else campaign.schedule_at)
    if start is None:
        return []
    return list(itertools.islice((run for run in runs_of(campaign) if run[1] >= start), count))


def fire_due_runs() -> int:
    """Write down the runs whose time has come by the database's clock, and start them; returns how many started."""
    now = database_now()
    due = Campaign.objects.unscoped().filter(state=CampaignState.REPEATING, starts_at__lte=now)
    for campaign in due.select_related("client", "sender").order_by("starts_at", "pk")[:200]:
        _write_run(campaign, now)
    # Written down but not started: by us just now, or by a sweeper that died in between.
    waiting = Campaign.objects.unscoped().filter(
        state=CampaignState.DRAFT, series__state__in=[CampaignState.REPEATING, CampaignState.DONE]
    )
    return sum(
        _start_in_words(run, now) for run in waiting.select_related("client", "sender", "series").order_by("pk")[:200]
    )


@transaction.atomic
def _write_run(campaign: Campaign, now: datetime) -> None:
    """Make the run that is due a draft and move the pattern to the first run after now; what lies between is missed."""
    past = list(itertools.takewhile(lambda run: run[1] <= now, runs_of(campaign)))
    following = next((run for run in runs_of(campaign) if run[1] > now), None)
    patterns = Campaign.objects.for_client(campaign.client).filter(
        pk=campaign.pk, state=CampaignState.REPEATING, starts_at=campaign.starts_at
    )
    changes = {"starts_at": following[1]} if following else {"state": CampaignState.DONE, "finished_at": now}
    if not patterns.update(updated_at=timezone.now(), **changes) or not past:
        return
    number, moment = past[-1]
    run = Campaign.objects.create(
        client=campaign.client,
        name=f"{campaign.name[:108]}, {number}",
        text=campaign.text,
        variants=campaign.variants,
        content=campaign.content,
        sender=campaign.sender,
        channel=campaign.channel,
        message_class=campaign.message_class,
        spread_hours=campaign.spread_hours,
        series=campaign,
        run=number,
        starts_at=moment,
        created_by=campaign.created_by,
        updated_by=campaign.updated_by,
    )
    run.groups.set(campaign.groups.filter(client_id=campaign.client_id))
    run.excluded.set(campaign.excluded.filter(client_id=campaign.client_id))
    numbers = CampaignRecipient.objects.for_client(campaign.client).filter(campaign=campaign).order_by("pk")
    list_recipients(
        client=campaign.client, campaign_id=run.pk, recipients=list(numbers.values_list("address", flat=True))
    )


def _start_in_words(run: Campaign, now: datetime) -> bool:
    """Start a run; what stops it is said in the language of its people."""
    with override(run.client.language):
        return _start(run, now)


def _start(run: Campaign, now: datetime) -> bool:
    """Price, pay for and start one run; what cannot be sent ends the series and says why. The draft stays."""
    late = run.starts_at is not None and now - run.starts_at > MISSED_AFTER
    series = run.series
    if series is None or not run.client.is_active:
        return False  # a suspended client's run waits until it may act again
    try:
        confirm_campaign(
            client=run.client,
            campaign_id=run.pk,
            by=series.confirmed_by,
            expected_recipients=None,
            expected_cost_micros=None,
            approving=True,
            held_because=missed() if late else "",
        )
    except WrongState:
        return False  # another sweeper has it
    except DomainError as error:
        stop_series(campaign=series, reason=_("Run %(n)s was not sent: %(why)s") % {"n": run.run, "why": error})
        return False
    return not late


@transaction.atomic
def stop_series(*, campaign: Campaign, reason: str) -> bool:
    """End a series that cannot go on; runs that were started go on. Returns: whether this call did it."""
    going = Campaign.objects.for_client(campaign.client).filter(
        pk=campaign.pk, state__in=[CampaignState.REPEATING, CampaignState.DONE]
    )
    if not going.update(
        state=CampaignState.STOPPED, stop_reason=reason[:200], finished_at=database_now(), updated_at=timezone.now()
    ):
        return False
    tell_finished(campaign, reason=reason)
    record_audit(
        client=campaign.client, action="campaign.series_stopped", target=f"campaign:{campaign.pk}",
        after={"reason": reason},
    )  # fmt: skip
    return True
