"""What `manage.py bench` measures. Each measure makes its own rows in an empty database and says what it counted."""

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import requests
from django.db import connection, connections, transaction

from accounts.models import Client
from contacts.models import Contact
from contacts.services import add_to_group, create_group
from crm.common.sql import allocate_ids, database_now, insert_rows
from messaging.models import Message, ProviderAccount
from messaging.sending.runner import send_waiting
from messaging.services.accept import Draft, accept_messages
from messaging.services.audience import quote_campaign
from messaging.services.campaigns import confirm_campaign, save_draft
from messaging.services.expansion import expand_campaign
from messaging.services.providers import add_route, connect_provider
from messaging.services.reports import process_callbacks, store_callback
from messaging.services.senders import approve_sender_id
from wallet.queries import check_wallets
from wallet.services import credit_wallet, open_wallet


@dataclass(slots=True)
class Figure:
    """One line of the table: `per_second` of `what`, CPU seconds of this process per 1,000, and the remark."""

    what: str
    count: int
    seconds: float
    cpu: float
    remark: str = ""
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        return self.count / self.seconds if self.seconds else 0.0

    @property
    def cpu_per_1000(self) -> float:
        return 1000 * self.cpu / self.count if self.count else 0.0


@contextmanager
def timed(what: str, count: int) -> Iterator[Figure]:
    """Measure the block; `count` may be changed inside by the figure it yields."""
    figure = Figure(what, count, 0.0, 0.0)
    began, cpu = time.perf_counter(), time.process_time()
    yield figure
    figure.seconds, figure.cpu = time.perf_counter() - began, time.process_time() - cpu


class Carrier:
    """The sink as a child process, as long as the block lasts."""

    def __init__(self, latency: float = 0.0) -> None:
        self._latency = latency

    def __enter__(self) -> "Carrier":
        self._child = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "crm.bench.sink", str(self._latency)], stdout=subprocess.PIPE, text=True
        )
        assert self._child.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._child.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.wait(5)

    def counts(self) -> dict[str, int]:
        return requests.get(f"{self.url}/counts", timeout=10).json()


def make_client(name: str) -> Client:
    client = Client.objects.create(name=name)
    open_wallet(client=client)
    credit_wallet(client=client, amount=Decimal(10_000_000), reference=f"bench:{client.pk}")
    approve_sender_id(client=client, name="BENCH")
    return client


def connect(url: str) -> ProviderAccount:
    """The one account and route of the database, at the carrier that runs now."""
    account = ProviderAccount.objects.filter(name="bench").first()
    if account is None:
        credentials = {"username": "bench", "api_key": "bench"}
        account = connect_provider(name="bench", adapter="africastalking", credentials=credentials, base_url=url)
        add_route(account=account)
    ProviderAccount.objects.filter(pk=account.pk).update(base_url=url, rest_until=None, rest_level=0)
    return account


def fill_group(client: Client, people: int) -> int:
    """A group of `people` contacts with names and Kenyan numbers; its id."""
    group = create_group(client=client, name=f"Everybody {people}")
    for start in range(0, people, 5000):
        with transaction.atomic():
            ids = allocate_ids(Contact, min(5000, people - start))
            now = database_now()
            rows: list[tuple] = [
                (pk, client.pk, f"+2547{10_000_000 + start + n:08d}", "", f"Person {start + n}", "", {}, True, now, now)
                for n, pk in enumerate(ids)
            ]
            insert_rows(
                Contact,
                ("id", "client_id", "phone", "email", "name", "department", "attributes", "assigned", "created_at",
                 "updated_at"),
                rows,
            )  # fmt: skip
        add_to_group(group=group, contact_ids=ids)
    return group.pk


