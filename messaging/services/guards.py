"""How much a client may send, to whom and where: asked by every path that stores messages (GUARANTEES.md L2).

Limits of single recipients are looked at before messages are stored, those of a day right after, in the transaction
that charges them: the wallet's row is locked then, so that calls at the same time are counted one after the other.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import Sum
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from accounts.models import Client
from accounts.queries import confirmed_phones, emails_of_members
from contacts.importing.screening import ConsecutiveNumbers
from crm.common.figures import figure
from crm.common.phones import region_of
from crm.common.reading import Part, json_column, read_part, read_together
from crm.common.spans import span_since
from crm.common.sql import as_datetime, as_json, database_now, insert_rows, later_sql, rows_sql
from messaging.errors import CountryClosed, DailyLimit, RecipientLimit, TrialNumber
from messaging.models import ForeignCount, Message, MessageTally, SendingRules, TallyState

# Keeps PostgreSQL from planning for this very client. Of one whose messages are newer than the statistics it expects
# one, takes the index of all of them for that of a number's, and then reads them all for every number.
_ANY_CLIENT = "(SELECT CAST(%s AS bigint))"

BURST = 50  # people in a country that is new to the client, or foreign numbers in a row, that a person looks at first
HOUR, DAY = 3600, 86400


@dataclass(frozen=True, slots=True)
class Limits:
    """Messages to one number: equal texts and any in an hour, any in a day. 0: no limit."""

    equal_per_hour: int
    any_per_hour: int
    any_per_day: int

    @property
    def lowest(self) -> int:
        return min((limit for limit in (self.equal_per_hour, self.any_per_hour, self.any_per_day) if limit), default=0)


_RULES = (
    "id", "equal_per_hour", "any_per_hour", "any_per_day", "messages_per_day", "spend_per_day_micros",
    "foreign_per_day", "countries", "trial", "approve_above_people", "approve_above_micros", "signature",
    "opt_out_text",
)  # fmt: skip


def rules_part(client: Client) -> Part:
    """The read of a client's rules."""
    columns = [json_column(name) if name == "countries" else name for name in _RULES]
    return Part(columns, "messaging_sendingrules WHERE client_id = %s", [client.pk])


