"""Months by number, and the keys that carry them: from 2026 on, a month's first key is its number × MONTH.

What exists before months do has small keys, and counts as of month 0. The largest key stays below 2**53, which is what
JSON holds, for 75,000 years. The database knows the same rule: `number_sql`.
"""

import re
from datetime import UTC, datetime

MONTH = 10**10  # keys of a month; more than 3,000 a second
_EPOCH = 2026 * 12
_NUMBERED = re.compile(r"[a-z]+:([0-9]{1,18})")


def first_of(moment: datetime, later: int = 0) -> datetime:
    """The beginning of a month, in UTC: of the one `moment` is in, or of one some months later or, below 0, earlier."""
    return _begin(moment.year * 12 + moment.month - 1 + later)


def number_of(moment: datetime) -> int:
    """The number of the month that `moment` is in."""
    return moment.year * 12 + moment.month - 1 - _EPOCH


def begin_of(number: int) -> datetime:
    """The first moment of month `number`, in UTC."""
    return _begin(number + _EPOCH)


def _begin(count: int) -> datetime:
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)


def now_sql() -> str:
    """The number of this month by the clock of PostgreSQL; 0 before 2026."""
    return (
        "GREATEST(0, (EXTRACT(YEAR FROM STATEMENT_TIMESTAMP() AT TIME ZONE 'UTC') * 12 + "
        f"EXTRACT(MONTH FROM STATEMENT_TIMESTAMP() AT TIME ZONE 'UTC') - 1 - {_EPOCH})::bigint)"
    )


def number_in(reference: str) -> int:
    """The month of a reference: that of the key in "message:110000000081", 0 of what names no key."""
    found = _NUMBERED.fullmatch(reference)
    return int(found[1]) // MONTH if found else 0


def number_sql(reference: str) -> str:
    """`number_in` of a column, for PostgreSQL."""
    return (
        f"CASE WHEN {reference} ~ '^[a-z]+:[0-9]{{1,18}}$' "
        f"THEN (split_part({reference}, ':', 2)::bigint / {MONTH})::integer ELSE 0 END"
    )
