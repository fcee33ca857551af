"""The ledger by month, on PostgreSQL: the months to come are made, old ones are closed and detached.

A month holds what is about its messages, whenever it was booked: a refund lies where its debit lies. What names no
month (top-ups, adjustments, and all that was booked before there were months) is in the first partition, which stays.

When a month leaves, its entries leave behind what they add up to, by wallet, hour, kind and campaign: lines of the same
kinds whose keys are those of entries they stand for, so that every balance, chain, list and statement goes on from one
to the next. From then on the database refuses any entry about that month.
"""

from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_noop

from crm.common.months import first_of, number_of
from crm.common.partitions import ByMonth, by_number, take_turn
from wallet.models import CARRIED

LEDGER = ByMonth(
    "wallet_ledgerentry", by_number("period"), (("wallet_id", "wallet_wallet"), ("by_id", "accounts_user"))
)
CLOSED = f"{LEDGER.table}_closed"
WORDS = gettext_noop("Sum of entries that were put away")  # wallet.causes translates it

# The entries of a wallet that nothing else of it stands between, and that were booked in one hour, become one line for
# each kind and campaign, refunds first so that no balance is negative in between. A line takes the key of one of them.
_CARRY = f"""
INSERT INTO wallet_ledgerentry
    (id, wallet_id, kind, amount_micros, balance_after_micros, reference, within, description, created_at)
WITH everything AS (
    SELECT id, wallet_id, kind, within, amount_micros, balance_after_micros, created_at, period,
           COUNT(*) FILTER (WHERE period <> %(period)s) OVER (PARTITION BY wallet_id ORDER BY id) AS after_others
    FROM wallet_ledgerentry
    WHERE id BETWEEN (SELECT MIN(id) FROM wallet_ledgerentry WHERE period = %(period)s)
                 AND (SELECT MAX(id) FROM wallet_ledgerentry WHERE period = %(period)s)
), leaving AS (
    SELECT *, MAX(date_trunc('hour', created_at)) OVER (PARTITION BY wallet_id ORDER BY id) AS hour
    FROM everything WHERE period = %(period)s
), keys AS (
    SELECT wallet_id, after_others, hour, id, balance_after_micros - amount_micros AS before_it,
           ROW_NUMBER() OVER (PARTITION BY wallet_id, after_others, hour ORDER BY id) AS place
    FROM leaving
), lines AS (
    SELECT wallet_id, after_others, hour, kind, within, SUM(amount_micros) AS amount, MAX(created_at) AS at,
           ROW_NUMBER() OVER (PARTITION BY wallet_id, after_others, hour
                              ORDER BY kind = 'debit', within NULLS FIRST) AS place
    FROM leaving GROUP BY wallet_id, after_others, hour, kind, within
)
SELECT keys.id, wallet_id, kind, amount,
       FIRST_VALUE(before_it) OVER run + SUM(amount) OVER run, '{CARRIED}' || %(name)s || '/' || keys.id, within,
       %(words)s, at
FROM lines JOIN keys USING (wallet_id, after_others, hour, place)
WINDOW run AS (PARTITION BY wallet_id, after_others, hour ORDER BY place)
"""


def close_before(moment: datetime) -> list[str]:
    """Take away the months that ended by `moment`, each as a table of its own, leaving their sums; their names.

    The caller knows that nothing is still to be booked about them. What was before months stays.
    """
    before, *others = LEDGER.months()
    left = [month for month in others if month.ends and month.ends <= moment and month.name != CLOSED]
    for month in left:
        assert before.ends
        assert month.ends
        with transaction.atomic(), connection.cursor() as cursor:
            take_turn(cursor)
            cursor.execute(f"LOCK TABLE {month.name} IN SHARE MODE")  # readers go on while it is added up
            period = number_of(first_of(month.ends, -1))
            name = month.name.removeprefix(f"{LEDGER.table}_").replace("_", "-")
            cursor.execute(_CARRY, {"period": period, "name": name, "words": WORDS})
            LEDGER.detach(month.name, drop=False)
            _refuse(cursor, number_of(before.ends), period + 1)
    return [month.name for month in left]


def _refuse(cursor: Any, start: int, end: int) -> None:
    """Entries about the months from `start` to before `end` are refused: their partition takes none."""
    cursor.execute(f"DROP TABLE IF EXISTS {CLOSED}")
    LEDGER.create(cursor, CLOSED, f", CONSTRAINT {CLOSED} CHECK (false)")
    cursor.execute(f"ALTER TABLE {LEDGER.table} ATTACH PARTITION {CLOSED} FOR VALUES FROM ({start}) TO ({end})")
