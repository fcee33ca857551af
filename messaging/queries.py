"""What pages, the API and exports read of messaging. Nothing here writes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.utils import timezone

from accounts.models import Client
from contacts.models import Contact
from contacts.queries import members_of
from crm.common.months import first_of
from crm.common.spans import has_months, newest_first, span_between
from messaging import open_months, statistics
from messaging.models import (
    Campaign,
    CampaignRecipient,
    CampaignState,
    Channel,
    Message,
    MessageEvent,
    MessageStatus,
    MessageSum,
    ProviderAccount,
    SenderId,
    SenderState,
    Template,
    TemplateVersion,
)
from messaging.providers.failures import Failure, failure_of

LARGEST_ID = 2**63 - 1

# How the inner states of the queue are shown: to programs by the native API's documented words, to people more exactly.
SHOWN_TO_PROGRAMS = {
    MessageStatus.HELD: "queued",
}
SHOWN_TO_PEOPLE = {MessageStatus.HELD: "paused"}
# What a filter on a shown status matches.
STORED_AS = {
    "queued": [MessageStatus.QUEUED, MessageStatus.HELD],
    "paused": [MessageStatus.HELD],
    "scheduled": [MessageStatus.SCHEDULED],
    "sent": [MessageStatus.SENT],
    "delivered": [MessageStatus.DELIVERED, MessageStatus.READ],
    "read": [MessageStatus.READ],
    "failed": [MessageStatus.FAILED],
    "cancelled": [MessageStatus.CANCELLED],
}


def api_status(status: str) -> str:
    """A message's status in the words of the native API."""
    return SHOWN_TO_PROGRAMS.get(MessageStatus(status), status)


def page_status(status: str) -> str:
    """A message's status in the words of the dashboard."""
    return SHOWN_TO_PEOPLE.get(MessageStatus(status), status)


def find_message(client: Client, identifier: str) -> Message | None:
    """A client's message by our id in any dialect's spelling (`MSG-000123`, `API-0000000123`, `msg_000000123`), by its
    number (`123`) or by the provider's own id; else None.
    """
    text = identifier.strip()
    number = text[4:] if text[:4].upper() in ("MSG-", "API-", "MSG_") else text
    messages = Message.objects.for_client(client)
    if number.isascii() and number.isdigit() and len(number) <= 19 and int(number) <= LARGEST_ID:
        found = messages.filter(pk=int(number)).first()
        if found or text != number:
            return found
    if not text or len(text) > 100 or "\x00" in text:
        return None
    # By account, so that the index on (account, provider id) serves.
    accounts = ProviderAccount.objects.values_list("pk", flat=True)
    return messages.filter(provider_account_id__in=list(accounts), provider_message_id=text).order_by("-pk").first()


def events_for(message: Message) -> list[MessageEvent]:
    """The timeline of a message, oldest first."""
    return list(MessageEvent.objects.for_client(message.client_id).filter(message=message).order_by("pk"))


def messages_for(
    client: Client,
    *,
    status: str = "",
    recipient: str = "",
    sender: str = "",
    campaign_id: int | None = None,
    reference: str = "",
    channel: str = "",
    since: datetime | None = None,
    before: datetime | None = None,
    api_key_id: int | None = None,
    causes: Sequence[str] = (),
    simulated: bool | None = None,
) -> QuerySet[Message]:
    """A client's messages, newest first. status: a shown one ("queued", "paused", …), "" or "all" for every one.

    recipient: E.164, or the beginning of one. since/before: accepted at or after, and before. causes: codes of
    messaging/providers/failures.py, of failed ones.
    """
    found = Message.objects.for_client(client).order_by("-pk")
    if status and status != "all":
        stored = STORED_AS.get(status, [])
        if len(stored) > 1 and MessageStatus.READ in stored and not statistics.anything_read(client):
            stored = [status for status in stored if status != MessageStatus.READ]
        found = found.filter(status__in=stored)
    if recipient:
        exact = recipient.startswith("+") and len(recipient) >= 12
        found = found.filter(recipient=recipient) if exact else found.filter(recipient__startswith=recipient)
    if sender:
        found = found.filter(sender=sender)
    if campaign_id is not None:
        found = found.filter(campaign_id=campaign_id)
    if reference:
        found = found.filter(reference=reference)
    if channel:
        found = found.filter(channel=channel)
    if api_key_id is not None:
        found = found.filter(api_key_id=api_key_id)
    if causes:
        found = found.filter(status=MessageStatus.FAILED, error_code__in=causes)
    if simulated is not None:
        found = found.filter(simulated=simulated)
    if since:
        found = found.filter(created_at__gte=since)
    if before:
        found = found.filter(created_at__lt=before)
    return found.filter(span_between(Message, since, before).q)


