"""`manage.py doctor`: each fault is named with what to do, and the exit code tells."""

import socket
from datetime import timedelta

import pytest
from django.core.management import call_command

from crm.common import heartbeat
from crm.common.sql import database_now
from messaging.models import Message, ProviderAccount
from messaging.services.providers import add_route, connect_provider
from tests.factories import make_client

pytestmark = pytest.mark.django_db


@pytest.fixture
def carrier():
    """A port that takes connections, as a provider's would."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def consult(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", no_color=True)
    return ended.value.code, capsys.readouterr().out


def connect(port: int) -> ProviderAccount:
    account = connect_provider(
        name="Carrier",
        adapter="africastalking",
        credentials={"username": "acme", "api_key": "k"},
        base_url=f"http://127.0.0.1:{port}",
    )
    add_route(account=account)
    return account


def test_all_well(capsys, carrier: int) -> None:
    connect(carrier)
    for queue in heartbeat.QUEUES:
        heartbeat.beat(queue)
    code, said = consult(capsys)
    assert code == 0, said
    assert "FAULT" not in said
    assert f"provider “Carrier”: 127.0.0.1:{carrier} answers" in said


def test_faults_come_with_advice(capsys) -> None:
    connect(1)
    code, said = consult(capsys)
    assert code == 1
    assert "FAULT main worker: not seen in the last day" in said
    assert "python manage.py worker --queue heavy" in said
    assert "FAULT provider “Carrier”: 127.0.0.1:1 cannot be reached" in said
    assert said.rstrip().endswith("3 faults found.")


def test_a_fresh_database_without_providers_is_told_so(capsys) -> None:
    _, said = consult(capsys)
    assert "FAULT providers: none" in said
    assert "FAULT routes: none leads to an active account" in said


@pytest.mark.parametrize(("age", "fault"), [(30, False), (90, True)])
def test_a_queue_that_stands_still_is_a_fault(capsys, carrier: int, age: int, fault: bool) -> None:
    account = connect(carrier)
    then = database_now() - timedelta(seconds=age)
    Message.objects.create(
        client=make_client(), recipient="+254712345678", sender="ACME", text="Habari",
        provider_account=account, created_at=then, queued_at=then,
    )  # fmt: skip
    _, said = consult(capsys)
    assert f"{'FAULT' if fault else 'ok   '} message queue: 1 waiting, the oldest for {age}" in said
