"""Reading money: balances, ledger pages, and the sums that must agree."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Case, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.utils import timezone

from accounts.models import Client
from crm.common.money import from_micros
from crm.common.months import number_in
from crm.common.sql import as_json, rows_sql
from wallet.models import CARRIED, EntryKind, LedgerEntry, Rate, Reservation, Wallet

TRIAL = "trial"  # the reference of a new client's free credit: unique in a wallet, so it is given once


@dataclass(frozen=True, slots=True)
class Balance:
    """available: balance less what is reserved for campaigns. unit_price: of one SMS to the client's own country,
    None without a rate. units: whole units that the balance buys, 0 where they have no price. low: below the client's
    own threshold, once money was added: the few free units of a trial are not called low.
    """

    balance: Decimal
    reserved: Decimal
    available: Decimal
    currency: str
    unit_price: Decimal | None
    units: int
    low: bool
    threshold: Decimal


def has_added_credit(client: Client) -> bool:
    """Whether money was ever added, beside what a new client begins with."""
    return Wallet.objects.for_client(client).filter(is_funded()).exists()


def is_funded() -> Exists:
    """`has_added_credit` of a Wallet, for a query."""
    added = LedgerEntry.objects.unscoped().filter(
        wallet=OuterRef("pk"), kind__in=[EntryKind.CREDIT, EntryKind.ADJUSTMENT], amount_micros__gt=0
    )
    return Exists(added.exclude(reference=TRIAL))


def balance_of(client_id: int) -> Balance:
    """The client's money, in one query. A client whose wallet was never opened has nothing."""
    own_rate = (
        Rate.objects.filter(plan=OuterRef("price_plan"), channel="sms", country__in=[OuterRef("client__country"), ""])
        .filter(valid_from__lte=timezone.now())
        .order_by("-country", "-valid_from")
        .values("unit_price_micros")[:1]
    )
    wallet = (
        Wallet.objects.for_client(client_id)
        .annotate(
            unit_price_micros=Subquery(own_rate), low_micros=F("client__low_balance_micros"), is_funded=is_funded()
        )
        .first()
    )
    if wallet is None:
        client = Client.objects.get(pk=client_id)
        return _balance(0, 0, client.currency, None, client.low_balance_micros, is_funded=False)
    return _balance(
        wallet.balance_micros,
        wallet.reserved_micros,
        wallet.currency,
        wallet.unit_price_micros,
        wallet.low_micros,
        is_funded=wallet.is_funded,
    )


def _balance(
    balance: int, reserved: int, currency: str, price: int | None, threshold: int, *, is_funded: bool
) -> Balance:
    return Balance(
        balance=from_micros(balance),
        reserved=from_micros(reserved),
        available=from_micros(balance - reserved),
        currency=currency,
        unit_price=None if price is None else from_micros(price),
        units=balance // price if price else 0,
        low=is_funded and balance < threshold,
        threshold=from_micros(threshold),
    )


def reservation_remaining(client_id: int, reference: str) -> int:
    """What a reservation still holds, in micros; 0 for one that does not exist."""
    found = Reservation.objects.for_client(client_id).filter(reference=reference).values_list("remaining_micros")
    return found[0][0] if found else 0


def entries_for(
    client_id: int,
    kind: str = "",
    from_date: date | None = None,
    to_date: date | None = None,
    time_zone: str = "UTC",
    within: str = "",
) -> QuerySet[LedgerEntry]:
    """The client's ledger, newest first; dates are inclusive and mean days of `time_zone`.

    within: entries of one cause, such as "campaign:81"; "-" for those that belong to none.
    """
    entries = LedgerEntry.objects.for_client(client_id).order_by("-pk")
    if kind:
        entries = entries.filter(kind=kind)
    if within and within != "-":
        since = start_of_day(from_date, time_zone) if from_date else None
        following = to_date + timedelta(days=1) if to_date and to_date < date.max else None
        before = start_of_day(following, time_zone) if following else None
        return among_few(entries.filter(within=within), since, before)
    if within:
        entries = entries.filter(within=None)
    if from_date:
        entries = entries.filter(created_at__gte=start_of_day(from_date, time_zone))
    if to_date and to_date < date.max:
        entries = entries.filter(created_at__lt=start_of_day(to_date + timedelta(days=1), time_zone))
    return entries


def among_few(entries: QuerySet[LedgerEntry], since: datetime | None, before: datetime | None) -> QuerySet[LedgerEntry]:
    """Those of a span of time, where the other conditions leave few: SQLite would walk through all entries of the span
    by the index of times, a million of them, were the times plain conditions.
    """
    span = Q(created_at__gte=since) if since else Q()
    span &= Q(created_at__lt=before) if before else Q()
    if not span:
        return entries
    inside = Case(When(span, then=Value(1)), default=Value(0), output_field=IntegerField())
    return entries.annotate(inside=inside).filter(inside=1)


def statement_for(
    client_id: int, *, kind: str = "all", since: datetime | None = None, before: datetime | None = None
) -> QuerySet[LedgerEntry]:
    """The ledger as programs read it, newest first: an adjustment counts as a credit or a debit by its sign."""
    entries = LedgerEntry.objects.for_client(client_id).order_by("-pk")
    if kind == EntryKind.CREDIT:
        entries = entries.filter(kind__in=[EntryKind.CREDIT, EntryKind.ADJUSTMENT], amount_micros__gt=0)
    elif kind == EntryKind.DEBIT:
        entries = entries.filter(kind__in=[EntryKind.DEBIT, EntryKind.ADJUSTMENT], amount_micros__lt=0)
    elif kind == EntryKind.REFUND:
        entries = entries.filter(kind=EntryKind.REFUND)
    if since:
        entries = entries.filter(created_at__gte=since)
    if before:
        entries = entries.filter(created_at__lt=before)
    return entries


