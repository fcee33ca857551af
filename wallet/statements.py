"""The statement of a month: what there was, what moved, what is left. Debits of one campaign are one line.

The ledger is append-only and the keys of a wallet ascend with its movements, so the sums of a month up to an entry hold
for ever: they are kept in the cache, and only what came since is read. Without them one pass over the month's index
range gives the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Client
from crm.common.money import from_micros
from wallet.causes import causes_of
from wallet.forms import KIND_LABELS
from wallet.models import EntryKind, LedgerEntry
from wallet.queries import among_few, start_of_day
from wallet.topups.queries import top_ups_by_reference

Sums = dict[tuple[str, str], tuple[int, int]]  # (kind, within or ""): how many, micros

KEPT_SECONDS = 45 * 24 * 3600
MOST_SINGLE = 500  # credits and adjustments of a month that are listed one by one; the rest is one line
_ONE_BY_ONE = (EntryKind.CREDIT, EntryKind.ADJUSTMENT)

# The sums of a month's entries: of all of them by the index of times, or of those after one that is known by the index
# of keys. CASE keeps the databases from walking through the whole month again for the few that are new.
_SUMS = "SELECT kind, within, COUNT(*), SUM(amount_micros), MAX(id) FROM wallet_ledgerentry WHERE wallet_id = %s AND "
_ALL = _SUMS + "created_at >= %s AND created_at < %s AND id > %s GROUP BY kind, within"
_NEW = _SUMS + "CASE WHEN created_at >= %s AND created_at < %s THEN 1 ELSE 0 END = 1 AND id > %s GROUP BY kind, within"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One movement, or the sum of many. at: of a single one; entries: how many it stands for; within: the value of the
    ledger's filter that lists them, "" for a single one; code: the operator's receipt.
    """

    kind: str
    title: str
    entries: int
    amount: Decimal
    at: datetime | None = None
    reference: str = ""
    code: str = ""
    within: str = ""

    @property
    def kind_label(self) -> str:
        return str(KIND_LABELS[EntryKind(self.kind)])


@dataclass(frozen=True, slots=True)
class Total:
    kind: str
    entries: int
    amount: Decimal

    @property
    def label(self) -> str:
        return str(KIND_LABELS[EntryKind(self.kind)])


@dataclass(frozen=True, slots=True)
class Statement:
    """opening + the sum of `lines` = closing. first, last: its days in the client's zone; until: for a month that is
    not over, the moment it was read."""

    client: Client
    month: date
    last: date
    opening: Decimal
    closing: Decimal
    lines: list[StatementLine]
    totals: list[Total]
    until: datetime | None

    @property
    def filled(self) -> bool:
        return bool(self.lines)


def month_of(text: str, today: date) -> date | None:
    """`2026-11` as its first day; today's month for ""; None for what is no month, or one yet to come."""
    if not text:
        return today.replace(day=1)
    try:
        month = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        return None
    return month if month.year >= 2000 and month <= today else None


def today_of(client: Client) -> date:
    return timezone.now().astimezone(ZoneInfo(client.time_zone)).date()


def months_of(client: Client) -> list[date]:
    """The months from the first movement to today, newest first."""
    entries = LedgerEntry.objects.for_client(client).order_by("created_at")
    first = entries.values_list("created_at", flat=True).first()
    month = today_of(client).replace(day=1)
    begin = first.astimezone(ZoneInfo(client.time_zone)).date().replace(day=1) if first else month
    months = [month]
    while months[-1] > begin and len(months) < 240:
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    return months


