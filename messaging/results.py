"""What came of a campaign: by network, over time, who opted out after it and who wrote back. Reads only."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import Substr, TruncHour, TruncMinute

from contacts.models import OptOut
from crm.common.charts import Column, stacked
from crm.common.networks import likely_network
from crm.common.phones import region_of
from messaging.conversations import own_number
from messaging.models import Campaign, InboundMessage, MessageStatus
from messaging.queries import messages_of

_ARRIVED = (MessageStatus.DELIVERED, MessageStatus.READ)
_LEFT = (MessageStatus.SENT, *_ARRIVED, MessageStatus.FAILED)
_TIMED = 5_000  # of the latest deliveries: their median stands for all
BARS = 24
MINUTES = (1, 2, 5, 10, 15)  # that a bar may stand for
WITHIN = timedelta(days=7)  # what people do later had another cause


@dataclass(frozen=True, slots=True)
class NetworkResult:
    """name: the likely network, or the country (ISO 3166) where no network is known. seconds: the median from leaving
    to the phone, None where nothing arrived yet. cost: net of refunds, in micros."""

    name: str
    sent: int
    delivered: int
    failed: int
    seconds: int | None
    cost_micros: int

    @property
    def percent(self) -> int | None:
        """Delivered among those with a final word, rounded down."""
        ended = self.delivered + self.failed
        return 100 * self.delivered // ended if ended else None


def by_network(campaign: Campaign) -> list[NetworkResult]:
    """The networks of a campaign's people, the largest first. Two queries, grouped by the range of the number."""
    mine = messages_of(campaign).order_by()
    rows = mine.annotate(prefix=Substr("recipient", 1, 7)).values_list("prefix", "status")
    tally: dict[str, Counter[str]] = defaultdict(Counter)
    for prefix, status, count, cost in rows.annotate(n=Count("pk"), cost=Sum("cost_micros")):
        counts = tally[_name(prefix)]
        counts["sent"] += count if status in _LEFT else 0
        counts["delivered"] += count if status in _ARRIVED else 0
        counts["failed"] += count if status == MessageStatus.FAILED else 0
        if status not in (MessageStatus.FAILED, MessageStatus.CANCELLED):
            counts["cost"] += cost
    seconds: dict[str, list[float]] = defaultdict(list)
    timed = mine.filter(status__in=_ARRIVED).order_by("-pk")
    for recipient, sent_at, delivered_at in timed.values_list("recipient", "sent_at", "delivered_at")[:_TIMED]:
        if sent_at and delivered_at:
            seconds[_name(recipient[:7])].append(max((delivered_at - sent_at).total_seconds(), 0))
    found = [
        NetworkResult(
            name,
            counts["sent"],
            counts["delivered"],
            counts["failed"],
            round(median(seconds[name])) if seconds.get(name) else None,
            counts["cost"],
        )
        for name, counts in tally.items()
    ]
    return sorted(found, key=lambda row: (-row.sent, row.name))


def _name(prefix: str) -> str:
    return likely_network(prefix) or region_of(prefix + "0" * 5) or "?"


def over_time(campaign: Campaign) -> list[Column]:
    """Arrivals and failures in steps of as few MINUTES as BARS bars hold, or by hour where none do; then the first BARS
    hours. Empty before there are any."""
    mine = messages_of(campaign).order_by()
    first = campaign.starts_at or campaign.confirmed_at
    if first is None:
        return []
    counts = _buckets(mine, TruncMinute)
    if not counts:
        return []
    start, end = min(counts), max(counts)
    fitting = (step for step in MINUTES if end - _begun(start, step) < BARS * timedelta(minutes=step))
    if step := next(fitting, 0):
        span = timedelta(minutes=step)
        counts = _gathered(counts, step)
    else:
        span = timedelta(hours=1)
        counts = _buckets(mine, TruncHour)
    start = min(counts)
    last = min(max(counts), start + (BARS - 1) * span)
    moments = [start + n * span for n in range(int((last - start) / span) + 1)]
    late = [moment for moment in counts if moment > last]
    for moment in late:  # what came after the last bar stands in it
        counts[last].update(counts[moment])
    return stacked(
        [
            (moment, [("delivered", counts[moment]["delivered"]), ("failed", counts[moment]["failed"])])
            for moment in moments
        ]
    )


def _begun(moment: datetime, step: int) -> datetime:
    """The beginning of the step that a minute is in. step: minutes, of which an hour has a whole number."""
    return moment - timedelta(minutes=moment.minute % step)


def _gathered(counts: dict[datetime, Counter[str]], step: int) -> dict[datetime, Counter[str]]:
    found: dict[datetime, Counter[str]] = defaultdict(Counter)
    for moment, counted in counts.items():
        found[_begun(moment, step)].update(counted)
    return found


def _buckets(mine, truncate) -> dict[datetime, Counter[str]]:  # type: ignore[no-untyped-def]
    counts: dict[datetime, Counter[str]] = defaultdict(Counter)
    for kind, field in (("delivered", "delivered_at"), ("failed", "failed_at")):
        rows = mine.filter(**{f"{field}__isnull": False}).annotate(moment=truncate(field)).values_list("moment")
        for moment, count in rows.annotate(n=Count("pk")):
            counts[moment][kind] += count
    return counts


def opt_outs_after(campaign: Campaign) -> int:
    """How many of a campaign's people opted out of its channel within WITHIN of its start."""
    start = campaign.starts_at or campaign.confirmed_at
    if start is None:
        return 0
    out = OptOut.objects.for_client(campaign.client_id).filter(
        channel=campaign.channel, created_at__gte=start, created_at__lt=start + WITHIN
    )
    return out.filter(address__in=_people(campaign)).values("address").distinct().count()


def replies_to(campaign: Campaign) -> int:
    """How many of a campaign's people wrote back to its sender within WITHIN of its start, other than STOP."""
    start = campaign.starts_at or campaign.confirmed_at
    if start is None or campaign.sender is None:
        return 0
    heard = InboundMessage.objects.for_client(campaign.client_id).filter(
        channel=campaign.channel,
        recipient=own_number(campaign.sender.name),
        received_at__gte=start,
        received_at__lt=start + WITHIN,
    )
    return heard.exclude(word="stop").filter(sender__in=_people(campaign)).values("sender").distinct().count()


def _people(campaign: Campaign) -> QuerySet:
    return messages_of(campaign).values("recipient")
