"""`manage.py doctor`: is everything this installation needs there and moving? The exit code tells how bad it is."""

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import orjson
from django.conf import settings
from django.core import checks
from django.core.cache import cache
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min

from crm import health
from crm.common import heartbeat, replica
from crm.common.months import first_of
from crm.common.sql import database_now
from crm.doctor.findings import Finding
from crm.doctor.roads import examine_roads
from messaging import months
from messaging.models import Message, MessageStatus, ProviderCallback
from wallet.reconciliation import last_run

OLD_SECONDS = 60.0  # what has been due for longer than this should have left by the sweep (GUARANTEES D3)
BOOKS_OLD_HOURS = 26.0  # they are compared daily


class Command(BaseCommand):
    help = (
        "Look at configuration, database, broker, workers, queues and providers, each of which is tried for real; say "
        "what to do about each fault. Exit code: 0 all is well, 1 a fault, 2 only warnings."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object instead")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["json"]:
            findings = list(examine())
            rows = [
                {"subject": f.subject, "severity": f.severity, "words": f.words, "advice": f.advice} for f in findings
            ]
            counts: Counter[str] = Counter(finding.severity for finding in findings)
            body = {"faults": counts["fault"], "warnings": counts["warning"], "findings": rows}
            self.stdout.write(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())
        else:
            counts = Counter(self._show(finding) for finding in examine())
            self.stdout.write(_sum_of(counts))
        sys.exit(1 if counts["fault"] else 2 if counts["warning"] else 0)

    def _show(self, finding: Finding) -> str:
        marks = {
            "ok": self.style.SUCCESS("ok   "),
            "warning": self.style.WARNING("WARN "),
            "fault": self.style.ERROR("FAULT"),
        }
        self.stdout.write(f"{marks[finding.severity]} {finding.subject}: {finding.words}")
        if finding.advice:
            self.stdout.write(f"      {finding.advice}")
        return finding.severity


def _sum_of(counts: Counter[str]) -> str:
    parts = [
        f"{counts[severity]} {severity}{'' if counts[severity] == 1 else 's'}"
        for severity in ("fault", "warning")
        if counts[severity]
    ]
    return f"{' and '.join(parts)} found." if parts else "All is well."


def examine() -> Iterator[Finding]:
    """Every finding, in the order in which faults should be mended: a later one often follows from an earlier one."""
    yield from examine_configuration()
    try:
        database_now()
    except Exception as error:
        yield Finding("database", f"cannot be used: {error}".strip(), "Check DATABASE_URL and its server.")
        return
    yield Finding("database", f"{connection.vendor} answers")
    pending = pending_migrations()
    if pending:
        yield Finding("migrations", f"{len(pending)} not applied", "Run: python manage.py migrate")
        return
    yield Finding("migrations", "all applied")
    yield from examine_replica()
    yield from examine_cache_and_broker()
    yield from examine_workers()
    yield from examine_queues()
    yield examine_books()
    yield from examine_months()
    yield from examine_roads()


def examine_configuration() -> Iterator[Finding]:
    messages = checks.run_checks(include_deployment_checks=settings.HTTPS)
    for message in messages:
        if message.level >= checks.WARNING:
            yield Finding("configuration", f"{message.id}: {message.msg}", message.hint or "See docs/settings.md.")
    if not messages:
        yield Finding("configuration", f"public address {settings.PUBLIC_URL}")


def pending_migrations() -> list[Any]:
    executor = MigrationExecutor(connection)
    return executor.migration_plan(executor.loader.graph.leaf_nodes())


def examine_replica() -> Iterator[Finding]:
    """The copy that histories are read from, where there is one."""
    if not replica.is_configured():
        return
    elsewhere = "Until then the database itself is read."
    try:
        lag = replica.lag_seconds()
    except replica.ReplicaAway as error:
        advice = f"Check DATABASE_REPLICA_URL and its server. {elsewhere}"
        yield Finding("read replica", f"cannot be asked ({error})", advice, grave=False)
        return
    late = f"Look at its log and pg_stat_replication: does it follow? {elsewhere}" if lag > replica.MOST_BEHIND else ""
    yield Finding("read replica", f"{lag:.0f} s behind", late, grave=False)


def examine_cache_and_broker() -> Iterator[Finding]:
    try:
        cache.set("doctor", "here", 30)
        works = cache.get("doctor") == "here"
    except Exception as error:
        yield Finding("cache", f"cannot be used ({error})", "Check CACHE_URL, or run manage.py createcachetable")
    else:
        advice = "" if works else "It forgets at once: check the memory limit of the server at CACHE_URL."
        yield Finding("cache", "keeps what it is given" if works else "lost a value", advice)
    broker = urlsplit(settings.CELERY_BROKER_URL).scheme
    try:
        health.check_broker()
    except Exception as error:
        yield Finding("broker", f"{broker}: {error}", "Check CELERY_BROKER_URL and its server. Sending goes on.")
    else:
        yield Finding("broker", f"{broker} takes messages")


def examine_workers() -> Iterator[Finding]:
    now = database_now()
    for queue in heartbeat.QUEUES:
        try:
            silence = heartbeat.silent_seconds(queue, now)
        except Exception as error:
            yield Finding(f"{queue} worker", f"unknown ({error})", "Mend the cache first.")
            continue
        if silence is not None and silence < heartbeat.STALE_SECONDS:
            yield Finding(f"{queue} worker", f"seen {silence:.0f} s ago")
        else:
            seen = "not seen in the last day" if silence is None else f"silent for {silence:.0f} s"
            yield Finding(f"{queue} worker", seen, f"Start it: python manage.py worker --queue {queue} (or make run)")


def examine_queues() -> Iterator[Finding]:
    now = database_now()
    due = Message.objects.unscoped().filter(status=MessageStatus.QUEUED).exclude(next_attempt_at__gt=now)
    found = due.aggregate(count=Count("pk"), oldest=Min("queued_at"))
    yield _age("message queue", found, now, "Look at the main worker and the providers below.")
    found = ProviderCallback.objects.filter(processed_at=None, due_at__lte=now).aggregate(
        count=Count("pk"), oldest=Min("due_at")
    )
    yield _age("provider callbacks", found, now, "Look at the main worker's log.")


def examine_months() -> Iterator[Finding]:
    """Whether the partitions of large tables are made ahead, on PostgreSQL."""
    advice = "The schedule makes them hourly: look at the heavy worker's log, or run: python manage.py months"
    for name, table in months.TABLES.items():
        ready = [month.ends for month in table.months() if month.ends]
        if not ready:
            continue
        until = f"made until {max(ready):%Y-%m-%d}"
        if stray := table.rows_without_month():
            yield Finding(f"months of {name}", f"{until}; {stray} rows have none", advice, grave=False)
        elif max(ready) <= first_of(database_now(), 1):
            yield Finding(f"months of {name}", until, advice, grave=False)
        else:
            yield Finding(f"months of {name}", until)


def examine_books() -> Finding:
    """The daily reconciliation: when it last ended, and what it found."""
    run, advice = last_run(), "Run: python manage.py reconcile"
    if run is None or run.finished_at is None:
        return Finding("books", "not compared yet; the schedule does it daily")
    hours = (database_now() - run.finished_at).total_seconds() / 3600
    if run.differences:
        return Finding("books", f"{run.differences} differences, compared {hours:.0f} h ago", advice)
    if hours > BOOKS_OLD_HOURS:
        return Finding("books", f"last compared {hours:.0f} h ago", "Look at the schedule and the heavy worker.")
    return Finding("books", f"agree, compared {hours:.0f} h ago")


def _age(subject: str, found: dict[str, Any], now: Any, advice: str) -> Finding:
    if not found["count"]:
        return Finding(subject, "empty")
    age = max(0.0, (now - found["oldest"]).total_seconds()) if found["oldest"] else 0.0
    return Finding(
        subject, f"{found['count']} waiting, the oldest for {age:.0f} s", advice if age > OLD_SECONDS else ""
    )
