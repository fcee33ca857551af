"""How the roads out fare, read from the tallies: by provider account and by network, over an hour, a day or a week."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from crm.common.money import format_money, from_micros
from messaging.models import ProviderAccount, ProviderTally, RouteDecision
from messaging.providers.failures import failure_of
from messaging.reasons import in_words
from messaging.services.provider_tallies import seconds_of, slot_of
from messaging.services.queues import Part, wait_of, where_to

PERIODS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
COST_BASIS = timedelta(days=7)


@dataclass(slots=True)
class Fared:
    """The figures of one account, or of one network of it. times: messages by bucket of seconds to delivery."""

    accepted: int = 0
    unconfirmed: int = 0
    retried: int = 0
    delivered: int = 0
    failed: Counter[str] = field(default_factory=Counter)  # by our code, refusals and failed deliveries together
    failed_after: int = 0
    costs: Counter[str] = field(default_factory=Counter)  # micros by currency
    times: Counter[int] = field(default_factory=Counter)

    def take(self, measure: str, amount: int) -> None:
        name, _, detail = measure.partition(":")
        if name in ("failed", "refused"):
            self.failed[detail] += amount
            self.failed_after += amount if name == "failed" else 0
        elif name == "cost":
            self.costs[detail] += amount
        elif name == "seconds":
            self.times[int(detail)] += amount
        elif name in ("accepted", "unconfirmed", "retried", "delivered"):
            setattr(self, name, getattr(self, name) + amount)

    @property
    def delivered_share(self) -> float | None:
        """Per cent of what the provider took; None where it took nothing."""
        return 100 * self.delivered / self.accepted if self.accepted else None

    @property
    def unreported(self) -> int:
        """Taken, and nothing final heard of it."""
        return max(0, self.accepted - self.delivered - self.failed_after)

    @property
    def failures(self) -> int:
        return self.failed.total()

    @property
    def causes(self) -> list[tuple[str, int]]:
        """In words, the most frequent first."""
        return [(str(failure_of(code).words), count) for code, count in self.failed.most_common() if count]

    @property
    def cost(self) -> str:
        return ", ".join(
            format_money(from_micros(micros), code) for code, micros in sorted(self.costs.items()) if micros
        )

    def seconds(self, share: float) -> float | None:
        """The time within which `share` (0 to 1) of the delivered messages arrived; right within an eighth."""
        total = self.times.total()
        if total <= 0:
            return None
        reached = 0
        for bucket in sorted(self.times):
            reached += self.times[bucket]
            if reached >= share * total:
                return seconds_of(bucket)
        return None

    @property
    def median(self) -> float | None:
        return self.seconds(0.5)

    @property
    def p95(self) -> float | None:
        return self.seconds(0.95)


@dataclass(slots=True)
class Line:
    """One account on the board. state: working, resting, trying or paused."""

    account: ProviderAccount
    fared: Fared
    networks: list[tuple[str, Fared]]
    waiting: int
    waiting_more: bool
    oldest_seconds: float | None
    state: str

    @property
    def rest_reason(self) -> str:
        """Why it rests, in the reader's language."""
        return in_words(self.account.rest_reason)

    @property
    def balance(self) -> str:
        if self.account.balance_micros is None:
            return ""
        amount = from_micros(self.account.balance_micros)
        return format_money(amount, self.account.balance_currency) if self.account.balance_currency else f"{amount:,f}"

    @property
    def balance_is_low(self) -> bool:
        below, now = self.account.balance_alarm_micros, self.account.balance_micros
        return below is not None and now is not None and now < below


def state_of(account: ProviderAccount, now: datetime) -> str:
    if not account.is_active:
        return "paused"
    if account.rest_until and account.rest_until > now:
        return "resting"
    return "trying" if account.rest_level else "working"


