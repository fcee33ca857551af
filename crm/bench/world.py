"""What the measures stand on: carriers as child processes, clients with money, groups of people."""

import subprocess
from decimal import Decimal

import requests
from django.db import connection, transaction

from accounts.models import Client
from contacts.models import Contact
from contacts.services import add_to_group, create_group
from crm.bench.machine import end, environment, start
from crm.common.sql import allocate_ids, database_now, insert_rows
from messaging.models import Campaign, ProviderAccount, Route
from messaging.services.campaigns import confirm_campaign, save_draft
from messaging.services.expansion import expand_campaign
from messaging.services.providers import add_route, connect_provider
from messaging.services.senders import approve_email_sender, approve_sender_id
from wallet.services import credit_wallet, open_wallet, set_rate


class Carrier:
    """The sink as a child process, as long as the block lasts. latency: seconds, or "mail" for a mail server."""

    def __init__(self, latency: float | str = 0.0) -> None:
        self._latency = latency

    def __enter__(self) -> "Carrier":
        self._child = start("-m", "crm.bench.sink", str(self._latency), env=environment(), stdout=subprocess.PIPE)
        assert self._child.stdout is not None
        scheme = "smtp" if self._latency == "mail" else "http"
        self.url = f"{scheme}://127.0.0.1:{int(self._child.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        end([self._child])

    def counts(self) -> dict[str, int]:
        return requests.get(f"{self.url}/counts", timeout=30).json()


def make_client(name: str) -> Client:
    client = Client.objects.create(name=name, rate_limit=100_000_000)
    wallet = open_wallet(client=client)
    set_rate(plan=wallet.price_plan, channel="email", price_per_unit=Decimal("0.1"))
    credit_wallet(client=client, amount=Decimal(100_000_000), reference=f"bench:{client.pk}")
    approve_sender_id(client=client, name="BENCH")
    approve_email_sender(client=client, address="bench@bench.test")
    return client


def connect(url: str) -> ProviderAccount:
    """The one account and route of the channel, at the carrier that runs now."""
    channel = "email" if url.startswith("smtp") else "sms"
    account = ProviderAccount.objects.filter(name=f"bench {channel}").first()
    if account is None:
        mail = channel == "email"
        credentials = {"tls": "none", "connections": "8"} if mail else {"username": "bench", "api_key": "bench"}
        account = connect_provider(
            name=f"bench {channel}", adapter="smtp" if mail else "africastalking", credentials=credentials, base_url=url
        )
        add_route(account=account, channel=channel)
    ProviderAccount.objects.filter(pk=account.pk).update(
        base_url=url, rest_until=None, rest_level=0, probe_owner="", usual_seconds=None
    )
    return account


def fresh_account() -> None:
    """Leave what other measures queued to an account that nobody sends for any more; `connect` makes another."""
    for account in ProviderAccount.objects.filter(name__in=("bench sms", "bench email")):
        Route.objects.filter(account=account).delete()
        ProviderAccount.objects.filter(pk=account.pk).update(name=f"{account.name} {account.pk}", is_active=False)


def analyse() -> None:
    """What autovacuum does within a minute, done before a measure; it may be off here."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE", [])


def fill_group(client: Client, people: int) -> int:
    """A group of `people` contacts with names and Kenyan numbers; its id."""
    group = create_group(client=client, name=f"Everybody {people}")
    for begin in range(0, people, 5000):
        with transaction.atomic():
            ids = allocate_ids(Contact, min(5000, people - begin))
            now = database_now()
            rows: list[tuple] = [
                (pk, client.pk, f"+2547{10_000_000 + begin + n:08d}", "", f"Person {begin + n}", "", {}, True, now, now)
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


def draft_to(client: Client, group: int) -> Campaign:
    """A personalised campaign to a group."""
    return save_draft(client=client, by=None, name="Fees", text="Dear {name}, fees are due", group_ids=[group])


def confirm(draft: Campaign) -> None:
    """Start it for what it comes to."""
    confirm_campaign(
        client=draft.client, campaign_id=draft.pk, by=None, expected_recipients=None, expected_cost_micros=None
    )


def queued_campaign(client: Client, people: int) -> int:
    """The same to a fresh group of `people`, confirmed and written to the queue; its id."""
    draft = draft_to(client, fill_group(client, people))
    confirm(draft)
    expand_campaign(campaign_id=draft.pk)
    return draft.pk
