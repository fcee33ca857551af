"""What waits for which account: moving it to another road, showing beforehand where it would go, and ending what no
road could take in four hours. Everything here is a few statements, however many messages wait.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from accounts.models import User
from crm.common.errors import InvalidInput
from crm.common.spans import span_of
from crm.common.sql import among_ids, as_datetime, later_sql, listed_ids, skip_locked
from messaging import open_months, reasons, wake
from messaging.errors import NoRoute
from messaging.models import DecisionKind, Message, ProviderAccount, Route
from messaging.sending.claims import UNLEASED, leased_among
from messaging.sending.recording import GIVE_UP_AFTER, fail_messages
from messaging.services.providers import record_decision
from messaging.services.routing import Choice, RouteTable

LOOKED_AT = 50_000  # messages whose kinds are counted in one go; what lies behind them has its turn later
MOVED_AT_ONCE = 5_000
AGED_AT_ONCE = 1_000
LONGEST_BACK_OFF = 2400  # what lies further off waits for its campaign's pace or its route's hours, not for an account


@dataclass(frozen=True, slots=True)
class Kind:
    """What routes can tell apart of messages: a value that no route names is ""."""

    channel: str
    country: str
    network: str
    sender: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Part:
    """So many waiting messages of one kind, and the road that is the best for them now; None where there is none."""

    kind: Kind
    messages: int
    choice: Choice | None

    def goes_to(self, account_id: int, *, still_routed: bool) -> bool:
        """Whether they should leave `account_id` for it: never for one at rest, unless there is no staying."""
        if self.choice is None or account_id in self.choice.accounts:
            return False
        return not still_routed or not (self.choice.resting or self.choice.not_before)


class _Kinds:
    """SQL that sorts messages by what the routes name."""

    def __init__(self) -> None:
        routes = list(Route.objects.values_list("country", "network", "sender", "prefix"))
        countries, networks, senders, prefixes = (
            sorted({row[place] for row in routes if row[place]}) for place in range(4)
        )
        parts: list[tuple[str, list[str]]] = [("channel", [])]
        for column, values in (("country", countries), ("network", networks), ("sender", senders)):
            parts.append(self._named(column, values))
        parts.append(self._begins(sorted(prefixes, key=len, reverse=True)))
        self.parts = parts

    @staticmethod
    def _named(column: str, values: Sequence[str]) -> tuple[str, list[str]]:
        if not values:
            return "''", []
        return f"CASE WHEN {column} IN ({', '.join(['%s'] * len(values))}) THEN {column} ELSE '' END", list(values)

    @staticmethod
    def _begins(prefixes: Sequence[str]) -> tuple[str, list[str]]:
        if not prefixes:
            return "''", []
        whens = [f"WHEN SUBSTR(recipient, 1, {len(prefix)}) = %s THEN %s" for prefix in prefixes]
        return f"CASE {' '.join(whens)} ELSE '' END", [prefix for prefix in prefixes for _ in range(2)]

    def columns(self) -> tuple[str, list[str]]:
        names = ("channel", "country", "network", "sender", "prefix")
        sql = ", ".join(f"{part} AS k_{name}" for name, (part, _) in zip(names, self.parts, strict=True))
        return sql, [value for _, values in self.parts for value in values]

    def is_kind(self, kind: Kind) -> tuple[str, list[str]]:
        wanted = (kind.channel, kind.country, kind.network, kind.sender, kind.prefix)
        sql, params = [], []
        for (part, values), value in zip(self.parts, wanted, strict=True):
            if part != "''":
                sql.append(f"{part} = %s")
                params += [*values, value]
        return " AND ".join(sql), params


def where_to(account_id: int, *, to: int | None = None) -> list[Part]:
    """Where the queue of an account would go if it took nothing any more; to: if all of it went to that account."""
    if to is not None:
        return [Part(part.kind, part.messages, Choice(((to, 1),), None, False)) for part in plan_of(account_id)]
    return plan_of(account_id, without=account_id)


def plan_of(account_id: int, *, without: int | None = None) -> list[Part]:
    """The kinds of messages that wait for an account, and where the routes would have each go now.

    without: as if that account had no routes.
    """
    columns, params = _Kinds().columns()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT k_channel, k_country, k_network, k_sender, k_prefix, COUNT(*) FROM (
                    SELECT {columns} FROM messaging_message WHERE provider_account_id = %s AND status = 'queued'
                    {open_months.queued().sql()} LIMIT {LOOKED_AT}) AS waiting
                GROUP BY k_channel, k_country, k_network, k_sender, k_prefix""",
            [*params, account_id],
        )
        rows = cursor.fetchall()
    tables: dict[str, RouteTable] = {}
    parts = []
    for *values, count in rows:
        kind = Kind(*values)
        if kind.channel not in tables:
            tables[kind.channel] = RouteTable(kind.channel, without=without)
        table = tables[kind.channel]
        parts.append(Part(kind, count, _choice(table, kind)))
    return parts


