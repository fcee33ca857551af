"""The migrations to tables by month while they are written to: nothing is refused or lost, no row is copied."""

import gzip
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.ops.installation import manage
from tests.ops.servers import Postgres, postgres
from tests.ops.test_upgrade import RELEASES

BEFORE = {"messaging": "0020_network_ranges", "wallet": "0007_rates_by_category"}
BEFORE_MESSAGES = ("messaging", "0026_kept_quotes")
ROWS = 200_000
# What the release before writes: a line of a timeline, and an entry of the ledger.
WORDS = {
    "messaging_messageevent": "INSERT INTO messaging_messageevent (message_id, client_id, kind, code, detail, at) "
    "SELECT m.id, m.client_id, 'report', '', 'live', now() FROM (SELECT * FROM messaging_message LIMIT 1) m",
    "wallet_ledgerentry": "INSERT INTO wallet_ledgerentry (wallet_id, kind, amount_micros, balance_after_micros, "
    "reference, description, created_at) SELECT client_id, 'credit', 1, 1, gen_random_uuid()::text, '', now() "
    "FROM (SELECT * FROM wallet_wallet LIMIT 1) w",
}
CAMPAIGN = """
from accounts.models import Client
from messaging.models import Campaign
Campaign.objects.create(client=Client.objects.earliest("pk"), name="Sale", text="Habari")
"""
# A message of a campaign that is being written to the queue.
MESSAGE = """
INSERT INTO messaging_message (client_id, campaign_id, channel, recipient, sender, text, reference, source, simulated,
    status, priority, units, segments, encoding, cost_micros, provider_message_id, network_code, attempts, unconfirmed,
    error_code, error_message, created_at)
SELECT client_id, id, 'sms', gen_random_uuid()::text, 'ACME', 'Habari', '', 'campaign', false, 'queued', 5, 1, 1,
    'gsm7', 0, '', '', 0, false, '', '', now() FROM (SELECT * FROM messaging_campaign ORDER BY id LIMIT 1) c
"""


class Writer(threading.Thread):
    """Writes a row of a table again and again, each with a commit of its own, as workers do."""

    def __init__(self, server: Postgres, table: str, words: str) -> None:
        super().__init__(daemon=True)
        self.server, self.table, self.words, self.done, self.written = server, table, words, threading.Event(), 0
        self.problem: Exception | None = None

    def run(self) -> None:
        try:
            with self.server.connect() as mine:
                while not self.done.is_set():
                    mine.execute(self.words)
                    self.written += 1
        except psycopg.Error as error:
            self.problem = error


@pytest.fixture
def server() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_large_tables_become_months_while_they_are_written_to(server: Postgres, tmp_path: Path) -> None:
    with server.connect() as owner:
        owner.execute(gzip.decompress((RELEASES / "0.1.0.postgres.sql.gz").read_bytes()).decode())  # type: ignore[call-overload]
        owner.execute("SET search_path = public")

    def migrate(*words: str) -> None:
        done = manage(tmp_path, "migrate", *words, "--verbosity=0", seconds=800, DATABASE_URL=server.url)
        assert done.returncode == 0, done.stderr

    for app, migration in BEFORE.items():
        migrate(app, migration)

    def migrate_others() -> None:
        migrate(*BEFORE_MESSAGES)
        migrate("wallet")

    become_months(server, WORDS, migrate_others)
    made = manage(tmp_path, "shell", "-c", CAMPAIGN, DATABASE_URL=server.url)
    assert made.returncode == 0, made.stderr
    become_months(server, {"messaging_message": MESSAGE}, migrate)
    written = server.ask("SELECT count(*) FROM messaging_message WHERE campaign_id IS NOT NULL")
    assert written > ROWS
    assert server.ask("SELECT count(*) FROM messaging_writtento") == written
    shown = manage(tmp_path, "months", DATABASE_URL=server.url)
    assert shown.returncode == 0, shown.stderr
    for table in (*WORDS, "messaging_message"):
        assert shown.stdout.count(f"made {table}_2") == 2  # the first one reaches two months ahead by itself


def become_months(server: Postgres, tables: dict[str, str], migrate: Callable[[], None]) -> None:
    """`migrate` makes months of these large tables while somebody writes to each. tables: by name, how they write."""
    for words in tables.values():
        server.ask(f"WITH made AS ({words}, generate_series(1, {ROWS}) RETURNING 1) SELECT count(*) FROM made")
    before = {table: server.ask(f"SELECT count(*) FROM {table}") for table in tables}
    places = {table: server.ask(f"SELECT pg_relation_filenode('{table}')") for table in tables}
    writers = [Writer(server, table, words) for table, words in tables.items()]
    for writer in writers:
        writer.start()
    migrate()
    for writer in writers:
        writer.done.set()
        writer.join(30)
        table = writer.table
        assert writer.problem is None
        assert writer.written
        assert server.ask(f"SELECT relkind::text FROM pg_class WHERE oid = '{table}'::regclass") == "p"
        assert server.ask(f"SELECT count(*) FROM {table}") == before[table] + writer.written
        assert server.ask(f"SELECT count(DISTINCT id) FROM {table}") == before[table] + writer.written
        assert server.ask(f"SELECT pg_relation_filenode('{table}_first')") == places[table]  # the very same table
