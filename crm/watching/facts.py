"""Figures by which an installation is watched, read from the database: for Prometheus and for the back office.

What processes count in memory would be lost with them, and a scrape sees one process of many; the database has seen
everything. Each figure is a few index look-ups, bounded where a table is large.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models import Count, Max, Min, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.models import Client, DeliveryState, Notice, NoticeState, WebhookDelivery, WebhookEndpoint
from crm import __version__, health, leases
from crm.common import heartbeat, replica
from crm.common.money import from_micros
from crm.common.months import MONTH
from crm.common.sql import database_now
from messaging.models import Message, MessageTally, ProviderCallback
from messaging.provider_board import board
from wallet.models import TopUp
from wallet.reconciliation import last_run

COUNTED_AT_MOST = 50_000  # rows of a backlog; more than this is trouble enough
NEWEST = 20_000  # top-ups that are looked through for those of the last day

Labels = dict[str, str]


@dataclass(slots=True)
class Figure:
    """One figure: name and meaning, and its value by labels. kind: gauge or counter (it never falls)."""

    name: str
    meaning: str
    kind: str = "gauge"
    values: list[tuple[Labels, float]] = field(default_factory=list)

    def add(self, value: float | None, **labels: str) -> "Figure":
        """Note a value; None where there is none to tell."""
        if value is not None:
            self.values.append((labels, float(value)))
        return self


def all_figures() -> list[Figure]:
    """Every figure that can be had now. While the database is away that is little, and `tarishi_up` says so."""
    up = Figure("tarishi_up", str(_("1 while the part of the installation is there")))
    words = health.run_checks()
    for part, word in words.items():
        up.add(word == "ok", part=part)
    found = [Figure("tarishi_info", str(_("The release that answers"))).add(1, version=__version__), up]
    if words["database"] != "ok":
        return found
    for gather in (_processes, _replica, _messages, _providers, _money, _backlogs):
        found += gather()
    return found


def _processes() -> Iterator[Figure]:
    now = database_now()
    silent = Figure("tarishi_worker_silent_seconds", str(_("Seconds since a worker of the queue gave a sign of life")))
    for queue in heartbeat.QUEUES:
        silence = heartbeat.silent_seconds(queue, now)
        silent.add(24 * 3600 if silence is None else silence, queue=queue)
    yield silent
    held = Figure("tarishi_schedule_held", str(_("1 while a process keeps the schedule")))
    yield held.add(bool(leases.holder_of("schedule")))


def _replica() -> Iterator[Figure]:
    if not replica.is_configured():
        return
    there = Figure("tarishi_replica_up", str(_("1 while the read replica answers")))
    late = Figure("tarishi_replica_lag_seconds", str(_("How far the read replica is behind the database")))
    try:
        late.add(replica.lag_seconds())
    except replica.ReplicaAway:
        there.add(0)
    yield from (there if there.values else there.add(1), late)


def _messages() -> Iterator[Figure]:
    newest = Message.objects.unscoped().aggregate(newest=Max("pk"))["newest"]
    accepted = Figure(
        "tarishi_messages_accepted_total",
        str(_("Messages accepted since the beginning, by the newest number; its rate is the accept rate")),
        "counter",
    )
    yield accepted.add((newest or 0) % MONTH)  # the running number of a key that carries its month
    states = Figure("tarishi_messages_day", str(_("Messages accepted in the last 24 hours, by their present state")))
    totals: dict[tuple[str, str], int] = {}
    rows = MessageTally.objects.unscoped().filter(
        client_id__in=Client.objects.values("pk"), hour__gte=database_now() - timedelta(hours=24)
    )
    for channel, state, messages in rows.order_by().values_list("channel", "state", "messages"):
        totals[channel, state] = totals.get((channel, state), 0) + messages
    for (channel, state), messages in sorted(totals.items()):
        states.add(messages, channel=channel, state=state)
    yield states


def _providers() -> Iterator[Figure]:
    depth = Figure("tarishi_queue_depth", str(_("Messages that wait for the provider account, up to 50,000")))
    oldest = Figure("tarishi_queue_oldest_seconds", str(_("How long the oldest of them has waited")))
    state = Figure("tarishi_provider_working", str(_("1 while the provider account is in use, 0 at rest or paused")))
    ended = Figure("tarishi_provider_messages_hour", str(_("Messages of the last hour by what became of them")))
    times = Figure("tarishi_provider_delivery_seconds", str(_("Time to delivery in the last hour")))
    answer = Figure("tarishi_provider_answer_seconds", str(_("The provider's usual time to answer a request")))
    balance = Figure("tarishi_provider_balance", str(_("Credit at the provider, in its own currency or units")))
    for line in board("1h"):
        name = line.account.name
        depth.add(line.waiting, account=name)
        oldest.add(line.oldest_seconds or 0, account=name)
        state.add(line.state in ("working", "trying"), account=name, adapter=line.account.adapter)
        fared = line.fared
        for outcome in ("accepted", "unconfirmed", "retried", "delivered"):
            ended.add(getattr(fared, outcome), account=name, outcome=outcome)
        ended.add(fared.failures, account=name, outcome="failed")
        times.add(fared.median, account=name, quantile="0.5")
        times.add(fared.p95, account=name, quantile="0.95")
        answer.add(line.account.usual_seconds, account=name)
        if line.account.balance_micros is not None:
            balance.add(float(from_micros(line.account.balance_micros)), account=name)
    yield from (depth, oldest, state, ended, times, answer, balance)


def _money() -> Iterator[Figure]:
    now = database_now()
    newest = TopUp.objects.unscoped().aggregate(newest=Max("pk"))["newest"] or 0
    recent = TopUp.objects.unscoped().filter(pk__gt=newest - NEWEST, created_at__gt=now - timedelta(hours=24))
    top_ups = Figure("tarishi_topups_day", str(_("Top-ups begun in the last 24 hours, by their present state")))
    for state, count in recent.order_by().values_list("state").annotate(count=Count("pk")).order_by("state"):
        top_ups.add(count, state=state)
    yield top_ups
    run = last_run()
    wrong = Figure("tarishi_books_differences", str(_("Differences that the last reconciliation found")))
    age = Figure("tarishi_books_age_seconds", str(_("Seconds since the last reconciliation ended")))
    if run is not None and run.finished_at is not None:
        wrong.add(run.differences)
        age.add(max(0.0, (now - run.finished_at).total_seconds()))
    yield from (wrong, age)


def _backlogs() -> Iterator[Figure]:
    now = database_now()
    depth = Figure("tarishi_backlog", str(_("Jobs that are due and wait, by kind, up to 50,000")))
    oldest = Figure("tarishi_backlog_oldest_seconds", str(_("How long the oldest of them has been due")))
    waiting: dict[str, tuple[QuerySet, str]] = {
        "webhooks": (
            WebhookDelivery.objects.unscoped().filter(
                state=DeliveryState.WAITING, endpoint__active=True, next_at__lte=now
            ),
            "next_at",
        ),
        "callbacks": (ProviderCallback.objects.filter(processed_at=None, due_at__lte=now), "due_at"),
        "notices": (Notice.objects.unscoped().filter(state=NoticeState.WAITING, next_at__lte=now), "next_at"),
    }
    for kind, (rows, due) in waiting.items():
        found = rows.order_by()[:COUNTED_AT_MOST].aggregate(count=Count("pk"), first=Min(due))
        depth.add(found["count"], kind=kind)
        oldest.add(max(0.0, (now - found["first"]).total_seconds()) if found["first"] else 0, kind=kind)
    yield from (depth, oldest)
    failing = Figure("tarishi_webhook_endpoints_failing", str(_("Active webhooks whose last deliveries all failed")))
    yield failing.add(WebhookEndpoint.objects.unscoped().filter(active=True).exclude(failing_since=None).count())
