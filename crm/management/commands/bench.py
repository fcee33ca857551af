"""Measure accepting, importing, queueing, sending and reading in a database of their own, beside none of yours."""

import logging
import time
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.test.utils import override_settings

from crm.bench import arriving, machine, report, sending, straw
from crm.bench.machine import Figure
from crm.common.garbage import keep_what_is_loaded
from wallet.queries import check_wallets

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of each is measured. runs: of which the median is taken. minutes: for all of it; what would begin later
    is left out, and the history gets what is left."""

    minutes: float
    runs: int
    campaign: int
    straw: int
    seconds: float
    bulk: int
    start: int
    imported: int
    history: int
    reports: int
    mails: int
    growth: tuple[int, ...]
    crowd: int


FULL = Size(
    minutes=15, runs=3, campaign=50_000, straw=600, seconds=8, bulk=50_000, start=1_000_000, imported=1_000_000,
    history=10_000_000, reports=10_000, mails=10_000, growth=(10_000, 100_000), crowd=100_000,
)  # fmt: skip
MEDIUM = Size(
    minutes=8, runs=1, campaign=20_000, straw=300, seconds=5, bulk=20_000, start=100_000, imported=100_000,
    history=500_000, reports=5_000, mails=4_000, growth=(10_000,), crowd=50_000,
)  # fmt: skip
QUICK = Size(
    minutes=6, runs=1, campaign=2_000, straw=100, seconds=2, bulk=3_000, start=5_000, imported=5_000, history=20_000,
    reports=500, mails=400, growth=(1_000,), crowd=2_000,
)  # fmt: skip
PARTS = (
    "strawman",
    "memory",
    "single",
    "bulk",
    "campaign",
    "reports",
    "email",
    "start",
    "import",
    "search",
    "growth",
    "fairness",
    "history",
)


class Command(BaseCommand):
    help = (
        "Measures this machine in an empty database that is made for it and removed afterwards: SQLite beside the "
        "installation's, or a further database on the same PostgreSQL server. A carrier on loopback accepts everything."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        size = parser.add_mutually_exclusive_group()
        size.add_argument("--quick", action="store_true", help="small numbers: whether everything runs, in a minute")
        size.add_argument("--medium", action="store_true", help="middling numbers, one run of each")
        parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=" ".join(PARTS))
        parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and its plot as well")

    def handle(self, *args: Any, **options: Any) -> None:
        size = QUICK if options["quick"] else MEDIUM if options["medium"] else FULL
        logging.getLogger().setLevel(logging.ERROR)
        broker = settings.CELERY_BROKER_URL
        current_app.conf.broker_url = "memory://localhost"  # nobody is woken: the measures call what a worker would
        connection.settings_dict["TEST"]["NAME"] = _name()
        self.stderr.write("making an empty database")
        name = connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        try:
            with TemporaryDirectory() as folder, override_settings(MEDIA_ROOT=folder):
                figures = self._measure(size, options["only"], broker)
            differing, versions = check_wallets(), machine.describe()
        finally:
            connection.creation.destroy_test_db(name, verbosity=0)
        money = "a wallet differs from its entries" if differing else "every wallet equals its entries"
        words = f"{report.table(figures, connection.vendor)}\n\n{versions}; {money}."
        self.stdout.write(words)
        if options["write"]:
            self.stdout.write(f"written: {report.write(connection.vendor, words, figures)}")
        if differing:
            raise CommandError("A wallet differs from its entries.")

    def _measure(self, size: Size, only: Sequence[str], broker: str) -> list[Figure]:
        keep_what_is_loaded()  # as a worker does, whose work is done in this process
        figures: list[Figure] = []
        until = time.monotonic() + 60 * size.minutes

        def add(
            part: str, measure: Callable[[], Figure | list[Figure]], *, runs: int = 1, always: bool = False
        ) -> None:
            if part not in only:
                return
            self.stderr.write(f"{part} …")
            found: list[Figure | list[Figure]] = []
            while len(found) < runs and (not found or time.monotonic() < until):
                if time.monotonic() > until and not always:
                    self.stderr.write("  left out: the time is over")
                    figures.append(Figure(f"{part}: left out, the {size.minutes:g} minutes were over", 0))
                    return
                try:
                    found.append(measure())
                except Exception as error:  # an hour's measures are not lost with one of them
                    log.exception("a measure broke")
                    figures.append(Figure(f"{part}: broke with {type(error).__name__}", 0))
                    return
            middle = _middle(found)
            for figure in middle if isinstance(middle, list) else [middle]:
                self.stderr.write(f"  {figure.what}: {figure.per_second:,.0f}/s")
                figures.append(figure)

        if straw.is_there():
            usable = broker if broker.startswith(("redis", "amqp")) else ""
            add("strawman", lambda: straw.measure_strawman(size.straw, size.seconds, usable))
        # Before anything is left in the queue: the workers of a whole installation would take that up too.
        add("memory", lambda: sending.memory(2 * size.campaign))
        add("single", lambda: arriving.single_sends(size.seconds), runs=size.runs)
        add("bulk", lambda: arriving.bulk_sends(size.bulk), runs=size.runs)
        for latency in (0.0, 0.05):
            add("campaign", partial(sending.campaign, size.campaign, latency), runs=size.runs)
        add("reports", lambda: sending.reports(size.reports))
        add("email", lambda: sending.mails(size.mails), runs=size.runs)
        add("start", lambda: arriving.start_of(size.start))
        if "start" in only:
            add("growth", lambda: sending.from_a_long_queue(2 * size.seconds))
        add("import", lambda: arriving.imports(size.imported))
        add("search", arriving.search)
        for people in size.growth:
            add("growth", partial(sending.campaign, people, 0.0))
        for processes in (2, 4):
            add("growth", partial(sending.campaign, size.growth[0], 0.05, processes=processes))
        for clients in (1, 100):
            add("fairness", partial(sending.fairness, size.crowd, clients))
        # At least so long also where the rest took more: the history is laid in as far as that goes.
        add("history", lambda: arriving.history(size.history, max(until - time.monotonic(), 60)), always=True)
        return figures


def _name() -> str:
    name = connection.settings_dict["TEST"].get("NAME") or f"test_{connection.settings_dict['NAME']}"
    return f"{name}-bench" if connection.vendor == "sqlite" else f"{name}_bench"


def _middle(runs: Sequence[Figure | list[Figure]]) -> Figure | list[Figure]:
    """The run in the middle by its speed; for measures of several figures there is one run."""
    single = [run for run in runs if isinstance(run, Figure)]
    if len(single) < 2:
        return runs[0]
    wanted = median([run.per_second for run in single])
    return min(single, key=lambda run: abs(run.per_second - wanted))
