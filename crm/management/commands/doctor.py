"""`manage.py doctor`: is everything this installation needs there and moving? Exit code 1 when something is not."""

import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.cache import cache
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min

from crm import health
from crm.common import heartbeat
from crm.common.sql import database_now
from messaging.models import Message, MessageStatus, ProviderAccount, ProviderCallback, Route
from messaging.providers.registry import get_adapter
from wallet.reconciliation import last_run

OLD_SECONDS = 60.0  # what has been due for longer than this should have left by the sweep (GUARANTEES D3)
CONNECT_SECONDS = 5.0
BOOKS_OLD_HOURS = 26.0  # they are compared daily


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `advice` is empty when it is in order."""

    subject: str
    words: str
    advice: str = ""


class Command(BaseCommand):
    help = "Look at configuration, database, broker, workers, queues and providers; say what to do about each fault."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        faults = 0
        for finding in examine():
            faults += bool(finding.advice)
            mark = self.style.ERROR("FAULT") if finding.advice else self.style.SUCCESS("ok   ")
            self.stdout.write(f"{mark} {finding.subject}: {finding.words}")
            if finding.advice:
                self.stdout.write(f"      {finding.advice}")
        self.stdout.write(f"{faults} fault{'' if faults == 1 else 's'} found." if faults else "All is well.")
        sys.exit(1 if faults else 0)


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
    yield from examine_cache_and_broker()
    yield from examine_workers()
    yield from examine_queues()
    yield examine_books()
    yield from examine_providers()


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


def examine_providers() -> Iterator[Finding]:
    accounts = list(ProviderAccount.objects.filter(is_active=True))
    if not accounts:
        yield Finding("providers", "none", "Connect one in the back office under Provider accounts.")
    if not Route.objects.filter(account__is_active=True).exists():
        yield Finding("routes", "none leads to an active account", "Add one in the back office under Routes.")
    now = database_now()
    for account in accounts:
        yield examine_provider(account, now)


def examine_provider(account: ProviderAccount, now: Any) -> Finding:
    """Whether the account's address takes a connection (and, for https, a handshake). Nothing is sent."""
    subject = f"provider “{account.name}”"
    try:
        adapter = get_adapter(account.adapter)
    except LookupError as error:
        return Finding(subject, str(error), "Choose an adapter of this release, or switch the account off.")
    given = getattr(settings, f"{account.adapter.upper()}_BASE_URL", "")
    address = urlsplit(account.base_url or given or adapter.default_base_url)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        with socket.create_connection((address.hostname or "", port), timeout=CONNECT_SECONDS) as plain:
            if address.scheme == "https":
                ssl.create_default_context().wrap_socket(plain, server_hostname=address.hostname).close()
    except (OSError, ValueError) as error:
        advice = "Check the account's address, this host's network and its firewall."
        return Finding(subject, f"{address.hostname}:{port} cannot be reached ({error})", advice)
    if account.rest_until and account.rest_until > now:
        words = f"rests until {account.rest_until:%H:%M:%S} UTC: {account.rest_reason}"
        return Finding(subject, words, "It comes back by itself; other routes are used until then.")
    return Finding(subject, f"{address.hostname}:{port} answers")