class Guard:
    """The rules of one client, loaded once for a call or a campaign. Simulated messages reach nobody: no limits."""

    def __init__(
        self, client: Client, *, simulated: bool | None = None, rows: Sequence[Sequence] | None = None
    ) -> None:
        """rows: what `rules_part` gave, where it was read with other things."""
        self.client = client
        self.sleeps = client.simulation if simulated is None else simulated
        found = read_part(rules_part(client)) if rows is None else rows
        self.rules = SendingRules(client=client, **dict(zip(_RULES, found[0], strict=True)) if found else {})

    @property
    def is_trial(self) -> bool:
        """Whether each number is looked at by itself: a trial writes to its own people only."""
        return self.rules.trial and not self.sleeps

    @cached_property
    def limits(self) -> Limits:
        rules = self.rules
        return Limits(
            _or_default(rules.equal_per_hour, settings.RECIPIENT_EQUAL_PER_HOUR),
            _or_default(rules.any_per_hour, settings.RECIPIENT_ANY_PER_HOUR),
            _or_default(rules.any_per_day, settings.RECIPIENT_ANY_PER_DAY),
        )

    @cached_property
    def _own(self) -> set[str]:
        return confirmed_phones(self.client)

    @cached_property
    def _own_emails(self) -> set[str]:
        return emails_of_members(self.client)

    def check_place(self, phone: str, region: str) -> None:
        """Whether the client may write to this number at all. Raises: CountryClosed, TrialNumber."""
        if self.sleeps:
            return
        countries = self.rules.countries
        if countries is not None and region != self.client.country and region not in countries:
            raise CountryClosed(country=region)
        if self.is_trial and phone not in self._own:
            raise TrialNumber()

    def check_address(self, email: str) -> None:
        """Whether the client may write to this email address at all. Raises: TrialNumber."""
        if self.is_trial and email not in self._own_emails:
            raise TrialNumber(_("A trial account writes to the email addresses of its own people only."))

    def near_parts(self, phones: Iterable[str]) -> dict[str, Part]:
        """The look of `crowded` for numbers that are near a limit, each given as often as it is to be written to;
        nothing where no limit holds. What it gives is `near` there."""
        together = Counter(phones)
        if self.sleeps or not self.limits.lowest or not together:
            return {}
        return {"near": self._near_part(together, self.limits.lowest - max(together.values()))}

    def crowded(
        self, pairs: Sequence[tuple[str, str]], near: Iterable[Sequence[str]] | None = None
    ) -> dict[int, RecipientLimit]:
        """Which of these (number, text) would be too many for their number, by position; earlier ones count.

        Costs one query where nobody is near a limit, and two otherwise; neither reads more of a number's history than
        the limits are large. near: what `near_parts` of these numbers, or of more, gave; spares the first query.
        """
        limits = self.limits
        if self.sleeps or not limits.lowest or not pairs:
            return {}
        if near is None:
            near = read_together(self.near_parts(phone for phone, _ in pairs))["near"]
        near = {row[0] for row in near}
        if not near:
            return {}
        found: dict[int, RecipientLimit] = {}
        had = self._had([pair for pair in dict.fromkeys(pairs) if pair[0] in near])
        now: Counter[str] = Counter()
        for position, (phone, text) in enumerate(pairs):
            if phone not in near:
                continue
            equal, hour, day = had[phone, text]
            if limits.equal_per_hour and equal >= limits.equal_per_hour:
                found[position] = RecipientLimit(
                    _("This number got this same text {n} times within an hour.").format(n=limits.equal_per_hour),
                    retry_after=HOUR,
                )
            elif limits.any_per_hour and hour + now[phone] >= limits.any_per_hour:
                found[position] = RecipientLimit(
                    _("This number got {n} messages from you within an hour.").format(n=limits.any_per_hour),
                    retry_after=HOUR,
                )
            elif limits.any_per_day and day + now[phone] >= limits.any_per_day:
                found[position] = RecipientLimit(
                    _("This number got {n} messages from you within a day.").format(n=limits.any_per_day),
                    retry_after=DAY,
                )
            else:
                now[phone] += 1
        return found

    def is_overrun(self, pairs: Sequence[tuple[str, str]]) -> bool:
        """Whether calls at the same time brought numbers over a limit together. After these messages were stored and
        charged, in the same transaction: the wallet's row is locked, so everybody before us is seen."""
        limits = self.limits
        if self.sleeps or not limits.lowest or not pairs:
            return False
        part = self._near_part({phone for phone, _ in pairs}, limits.lowest)
        over = {row[0] for row in read_together({"near": part})["near"]}
        if not over:
            return False
        had = self._had([pair for pair in dict.fromkeys(pairs) if pair[0] in over], more=1)
        return any(
            limit and count > limit
            for counts in had.values()
            for count, limit in zip(
                counts, (limits.equal_per_hour, limits.any_per_hour, limits.any_per_day), strict=True
            )
        )

    def _near_part(self, phones: Iterable[str], before: int) -> Part:
        """Numbers that got more than `before` messages in a day: one look per number into the index of its history."""
        source = rows_sql(Message, ["recipient"])
        given = as_json([phone] for phone in phones)
        if before < 0:
            return Part(("v.recipient",), source, [given])
        history = (
            f"SELECT m.created_at FROM messaging_message m WHERE m.client_id = {_ANY_CLIENT} "
            f"AND m.recipient = v.recipient{span_since(Message, DAY).sql('m')} ORDER BY m.id DESC LIMIT 1 OFFSET %s"
        )
        condition = f"({history}) > {later_sql(-DAY)}"
        return Part(("v.recipient",), f"{source} WHERE {condition}", [given, self.client.pk, before])

    def _had(self, pairs: Sequence[tuple[str, str]], *, more: int = 0) -> dict[tuple[str, str], tuple[int, int, int]]:
        """For each (number, text): equal texts and all messages within an hour, and all within a day, each counted no
        further than the largest limit and `more`."""
        most = max(self.limits.equal_per_hour, self.limits.any_per_hour, self.limits.any_per_day) + more
        newest = (
            f"(SELECT m.text, m.created_at FROM messaging_message m WHERE m.client_id = {_ANY_CLIENT} "
            "AND m.recipient = v.recipient AND m.status NOT IN ('failed', 'cancelled') AND NOT m.simulated"
            f"{span_since(Message, DAY).sql('m')} "
            "ORDER BY m.id DESC LIMIT %s) AS n"
        )
        statement = (
            "SELECT v.recipient, v.text, "
            f"(SELECT COUNT(*) FROM {newest} WHERE n.text = v.text AND n.created_at > {later_sql(-HOUR)}), "
            f"(SELECT COUNT(*) FROM {newest} WHERE n.created_at > {later_sql(-HOUR)}), "
            f"(SELECT COUNT(*) FROM {newest} WHERE n.created_at > {later_sql(-DAY)}) "
            f"FROM {rows_sql(Message, ['recipient', 'text'])}"
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, [*[self.client.pk, most] * 3, as_json(pairs)])
            return {(phone, text): (equal, hour, day) for phone, text, equal, hour, day in cursor.fetchall()}

    # --- a day --------------------------------------------------------------------------------------------------------

    def count_abroad(self, recipients: Iterable[str], now: datetime) -> None:
        """Add messages to other countries to this day's count. Inside the transaction that stores them, before the
        wallet is touched. Raises: DailyLimit."""
        if self.sleeps:
            return
        abroad = Counter(region_of(recipient) for recipient in recipients if recipient.startswith("+"))
        abroad.pop(self.client.country, None)
        if not abroad:
            return
        day = now.astimezone(ZoneInfo(self.client.time_zone)).date()
        insert_rows(
            ForeignCount,
            ("client_id", "day", "country", "messages"),
            [(self.client.pk, day.isoformat(), country, count) for country, count in sorted(abroad.items()) if country],
            suffix="ON CONFLICT (client_id, day, country) DO UPDATE "
            "SET messages = messaging_foreigncount.messages + excluded.messages",
        )
        most = self.rules.foreign_per_day
        if most is None:
            return
        counts = ForeignCount.objects.for_client(self.client).filter(day=day)
        if (counts.aggregate(n=Sum("messages"))["n"] or 0) > most:
            raise DailyLimit(
                _("Your account may send {n} messages a day to other countries.").format(n=figure(most)),
                retry_after=self._rest(now),
            )

    def check_day(self, now: datetime, *, more: int = 0, more_micros: int = 0) -> None:
        """Whether this day's messages and spending are within the limits, with `more` that are not stored yet.

        Raises: DailyLimit.
        """
        rules = self.rules
        if self.sleeps or (rules.messages_per_day is None and rules.spend_per_day_micros is None):
            return
        zone = ZoneInfo(self.client.time_zone)
        midnight = datetime.combine(now.astimezone(zone).date(), time(0), zone)
        tallies = MessageTally.objects.for_client(self.client).filter(hour__gte=midnight)
        kept = tallies.exclude(state__in=[TallyState.FAILED, TallyState.CANCELLED])
        had = kept.aggregate(n=Sum("messages"), micros=Sum("cost_micros"))
        count, micros = (had["n"] or 0) + more, (had["micros"] or 0) + more_micros
        if rules.messages_per_day is not None and count > rules.messages_per_day:
            raise DailyLimit(
                _("Your account may send %(most)s messages a day.") % {"most": figure(rules.messages_per_day)},
                retry_after=self._rest(now),
            )
        if rules.spend_per_day_micros is not None and micros > rules.spend_per_day_micros:
            raise DailyLimit(_("Your account may not spend more than this in a day."), retry_after=self._rest(now))

    def _rest(self, now: datetime) -> int:
        """Seconds until the client's midnight."""
        local = now.astimezone(ZoneInfo(self.client.time_zone))
        midnight = datetime.combine(local.date() + timedelta(days=1), time(0), local.tzinfo)
        return max(1, int((midnight - local).total_seconds()))

    # --- bursts -------------------------------------------------------------------------------------------------------

    def suspicion(self, by_country: Counter, foreign_run: int) -> str:
        """What about a campaign looks like traffic pumping, as a sentence; "" where nothing does.

        foreign_run: the longest run of numbers in other countries that follow one another.
        """
        if self.sleeps:
            return ""
        for country, count in sorted(by_country.items()):
            if country and country != self.client.country and count >= BURST and not self._knows(country):
                return _("It goes to %(n)s people in %(country)s, where you have not written to before.") % {
                    "n": figure(count),
                    "country": country,
                }
        if foreign_run >= BURST:
            return _("It has %(n)s numbers in a row in another country, as invented lists do.") % {
                "n": figure(foreign_run)
            }
        return ""

    def _knows(self, country: str) -> bool:
        return ForeignCount.objects.for_client(self.client).filter(country=country).exists()


