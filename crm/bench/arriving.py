"""Measures of what comes in: single and bulk sends over HTTP, imports, the start of a large campaign, the history."""

import asyncio
import csv
import os
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from tempfile import NamedTemporaryFile

import requests
from django.db import connection
from django.db.models import Count
from django.test import Client as Browser

from accounts.models import Client
from accounts.services.keys import create_api_key
from contacts.models import Contact, ContactImport
from contacts.queries import contacts_for
from contacts.search import index_contacts
from crm.bench.load import measure
from crm.bench.machine import (
    SHARED_ONCE,
    Figure,
    database_cpu,
    end,
    environment,
    family_cpu,
    family_mib,
    peak_mib,
    start,
    timed,
)
from crm.bench.world import analyse, confirm, connect, draft_to, fill_group, fresh_account, make_client
from crm.management.commands.web import default_threads, web_argv
from messaging import queries
from messaging.services import quoting
from messaging.services.expansion import expand_campaign
from messaging.services.tallies import recount

CONNECTIONS = 16


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def web(application: str = "crm.wsgi:application", **more: str) -> Iterator[tuple[str, int]]:
    """The web server as `manage.py serve` starts it, one process per core at most two; its address and process id."""
    port = free_port()
    workers = min(2, os.cpu_count() or 1)
    argv = web_argv(host="127.0.0.1", port=port, workers=workers, threads=default_threads())[1:]
    if application != argv[-1]:  # the strawman has nothing of ours to load beforehand
        argv[argv.index("crm.webserver")], argv[-1] = "granian", application
    child = start(*argv, env=environment(**more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield answering(port), child.pid
    finally:
        end([child])


def answering(port: int) -> str:
    """The address of a web server there, once it answers."""
    until = time.monotonic() + 90
    while time.monotonic() < until:
        try:
            requests.get(f"http://127.0.0.1:{port}/", timeout=30)
            break
        except requests.ConnectionError:
            time.sleep(0.1)
    return f"http://127.0.0.1:{port}"


def key_of(client: Client) -> str:
    return create_api_key(client=client, name="bench", scopes=["messages:send"]).api_key


def single_sends(seconds: float) -> Figure:
    """Single sends by API: committed, charged and queued before the answer."""
    connect("http://127.0.0.1:9")
    client = make_client("Single")
    key = key_of(client)
    analyse()
    with web() as (url, pid):
        # Warm: each of the threads has its connection, and each connection its plans.
        asyncio.run(measure(url, client.pk, key, CONNECTIONS, min(2.0, seconds)))
        cpu, theirs = family_cpu(pid), database_cpu()
        tally = asyncio.run(measure(url, client.pk, key, CONNECTIONS, seconds))
        figure = Figure("single send by API, 16 connections", tally.statuses.get(200, 0), seconds)
        figure.cpu = family_cpu(pid) - cpu + database_cpu() - theirs
        figure.peak_mib = family_mib(pid)
    figure.extra["p95 ms"] = tally.quantile(0.95)
    refused = {status: count for status, count in tally.statuses.items() if status != 200}
    figure.remark = f"other answers: {refused}" if refused else f"memory of the web server: {SHARED_ONCE}"
    return figure


def bulk_sends(count: int) -> Figure:
    """Calls of 1,000 recipients each, one after the other."""
    connect("http://127.0.0.1:9")
    client = make_client("Bulk")
    headers = {"X-API-Key": key_of(client)}
    with web() as (url, pid), requests.Session() as session:
        cpu, theirs, began = family_cpu(pid), database_cpu(), time.perf_counter()
        for first in range(0, count, 1000):
            numbers = [f"07{30_000_000 + first + n:08d}" for n in range(1000)]
            body = {"recipients": numbers, "message": "Closed on Friday", "sender_id": "BENCH"}
            session.post(f"{url}/api/{client.pk}/sms/send", json=body, headers=headers, timeout=60).raise_for_status()
        figure = Figure("bulk send, 1,000 recipients a request", count, time.perf_counter() - began)
        figure.cpu = family_cpu(pid) - cpu + database_cpu() - theirs
    return figure


def start_of(people: int) -> list[Figure]:
    """A campaign to people who are in the book: priced for each and reserved, as a worker does it for the review, with
    confirming after it; then written to the queue, which goes on while the first leave."""
    fresh_account()
    connect("http://127.0.0.1:9")
    client = make_client("Large")
    group = fill_group(client, people)
    analyse()
    before = peak_mib()
    draft = draft_to(client, group)
    with timed(f"start, priced and reserved: {people:,} people", people) as priced:
        began = time.perf_counter()
        asked = quoting.figures_of(draft)
        priced.extra["first answer, ms"] = 1000 * (time.perf_counter() - began)
        if isinstance(asked, quoting.Counting):
            quoting.work_out(campaign_id=draft.pk)
        began = time.perf_counter()
        confirm(draft)
        priced.extra["confirmed, ms"] = 1000 * (time.perf_counter() - began)
    priced.remark = f"memory grew by {peak_mib() - before:.0f} MiB"
    before = peak_mib()
    with timed(f"start, written to the queue: {people:,} people", people) as queued:
        expand_campaign(campaign_id=draft.pk)
    queued.remark = f"memory grew by {peak_mib() - before:.0f} MiB; messages, timelines, ledger entries and tallies"
    queued.queries = None  # those of other threads are not counted
    both = Figure(f"start, all of it: {people:,} people", people, priced.seconds + queued.seconds)
    both.cpu = priced.cpu + queued.cpu
    both.peak_mib = queued.peak_mib
    both.remark = "the two above together"
    return [priced, queued, both]


def search() -> Figure:
    """Looking for people in the largest book there is: by parts of a name and of a number, and by a whole number."""
    client_id = Contact.objects.unscoped().values_list("client_id").annotate(n=Count("pk")).order_by("-n")[0][0]
    client = Client.objects.get(pk=client_id)
    people = Contact.objects.for_client(client).count()
    index_contacts(most=2 * people + 1_000_000, settled=timedelta(0))  # as the sweep does, minutes after an import
    analyse()
    waits: list[float] = []
    slowest = ("", 0.0)
    for text in ("Person 77", "Person 77771", "+25471000", "0710077777", "77777", "nobody of this name"):
        for _ in range(5):
            began = time.perf_counter()
            list(contacts_for(client, search=text)[:50])
            waits.append(1000 * (time.perf_counter() - began))
            slowest = max(slowest, (text, waits[-1]), key=lambda one: one[1])
    figure = Figure(f"contact search among {people:,}", len(waits), sum(waits) / 1000)
    figure.extra |= {"p95 ms": statistics.quantiles(waits, n=20)[-1], "median ms": statistics.median(waits)}
    figure.remark = f"slowest for “{slowest[0]}”"
    return figure


def imports(rows: int) -> list[Figure]:
    """A CSV file of people by `loadcontacts`, new and again; one row in a hundred cannot be read.

    In a process of its own, whose memory is the figure's; the pace is that from the first row to the last.
    """
    client = make_client("Importer")
    figures = []
    with NamedTemporaryFile("w", newline="", suffix=".csv") as file:
        writer = csv.writer(file)
        writer.writerow(["Name", "Phone", "Town"])
        for n in range(rows):
            phone = "not a number" if n % 100 == 99 else f"07{10_000_000 + n:08d}"
            writer.writerow([f"Person {n}", phone, "Kisumu"])
        file.flush()
        for what in ("new", "again"):
            figure = Figure(f"CSV import of {rows:,} rows, {what}", rows)
            _load(file.name, client, figure)
            done = ContactImport.objects.for_client(client).latest("pk")
            assert done.started_at
            assert done.finished_at
            figure.seconds = (done.finished_at - done.started_at).total_seconds()
            figure.remark = (
                f"{done.imported:,} new, {done.skipped:,} as they were, {done.failed:,} refused; "
                f"{Contact.objects.for_client(client).count():,} in the book"
            )
            figures.append(figure)
    return figures


def _load(path: str, client: Client, figure: Figure) -> None:
    child = start(
        "manage.py", "loadcontacts", path, "--client", str(client.pk), env=environment(), stdout=subprocess.DEVNULL
    )
    before = theirs = database_cpu()
    while not (ended := os.wait4(child.pid, os.WNOHANG))[0]:
        theirs = max(theirs, database_cpu())  # its share of the database is not to be seen when it has ended
        figure.peak_mib = max(figure.peak_mib, peak_mib(child.pid))  # what wait4 tells has ours before exec in it
        time.sleep(0.2)
    child.returncode, usage = os.waitstatus_to_exitcode(ended[1]), ended[2]
    if child.returncode:
        raise RuntimeError("loadcontacts failed")
    figure.cpu = usage.ru_utime + usage.ru_stime + theirs - before


_MANY = """
INSERT INTO messaging_message (client_id, channel, recipient, sender, text, reference, source, simulated, status,
    priority, units, segments, encoding, cost_micros, provider_message_id, network_code, attempts,
    unconfirmed, error_code, error_message, created_at, queued_at, country, network, closed, provider_account_id)
SELECT %s, 'sms', '+2547' || (10000000 + n %% 900000), CASE n %% 3 WHEN 0 THEN 'OTHER' ELSE 'BENCH' END,
    'Dear parent, fees are due', CASE n %% 4 WHEN 0 THEN 'order-' || n ELSE '' END, 'api', {false},
    CASE n %% 20 WHEN 0 THEN 'failed' WHEN 1 THEN 'sent' ELSE 'delivered' END, 0, 1, 1, 'gsm7', 1000000,
    'id-' || n, '', 1, {false}, '', '', {at}, {at}, 'KE', '', {false}, %s
FROM {numbers}
"""


_AT_ONCE = 500_000
_OF_ROWS = 0.25  # of the time there is, for the rows; the rest is for their indexes


def fill_history(client: Client, count: int, account_id: int, seconds: float) -> int:
    """Lay in `count` messages, or as many as fit into so long; returns how many. On PostgreSQL their indexes are built
    after them, as a restore does."""
    postgres = connection.vendor == "postgresql"
    if postgres:
        numbers, at, false = (
            "generate_series(%(first)d, %(last)d) AS n",
            f"NOW() - (({count} - n) * INTERVAL '0.5 seconds')",
            "FALSE",
        )
    else:
        numbers = (
            "(WITH RECURSIVE s(n) AS (SELECT %(first)d UNION ALL SELECT n + 1 FROM s WHERE n < %(last)d) "
            "SELECT n FROM s)"
        )
        at, false = f"STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', '-' || (({count} - n) / 2) || ' seconds')", "0"
    with connection.cursor() as cursor:
        kept = []
        if postgres:
            cursor.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'messaging_message' "
                "AND indexdef NOT LIKE '%%UNIQUE%%'", []
            )  # fmt: skip
            kept = cursor.fetchall()
            for name, _ in kept:
                cursor.execute(f'DROP INDEX "{name}"')
        began, laid = time.monotonic(), 0
        while laid < count and time.monotonic() - began < seconds * (_OF_ROWS if postgres else 1):
            chunk = {"first": laid + 1, "last": min(laid + _AT_ONCE, count)}
            statement = _MANY.format(numbers=numbers % chunk, at=at, false=false)
            cursor.execute(statement, [client.pk, account_id])
            laid = chunk["last"]
        for _, definition in kept:
            cursor.execute(definition.replace(" ON ONLY ", " ON "))  # of the partitions too
        cursor.execute("ANALYZE messaging_message" if postgres else "ANALYZE")
    recount(client_id=client.pk)
    return laid


def history(count: int, seconds: float) -> list[Figure]:
    """The list of a client's messages with one filter: first and deep pages, in the database and as a page."""
    client = make_client("Archive")
    account = connect("http://127.0.0.1:9")
    count = fill_history(client, count, account.pk, seconds)
    newest = queries.messages_for(client).values_list("pk", flat=True).first() or 0
    key = create_api_key(client=client, name="reader", scopes=["messages:read"]).api_key
    headers = {"X-API-Key": key}
    filters = {
        "none": ("", {}),
        "status": ("status=failed", {"status": "failed"}),
        "recipient": ("recipient=254710000777", {"recipient": "+254710000777"}),
        "sender": ("sender=BENCH", {"sender": "BENCH"}),
        "reference": ("reference=order-40", {"reference": "order-40"}),
        "rare sender": ("sender=NOBODY", {"sender": "NOBODY"}),
        "channel": ("channel=sms", {"channel": "sms"}),
        "rare channel": ("channel=email", {"channel": "email"}),
    }
    deep = max(newest - min(count // 2, 10_000 * 50), 1)
    inside: dict[str, list[float]] = {name: [] for name in filters}
    outside: dict[str, list[float]] = {name: [] for name in filters}
    browser = Browser(headers=headers, SERVER_NAME="localhost")
    browser.get(f"/api/{client.pk}/sms/history?per_page=1")  # warm: the first page loads the code of all
    for name, (query, chosen) in filters.items():
        for cursor_at in (0, deep):
            for _ in range(10):
                found = queries.messages_for(client, **chosen)  # type: ignore[arg-type]
                began = time.perf_counter()
                list((found.filter(pk__lt=cursor_at) if cursor_at else found)[:50])
                inside[name].append(1000 * (time.perf_counter() - began))
                where = f"?{query}&per_page=50" + (f"&cursor={cursor_at}" if cursor_at else "")
                began = time.perf_counter()
                answer = browser.get(f"/api/{client.pk}/sms/history{where}")
                outside[name].append(1000 * (time.perf_counter() - began))
                if answer.status_code != 200:
                    raise RuntimeError(f"history answered {answer.status_code} for {where}")
    figures = []
    for what, by_filter in (
        ("history among {:,}, read from the database", inside),
        ("the same as an API page", outside),
    ):
        waits = [wait for each in by_filter.values() for wait in each]
        slowest = max(by_filter, key=lambda name: statistics.quantiles(by_filter[name], n=10)[-1])
        figure = Figure(what.format(count), len(waits), sum(waits) / 1000)
        figure.extra |= {"p95 ms": statistics.quantiles(waits, n=20)[-1], "median ms": statistics.median(waits)}
        figure.remark = (
            f"first page and one {newest - deep:,} rows down, {len(filters)} filters; "
            f"slowest by {slowest}, at most {max(by_filter[slowest]):.0f} ms"
        )
        figures.append(figure)
    return figures