def board(period: str, accounts: Sequence[ProviderAccount] | None = None) -> list[Line]:
    """Every account with its figures of the period. Two queries over tallies and accounts, one short one a queue."""
    now = timezone.now()
    if accounts is None:
        accounts = list(ProviderAccount.objects.all())
    by_network: dict[int, dict[str, Fared]] = defaultdict(lambda: defaultdict(Fared))
    totals: dict[int, Fared] = defaultdict(Fared)
    for account_id, country, network, measure, amount in _sums(slot_of(now - PERIODS[period])):
        totals[account_id].take(measure, amount)
        by_network[account_id][f"{country} {network}".strip() or "?"].take(measure, amount)
    waits = wait_of([account.pk for account in accounts])
    return [_line(account, totals[account.pk], by_network[account.pk], waits[account.pk], now) for account in accounts]


def _sums(since: datetime, **filters: Any) -> list[tuple]:
    rows = ProviderTally.objects.filter(slot__gte=since, **filters).order_by()
    return list(
        rows.values("account_id", "country", "network", "measure")
        .annotate(total=Sum("amount"))
        .values_list("account_id", "country", "network", "measure", "total")
    )


def _line(
    account: ProviderAccount, total: Fared, networks: Mapping[str, Fared], wait: Mapping[str, Any], now: datetime
) -> Line:
    oldest = wait["oldest"]
    ranked = sorted(networks.items(), key=lambda item: (-item[1].accepted, item[0]))
    return Line(
        account=account,
        fared=total,
        networks=ranked,
        waiting=wait["count"],
        waiting_more=wait["more"],
        oldest_seconds=max(0.0, (now - oldest).total_seconds()) if oldest else None,
        state=state_of(account, now),
    )


@dataclass(frozen=True, slots=True)
class Effect:
    """What would become of some waiting messages of one kind. to: account names and messages; None for no road.

    costs: what they would cost there and here, by what each account took in the last week; "" where that is unknown.
    """

    kind: str
    messages: int
    to: tuple[tuple[str, int], ...] | None
    cost_here: str
    cost_there: str


def preview(account: ProviderAccount, *, to: ProviderAccount | None = None) -> list[Effect]:
    """Where the queue of an account would go if it were paused, or if all of it went to another one."""
    names = dict(ProviderAccount.objects.values_list("pk", "name"))
    prices = _unit_costs()
    effects = []
    for part in where_to(account.pk, to=to.pk if to else None):
        shares = _shares(part)
        here = _cost(prices, [(account.pk, part.messages)], part.kind.country)
        there = _cost(prices, shares, part.kind.country) if shares else ""
        named = tuple((names.get(pk, "?"), count) for pk, count in shares) if shares else None
        effects.append(Effect(_words(part), part.messages, named, here, there))
    return effects


def _words(part: Part) -> str:
    kind = part.kind
    return " · ".join(filter(None, (kind.channel, kind.country, kind.network, kind.prefix, kind.sender)))


def _shares(part: Part) -> list[tuple[int, int]]:
    if part.choice is None:
        return []
    total = sum(weight for _, weight in part.choice.shares)
    counts = [(account, part.messages * weight // total) for account, weight in part.choice.shares]
    counts[0] = (counts[0][0], counts[0][1] + part.messages - sum(count for _, count in counts))
    return counts


def _unit_costs() -> dict[tuple[int, str], tuple[str, float]]:
    """Currency and micros a message, by account and country ("" for all countries of the account)."""
    fared: dict[tuple[int, str], Fared] = defaultdict(Fared)
    for account_id, country, _, measure, amount in _sums(slot_of(timezone.now() - COST_BASIS)):
        fared[account_id, country].take(measure, amount)
        if country:
            fared[account_id, ""].take(measure, amount)
    return {
        key: (currency, micros / one.accepted)
        for key, one in fared.items()
        for currency, micros in one.costs.most_common(1)
        if one.accepted and micros
    }


def _cost(prices: Mapping, shares: Sequence[tuple[int, int]], country: str) -> str:
    total, currency = 0.0, ""
    for account, count in shares:
        price = prices.get((account, country)) or prices.get((account, ""))
        if price is None or (currency and price[0] != currency):
            return ""
        currency = price[0]
        total += price[1] * count
    return format_money(from_micros(round(total)), currency) if currency else ""


def decisions(*, account_id: int | None = None, limit: int = 30) -> list[RouteDecision]:
    """The newest first."""
    rows = RouteDecision.objects.select_related("account", "by")
    return list((rows.filter(account_id=account_id) if account_id else rows)[:limit])