def messages_of(campaign: Campaign) -> QuerySet[Message]:
    """A campaign's messages, looked for in the months since it was confirmed."""
    months = open_months.of_campaigns([campaign]).q
    return Message.objects.for_client(campaign.client_id).filter(months, campaign_id=campaign.pk)


def names_of(client: Client, messages: list[Message]) -> dict[str, str]:
    """The contact names of the recipients on a page, by number; one query."""
    numbers = {message.recipient for message in messages}
    found = Contact.objects.for_client(client).filter(phone__in=numbers).exclude(name="")
    return {phone: name for phone, name in found.values_list("phone", "name") if phone}


def approved_senders(client: Client, channel: str = Channel.SMS) -> QuerySet[SenderId]:
    """The sender IDs a client may use now, its default first."""
    return SenderId.objects.for_client(client).filter(state=SenderState.APPROVED, channel=channel)


def channels_with_senders(client: Client) -> set[str]:
    """The channels on which a client has an approved sender."""
    approved = SenderId.objects.for_client(client).filter(state=SenderState.APPROVED).order_by()
    return set(approved.values_list("channel", flat=True).distinct())


def campaigns_for(client: Client, *, state: str = "") -> QuerySet[Campaign]:
    """A client's campaigns, newest first."""
    found = Campaign.objects.for_client(client).select_related("sender").order_by("-pk")
    return found.filter(state=state) if state else found


def runs_of(series: Campaign) -> QuerySet[Campaign]:
    """The runs of a repeating campaign, the newest first."""
    return Campaign.objects.for_client(series.client_id).filter(series=series).order_by("-run")


def groups_of(campaigns: list[Campaign]) -> dict[int, tuple[list[int], list[int]]]:
    """(ids of groups, ids of excluded groups) by campaign, in order; two queries for all of them."""
    found: dict[int, tuple[list[int], list[int]]] = {campaign.pk: ([], []) for campaign in campaigns}
    relations: list[Any] = [Campaign.groups, Campaign.excluded]
    for place, chosen in enumerate(relations):
        rows = chosen.through.objects.filter(campaign_id__in=found).order_by("group_id")
        for campaign_id, group_id in rows.values_list("campaign_id", "group_id"):
            found[campaign_id][place].append(group_id)
    return found


def listed_numbers(client: Client, campaigns: list[Campaign]) -> dict[int, int]:
    """How many numbers some campaigns were given one by one, by id; those without any are left out."""
    found = CampaignRecipient.objects.for_client(client).filter(campaign__in=campaigns).order_by()
    return dict(found.values_list("campaign_id").annotate(n=Count("pk")))


def templates_for(client: Client, channel: str = Channel.SMS) -> QuerySet[Template]:
    """A client's templates of a channel by name, "" for all; dialects count those for SMS as predefined messages."""
    found = Template.objects.for_client(client).order_by("name", "pk")
    return found.filter(channel=channel) if channel else found


def template_words(client: Client, template_ids: Sequence[int]) -> dict[int, dict[str, dict[str, str]]]:
    """What templates say now with all their parts ({text, subject?, html?}), by id and language code. One query."""
    found: dict[int, dict[str, dict[str, str]]] = {}
    versions = TemplateVersion.objects.for_client(client).filter(template_id__in=template_ids).order_by("pk")
    for template_id, language, text, content in versions.values_list("template_id", "language", "text", "content"):
        found.setdefault(template_id, {})[language] = {"text": text, **content}
    return {
        pk: {language: parts for language, parts in said.items() if any(parts.values())} for pk, said in found.items()
    }


