"""Histories and results come from the read replica where there is one, and from nowhere else; nothing else does.

The replica is a second database, copied from the first and left behind on purpose, so that one sees which was read.
"""

import io
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.http import QueryDict
from django.test import Client as Browser

from accounts.exporting import KINDS, Job
from accounts.models import Client, Membership, User
from crm.common import replica
from crm.watching.facts import all_figures
from messaging import queries, statistics
from messaging.models import Message
from tests.factories import make_key
from tests.messaging.core.world import accept, make_road, make_sender
from wallet.queries import balance_of
from wallet.services import credit_wallet

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme() -> Client:
    client = make_sender()
    make_road()
    accept(client)
    return client


@pytest.fixture
def copy(acme: Client, tmp_path: Path) -> Iterator[None]:
    """The database as it was when Acme had sent its first message, as the replica."""
    facts = dict(connection.settings_dict)
    connection.close()
    name = f"{facts['NAME']}_replica"
    if connection.vendor == "sqlite":
        name = str(tmp_path / "replica.sqlite3")
        with closing(sqlite3.connect(facts["NAME"])) as primary:
            primary.execute("VACUUM INTO ?", [name])
    else:
        with connection.creation._nodb_cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{facts["NAME"]}"')
    connections.settings[replica.ALIAS] = facts | {"NAME": name}
    there = connections[replica.ALIAS]

    def connect() -> None:
        """As Django's own, which would refuse a database that it did not know when the tests began."""
        if there.connection is None:
            with there.wrap_database_errors:
                there.connect()

    there.ensure_connection = connect  # type: ignore[method-assign]
    replica.forget()
    yield
    connections[replica.ALIAS].close()
    del connections[replica.ALIAS]
    del connections.settings[replica.ALIAS]
    replica.forget()
    if connection.vendor == "postgresql":
        with connection.creation._nodb_cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def texts(client: Client) -> list[str]:
    return replica.read(lambda: [message.text for message in queries.messages_for(client)])


def rewrite(text: str = "only in the database itself") -> None:
    Message.objects.unscoped().update(text=text)


def take_away() -> None:
    connections[replica.ALIAS].close()
    connections[replica.ALIAS].settings_dict |= {"NAME": "/nowhere/at/all", "HOST": "127.0.0.1", "PORT": "1"}


def test_what_says_so_is_read_from_the_replica_and_nothing_else(acme: Client, copy: None) -> None:
    before = texts(acme)
    rewrite()
    assert texts(acme) == before != ["only in the database itself"]
    assert [message.text for message in queries.messages_for(acme)] == ["only in the database itself"]


def test_history_page_api_statistics_and_export_are_of_the_replica(acme: Client, copy: None, client: Browser) -> None:
    owner = User.objects.create_user("amina@acme.test", "correct-horse-7")
    Membership.objects.create(user=owner, client=acme, role="owner")
    client.force_login(owner)
    old = texts(acme)[0]
    rewrite()
    accept(acme, first=5)
    shown = client.get("/app/messages").content.decode()
    assert old in shown
    assert "only in the database itself" not in shown
    key = make_key(acme)
    listed = client.get(f"/api/{acme.pk}/sms/history", headers={"X-API-KEY": key.api_key}).json()
    assert [row["message"] for row in listed["data"]] == [old]
    job = Job(acme, QueryDict(""), masked=False)
    assert old in [row[6] for row in KINDS["messages"].rows(job)]
    assert (
        sum(
            day.queued
            for day in statistics.days_of(acme, days=2, now=Message.objects.unscoped().latest("pk").created_at)
        )
        == 1
    )


def test_money_keys_and_claims_are_never_read_there(acme: Client, copy: None) -> None:
    credit_wallet(client=acme, amount=Decimal(7), reference="topup:2")
    key = make_key(acme)
    known = replica.read(lambda: balance_of(acme.pk).available)
    assert known == balance_of(acme.pk).available
    assert replica.read(lambda: type(key.key).objects.unscoped().filter(pk=key.key.pk).exists())


def test_a_row_that_was_read_there_is_written_to_the_database_itself(acme: Client, copy: None) -> None:
    (message,) = replica.read(lambda: list(queries.messages_for(acme)))
    message.reference = "order-7"
    message.save()
    assert Message.objects.unscoped().using("default").get().reference == "order-7"
    assert Message.objects.unscoped().using(replica.ALIAS).get().reference == ""
    assert message.client == acme  # a related row is read where it may be


def test_a_transaction_reads_what_it_wrote(acme: Client, copy: None) -> None:
    with transaction.atomic():
        rewrite()
        assert texts(acme) == ["only in the database itself"]


def test_a_replica_that_goes_away_is_done_without_and_said_once(
    acme: Client, copy: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "crm.common.replica")
    texts(acme)  # it was there, and is believed in for some seconds
    rewrite()
    take_away()
    assert texts(acme) == texts(acme) == ["only in the database itself"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "left alone" in caplog.text
    assert "127.0.0.1" not in caplog.text


def test_a_replica_without_the_tables_of_this_release_is_done_without(acme: Client, copy: None) -> None:
    rewrite()
    with connections[replica.ALIAS].cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET default_transaction_read_only = off")
        cursor.execute("ALTER TABLE messaging_message RENAME COLUMN country TO land")
    assert texts(acme) == ["only in the database itself"]


def test_a_late_replica_is_left_alone_until_it_has_caught_up(
    acme: Client, copy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite()
    monkeypatch.setattr(replica, "lag_seconds", lambda: replica.MOST_BEHIND + 1)
    assert texts(acme) == ["only in the database itself"]
    monkeypatch.setattr(replica, "lag_seconds", lambda: 0.5)
    assert texts(acme) == ["only in the database itself"]  # not asked at every read
    monkeypatch.setattr(replica, "LOOK_EVERY", 0.0)
    replica.forget()
    assert texts(acme) != ["only in the database itself"]


def figures() -> dict[str, float]:
    return {found.name: found.values[0][1] for found in all_figures() if found.values}


def doctor(capsys: pytest.CaptureFixture[str]) -> str:
    output = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", stdout=output)
    return output.getvalue()


def test_doctor_and_figures_tell_how_it_is(acme: Client, copy: None, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures()
    assert found["tarishi_replica_up"] == 1
    assert found["tarishi_replica_lag_seconds"] == 0
    assert "read replica: 0 s behind" in doctor(capsys)
    take_away()
    found = figures()
    assert found["tarishi_replica_up"] == 0
    assert "tarishi_replica_lag_seconds" not in found
    said = doctor(capsys)
    assert "read replica: cannot be asked (OperationalError)" in said
    assert "DATABASE_REPLICA_URL" in said


def test_without_one_nothing_is_said_of_it(acme: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert "tarishi_replica_up" not in figures()
    assert "read replica" not in doctor(capsys)
