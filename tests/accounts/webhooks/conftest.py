"""Acme and Zuri Ltd with their receivers; wake-ups are kept in a list instead of being sent to a broker."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from accounts.delivery import loop
from accounts.delivery.loop import Deliverer
from accounts.models import Client, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from accounts.services.webhooks import IssuedEndpoint, create_endpoint
from crm.common import wake as ground
from crm.common.sql import later_sql
from tests.accounts.webhooks.receiver import Receiver
from tests.factories import make_client


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the tasks that were woken, in order."""
    sent: list[str] = []
    monkeypatch.setattr(ground, "said_just_now", lambda key: False)
    monkeypatch.setattr(ground, "send_now", lambda task, *args, **options: bool(sent.append(task)) or True)
    return sent


@pytest.fixture(autouse=True)
def _no_waiting_for_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop ends when nothing is due; a test that wants the first retry asks for it."""
    monkeypatch.setattr(loop, "STAY_FOR", 0.0)


@pytest.fixture
def open_doors(settings: Any) -> None:
    """The operator lets webhooks reach this machine."""
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def acme(db: None) -> Client:
    return make_client()


@pytest.fixture
def zuri(db: None) -> Client:
    """The stranger, who must never notice."""
    return make_client("Zuri Ltd", "zuri@else.test")


def make_endpoint(client: Client, url: str, events: tuple[str, ...] = ("*",), **fields: Any) -> IssuedEndpoint:
    return create_endpoint(client=client, url=url, events=events, **fields)


def plant(client: Client, url: str) -> WebhookEndpoint:
    """An endpoint whose URL nobody checked: as if its name had led elsewhere when it was entered."""
    return WebhookEndpoint.objects.create(client=client, url=url, events=["*"], secret="s" * 20)


def deliver() -> int:
    return Deliverer(stop=lambda: False).run()


def deliveries(endpoint: WebhookEndpoint) -> list[WebhookDelivery]:
    return list(WebhookDelivery.objects.for_client(endpoint.client_id).filter(endpoint=endpoint).order_by("pk"))


def attempts(delivery: WebhookDelivery) -> list[WebhookAttempt]:
    return list(WebhookAttempt.objects.for_client(delivery.client_id).filter(delivery=delivery).order_by("pk"))


def fresh(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    return WebhookEndpoint.objects.for_client(endpoint.client_id).get(pk=endpoint.pk)


def run_sql(statement: str, params: tuple = ()) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def make_due() -> None:
    """The clock goes on: every retry is due and every lease has run out."""
    run_sql(f"UPDATE accounts_webhookdelivery SET next_at = {later_sql(-1)} WHERE next_at IS NOT NULL")
    run_sql("UPDATE accounts_webhookendpoint SET lease_until = NULL")
