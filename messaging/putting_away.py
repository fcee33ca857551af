"""Taking a month of messages away, on PostgreSQL: what it adds up to stays, its rows become a table of their own.

A month may go when all of its messages are over and retention has left nothing personal in them: nobody finds a person
in a table that was taken away. From then on tallies, charges and the figures of campaigns count its sums on; lists and
single messages no longer have it.
"""

from datetime import datetime
from typing import Any

from django.db import connection, transaction

from crm.common import spans
from crm.common.months import MONTH
from crm.common.partitions import ByMonth, by_number, take_turn
from messaging import open_months
from messaging.states import WAITING

MESSAGES = ByMonth("messaging_message", by_number("id", MONTH), ())

_WAITING = ", ".join(f"'{status.value}'" for status in WAITING)
_NOT_OVER = f"status IN ({_WAITING}) OR (status = 'sent' AND NOT closed)"
_PERSONAL = "recipient NOT LIKE '#%%' OR text <> '' OR content IS NOT NULL"

_CARRY = """
INSERT INTO messaging_messagesum
    (client_id, campaign_id, hour, channel, status, messages, unconfirmed, cost_micros)
SELECT client_id, campaign_id, date_trunc('hour', created_at, 'UTC'), channel, status, COUNT(*),
       COUNT(*) FILTER (WHERE unconfirmed), SUM(cost_micros)
FROM {name} GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 3
"""


class MonthOpen(Exception):
    """Something is still to be done about messages of a month that was to be put away; the text says what."""


def check_over(moment: datetime) -> None:
    """Raises: MonthOpen, where messages with keys of months that ended by `moment` are not over."""
    border = MESSAGES.key.border(moment)
    if count := _count(f"messaging_message WHERE id < {border} AND ({_NOT_OVER})"):
        raise MonthOpen(f"{count} messages of before {moment:%Y-%m} are not over yet.")


def check_bare(moment: datetime) -> None:
    """Raises: MonthOpen, where months that ended by `moment` hold numbers or texts."""
    for month in MESSAGES.ended_by(moment):
        if count := _count(f"(SELECT 1 FROM {month.name} WHERE {_PERSONAL} LIMIT 1000) AS few"):
            many = "1,000 or more" if count == 1000 else str(count)
            raise MonthOpen(f"{many} messages in {month.name} still hold a number or a text, which retention takes.")


def put_away_before(moment: datetime) -> list[str]:
    """Take away the months that ended by `moment`, each as a table of its own, leaving their sums; their names.

    Raises: MonthOpen, and then takes nothing away; OperationalError, where locks are held.
    """
    check_over(moment)
    check_bare(moment)
    left = [month.name for month in MESSAGES.ended_by(moment)]
    for name in left:
        with transaction.atomic(), connection.cursor() as cursor:
            take_turn(cursor)
            cursor.execute(f"LOCK TABLE {name} IN SHARE MODE")  # readers go on while it is added up
            if count := _count(f"{name} WHERE ({_NOT_OVER}) OR ({_PERSONAL})"):  # whatever came since we looked
                raise MonthOpen(f"{count} messages came into {name} meanwhile.")
            cursor.execute(_CARRY.format(name=name))
            MESSAGES.detach(name, drop=False)
    if left:
        spans.forget_borders()
        open_months.forget()
    return left


def _count(source: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {source}", [])
        found: Any = cursor.fetchone()
        return int(found[0])
