"""Measure accepting, pricing, queueing and sending in a database of their own, beside none of yours."""

import logging
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from crm.bench import measures

MOST_PEOPLE = 200_000


class Command(BaseCommand):
    help = (
        "Measures this machine in an empty database that is made for it and removed afterwards: SQLite beside the "
        "installation's, or a further database on the same PostgreSQL server. A carrier on loopback accepts everything."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--people", type=int, default=10_000, help=f"recipients, 1,000 to {MOST_PEOPLE:,}")
        parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md for this database as well")

    def handle(self, *args: Any, **options: Any) -> None:
        people = options["people"]
        if not 1000 <= people <= MOST_PEOPLE:
            raise CommandError(f"--people is between 1,000 and {MOST_PEOPLE:,}.")
        logging.getLogger().setLevel(logging.WARNING)
        current_app.conf.broker_url = "memory://localhost"  # nobody is woken: the measures call what a worker would
        connection.settings_dict["TEST"]["NAME"] += "-bench" if connection.vendor == "sqlite" else "_bench"
        name = connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        try:
            figures = measures.run_all(people=people, say=self.stderr.write)
            table = _table(figures)
            money = measures.money_adds_up()
        finally:
            connection.creation.destroy_test_db(name, verbosity=0)
        self.stdout.write(table)
        self.stdout.write(f"{measures.machine()}; every wallet {money}")
        if options["write"]:
            _write(table, f"{measures.machine()}; every wallet {money}")
        if money == "differs":
            raise CommandError("A wallet differs from its entries.")


def _table(figures: Any) -> str:
    lines = ["| what | rows | per second | CPU s per 1,000 | remark |", "|---|---:|---:|---:|---|"]
    for figure in figures:
        extra = ", ".join(f"{name} {value:.0f}" for name, value in figure.extra.items())
        remark = "; ".join(part for part in (figure.remark, extra) if part)
        lines.append(
            f"| {figure.what} | {figure.count:,} | {figure.per_second:,.0f} | {figure.cpu_per_1000:.2f} | {remark} |"
        )
    return "\n".join(lines)


def _write(table: str, machine: str) -> None:
    """Replace this database's part of docs/benchmarks.md."""
    path = Path(settings.BASE_DIR) / "docs" / "benchmarks.md"
    parts = dict(part.split("\n", 1) for part in path.read_text().split("\n## ")[1:]) if path.exists() else {}
    parts[connection.vendor] = f"\n{table}\n\n{machine}\n"
    head = (
        "# Benchmarks\n\nWritten by `manage.py bench --write`. One shared machine: compare figures within a table, "
        "not with another day's. CPU is that of the measuring process alone.\n"
    )
    path.write_text(head + "".join(f"\n## {name}\n{text.rstrip()}\n" for name, text in sorted(parts.items())))
