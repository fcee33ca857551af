"""`manage.py sendtest`: one message, its timeline, and a plain word when it cannot go."""

import io

import pytest
from django.core.management import CommandError, call_command

from messaging.models import Message
from messaging.sending.simulation import advance_simulated
from messaging.services.senders import approve_sender_id
from tests.factories import make_client
from wallet.queries import balance_of
from wallet.services import open_wallet

pytestmark = pytest.mark.django_db


def ready_client(**fields):
    client = make_client(**fields)
    open_wallet(client=client)
    approve_sender_id(client=client, name="ACME")
    return client


def test_a_simulated_message_is_followed_to_the_phone(monkeypatch):
    client = ready_client(simulation=True)
    monkeypatch.setattr("crm.management.commands.sendtest.time.sleep", lambda _: advance_simulated())
    monkeypatch.setattr("messaging.sending.simulation.DELIVERED_AFTER", -1.0)
    out = io.StringIO()

    call_command("sendtest", client=client.pk, to="0712 345 678", stdout=out)

    lines = out.getvalue().splitlines()
    assert lines[0].endswith("to +254712345678: 1 units, KES 0.00")
    assert [line.split()[1] for line in lines[1:]] == ["queued", "sent", "delivered"]


def test_a_message_that_nobody_takes_is_said_to_be_queued():
    client = ready_client(simulation=True)

    with pytest.raises(CommandError, match="is a worker running"):
        call_command("sendtest", client=client.pk, to="0712345678", wait=0, stdout=io.StringIO())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": "12"}, "Too short"),
        ({"sender": "NOBODY"}, "not approved"),
        ({"text": " "}, "no text"),
        ({}, "No provider"),
    ],
)
def test_what_cannot_go_is_said_and_costs_nothing(options, words):
    client = ready_client()
    before = balance_of(client.pk).balance

    with pytest.raises(CommandError, match=words):
        call_command("sendtest", **{"client": client.pk, "to": "0712345678", **options}, stdout=io.StringIO())

    assert not Message.objects.for_client(client).exists()
    assert balance_of(client.pk).balance == before


def test_an_unknown_client_is_refused():
    with pytest.raises(CommandError, match="no client 99"):
        call_command("sendtest", client=99, to="0712345678")