def start_of_day(day: date, time_zone: str) -> datetime:
    """The first moment of `day` in `time_zone`, in UTC; clamped at the ends of the calendar."""
    local = datetime.combine(day, time.min, tzinfo=ZoneInfo(time_zone))
    try:
        return local.astimezone(UTC)
    except OverflowError:
        return local.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class MonthSummary:
    """opening + added - spent = closing. spent is net of refunds; added is credits and adjustments."""

    month: date
    opening: Decimal
    added: Decimal
    spent: Decimal
    closing: Decimal


def summary_of_month(client_id: int, today: date, time_zone: str) -> MonthSummary:
    """The month of `today` so far. Three look-ups by index: what was spent follows, however many entries there are."""
    month = today.replace(day=1)
    start = start_of_day(month, time_zone)
    entries = LedgerEntry.objects.for_client(client_id)
    before = entries.filter(created_at__lt=start).order_by("-created_at", "-pk").values_list("balance_after_micros")
    opening = (before.first() or (0,))[0]
    closing = (entries.order_by("-pk").values_list("balance_after_micros").first() or (0,))[0]
    added = (
        entries.filter(kind__in=[EntryKind.CREDIT, EntryKind.ADJUSTMENT], created_at__gte=start).aggregate(
            total=Sum("amount_micros")
        )["total"]
        or 0
    )
    return MonthSummary(
        month=month,
        opening=from_micros(opening),
        added=from_micros(added),
        spent=from_micros(opening + added - closing),
        closing=from_micros(closing),
    )


@dataclass(slots=True)
class Moved:
    """What one reference moved, in micros; None for what never was. within: see LedgerEntry."""

    debit: int | None = None
    refund: int | None = None
    within: str | None = None


def movements_of(client_id: int, references: Iterable[str]) -> dict[str, Moved]:
    """Per reference what its debit took (negative) and its refund gave back."""
    wanted = [(reference, number_in(reference)) for reference in references]
    # The months named one by one as well: PostgreSQL then plans for theirs alone.
    months = ", ".join(map(str, sorted({month for _, month in wanted}))) or "0"
    rows = rows_sql(LedgerEntry, ["reference", "period"])
    with connection.cursor() as cursor:
        cursor.execute(  # CROSS JOIN: SQLite then goes from the references to the index, not through the whole ledger
            f"SELECT e.reference, e.kind, e.amount_micros, e.within FROM {rows} "
            f"CROSS JOIN {LedgerEntry._meta.db_table} e "
            "WHERE e.wallet_id = %s AND e.kind IN ('debit', 'refund') AND e.reference = v.reference "
            f"AND e.period = v.period AND e.period IN ({months})",
            [as_json(wanted), client_id],
        )
        found: dict[str, Moved] = {}
        for reference, kind, micros, within in cursor.fetchall():
            moved = found.setdefault(reference, Moved(within=within))
            if kind == EntryKind.DEBIT:
                moved.debit = micros
            else:
                moved.refund = micros
    return found


@dataclass(frozen=True, slots=True)
class WalletDifference:
    """A wallet whose cached sums are not what its rows add up to; micros."""

    client_id: int
    balance_micros: int
    entries_micros: int
    reserved_micros: int
    reservations_micros: int


_WALLET_SUMS = """
SELECT w.client_id, w.balance_micros, COALESCE(e.total, 0), w.reserved_micros, COALESCE(r.total, 0)
FROM wallet_wallet w
LEFT JOIN (SELECT wallet_id, SUM(amount_micros) AS total FROM wallet_ledgerentry GROUP BY wallet_id) e
    ON e.wallet_id = w.client_id
LEFT JOIN (SELECT wallet_id, SUM(remaining_micros) AS total FROM wallet_reservation GROUP BY wallet_id) r
    ON r.wallet_id = w.client_id
WHERE w.balance_micros <> COALESCE(e.total, 0) OR w.reserved_micros <> COALESCE(r.total, 0)
ORDER BY w.client_id
"""

_BROKEN_CHAINS = """
SELECT wallet_id, id FROM (
    SELECT wallet_id, id, balance_after_micros - amount_micros AS before_it,
           LAG(balance_after_micros, 1, CAST(0 AS BIGINT)) OVER (PARTITION BY wallet_id ORDER BY id) AS left_before
    FROM wallet_ledgerentry
) chain WHERE before_it <> left_before ORDER BY wallet_id, id
"""

_ODD_REFUNDS = f"""
SELECT r.wallet_id, r.reference FROM wallet_ledgerentry r
LEFT JOIN wallet_ledgerentry d
    ON d.wallet_id = r.wallet_id AND d.kind = 'debit' AND d.reference = r.reference AND d.period = r.period
WHERE r.kind = 'refund' AND r.reference NOT LIKE '{CARRIED}%'
    AND (d.id IS NULL OR d.amount_micros <> -r.amount_micros)
ORDER BY r.wallet_id, r.id
"""


def check_wallets() -> list[WalletDifference]:
    """M1: wallets whose balance or reserve differs from its rows. One statement, so that both come from one moment."""
    return [WalletDifference(client_id, *(int(sum_) for sum_ in sums)) for client_id, *sums in _rows(_WALLET_SUMS)]


def check_running_balances() -> list[tuple[int, int]]:
    """Entries that do not continue the balance of the one before: (client id, entry id)."""
    return [(wallet_id, entry_id) for wallet_id, entry_id in _rows(_BROKEN_CHAINS)]


def check_refunds() -> list[tuple[int, str]]:
    """M6: refunds that are not exactly their debit: (client id, reference)."""
    return [(wallet_id, reference) for wallet_id, reference in _rows(_ODD_REFUNDS)]


def _rows(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()