def template_texts(client: Client, template_ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """What templates say now, by id and language code; languages that ended are left out. One query."""
    found: dict[int, dict[str, str]] = {}
    versions = TemplateVersion.objects.for_client(client).filter(template_id__in=template_ids).order_by("pk")
    for template_id, language, text in versions.values_list("template_id", "language", "text"):
        found.setdefault(template_id, {})[language] = text
    return {pk: {language: text for language, text in texts.items() if text} for pk, texts in found.items()}


def versions_of(template: Template) -> QuerySet[TemplateVersion]:
    """Every text a template had, the newest first."""
    found = TemplateVersion.objects.for_client(template.client_id).filter(template=template)
    return found.select_related("by").order_by("-pk")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where everybody of a campaign is. The five figures and `unexpanded` add up to `audience` at every moment.

    not_sent: cancelled, or left out because the groups changed. spent: net of refunds, in micros.
    """

    audience: int
    queued: int
    sent: int
    delivered: int
    failed: int
    not_sent: int
    unexpanded: int
    unconfirmed: int
    spent_micros: int

    @property
    def settled(self) -> int:
        return self.delivered + self.failed + self.not_sent

    @property
    def percent(self) -> int:
        """How far sending has come, 0 to 100; 100 only when nobody waits any more."""
        waiting = self.queued + self.unexpanded
        return 100 if not self.audience or not waiting else min(99, 100 * (self.audience - waiting) // self.audience)


_WAITING = {"scheduled", "held", "queued"}


def progress_of(campaigns: list[Campaign]) -> dict[int, Progress]:
    """The progress of some campaigns of one client, by id; one query for all of them, and one more where months of
    theirs may have been put away."""
    if not campaigns:
        return {}
    counts: dict[int, Counter] = {campaign.pk: Counter() for campaign in campaigns}
    rows = (
        Message.objects.for_client(campaigns[0].client_id)
        .filter(open_months.of_campaigns(campaigns).q, campaign_id__in=counts)
        .values("campaign_id", "status")
        .annotate(n=Count("pk"), cost=Sum("cost_micros"), lost=Count("pk", filter=Q(unconfirmed=True)))
        .order_by()
    )
    for row in chain(rows, _put_away(campaigns)):
        tally = counts[row["campaign_id"] or 0]
        tally[row["status"]] += row["n"]
        tally["unconfirmed"] += row["lost"]
        if row["status"] not in (MessageStatus.FAILED, MessageStatus.CANCELLED):
            tally["spent"] += row["cost"]
    found = {}
    for campaign in campaigns:
        tally = counts[campaign.pk]
        written = sum(tally[status] for status in MessageStatus.values)
        missing = max(campaign.quoted_recipients - written, 0)
        over = bool(campaign.expanded_at)
        found[campaign.pk] = Progress(
            audience=max(campaign.quoted_recipients, written),
            queued=sum(tally[status] for status in _WAITING),
            sent=tally["sent"],
            delivered=tally["delivered"] + tally["read"],
            failed=tally["failed"],
            not_sent=tally["cancelled"] + (missing if over else 0),
            unexpanded=0 if over else missing,
            unconfirmed=tally["unconfirmed"],
            spent_micros=tally["spent"],
        )
    return found


def _put_away(campaigns: list[Campaign]) -> Iterable[Mapping[str, Any]]:
    """What messages of these add up to that are not there any more: of campaigns that began before this month."""
    month = first_of(timezone.now())
    old = [campaign.pk for campaign in campaigns if campaign.confirmed_at and campaign.confirmed_at < month]
    if not old or not has_months(Message):
        return []
    sums = MessageSum.objects.for_client(campaigns[0].client_id).filter(campaign_id__in=old).order_by()
    return sums.values("campaign_id", "status").annotate(
        n=Sum("messages"), cost=Sum("cost_micros"), lost=Sum("unconfirmed")
    )


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom a campaign's groups and list hold, each person once: all together, those without an address of the channel,
    and those with one whom an excluded group leaves out. given: how many times somebody was named, twice in two groups
    included.
    """

    people: int
    without_phone: int
    excluded: int = 0
    given: int = 0


def reach_of(campaign: Campaign) -> Reach:
    """Counted over all members of the campaign's groups, and the listed numbers of nobody in them."""
    groups, out = (
        list(rows.filter(client_id=campaign.client_id).values_list("pk", flat=True))
        for rows in (campaign.groups, campaign.excluded)
    )
    members = members_of(campaign.client_id, groups)
    column = "email" if campaign.channel == Channel.EMAIL else "phone"
    has_none = Q(phone=None) if column == "phone" else Q(email="")
    found = members.aggregate(people=Count("pk"), without=Count("pk", filter=has_none))
    listed = CampaignRecipient.objects.for_client(campaign.client_id).filter(campaign=campaign)
    others = listed.exclude(address__in=members.exclude(has_none).values(column))
    excluded = 0
    if out:
        gone = members_of(campaign.client_id, out).exclude(has_none)
        excluded = members.filter(pk__in=gone.values("pk")).count()
        excluded += others.filter(address__in=gone.values(column)).count()
    given = sum(members_of(campaign.client_id, [group]).count() for group in groups) if len(groups) > 1 else 0
    return Reach(
        people=found["people"] + others.count(),
        without_phone=found["without"],
        excluded=excluded,
        given=(given or found["people"]) + listed.count(),
    )


def rate_of(campaign: Campaign, *, seconds: int = 60) -> float:
    """Messages a second that left lately, over at most the last `seconds`; for display, so by this host's clock."""
    now = timezone.now()
    since = max(now - timedelta(seconds=seconds), campaign.confirmed_at or now)
    left = messages_of(campaign).filter(sent_at__gte=since).count()
    return left / max((now - since).total_seconds(), 1.0)


@dataclass(frozen=True, slots=True)
class FailureCount:
    """How many people of a campaign were not reached for one reason, and the latest of them."""

    failure: Failure
    people: int
    latest: Message


def failures_of(campaign: Campaign) -> list[FailureCount]:
    """Why messages of a campaign failed, the commonest reason first. Two queries."""
    failed = messages_of(campaign).filter(status=MessageStatus.FAILED)
    groups = failed.order_by().values_list("error_code").annotate(people=Count("pk"), latest=Max("pk"))
    tally: dict[Failure, tuple[int, int]] = {}
    for code, people, latest in groups:
        before = tally.get(failure_of(code), (0, 0))
        tally[failure_of(code)] = (before[0] + people, max(before[1], latest))
    newest = failed.in_bulk([latest for _, latest in tally.values()])
    found = [FailureCount(failure, people, newest[pk]) for failure, (people, pk) in tally.items() if pk in newest]
    return sorted(found, key=lambda reason: (-reason.people, reason.failure.code))


@dataclass(frozen=True, slots=True)
class Slice:
    """One page of a long list, newest first, reached by ids and never counted. newer, older: whether there is more."""

    rows: list[Message]
    newer: bool
    older: bool


def slice_of(messages: QuerySet[Message], *, size: int, before: int | None = None, after: int | None = None) -> Slice:
    """The newest `size` of `messages`; those just below the id `before`; or those just above the id `after`."""
    if after is not None:
        rows = list(messages.filter(pk__gt=after).order_by("pk")[: size + 1])
        return Slice(rows[:size][::-1], newer=len(rows) > size, older=True)
    rows = newest_first(messages, size + 1, before=before)
    return Slice(rows[:size], newer=before is not None, older=len(rows) > size)


def running_campaigns(client: Client) -> list[Campaign]:
    """Campaigns that are sending or paused, newest first, for the home page."""
    states = [CampaignState.SENDING, CampaignState.PAUSED]
    return list(campaigns_for(client).filter(state__in=states)[:5])


def next_scheduled(client: Client) -> Campaign | None:
    """The campaign that starts next, runs of a series included; None where nothing is planned."""
    states = [CampaignState.SCHEDULED, CampaignState.REPEATING]
    planned = Campaign.objects.for_client(client).filter(state__in=states, starts_at__isnull=False)
    return planned.order_by("starts_at").first()


def messaged_since(client_id: int, phones: Sequence[str], since: datetime, **_: Any) -> set[str]:
    """Which of the numbers the client wrote to at or after `since`: answers contacts.signals.messaged_among."""
    months = span_between(Message, since).q
    found = Message.objects.for_client(client_id).filter(months, recipient__in=phones, created_at__gte=since)
    return set(found.values_list("recipient", flat=True).distinct())


def every_message(**_: Any) -> QuerySet[Message]:
    """All messages, for whoever narrows them by client: answers contacts.signals.all_messages."""
    return Message.objects.unscoped()