def single_accepts(count: int, threads: int) -> Figure:
    """Single sends through the service, each its own transaction, from several threads."""
    client = make_client("Single")
    waits: list[float] = []
    turns = iter(range(count))
    lock = threading.Lock()

    def work() -> None:
        try:
            while True:
                with lock:
                    turn = next(turns, None)
                if turn is None:
                    return
                began = time.perf_counter()
                accept_messages(client=client, drafts=[Draft(f"07{20_000_000 + turn:08d}", "Your order is ready")])
                waits.append(time.perf_counter() - began)
        finally:
            connections.close_all()

    crew = [threading.Thread(target=work) for _ in range(threads)]
    with timed(f"single accepts, {threads} threads", count) as figure:
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
    figure.extra["p95 ms"] = 1000 * sorted(waits)[int(0.95 * len(waits))]
    return figure


def bulk_accepts(count: int) -> Figure:
    """Calls of 1,000 recipients each."""
    client = make_client("Bulk")
    with timed("bulk accepts, 1,000 a call", count) as figure:
        for start in range(0, count, 1000):
            accept_messages(
                client=client,
                drafts=[Draft(f"07{30_000_000 + start + n:08d}", "Closed on Friday") for n in range(1000)],
            )
    return figure


def campaign(people: int, latency: float) -> list[Figure]:
    """Quote, confirm, expand and send a personalised campaign, then take its delivery reports in."""
    figures = []
    client = make_client(f"Campaign {latency}")
    with Carrier(latency) as carrier:
        account = connect(carrier.url)
        group = fill_group(client, people)
        draft = save_draft(client=client, by=None, name="Fees", text="Dear {name}, fees are due", group_ids=[group])
        with timed("campaign priced", people) as figure:
            quote = quote_campaign(draft)
        figures.append(figure)
        confirm_campaign(
            client=client, campaign_id=draft.pk, by=None,
            expected_recipients=quote.recipients, expected_cost_micros=quote.cost_micros,
        )  # fmt: skip
        with timed("campaign written to the queue", people) as figure:
            expand_campaign(campaign_id=draft.pk)
        figures.append(figure)
        with timed(f"campaign sent, carrier at {latency * 1000:g} ms", people) as figure:
            figure.count = send_waiting(account_id=account.pk)  # what the accepts left in the queue goes first
        counts = carrier.counts()
        figure.remark = f"{counts['messages']} arrived, most to one number: {counts['most']}"
        figures.append(figure)
        if not latency:
            figures.append(_reports(client, account, min(people, 5000)))
    return figures


def _reports(client: Client, account: ProviderAccount, count: int) -> Figure:
    ids = (
        Message.objects.for_client(client).exclude(provider_message_id="").values_list("provider_message_id", flat=True)
    )
    bodies = [f"id={pk}&status=Success&networkCode=63902".encode() for pk in ids[:count]]
    kind = "application/x-www-form-urlencoded"
    with timed("delivery reports stored and applied", len(bodies)) as figure:
        for body in bodies:
            store_callback(account=account, kind="delivery", content_type=kind, query="", body=body)
        while process_callbacks():
            pass
    figure.remark = "one commit a report, one thread"
    return figure


def money_adds_up() -> str:
    """Whether every wallet equals its entries after all this."""
    return "differs" if check_wallets() else "equals its entries"


def run_all(*, people: int, say: Callable[[str], None]) -> Sequence[Figure]:
    """All measures, bounded by `people`."""
    figures: list[Figure] = []

    def add(*more: Figure) -> None:
        for figure in more:
            figures.append(figure)
            say(f"{figure.what}: {figure.per_second:,.0f}/s")

    with Carrier() as carrier:
        connect(carrier.url)
        add(single_accepts(min(people, 2000), threads=4))
        add(bulk_accepts(people))
    add(*campaign(people, latency=0.0))
    add(campaign(people, latency=0.05)[-1])
    return figures


def machine() -> str:
    """The line under the table: database, cores, peak memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{connection.vendor}, {os.cpu_count()} cores, peak memory of the measuring process {peak:.0f} MiB"