def statement_of_month(client: Client, month: date) -> Statement:
    """The statement of the month that begins on the day `month`."""
    following = (month + timedelta(days=32)).replace(day=1)
    start, end = (start_of_day(day, client.time_zone) for day in (month, following))
    entries = LedgerEntry.objects.for_client(client)
    before = entries.filter(created_at__lt=start).order_by("-created_at", "-pk").values_list("balance_after_micros")
    opening = (before.first() or (0,))[0]
    sums = _sums(client, month, start, end)
    lines = [*_single_lines(client, start, end, sums), *_summed_lines(client, sums)]
    totals = []
    for kind in EntryKind:
        of_kind = [found for (name, _within), found in sums.items() if name == kind]
        if of_kind:
            amount = from_micros(sum(micros for _count, micros in of_kind))
            totals.append(Total(kind, sum(count for count, _micros in of_kind), amount))
    closing = opening + sum(micros for _count, micros in sums.values())
    now = timezone.now()
    return Statement(
        client=client,
        month=month,
        last=following - timedelta(days=1),
        opening=from_micros(opening),
        closing=from_micros(closing),
        lines=lines,
        totals=totals,
        until=now if now < end else None,
    )


def _sums(client: Client, month: date, start: datetime, end: datetime) -> Sums:
    key = f"statement:{client.pk}:{month:%Y-%m}:{client.time_zone}"
    kept: tuple[int, Sums] | None = cache.get(key)
    known, sums = kept or (0, Sums())
    with connection.cursor() as cursor:
        adapt = connection.ops.adapt_datetimefield_value
        cursor.execute(_NEW if known else _ALL, [client.pk, adapt(start), adapt(end), known])
        rows = cursor.fetchall()
    for kind, within, count, micros, newest in rows:
        had = sums.get((kind, within or ""), (0, 0))
        sums[kind, within or ""] = (had[0] + count, had[1] + int(micros))
        known = max(known, newest)
    if rows:
        cache.set(key, (known, sums), KEPT_SECONDS)
    return sums


def _single_lines(client: Client, start: datetime, end: datetime, sums: Sums) -> Iterable[StatementLine]:
    """Money in and corrections, one by one in the order of time."""
    entries = among_few(LedgerEntry.objects.for_client(client).filter(kind__in=_ONE_BY_ONE), start, end)
    if not any(kind in _ONE_BY_ONE for kind, _within in sums):
        return
    # In the order of the index of kinds; in any other, SQLite walks through the whole ledger.
    rows = sorted(entries.order_by("kind", "-pk")[:MOST_SINGLE], key=lambda row: row.pk)
    top_ups = top_ups_by_reference(client, [row.reference for row in rows])
    rest = {kind: list(sums.get((kind, ""), (0, 0))) for kind in _ONE_BY_ONE}
    for row in rows:
        rest[EntryKind(row.kind)][0] -= 1
        rest[EntryKind(row.kind)][1] -= row.amount_micros
        top_up = top_ups.get(row.reference)
        yield StatementLine(
            kind=row.kind,
            title=_("Top-up %(reference)s") % {"reference": top_up.transaction_id}
            if top_up
            else (_(row.description) if row.description else "") or row.reference.replace(":", " ").capitalize(),
            entries=1,
            amount=from_micros(row.amount_micros),
            at=row.created_at,
            reference=row.reference,
            code=(top_up.receipt or "") if top_up else "",
        )
    for kind, (count, micros) in rest.items():
        if count > 0:
            yield StatementLine(kind, _("Further ones"), count, from_micros(micros), within="-")


def _summed_lines(client: Client, sums: Sums) -> Iterable[StatementLine]:
    """What messages cost and gave back: a line for each campaign, the oldest first, and one for single messages."""
    groups = [(within, kind) for kind, within in sums if kind not in _ONE_BY_ONE]
    causes = causes_of(client, [within for within, _kind in groups if within])
    for within, kind in sorted(groups, key=lambda group: (not group[0], _place(group[0]), group[1])):
        count, micros = sums[kind, within]
        cause = causes.get(within)
        title = (cause.title if cause else within.replace(":", " ").capitalize()) if within else _("Single messages")
        yield StatementLine(kind, title, count, from_micros(micros), reference=within, within=within or "-")


def _place(within: str) -> tuple[str, int]:
    name, _colon, number = within.partition(":")
    return name, int(number) if number.isascii() and number.isdigit() else 0