def _choice(table: RouteTable, kind: Kind) -> Choice | None:
    try:
        return table.choose(country=kind.country, sender=kind.sender, number=kind.prefix, network=kind.network)
    except NoRoute:
        return None


def divert_queue(*, account_id: int, reason: str = "", by: User | None = None) -> set[int]:
    """Give what waits for an account to the road that the routes name for it now, where that is another one.

    Only messages that surely never left are moved (D5); the others wait for their account, or for the hour in which
    their route opens. Returns the accounts that got messages.
    """
    moved: Counter[int] = Counter()
    kinds = _Kinds()
    active = ProviderAccount.objects.filter(pk=account_id, is_active=True).exists()
    for part in plan_of(account_id):
        routed = active and any(road.account_id == account_id for road in RouteTable(part.kind.channel).roads)
        if part.choice and part.goes_to(account_id, still_routed=routed):
            moved += _move(account_id, part.kind, part.choice, kinds)
        elif part.choice and part.choice.not_before and account_id in part.choice.accounts:
            _hold_until(account_id, part.kind, part.choice.not_before, kinds)
    _note_move(account_id, moved, reason, by)
    return set(moved)


def move_queue(*, account_id: int, to: int, by: User | None, reason: str = "") -> int:
    """Give everything that waits for an account to another one, whatever the routes say; returns how many messages.

    Raises: InvalidInput where the other cannot carry one of the channels, or is switched off.
    """
    if to == account_id or not ProviderAccount.objects.filter(pk=to, is_active=True).exists():
        raise InvalidInput({"to": ["Choose another account that is not paused."]})
    parts = plan_of(account_id)
    able = set(Route.objects.filter(account_id=to).values_list("channel", flat=True))
    if foreign := {part.kind.channel for part in parts} - able:
        raise InvalidInput({"to": [f"It has no route for the channel {', '.join(sorted(foreign))}."]})
    moved: Counter[int] = Counter()
    kinds = _Kinds()
    for part in parts:
        moved += _move(account_id, part.kind, Choice(((to, 1),), None, False), kinds)
    _note_move(account_id, moved, reason, by)
    return moved.total()


def _move(account_id: int, kind: Kind, choice: Choice, kinds: _Kinds) -> Counter[int]:
    """Move one kind in bounded statements. Shares go by the message's number, so they are as exact as can be."""
    where, params = kinds.is_kind(kind)
    total = sum(weight for _, weight in choice.shares)
    whens, end = [], 0
    for account, weight in choice.shares:
        end += weight
        whens.append(f"WHEN id %% {total} < {end} THEN {account}")
    moved: Counter[int] = Counter()
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            ids = _take_waiting(account_id, where, params)
            # A back-off belonged to the old road; the pace of a campaign that is spread over hours is kept.
            cursor.execute(
                f"""UPDATE messaging_message SET provider_account_id = CASE {" ".join(whens)} END,
                        next_attempt_at = CASE WHEN attempts > 0 THEN NULL ELSE next_attempt_at END
                    WHERE id {among_ids()}{span_of(Message, ids).sql()} RETURNING provider_account_id""",
                [listed_ids(ids)],
            )
            rows = [row[0] for row in cursor.fetchall()]
            moved.update(rows)
            wake.senders(set(rows))
        if len(rows) < MOVED_AT_ONCE:
            return moved


