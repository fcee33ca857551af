"""A small world for tests of the core: clients with money and a sender, a road to a carrier, books that must agree."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection

from accounts.models import Client
from contacts.models import Contact, Group
from contacts.services import add_to_group, create_group
from crm.common.sql import insert_rows, later_sql
from messaging.models import Campaign, Message, MessageEvent, MessageLease, ProviderAccount
from messaging.providers.base import Outcome
from messaging.sending import claims
from messaging.sending.loop import Loop, Sent
from messaging.sending.recording import record_outcomes
from messaging.services.accept import Accepted, Draft, accept_messages
from messaging.services.audience import quote_campaign
from messaging.services.campaigns import confirm_campaign, save_draft
from messaging.services.providers import add_route, connect_provider
from messaging.services.reports import store_callback
from messaging.services.senders import approve_email_sender, approve_sender_id
from wallet.models import LedgerEntry, PricePlan, Wallet
from wallet.reconciliation import CHECKS
from wallet.services import credit_wallet, open_wallet, set_rate

ONE = 1_000_000  # the standard plan's price of a unit, in micros
FORM = "application/x-www-form-urlencoded"


def make_sender(name: str = "Acme", *, credit: int = 1000, sender: str = "ACME", **fields: Any) -> Client:
    """A client that can send as `sender` and has `credit` whole shillings."""
    client = Client.objects.create(name=name, **fields)
    open_wallet(client=client)
    if credit:
        credit_wallet(client=client, amount=Decimal(credit), reference="topup:1")
    approve_sender_id(client=client, name=sender)
    return client


def make_road(
    url: str = "http://127.0.0.1:9", *, name: str = "Carrier", batch_size: int | None = 1, **route: Any
) -> ProviderAccount:
    """A provider account at `url` with a route to it."""
    account = connect_provider(
        name=name,
        adapter="africastalking",
        credentials={"username": "acme", "api_key": "k"},
        base_url=url,
        batch_size=batch_size,
    )
    add_route(account=account, **route)
    return account


def make_mail_road(client: Client) -> ProviderAccount:
    """Mail for a client: half a shilling each, from news@acme.test, by a server that is not there."""
    set_rate(plan=PricePlan.objects.get(wallets__client=client), channel="email", price_per_unit=Decimal("0.5"))
    approve_email_sender(client=client, address="news@acme.test", display_name="Acme")
    account = connect_provider(
        name="Mail",
        adapter="smtp",
        credentials={"tls": "none", "bounce_address": "b@acme.test"},
        base_url="smtp://127.0.0.1:9",
    )
    add_route(account=account, channel="email")
    return account


def number(index: int) -> str:
    return f"+2547{10_000_000 + index}"


def accept(client: Client, count: int = 1, *, first: int = 0, text: str = "Habari", **options: Any) -> list[int]:
    """The ids of `count` accepted messages to different numbers."""
    drafts = [Draft(recipient=number(first + index), text=text) for index in range(count)]
    results = accept_messages(client=client, drafts=drafts, **options)
    assert all(isinstance(result, Accepted) for result in results), results
    return [result.id for result in results]


def run_loop(account: ProviderAccount, *, slots: int = 32, stop: Callable[[], bool] = lambda: False) -> Sent:
    account.refresh_from_db()
    return Loop(account, stop=stop, slots=slots).run()


def submit(account: ProviderAccount, count: int = 500) -> list[int]:
    """Claim and mark messages as a loop does right before it writes to the provider; their ids."""
    owner = claims.new_owner()
    rows = claims.claim(account_id=account.pk, owner=owner, limit=count)
    return sorted(claims.mark_submitting(owner=owner, ids=[row.id for row in rows]))


def outcome(pk: int, kind: str, provider_id: str = "", code: str = "") -> Outcome:
    return Outcome(pk, kind, provider_message_id=provider_id, error_code=code, error_message=code)


def send_one(client: Client, account: ProviderAccount, provider_id: str = "AT1", **options: Any) -> int:
    """A message that the provider took under `provider_id`."""
    (pk,) = accept(client, **options)
    assert submit(account) == [pk]
    record_outcomes([outcome(pk, "accepted", provider_id)])
    return pk


def report(
    account: ProviderAccount, provider_id: str, status: str = "Success", to: str = "", reason: str = "", age: float = 0
) -> None:
    """The provider posts a delivery report; `age`: seconds ago."""
    body = f"id={provider_id}&status={status}&phoneNumber={to.replace('+', '%2B')}&networkCode=63902"
    body += f"&failureReason={reason}" if reason else ""
    store_callback(account=account, kind="delivery", content_type=FORM, query="", body=body.encode())
    if age:
        run_sql(
            f"UPDATE messaging_providercallback SET received_at = {later_sql(-age)} "
            "WHERE id = (SELECT MAX(id) FROM messaging_providercallback)"
        )


def run_sql(statement: str, params: Sequence[Any] = ()) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.rowcount


def age_leases() -> None:
    """The clock goes on: every lease has run out and every back-off is over."""
    run_sql(f"UPDATE messaging_messagelease SET until = {later_sql(-1)}")
    run_sql(f"UPDATE messaging_campaign SET lease_until = {later_sql(-1)} WHERE lease_until IS NOT NULL")
    make_due()


def make_due() -> None:
    run_sql(f"UPDATE messaging_message SET next_attempt_at = {later_sql(-1)} WHERE next_attempt_at IS NOT NULL")
    run_sql(f"UPDATE messaging_providercallback SET due_at = {later_sql(-1)} WHERE processed_at IS NULL")
    run_sql("UPDATE messaging_provideraccount SET rest_until = NULL")


def statuses(client: Client | None = None) -> Counter:
    messages = Message.objects.for_client(client) if client else Message.objects.unscoped()
    return Counter(messages.order_by().values_list("status", flat=True))


def leases() -> dict[int, str]:
    """Of each message in somebody's hands: claimed or submitting."""
    phases = MessageLease.objects.order_by("pk").values_list("pk", "submitting")
    return {pk: "submitting" if submitting else "claimed" for pk, submitting in phases}


