"""A real streaming replica of PostgreSQL: what is read there, how late it says it is, and life without it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ops.installation import manage, wait_for
from tests.ops.servers import Postgres, postgres

SETUP = """
from tests.messaging.core.world import accept, make_road, make_sender
make_road()
accept(make_sender())
"""
READ = """
from crm.common import replica
from messaging import queries
from accounts.models import Client
from messaging.models import Message
Message.objects.unscoped().update(text="changed")
client = Client.objects.get()
print("READ", *replica.read(lambda: [(m.text == "changed") for m in queries.messages_for(client)]))
"""
WRITE = """
from django.db import connections
try:
    connections["replica"].cursor().execute("CREATE TABLE written (id int)")
except Exception as error:
    print("REFUSED", error)
"""


class Pair:
    """A database, its replica, and commands of an installation that knows both."""

    def __init__(self, folder: Path, primary: Postgres, copy: Postgres) -> None:
        self.folder, self.primary, self.copy = folder, primary, copy

    def run(self, *words: str, fails: bool = False) -> str:
        urls = {"DATABASE_URL": self.primary.url, "DATABASE_REPLICA_URL": self.copy.url, "PYTHONPATH": "."}
        done = manage(self.folder, *words, **urls)
        assert fails or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with postgres() as primary:
        manage(tmp_path, "migrate", "--verbosity=0", DATABASE_URL=primary.url)
        done = manage(tmp_path, "shell", "-c", SETUP, DATABASE_URL=primary.url, PYTHONPATH=".")
        assert done.returncode == 0, done.stderr
        with postgres(replica_of=primary) as copy:
            yield Pair(tmp_path, primary, copy)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_streaming_replica_is_read_while_it_follows_and_done_without_when_it_does_not(pair: Pair) -> None:
    rows = "SELECT count(*) FROM messaging_message"
    assert pair.copy.ask("SELECT pg_is_in_recovery()") is True
    assert pair.copy.ask(rows) == pair.primary.ask(rows) == 1
    assert "REFUSED" in pair.run("shell", "-c", WRITE)
    assert "read replica: 0 s behind" in pair.run("doctor", fails=True)

    # It stands still: what is written now is not there. While it is not yet late, it is read all the same.
    pair.copy.ask("SELECT pg_wal_replay_pause()::text")
    assert "READ False" in pair.run("shell", "-c", READ)
    late = wait_for(lambda: behind(pair, more_than=11), 60, "it is more than eleven seconds late")
    assert "does it follow?" in late
    assert "READ True" in pair.run("shell", "-c", READ)

    pair.copy.ask("SELECT pg_wal_replay_resume()::text")
    wait_for(lambda: pair.copy.ask("SELECT text FROM messaging_message") == "changed", 30, "it has caught up")
    assert "read replica: 0 s behind" in pair.run("doctor", fails=True)

    pair.copy.stop()
    pair.primary.ask("UPDATE messaging_message SET text = 'first' RETURNING 1")
    said = pair.run("shell", "-c", READ)
    assert "READ True" in said
    assert "the read replica is left alone (ReplicaAway" in said or "the read replica is left alone (Oper" in said
    assert "read replica: cannot be asked" in pair.run("doctor", fails=True)


def behind(pair: Pair, more_than: int) -> str:
    said = pair.run("doctor", fails=True)
    found = re.search(r"read replica: (\d+) s behind", said)
    return said if found and int(found[1]) > more_than else ""