class ForeignRun:
    """Finds the longest run of adjacent numbers among those of other countries than the client's."""

    def __init__(self, client: Client) -> None:
        self._home, self._numbers = client.country, ConsecutiveNumbers()
        self._any = False

    def add(self, phone: str, region: str) -> None:
        if region != self._home:
            self._any = True
            self._numbers.add(phone)

    def longest(self) -> int:
        return self._numbers.longest() if self._any else 0


def _or_default(value: int | None, default: int) -> int:
    return default if value is None else value


@dataclass(frozen=True, slots=True)
class Repeated:
    """How many of some people got the same text lately, and when the latest of them did."""

    people: int
    latest: datetime


def repeated_lately(client: Client, pairs: Sequence[tuple[str, str]], *, seconds: int = DAY) -> Repeated | None:
    """Who of these (number, text) got just this text in the last `seconds`; None: nobody. One query."""
    if not pairs:
        return None
    statement = (
        "SELECT MAX(n.created_at) FROM (SELECT v.recipient, v.text, (SELECT MAX(l.created_at) FROM ("
        f"SELECT m.created_at, m.text FROM messaging_message m WHERE m.client_id = {_ANY_CLIENT} "
        "AND m.recipient = v.recipient AND m.status NOT IN ('failed', 'cancelled')"
        f"{span_since(Message, seconds).sql('m')} "
        "ORDER BY m.id DESC LIMIT 20) AS l WHERE l.text = v.text "
        f"AND l.created_at > {later_sql(-seconds)}) AS created_at "
        f"FROM {rows_sql(Message, ['recipient', 'text'])}) AS n "
        "WHERE n.created_at IS NOT NULL GROUP BY n.recipient, n.text"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [client.pk, as_json(pairs)])
        found = [as_datetime(row[0]) for row in cursor.fetchall()]
    return Repeated(len(found), max(found)) if found else None


def minutes_since(moment: datetime) -> int:
    return max(0, int((database_now() - moment).total_seconds() // 60))
