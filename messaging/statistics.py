"""How many messages there are and how they fared, read from the tallies instead of the messages themselves."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from time import time as epoch_seconds
from typing import Any
from zoneinfo import ZoneInfo

from django.core.cache import cache
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncHour

from accounts.models import Client
from crm.common.replica import from_replica
from crm.common.spans import has_months
from crm.common.sql import database_now
from messaging.models import Message, MessageStatus, MessageSum, MessageTally
from messaging.models.tallies import TallyState as T
from messaging.models.tallies import state_of

_LEFT = (T.SENT, T.DELIVERED, T.READ, T.FAILED)
_NOT_REFUNDED = (T.WAITING, T.SENT, T.DELIVERED, T.READ)
# The tallied states behind a shown status; the others are counted from the messages.
_TALLIED = {
    "all": tuple(T),
    "": tuple(T),
    "sent": (T.SENT,),
    "delivered": (T.DELIVERED, T.READ),
    "read": (T.READ,),
    "failed": (T.FAILED,),
    "cancelled": (T.CANCELLED,),
}


@dataclass(frozen=True, slots=True)
class Fared:
    """What became of some messages. sent: all that left the queue, whatever came later; cost: net of refunds."""

    sent: int
    delivered: int
    failed: int
    cost_micros: int


@from_replica
def statistics_of(client: Client, now: datetime) -> dict[str, Fared]:
    """Under "total", "today" and "this_month": messages by the day they were accepted, in the client's time zone.

    One query over at most 8,760 rows a year and state. Where a zone is not whole hours from UTC, a day begins with the
    hour in which its midnight falls.
    """
    local = now.astimezone(ZoneInfo(client.time_zone))
    midnight = datetime.combine(local.date(), time(), local.tzinfo)
    since = {"total": Q(), "today": Q(hour__gte=_hour_of(midnight))}
    since["this_month"] = Q(hour__gte=_hour_of(midnight.replace(day=1)))
    sums = {f"{name}_{what}": Sum(what, filter=when, default=0) for name, when in since.items() for what in _SUMMED}
    rows = list(MessageTally.objects.for_client(client).order_by().values("state").annotate(**sums))
    return {name: _fared(rows, name) for name in since}


_SUMMED = ("messages", "cost_micros")


def _hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _fared(rows: Sequence[Mapping[str, Any]], name: str) -> Fared:
    def of(what: str, *states: str) -> int:
        return int(sum(row[f"{name}_{what}"] for row in rows if row["state"] in states))

    return Fared(
        sent=of("messages", *_LEFT),
        delivered=of("messages", T.DELIVERED, T.READ),
        failed=of("messages", T.FAILED),
        cost_micros=of("cost_micros", *_NOT_REFUNDED),
    )


@dataclass(frozen=True, slots=True)
class Day:
    """What became of the messages accepted on a day of the client's time zone, simulated ones left out.

    waiting: they left and nothing final is known. queued: they have not left. cost: net of refunds.
    """

    day: date
    delivered: int
    waiting: int
    failed: int
    queued: int
    cost_micros: int


@from_replica
def days_of(client: Client, *, days: int, now: datetime) -> list[Day]:
    """The last `days` days, today last. Two queries: over the tallies, and over an index of simulated messages."""
    zone = ZoneInfo(client.time_zone)
    today = now.astimezone(zone).date()
    dates = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
    since = _hour_of(datetime.combine(dates[0], time(), zone))
    counts: dict[date, Counter[str]] = {day: Counter() for day in dates}
    tallies = MessageTally.objects.for_client(client).filter(hour__gte=since).order_by().values("hour", "state")
    for row in tallies.annotate(n=Sum("messages"), cost=Sum("cost_micros")):
        day = counts.get(row["hour"].astimezone(zone).date())
        if day is not None:
            day[row["state"]] += row["n"]
            day["cost"] += row["cost"] if row["state"] in _NOT_REFUNDED else 0
    simulated = Message.objects.for_client(client).filter(simulated=True, created_at__gte=since).order_by()
    hours = simulated.annotate(hour=TruncHour("created_at", tzinfo=UTC)).values("hour", "status")
    for other in hours.annotate(n=Count("pk")):
        day = counts.get(other["hour"].astimezone(zone).date())
        if day is not None:
            day[state_of(other["status"])] -= other["n"]
    return [
        Day(
            day,
            delivered=found[T.DELIVERED] + found[T.READ],
            waiting=found[T.SENT],
            failed=found[T.FAILED],
            queued=found[T.WAITING],
            cost_micros=found["cost"],
        )
        for day, found in counts.items()
    ]


def count_messages(
    client: Client,
    found: QuerySet[Message],
    *,
    status: str = "all",
    channel: str = "",
    since: datetime | None = None,
    before: datetime | None = None,
    lasting: Mapping[str, Any] | None = None,
    narrowed: bool = False,
) -> int:
    """How many messages `found` holds, exactly: from the tallies where they can tell, else by counting over an index.

    The parameters are those that made `found`; lasting: its filters by what of a message never changes, such as the
    sender; narrowed: it has filters besides these, which no tally knows.
    """
    if lasting and not narrowed and status in ("", "all"):
        return _count_lasting(client, found, {**lasting, "channel": channel, "since": since, "before": before})
    if lasting or narrowed or not _on_the_hour(since) or not _on_the_hour(before):
        return found.count()
    if status == "queued":
        waiting = _tallied(client, (T.WAITING,), channel, since, before)
        return (
            waiting
            - found.model.objects.for_client(client)
            .filter(_accepted(channel, since, before, "created_at"), status=MessageStatus.SCHEDULED)
            .count()
        )
    if status not in _TALLIED:
        return found.count()
    return _tallied(client, _TALLIED[status], channel, since, before)


_SETTLED = timedelta(minutes=10)  # by then no transaction is open that may yet bring a message with a smaller id
_KEPT_SECONDS = 6 * 3600
_LOOK_AGAIN = 60.0  # seconds: the way back to what is settled is long after a large campaign
_WORTH_KEEPING = 2000


def _count_lasting(client: Client, found: QuerySet[Message], filters: Mapping[str, Any]) -> int:
    """`found.count()`, of which the number up to some message is kept, since it stays: messages are never deleted."""
    asked = repr((client.pk, sorted(filters.items())))
    key = f"messages-counted:{hashlib.sha256(asked.encode()).hexdigest()}"
    upto, counted, again = cache.get(key, (0, 0, 0.0))
    beyond = found.filter(pk__gt=upto)
    # A few are counted in the order of an index. PostgreSQL takes them for many, and would call further processes in to
    # count them, which takes ten times as long as the counting.
    later = beyond.order_by("-pk").values("pk")[: _WORTH_KEEPING + 1].count()
    if later > _WORTH_KEEPING:
        later = beyond.order_by().count()
    if later > _WORTH_KEEPING and epoch_seconds() >= again:
        mine = Message.objects.for_client(client).filter(pk__gt=upto, created_at__lt=database_now() - _SETTLED)
        edge = mine.order_by("-pk").values_list("pk", flat=True).first()
        settled = found.filter(pk__gt=upto, pk__lte=edge).order_by().count() if edge else 0
        cache.set(key, (edge or upto, counted + settled, epoch_seconds() + _LOOK_AGAIN), _KEPT_SECONDS)
    return counted + later


def _tallied(client: Client, states: tuple, channel: str, since: datetime | None, before: datetime | None) -> int:
    """Messages that are in the list: those that were put away are in the tallies alone."""
    accepted = _accepted(channel, since, before, "hour")
    rows = MessageTally.objects.for_client(client).filter(accepted, state__in=states)
    count = rows.aggregate(total=Sum("messages", default=0))["total"]
    if has_months(Message):
        gone = MessageSum.objects.for_client(client).filter(accepted, status__in=states)
        count -= gone.aggregate(total=Sum("messages", default=0))["total"]
    return count


def _accepted(channel: str, since: datetime | None, before: datetime | None, column: str) -> Q:
    wanted = Q(channel=channel) if channel else Q()
    if since:
        wanted &= Q(**{f"{column}__gte": since})
    if before:
        wanted &= Q(**{f"{column}__lt": before})
    return wanted


def _on_the_hour(moment: datetime | None) -> bool:
    return moment is None or moment == moment.replace(minute=0, second=0, microsecond=0)


def anything_read(client: Client) -> bool:
    """Whether any message of the client was ever read. Without, a list of the delivered ones is one index scan."""
    read = MessageTally.objects.for_client(client).filter(state=T.READ)
    return bool(read.aggregate(total=Sum("messages", default=0))["total"])
