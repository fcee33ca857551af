"""Measures of what leaves: campaigns, mails, delivery reports, several senders, many clients at once."""

import asyncio
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile

import orjson
from django.db import connection

from crm.bench.arriving import CONNECTIONS, answering, free_port, key_of
from crm.bench.load import measure
from crm.bench.machine import SHARED_ONCE, Figure, end, environment, family, held_mib, start, timed
from crm.bench.world import Carrier, analyse, connect, fresh_account, make_client, queued_campaign
from messaging.models import Message, ProviderAccount
from messaging.services.accept import Accepted, Draft, Refused, accept_messages
from messaging.services.mails import MailDraft, accept_mails
from messaging.services.reports import process_callbacks, store_callback

LONGEST_LOOK = 60  # seconds, at the memory of an installation that sends


def run_senders(account: ProviderAccount, processes: int, what: str, seconds: float | None = None) -> Figure:
    """What `processes` senders need for everything that is queued, or do in so many seconds; the database's CPU for
    them included."""
    limit = [] if seconds is None else [str(seconds)]
    children = [
        start(
            "-m", "crm.bench.sender", str(account.pk), *limit,
            env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        for _ in range(processes)
    ]  # fmt: skip
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        told = [orjson.loads(child.stdout.readline()) for child in children if child.stdout]
        for child in children:
            child.wait(30)
    finally:
        end([child for child in children if child.poll() is None])
    worked = [one for one in told if one["count"]] or told
    return Figure(
        what,
        count=sum(one["count"] for one in told),
        seconds=max(one["ended"] for one in worked) - min(one["began"] for one in worked),
        cpu=sum(one["cpu"] for one in told),
        queries=sum(one["queries"] for one in told),
        peak_mib=max(one["peak"] for one in told),
    )


def campaign(people: int, latency: float, *, processes: int = 1) -> Figure:
    """A personalised campaign that waits in the queue, sent."""
    fresh_account()
    with Carrier(latency) as carrier:
        account = connect(carrier.url)
        queued_campaign(make_client(f"Campaign {latency} {processes}"), people)
        analyse()
        many = "" if processes == 1 else f", {processes} senders"
        figure = run_senders(account, processes, f"campaign of {people:,}, carrier at {latency * 1000:g} ms{many}")
        counts = carrier.counts()
    figure.remark = f"{counts['messages']:,} arrived, most to one number: {counts['most']}"
    return figure


def from_a_long_queue(seconds: float) -> Figure:
    """One sender for so long, at the queue that the measure of a large campaign left behind."""
    with Carrier() as carrier:
        account = connect(carrier.url)
        waiting = Message.objects.unscoped().filter(status="queued", provider_account=account).count()
        analyse()
        figure = run_senders(account, 1, f"campaign of {waiting:,}, its first {seconds:g} s, carrier at 0 ms", seconds)
        figure.remark = f"{carrier.counts()['messages']:,} arrived"
    fresh_account()
    return figure


def memory(people: int) -> Figure:
    """What a whole installation holds while it sends a campaign: web server, both workers and what forks them, as
    `manage.py serve` runs them; the most of several looks."""
    fresh_account()
    client = make_client("Memory")
    with Carrier() as carrier, NamedTemporaryFile("w+") as said:
        account = connect(carrier.url)
        queued_campaign(client, people)
        analyse()
        waiting = Message.objects.unscoped().filter(provider_account=account, status="queued")
        port = free_port()
        began, held, most = time.perf_counter(), 0.0, {}
        words = ("-m", "crm", "serve", "--prepared", "--no-sandbox")
        child = start(*words, env=environment(PORT=str(port)), stdout=said, stderr=subprocess.STDOUT)
        try:
            asyncio.run(measure(answering(port), client.pk, key_of(client), CONNECTIONS, 2))
            while waiting.exists() and time.perf_counter() - began < LONGEST_LOOK and child.poll() is None:
                now = {pid: held_mib(pid) for pid in family(child.pid)}
                if sum(now.values()) > held:
                    held, most = sum(now.values()), now
                time.sleep(0.5)
            left = carrier.counts()["messages"]
            if child.poll() is not None or not left:
                raise RuntimeError(f"nothing was sent:\n{Path(said.name).read_text()}")
        finally:
            end([child])
        figure = Figure(f"memory, all of `serve`, campaign of {people:,} running", left, time.perf_counter() - began)
    figure.peak_mib = held
    each = ", ".join(f"{mib:.0f}" for mib in sorted(most.values(), reverse=True))
    figure.remark = f"{SHARED_ONCE}; {len(most)} processes: {each}"
    return figure


def mails(count: int) -> Figure:
    """Mails over kept connections by two sender processes."""
    client = make_client("Mails")
    connect("smtp://127.0.0.1:9")
    for begin in range(0, count, 500):
        drafts = [
            MailDraft(f"person{n}@bench.test", f"Fees of {n}", "Dear parent,\n\nfees are due.\n")
            for n in range(begin, min(begin + 500, count))
        ]
        refused = [one for one in accept_mails(client=client, drafts=drafts) if isinstance(one, Refused)]
        if refused:
            raise refused[0].error
    with Carrier("mail") as carrier:
        figure = run_senders(connect(carrier.url), 2, "email over SMTP, two sender processes")
    sent = Message.objects.for_client(client).filter(status="sent").count()
    figure.remark = f"{sent:,} of {count:,} taken by the server, 8 connections a process"
    return figure


def reports(count: int) -> Figure:
    """Delivery reports of sent messages: stored as they come, then applied."""
    account = ProviderAccount.objects.get(name="bench sms")
    ids = (
        Message.objects.unscoped()
        .filter(status="sent", provider_account=account)
        .exclude(provider_message_id="")
        .order_by("-pk")
        .values_list("provider_message_id", flat=True)
    )
    bodies = [f"id={pk}&status=Success&networkCode=63902".encode() for pk in ids[:count]]
    together = threading.Barrier(_THREADS)
    with ThreadPoolExecutor(_THREADS) as threads:
        with timed("delivery reports, stored and applied", len(bodies)) as figure:
            began = time.perf_counter()
            list(threads.map(partial(_store, account), (bodies[turn::_THREADS] for turn in range(_THREADS))))
            figure.extra["stored a second"] = len(bodies) / (time.perf_counter() - began)
            began = time.perf_counter()
            while process_callbacks():
                pass
            figure.extra["applied a second"] = len(bodies) / (time.perf_counter() - began)
        # Not before: a database process that has gone tells its CPU to nobody. The barrier gives each thread one turn.
        list(threads.map(lambda _: _end(together), range(_THREADS)))
    figure.queries = None  # those of other threads are not counted
    figure.remark = "without HTTP: by eight threads, as a web server has, then applied in batches"
    return figure


_THREADS = 8


def _end(together: threading.Barrier) -> None:
    together.wait(60)
    connection.close()


def _store(account: ProviderAccount, bodies: Sequence[bytes]) -> None:
    kind = "application/x-www-form-urlencoded"
    for body in bodies:
        store_callback(account=account, kind="delivery", content_type=kind, query="", body=body)


def fairness(people: int, clients: int) -> Figure:
    """How long another's single message takes to leave while `clients` campaigns of `people` in all wait."""
    fresh_account()
    connect("http://127.0.0.1:9")
    for number in range(clients):
        queued_campaign(make_client(f"Crowd {clients}-{number}"), max(people // clients, 1))
    other = make_client("The other")
    with Carrier(0.05) as carrier:
        account = connect(carrier.url)
        child = start(
            "-m", "crm.bench.sender", str(account.pk),
            env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert child.stdout is not None
            assert child.stdin is not None
            child.stdout.readline()
            child.stdin.write("go\n")
            child.stdin.flush()
            until = time.monotonic() + 60
            while not Message.objects.unscoped().filter(status="sent", provider_account=account).exists():
                if time.monotonic() > until:
                    raise RuntimeError("nothing left within a minute")
                time.sleep(0.02)
            waits: list[float] = []
            crowd = Message.objects.unscoped().filter(status="queued").exclude(client=other)
            for turn in range(5):
                time.sleep(0.3)
                if child.poll() is not None or not crowd.exists():
                    break
                began = time.perf_counter()
                draft = Draft(f"07{40_000_000 + turn:08d}", "Your code is 1")
                taken = accept_messages(client=other, drafts=[draft])[0]
                assert isinstance(taken, Accepted)
                mine = Message.objects.for_client(other).filter(pk=taken.id)
                while mine.filter(status="queued").exists() and time.perf_counter() - began < 30:
                    if child.poll() is not None:  # it ends with the queue
                        break
                    time.sleep(0.01)
                else:
                    waits.append(time.perf_counter() - began)
        finally:
            end([child])
    figure = Figure(f"another's single message beside {clients} clients' campaigns", len(waits), sum(waits))
    figure.extra["longest ms"] = 1000 * max(waits, default=0.0)
    figure.remark = f"{people:,} queued" + ("" if len(waits) == 5 else "; the queue ran dry before the last one")
    return figure
