"""Which account carries which message: the routes of a channel, loaded once for a whole batch of messages."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from crm.common.countries import COUNTRIES
from crm.common.networks import NETWORK_SIGNS, likely_network
from crm.common.reading import Part, read_part
from crm.common.sql import database_now, now_sql
from messaging.errors import NoRoute
from messaging.models import Route
from messaging.windows import read_window


@dataclass(frozen=True, slots=True)
class Road:
    """A route as the table knows it. opens: when its window opens next, None while it holds; never: no more of it."""

    account_id: int
    country: str
    prefix: str
    network: str
    sender: str
    preference: int
    weight: int
    resting: bool
    opens: datetime | None

    def fits(self, country: str, network: str, sender: str, number: str) -> bool:
        return (
            self.country in ("", country)
            and self.network in ("", network)
            and self.sender in ("", sender)
            and number.startswith(self.prefix)
        )

    def rank(self, avoid: int | None) -> tuple:
        """The smallest is tried first: open, awake, not the one to avoid, with a share; then the more specific."""
        return (
            self.opens is not None,
            self.resting,
            self.account_id == avoid,
            self.weight == 0,
            self.sender == "",
            -len(self.prefix),
            self.network == "",
            self.country == "",
            self.preference,
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Accounts among which messages of one kind are shared, by weight, and the time before which none may leave."""

    shares: tuple[tuple[int, int], ...]
    not_before: datetime | None
    resting: bool

    @property
    def accounts(self) -> list[int]:
        return [account for account, _ in self.shares]

    def pick(self) -> int:
        if len(self.shares) == 1:
            return self.shares[0][0]
        return random.choices(self.accounts, [weight for _, weight in self.shares])[0]


def routes_part(channel: str) -> Part:
    """The read of every active route of a channel."""
    return Part(
        ("r.account_id", "r.country", "r.prefix", "r.network", "r.sender", "r.preference", "r.weight",
         f"a.rest_until > {now_sql()}", 'r."window"', "r.time_zone"),
        "messaging_route r JOIN messaging_provideraccount a ON a.id = r.account_id "
        "WHERE r.channel = %s AND a.is_active",
        [channel],
    )  # fmt: skip


class RouteTable:
    """Every active route of one channel. One query, whatever the number of messages asked about.

    without: an account whose routes are left out.
    """

    def __init__(self, channel: str, *, without: int | None = None, rows: Sequence[Sequence] | None = None) -> None:
        """rows: what `routes_part` gave, where it was read with other things."""
        if rows is None:
            rows = read_part(routes_part(channel))
        rows = [row for row in rows if row[0] != without]
        now = database_now() if any(row[8] for row in rows) else None
        self.roads = [
            Road(*row[:7], bool(row[7]), _opens(row[8], row[9], row[1], now) if row[8] and now else None)  # type: ignore[call-arg]
            for row in rows
        ]
        self._longest = max((len(road.prefix) for road in self.roads), default=0)
        self._by_network = any(road.network for road in self.roads)
        self.telling = max(self._longest, NETWORK_SIGNS if self._by_network else 0)  # signs of a number that decide
        self._chosen: dict[tuple, Choice | None] = {}

    def choose(
        self, *, country: str, sender: str, number: str = "", network: str | None = None, avoid: int | None = None
    ) -> Choice:
        """The best accounts for messages to `number` in `country` from `sender`. Accounts at rest and routes whose
        window is closed are taken only as a last resort.

        network: None for the probable one. avoid: an account that has just failed. Raises: NoRoute.
        """
        if network is None:
            network = likely_network(number) if self._by_network else ""
        key = (country, network, sender, number[: self._longest], avoid)
        if key not in self._chosen:
            self._chosen[key] = best_of(
                [road for road in self.roads if road.fits(country, network, sender, number)], avoid
            )
        chosen = self._chosen[key]
        if chosen is None:
            raise NoRoute(country=country)
        return chosen

    def account_for(self, *, country: str, sender: str, number: str = "", avoid: int | None = None) -> int:
        """One account for one message. Raises: NoRoute."""
        return self.choose(country=country, sender=sender, number=number, avoid=avoid).pick()

    def has(self, account_id: int) -> bool:
        return any(road.account_id == account_id for road in self.roads)


def best_of(roads: Sequence[Road], avoid: int | None = None) -> Choice | None:
    """The first in rank, with its equals; None where there is no road."""
    if not roads:
        return None
    best = min(roads, key=lambda road: road.rank(avoid))
    equals = {road.account_id: road for road in roads if road.rank(avoid) == best.rank(avoid)}
    shares = tuple(sorted((road.account_id, road.weight or 1) for road in equals.values()))
    opens = [road.opens for road in equals.values() if road.opens]
    return Choice(shares, min(opens) if opens else None, best.resting)


def _opens(window: str, time_zone: str, country: str, now: datetime) -> datetime | None:
    """When a route's window opens next, None while it holds."""
    held = read_window(window)
    local = now.astimezone(ZoneInfo(zone_of(time_zone, country)))
    if held.holds_at(local):
        return None
    return max(held.opens_after(local).astimezone(now.tzinfo), now + timedelta(seconds=1))


def zone_of(time_zone: str, country: str) -> str:
    """The time zone in which a route's window is read."""
    if time_zone:
        return time_zone
    return COUNTRIES[country].time_zone if country in COUNTRIES else "UTC"


def has_other_road(account_id: int) -> bool:
    """Whether some of what an account carries could go by another one that is awake and open now."""
    channels = Route.objects.filter(account_id=account_id).values_list("channel", flat=True).distinct()
    for channel in channels:
        roads = RouteTable(channel).roads
        ours = [road for road in roads if road.account_id == account_id]
        others = [road for road in roads if road.account_id != account_id and not road.resting and road.opens is None]
        if any(_meet(one, other) for one in ours for other in others):
            return True
    return False


def _meet(one: Road, other: Road) -> bool:
    """Whether there can be a message that both carry."""
    pairs = ((one.country, other.country), (one.network, other.network), (one.sender, other.sender))
    return all(not left or not right or left == right for left, right in pairs) and (
        one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
    )


def is_reachable(*, channel: str, country: str, sender: str = "") -> bool:
    """Whether an awake account, by a route whose window is open, carries messages of this kind now.

    Campaigns ask it before they start and while they run.
    """
    try:
        choice = RouteTable(channel).choose(country=country, sender=sender)
    except NoRoute:
        return False
    return not choice.resting and choice.not_before is None
