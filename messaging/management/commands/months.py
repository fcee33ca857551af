"""`manage.py months`: the timelines of messages by month, on PostgreSQL."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from crm.common.sql import database_now
from messaging import months


def _month(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise ArgumentTypeError(f"{text} is not a month such as 2026-03") from None


class Command(BaseCommand):
    help = (
        "Make the partitions of the coming months and show all of them, with what each takes. With --detach-before or "
        "--drop-before, take away the months before one: detached ones stay as tables, which pg_dump --table keeps."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        away = parser.add_mutually_exclusive_group()
        away.add_argument("--detach-before", type=_month, metavar="YYYY-MM", help="the table of each stays")
        away.add_argument("--drop-before", type=_month, metavar="YYYY-MM", help="its rows are gone for good")

    def handle(self, *args: Any, detach_before: datetime | None, drop_before: datetime | None, **options: Any) -> None:
        if not months.is_partitioned():
            raise CommandError("Timelines are by month on PostgreSQL only; EVENT_MONTHS_KEPT works everywhere.")
        moment = detach_before or drop_before
        if moment and moment > months.first_of(database_now()):
            raise CommandError(f"{moment:%Y-%m} has not begun: what is before it is not over.")
        try:
            for name in months.make_months():
                self.stdout.write(f"made {name}")
            if moment:
                for name in months.detach_before(moment, drop=drop_before is not None):
                    self.stdout.write(f"{'dropped' if drop_before else 'detached'} {name}")
        except OperationalError as error:
            raise CommandError(f"Others held the table for too long ({type(error).__name__}). Try again.") from None
        for month in months.months():
            until = f"until {month.ends:%Y-%m-%d}" if month.ends else "without a month"
            self.stdout.write(f"{month.name}: {until}, {month.megabytes:,.1f} MB")
