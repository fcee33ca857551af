"""`manage.py months`: messages, timelines and the ledger by month, on PostgreSQL."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from crm.common.months import first_of
from crm.common.sql import database_now
from messaging import months
from messaging.putting_away import MonthOpen


def _month(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise ArgumentTypeError(f"{text} is not a month such as 2026-03") from None


class Command(BaseCommand):
    help = (
        "Make the partitions of the coming months and show all of them, with what each takes. With --detach-before, "
        "take away the months before one: they stay as tables, which pg_dump --table keeps, and what they add up to "
        "stays in the books and figures. With --drop-before, timelines of before it are gone for good."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        away = parser.add_mutually_exclusive_group()
        away.add_argument("--detach-before", type=_month, metavar="YYYY-MM", help="the table of each stays")
        away.add_argument("--drop-before", type=_month, metavar="YYYY-MM", help="timelines alone; for good")
        parser.add_argument("--only", choices=list(months.TABLES), help="detach this table's months alone")

    def handle(
        self,
        *args: Any,
        detach_before: datetime | None,
        drop_before: datetime | None,
        only: str | None,
        **options: Any,
    ) -> None:
        if not months.TIMELINES.is_partitioned():
            raise CommandError("Tables are by month on PostgreSQL only; EVENT_MONTHS_KEPT works everywhere.")
        moment = detach_before or drop_before
        if moment and moment > first_of(database_now()):
            raise CommandError(f"{moment:%Y-%m} has not begun: what is before it is not over.")
        try:
            for name in months.make_months():
                self.stdout.write(f"made {name}")
            if drop_before:
                for name in months.TIMELINES.detach_before(drop_before, drop=True):
                    self.stdout.write(f"dropped {name}")
            if detach_before:
                for name in months.detach_before(detach_before, only=only or ""):
                    self.stdout.write(f"detached {name}")
        except MonthOpen as error:
            raise CommandError(f"{error} Then it can go; --only takes away the months of one table.") from None
        except OperationalError as error:
            raise CommandError(f"Others held the table for too long ({type(error).__name__}). Try again.") from None
        for table in months.TABLES.values():
            for month in table.months():
                until = f"until {month.ends:%Y-%m-%d}" if month.ends else "without a month"
                self.stdout.write(f"{month.name}: {until}, {month.megabytes:,.1f} MB")
