"""The migration to timelines by month while they are written to: nothing is refused or lost, no row is copied."""

import gzip
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.ops.installation import manage
from tests.ops.servers import Postgres, postgres
from tests.ops.test_upgrade import RELEASES

BEFORE = "0020_network_ranges"
ROWS = 300_000
COLUMNS = "(message_id, client_id, kind, code, detail, at)"


class Writer(threading.Thread):
    """Writes a line of a timeline again and again, each with a commit of its own, as workers do."""

    def __init__(self, server: Postgres) -> None:
        super().__init__(daemon=True)
        self.server, self.done, self.written = server, threading.Event(), 0
        self.problem: Exception | None = None

    def run(self) -> None:
        line = (
            f"INSERT INTO messaging_messageevent {COLUMNS} SELECT min(id), min(client_id), 'report', '', 'live', now() "
        )
        try:
            with self.server.connect() as mine:
                while not self.done.is_set():
                    mine.execute(line + "FROM messaging_message")
                    self.written += 1
        except psycopg.Error as error:
            self.problem = error


@pytest.fixture
def server() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


@pytest.mark.long
@pytest.mark.timeout(900)
def test_timelines_become_months_while_they_are_written_to(server: Postgres, tmp_path: Path) -> None:
    with server.connect() as owner:
        owner.execute(gzip.decompress((RELEASES / "0.1.0.postgres.sql.gz").read_bytes()).decode())  # type: ignore[call-overload]
        owner.execute("SET search_path = public")

    def migrate(*words: str) -> None:
        done = manage(tmp_path, "migrate", *words, "--verbosity=0", seconds=400, DATABASE_URL=server.url)
        assert done.returncode == 0, done.stderr

    migrate("messaging", BEFORE)
    server.ask(
        f"WITH made AS (INSERT INTO messaging_messageevent {COLUMNS} SELECT m.id, m.client_id, 'report', '', 'old', "
        f"now() - n * interval '1 second' FROM generate_series(1, {ROWS}) n, (SELECT min(id) AS id, min(client_id) "
        "AS client_id FROM messaging_message) m RETURNING 1) SELECT count(*) FROM made"
    )
    before = server.ask("SELECT count(*) FROM messaging_messageevent")
    place = server.ask("SELECT pg_relation_filenode('messaging_messageevent')")
    writer = Writer(server)
    writer.start()
    migrate()
    writer.done.set()
    writer.join(30)
    assert writer.problem is None
    assert writer.written
    assert server.ask("SELECT relkind::text FROM pg_class WHERE oid = 'messaging_messageevent'::regclass") == "p"
    assert server.ask("SELECT count(*) FROM messaging_messageevent") == before + writer.written
    assert server.ask("SELECT count(DISTINCT id) FROM messaging_messageevent") == before + writer.written
    assert server.ask("SELECT pg_relation_filenode('messaging_messageevent_first')") == place  # the very same table
    shown = manage(tmp_path, "months", DATABASE_URL=server.url)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("made messaging_messageevent_") == 2  # the first one reaches two months ahead by itself
