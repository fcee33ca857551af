"""What grows with every message, by month on PostgreSQL: messages, timelines, and the ledger of the wallets.

crm/common/partitions.py makes and detaches; here is which tables there are, and when a month of each may go. On SQLite
a table is one, and old timelines are deleted.
"""

import logging
from datetime import datetime

from django.conf import settings
from django.db import OperationalError

from crm.common.months import first_of
from crm.common.partitions import ByMonth, by_time
from crm.common.sql import database_now
from crm.common.stopping import stop_requested
from messaging.models import MessageEvent
from messaging.putting_away import MESSAGES, check_bare, check_over, put_away_before
from wallet.months import LEDGER, close_before

log = logging.getLogger(__name__)

DELETED_AT_ONCE = 5000
TIMELINES = ByMonth("messaging_messageevent", by_time("at"), ())
TABLES = {"timelines": TIMELINES, "messages": MESSAGES, "ledger": LEDGER}


def make_months() -> list[str]:
    """The coming months of every table; the names of what was made. Raises: OperationalError, where locks are held."""
    return [name for table in TABLES.values() for name in table.make_months()]


def detach_before(moment: datetime, *, only: str = "") -> list[str]:
    """Take away the months that ended by `moment`, of every table or of one, as tables of their own; their names.

    Raises: MonthOpen, and then takes nothing away; OperationalError, where locks are held.
    """
    wanted = [only] if only else list(TABLES)
    if "ledger" in wanted or "messages" in wanted:
        check_over(moment)
    if "messages" in wanted:
        check_bare(moment)
    away = {
        "timelines": lambda: TIMELINES.detach_before(moment, drop=False),
        "messages": lambda: put_away_before(moment),
        "ledger": lambda: close_before(moment),
    }
    return [name for table in wanted for name in away[table]()]


def delete_before(moment: datetime, most: int, dry_run: bool = False) -> int:
    """Where the table is one: delete up to `most` of its oldest rows that are older than `moment`; how many there are.

    Rows are written as time passes, so the oldest have the lowest keys.
    """
    oldest = MessageEvent.objects.unscoped().order_by("pk").values_list("pk", "at")[: min(most, DELETED_AT_ONCE)]
    ids = [pk for pk, at in oldest if at < moment]
    if ids and not dry_run:
        MessageEvent.objects.unscoped().filter(pk__in=ids).delete()
    return len(ids)


def keep_months() -> None:
    """What the schedule does hourly: the months to come are made, and those that are not kept are taken away.

    A lock that could not be had in time is waited for by the next run.
    """
    try:
        if made := make_months():
            log.info("made: %s", ", ".join(made))
        kept = settings.EVENT_MONTHS_KEPT
        if kept and (gone := take_away(first_of(database_now(), -kept))):
            log.info("timelines that are older than %d months: %s", kept, gone)
    except OperationalError as error:
        log.warning("months wait for a lock (%s)", type(error).__name__)


def take_away(moment: datetime) -> str:
    """Remove timelines that ended by `moment`, which begins a month; in words what went, "" for nothing."""
    if TIMELINES.is_partitioned():
        return ", ".join(TIMELINES.detach_before(moment, drop=True))
    total = 0
    while not stop_requested() and (deleted := delete_before(moment, DELETED_AT_ONCE)):
        total += deleted
    return f"{total} rows" if total else ""
