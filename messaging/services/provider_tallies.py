"""Counting how messages fare by provider account and network: deltas written beside the move, melted by the sweep."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from django.db import connection, transaction

from crm.common.money import to_micros
from crm.common.sql import as_datetime, database_now, insert_rows, skip_locked
from messaging.models import ProviderTally

_COLUMNS = ("account_id", "slot", "country", "network", "measure", "amount", "merged")
SLOT_MINUTES = 10
COARSE_AFTER = timedelta(hours=6)  # then the slots of an hour become one
KEPT = timedelta(days=35)
MERGED_AT_ONCE = 5_000
_STEP = math.log(1.25)  # buckets of seconds: each a quarter longer than the one before


@dataclass(frozen=True, slots=True)
class Where:
    """Which figures something belongs to; sent_at decides the slot."""

    account_id: int | None
    country: str
    network: str
    sent_at: datetime


@dataclass(slots=True)
class Figures:
    """Deltas of one batch, to be written in one statement in the transaction that moves its messages."""

    changes: dict[tuple, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, where: Where, measure: str, amount: int = 1) -> None:
        if where.account_id is not None:
            slot = slot_of(where.sent_at)
            self.changes[where.account_id, slot, where.country, where.network, measure[:48]] += amount

    def write(self) -> None:
        insert_rows(ProviderTally, _COLUMNS, [(*key, amount, False) for key, amount in self.changes.items() if amount])


def slot_of(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute - moment.minute % SLOT_MINUTES, second=0, microsecond=0)


def bucket_of(seconds: float) -> int:
    """The bucket of a time to delivery; what is below a tenth of a second counts as that."""
    return round(math.log(max(seconds, 0.1)) / _STEP)


def seconds_of(bucket: int) -> float:
    """The time for which a bucket stands, right within an eighth."""
    return math.exp(bucket * _STEP)


@lru_cache(1024)  # a provider's prices are few, its answers many
def read_cost(words: str) -> tuple[str, int] | None:
    """("KES", micros) of a provider's "KES 0.8000"; None where it says no amount."""
    currency, _, amount = words.strip().partition(" ")
    try:
        micros = to_micros(Decimal(amount.strip()))
    except (InvalidOperation, ValueError):
        return None
    return (currency.upper(), micros) if len(currency) == 3 and currency.isalpha() and micros > 0 else None


_MERGE = (
    "ON CONFLICT (slot, account_id, country, network, measure) WHERE merged DO UPDATE SET "
    "amount = messaging_providertally.amount + excluded.amount"
)


@transaction.atomic
def merge_provider_tallies(*, limit: int = MERGED_AT_ONCE) -> int:
    """Melt up to `limit` fresh rows into the merged ones; returns how many. Safe to run twice at once."""
    now = database_now()
    coarse = now - COARSE_AFTER
    with connection.cursor() as cursor:
        cursor.execute(
            f"""DELETE FROM messaging_providertally WHERE id IN (
                    SELECT id FROM messaging_providertally WHERE NOT merged ORDER BY id LIMIT %s {skip_locked()})
                RETURNING account_id, slot, country, network, measure, amount""",
            [limit],
        )
        taken = cursor.fetchall()
    sums: dict[tuple, int] = defaultdict(int)
    for account_id, slot, country, network, measure, amount in taken:
        moment = as_datetime(slot)
        if moment < coarse:
            moment = moment.replace(minute=0)
        sums[moment, account_id, country, network, measure] += amount
    # In key order: two mergers that meet the same rows wait for each other instead of deadlocking.
    rows = [(account, slot, country, network, measure, sums[slot, account, country, network, measure], True)
            for slot, account, country, network, measure in sorted(sums)]  # fmt: skip
    insert_rows(ProviderTally, _COLUMNS, rows, suffix=_MERGE)
    return len(taken)


@transaction.atomic
def coarsen_provider_tallies(*, limit: int = MERGED_AT_ONCE) -> int:
    """Put rows that are older than COARSE_AFTER back as rows of their full hour, and drop what is too old."""
    now = database_now()
    end = now - COARSE_AFTER
    old = ProviderTally.objects.filter(merged=True, slot__lt=end, slot__gte=end - timedelta(hours=2))
    ids = list(old.exclude(slot__minute=0).order_by("pk").values_list("pk", flat=True)[:limit])
    rows = _take(ids)
    insert_rows(
        ProviderTally,
        _COLUMNS,
        [(account, as_datetime(slot).replace(minute=0), *rest, False) for account, slot, *rest in rows],
    )
    gone = ProviderTally.objects.filter(slot__lt=now - KEPT).order_by("pk").values("pk")[:limit]
    ProviderTally.objects.filter(pk__in=list(gone.values_list("pk", flat=True))).delete()
    return len(rows)


def _take(ids: Iterable[int]) -> list[tuple]:
    wanted = list(ids)
    if not wanted:
        return []
    marks = ", ".join(["%s"] * len(wanted))
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM messaging_providertally WHERE id IN ({marks}) AND merged "
            "RETURNING account_id, slot, country, network, measure, amount",
            wanted,
        )
        return cursor.fetchall()
