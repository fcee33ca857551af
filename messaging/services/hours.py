"""Whether people may be written to at a moment, and when next: sending hours of countries, in their local time."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_lazy as _

from crm.common.countries import COUNTRIES
from crm.common.errors import DomainError
from messaging.models import SendingHours

_LONGEST_LOOK = 40  # openings tried before one gives up


class OutsideHours(DomainError):
    """Promotions may not be sent at that time. Fact: next_slot, aware UTC, or None where the hours leave no room."""

    code = "outside_hours"
    default_message = _("Promotions may not be sent at this time of day.")


class HoursBook:
    """All rules for one class of message, loaded once. zone: of countries whose clock we do not know."""

    def __init__(self, message_class: str, zone: str) -> None:
        self._class, self._zone = message_class, zone

    @cached_property
    def _rules(self) -> dict[str, list[SendingHours]]:
        found: dict[str, list[SendingHours]] = {}
        for rule in SendingHours.objects.filter(message_class=self._class).order_by("-valid_from"):
            found.setdefault(rule.country, []).append(rule)
        return found

    def window(self, country: str, day: date) -> tuple[time, time] | None:
        """The hours of a country on a day there; None where every hour is allowed."""
        for rules in (self._rules.get(country, []), self._rules.get("", [])):
            for rule in rules:
                if rule.valid_from <= day:
                    return rule.opens, rule.closes
        return None

    def _clock(self, country: str) -> ZoneInfo:
        known = COUNTRIES.get(country)
        return ZoneInfo(known.time_zone if known else self._zone)

    def _opening(self, country: str, at: datetime, span: timedelta) -> datetime:
        """`at` where sending from `at` for `span` is allowed in the country; else the next time it opens."""
        zone = self._clock(country)
        local = at.astimezone(zone)
        window = self.window(country, local.date())
        if window is None:
            return at
        opens = datetime.combine(local.date(), window[0], zone)
        closes = datetime.combine(local.date(), window[1], zone)
        if opens <= local and local + span < closes:
            return at
        if local < opens:
            return opens
        tomorrow = local.date() + timedelta(days=1)
        following = self.window(country, tomorrow)
        return datetime.combine(tomorrow, following[0] if following else time(0), zone)

    def allows(self, at: datetime, countries: Iterable[str], *, span: timedelta = timedelta(0)) -> bool:
        """Whether people of all these countries may be written to from `at` until `span` later."""
        return all(self._opening(country, at, span) == at for country in countries)

    def next_slot(self, at: datetime, countries: Iterable[str], *, span: timedelta = timedelta(0)) -> datetime | None:
        """The first moment from `at` on that `allows`; None where a whole month has none."""
        places = sorted(countries)
        for _turn in range(_LONGEST_LOOK):
            later = max((self._opening(country, at, span) for country in places), default=at)
            if later == at:
                return at
            at = later
        return None