def message(pk: int) -> Message:
    return Message.objects.unscoped().get(pk=pk)


def timeline(pk: int) -> list[str]:
    return list(MessageEvent.objects.unscoped().filter(message_id=pk).order_by("pk").values_list("kind", flat=True))


def balance(client: Client) -> int:
    return Wallet.objects.for_client(client).get().balance_micros


def reserved(client: Client) -> int:
    return Wallet.objects.for_client(client).get().reserved_micros


def movements(client: Client, kind: str) -> int:
    return LedgerEntry.objects.for_client(client).filter(kind=kind).count()


def check_books() -> None:
    """Everything that `reconcile` compares agrees: M1, M2, M6, leases, reservations."""
    assert [f"{check.name}: {found.text}" for check in CHECKS for found in check.find()] == []


def make_contacts(client: Client, count: int, *, first: int = 0, **columns: Callable[[int], Any]) -> list[int]:
    """Ids of `count` contacts; columns are functions of the index (name, attributes, …)."""
    values = {"name": lambda n: f"Person {n}", "attributes": lambda n: {}} | columns
    rows = [
        (client.pk, number(first + n), "", values["name"](n), "", values["attributes"](n), True, _EPOCH, _EPOCH)
        for n in range(count)
    ]
    insert_rows(Contact, _CONTACT, rows)
    numbers = [row[1] for row in rows]
    return list(
        Contact.objects.for_client(client).filter(phone__in=numbers).order_by("pk").values_list("pk", flat=True)
    )


_CONTACT = ("client_id", "phone", "email", "name", "department", "attributes", "assigned", "created_at", "updated_at")
_EPOCH = "2026-01-01 00:00:00+00:00"


def make_group(client: Client, contact_ids: Iterable[int], name: str = "Customers") -> Group:
    group = create_group(client=client, name=name)
    add_to_group(group=group, contact_ids=contact_ids)
    return group


def make_draft(client: Client, *groups: Group, text: str = "Habari {name|rafiki}", **options: Any) -> Campaign:
    options = {"by": None} | options
    return save_draft(client=client, name="Sale", text=text, group_ids=[group.pk for group in groups], **options)


def confirm(campaign: Campaign) -> Campaign:
    """Confirm a draft at exactly its quote."""
    quote = quote_campaign(campaign)
    return confirm_campaign(
        client=campaign.client,
        campaign_id=campaign.pk,
        by=None,
        expected_recipients=quote.recipients,
        expected_cost_micros=quote.cost_micros,
    )
