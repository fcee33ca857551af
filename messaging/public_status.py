"""What anybody may know of how sending fares: shares and times, no volumes, no customers, no prices."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.cache import cache
from django.db.models import Q
from django.utils import timezone

from messaging.models import Incident, ProviderAccount
from messaging.provider_board import Fared, board, state_of

CACHE_KEY = "public-status"
CACHE_SECONDS = 30
PERIOD = "24h"
ENOUGH = 20  # messages below which a share says nothing, and would tell of single ones
SHOWN_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Road:
    """A provider account. state: working, trying, resting or paused. percent, seconds: None where too few were sent."""

    name: str
    state: str
    percent: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Network:
    """A network of a country over all providers."""

    name: str
    percent: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """at: when it was measured. word: working, degraded or outage, the worst of what is known."""

    at: datetime
    word: str
    roads: list[Road]
    networks: list[Network]
    incidents: list[Incident]


def public_status() -> Status:
    """Measured at most every CACHE_SECONDS, however many people look."""
    found = cache.get(CACHE_KEY)
    if found is None:
        found = _measure()
        cache.set(CACHE_KEY, found, CACHE_SECONDS)
    return found


def _measure() -> Status:
    now = timezone.now()
    accounts = [account for account in ProviderAccount.objects.all() if account.is_active]
    lines = board(PERIOD, accounts)
    by_network: dict[str, Fared] = {}
    for line in lines:
        for name, fared in line.networks:
            _add(by_network.setdefault(name, Fared()), fared)
    recent = Q(ended_at=None) | Q(ended_at__gte=now - SHOWN_FOR)
    incidents = list(Incident.objects.filter(recent, started_at__lte=now + SHOWN_FOR)[:20])
    roads = [
        Road(line.account.name, state_of(line.account, now), _percent(line.fared), _seconds(line.fared))
        for line in lines
    ]
    networks = [
        Network(name, _percent(fared), _seconds(fared))
        for name, fared in sorted(by_network.items())
        if name != "?" and fared.accepted >= ENOUGH
    ]
    return Status(now, _word(roads, incidents, now), roads, networks, incidents)


def _word(roads: list[Road], incidents: list[Incident], now: datetime) -> str:
    going_on = {each.impact for each in incidents if each.ended_at is None and each.started_at <= now}
    working = [road for road in roads if road.state == "working"]
    if "outage" in going_on or (roads and not working):
        return "outage"
    if "degraded" in going_on or len(working) < len(roads):
        return "degraded"
    return "working"


def _add(total: Fared, fared: Fared) -> None:
    total.accepted += fared.accepted
    total.delivered += fared.delivered
    total.times.update(fared.times)


def _percent(fared: Fared) -> int | None:
    share = fared.delivered_share
    return None if share is None or fared.accepted < ENOUGH else min(100, int(share))


def _seconds(fared: Fared) -> float | None:
    return fared.median if fared.accepted >= ENOUGH else None