def _take_waiting(account_id: int, where: str, params: Sequence[Any]) -> list[int]:
    """Lock messages that wait for an account, so that nobody claims them, and leave those out that somebody sends."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT m.id FROM messaging_message m WHERE provider_account_id = %s AND status = 'queued' AND {UNLEASED}
                AND {where}{open_months.queued().sql("m")} LIMIT {MOVED_AT_ONCE} {skip_locked()}""",
            [account_id, *params],
        )
        ids = [row[0] for row in cursor.fetchall()]
    return sorted(set(ids) - leased_among(ids))  # once more: now that they are locked, no lease is made


def _hold_until(account_id: int, kind: Kind, moment: datetime, kinds: _Kinds) -> None:
    where, params = kinds.is_kind(kind)
    at = connection.ops.adapt_datetimefield_value(moment)
    early = f"(next_attempt_at IS NULL OR next_attempt_at < %s) AND {where}"
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            ids = _take_waiting(account_id, early, [at, *params])
            months = span_of(Message, ids).sql()
            statement = f"UPDATE messaging_message SET next_attempt_at = %s WHERE id {among_ids()}{months}"
            cursor.execute(statement, [at, listed_ids(ids)])
        if len(ids) < MOVED_AT_ONCE:
            return


def _note_move(account_id: int, moved: Counter[int], reason: str, by: User | None) -> None:
    if moved:
        record_decision(
            account_id=account_id,
            kind=DecisionKind.MOVED,
            reason=reason or reasons.OTHER_ROUTES,
            by=by,
            messages=moved.total(),
            facts={"to": {str(account): count for account, count in sorted(moved.items())}},
        )


def accounts_to_look_at() -> Iterator[int]:
    """Accounts with a route whose window is closed now; those out of use are known from elsewhere."""
    channels = Route.objects.exclude(window="").values_list("channel", flat=True).distinct()
    closed = {road.account_id for channel in channels for road in RouteTable(channel).roads if road.opens}
    yield from sorted(closed)


def age_queues() -> int:
    """Fail and refund what has waited four hours for an account that has been out of use for as long (D6)."""
    limit = GIVE_UP_AFTER.total_seconds()
    stranded: dict[int, list[int]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT m.provider_account_id, m.id FROM messaging_message m
                JOIN messaging_provideraccount a ON a.id = m.provider_account_id
                WHERE m.status = 'queued' AND a.out_since <= {later_sql(-limit)} AND m.queued_at <= {later_sql(-limit)}
                AND (m.next_attempt_at IS NULL OR m.next_attempt_at <= {later_sql(LONGEST_BACK_OFF)})
                {open_months.queued().sql("m")} LIMIT {AGED_AT_ONCE}""",
            [],
        )
        for account_id, pk in cursor.fetchall():
            stranded[account_id].append(pk)
    ended = 0
    for account_id, ids in stranded.items():
        with transaction.atomic():
            failed = fail_messages(
                ids=ids,
                code="waited_too_long",
                message="No provider could take it for four hours",
            )
            if failed:
                record_decision(
                    account_id=account_id,
                    kind=DecisionKind.AGED,
                    reason=reasons.OUT_TOO_LONG,
                    messages=len(failed),
                )
        ended += len(failed)
    return ended


def wait_of(account_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """By account: how many messages wait for it, counted up to LOOKED_AT, and since when the oldest has."""
    found = {}
    for account_id in account_ids:
        with connection.cursor() as cursor:
            cursor.execute(
                f"""SELECT COUNT(*), MIN(queued_at) FROM (SELECT queued_at FROM messaging_message
                    WHERE provider_account_id = %s AND status = 'queued'{open_months.queued().sql()}
                    LIMIT {LOOKED_AT}) AS waiting""",
                [account_id],
            )
            count, oldest = cursor.fetchone()
        found[account_id] = {"count": count, "more": count == LOOKED_AT, "oldest": as_datetime(oldest)}
    return found
