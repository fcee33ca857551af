"""What the sandbox remembers: messages, opt-outs, accounts and dials, in one SQLite file.

Writes are handed to one thread that stores them in batches, so that accepting a message costs no disk access. Reads go
through the same thread and therefore see every write made before them. After a kill -9 up to BATCH_SECONDS are lost,
which is no matter for a sandbox; a normal stop loses nothing.
"""

import asyncio
import json
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar

log = logging.getLogger(__name__)

BATCH_SECONDS: Final = 0.05
T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY,
    provider_id TEXT NOT NULL UNIQUE,
    username TEXT NOT NULL,
    number TEXT NOT NULL,
    sender TEXT NOT NULL,
    text TEXT NOT NULL,
    parts INTEGER NOT NULL,
    cost INTEGER NOT NULL,             -- ten-thousandths of KES
    network TEXT NOT NULL,             -- networkCode
    accepted_at REAL NOT NULL,         -- seconds since 1970, as are the other times
    state TEXT NOT NULL DEFAULT 'Queued',
    reason TEXT NOT NULL DEFAULT '',
    state_at REAL NOT NULL,
    planned TEXT NOT NULL,             -- the final report to come, "Success" or "Failed:UserIsInactive"; '' for none
    open INTEGER NOT NULL              -- 1 until the final report was taken, given up, or has nowhere to go
);
CREATE INDEX IF NOT EXISTS message_number ON message (number, id);
CREATE INDEX IF NOT EXISTS message_open ON message (id) WHERE open = 1;
CREATE TABLE IF NOT EXISTS optout (
    username TEXT NOT NULL, sender TEXT NOT NULL, number TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (username, sender, number)
);
CREATE TABLE IF NOT EXISTS setting (kind TEXT NOT NULL, username TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (kind, username));
CREATE TABLE IF NOT EXISTS mail (provider_id TEXT PRIMARY KEY, raw BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS payment (id TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS paybill (shortcode TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_INSERT: Final = """
INSERT INTO message (provider_id, username, number, sender, text, parts, cost, network, accepted_at, state_at, planned,
    open) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# The first final state is what became of it, whatever contradicting reports go out.
_SET_STATE: Final = """
UPDATE message SET state = ?, reason = ?, state_at = ?
WHERE provider_id = ? AND state IN ('Queued', 'Sent', 'Submitted', 'Buffered')
"""
_CLOSE: Final = "UPDATE message SET open = 0 WHERE provider_id = ?"

MessageRow = tuple[str, str, str, str, str, int, int, str, float, float, str, int]


class Store:
    """Opens `path`, creating it and its folder. Methods may be called from any thread."""

    def __init__(self, path: str | Path) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._jobs: queue.SimpleQueue[tuple[str, Any, Future[Any] | None] | None] = queue.SimpleQueue()
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.row_factory = sqlite3.Row
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_SCHEMA)
        self._thread = threading.Thread(target=self._work, name="sandbox-store", daemon=True)
        self._thread.start()

    # What goes in; none of these waits.

    def add(self, rows: list[MessageRow]) -> None:
        """Messages just accepted."""
        for row in rows:
            self._jobs.put((_INSERT, row, None))

    def set_state(self, provider_id: str, state: str, reason: str) -> None:
        self._jobs.put((_SET_STATE, (state, reason, time.time(), provider_id), None))

    def close_message(self, provider_id: str) -> None:
        """Its final report is done with: nothing is owed after a restart."""
        self._jobs.put((_CLOSE, (provider_id,), None))

    def save_setting(self, kind: str, username: str, value: Any) -> None:
        sql = "INSERT INTO setting VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
        self._jobs.put((sql, (kind, username, json.dumps(value)), None))

    def write(self, sql: str, values: tuple[Any, ...]) -> None:
        """Any other statement, for what has a table of its own."""
        self._jobs.put((sql, values, None))

    def add_optout(self, username: str, sender: str, number: str) -> None:
        sql = "INSERT INTO optout VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        self._jobs.put((sql, (username, sender, number, time.time()), None))

    def remove_optout(self, username: str, sender: str, number: str) -> None:
        sql = "DELETE FROM optout WHERE username = ? AND sender = ? AND number = ?"
        self._jobs.put((sql, (username, sender, number), None))

    # What comes out.

    def call(self, function: Callable[[sqlite3.Connection], T]) -> "Future[T]":
        """Run `function` with the connection after all that was put before."""
        future: Future[T] = Future()
        self._jobs.put(("", function, future))
        return future

    async def ask(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """`call`, awaited."""
        return await asyncio.wrap_future(self.call(function))

    def stop(self) -> None:
        """Store what waits, then close the file."""
        self._jobs.put(None)
        self._thread.join()
        self._database.close()

    def _work(self) -> None:
        while True:
            batch = [self._jobs.get()]
            if batch[0] is not None and batch[0][2] is None:
                time.sleep(BATCH_SECONDS)  # let more come
            while not self._jobs.empty() and len(batch) < 20_000:
                batch.append(self._jobs.get())
            self._store(batch)
            if None in batch:
                return

    def _store(self, batch: list[tuple[str, Any, Future[Any] | None] | None]) -> None:
        try:
            self._run(batch)
        except Exception as error:  # a full disk, say: tell of it and go on without these
            log.exception("the sandbox could not store %d writes", len(batch))
            self._database.rollback()
            for job in batch:
                if job and job[2] and not job[2].done():
                    job[2].set_exception(error)

    def _run(self, batch: list[tuple[str, Any, Future[Any] | None] | None]) -> None:
        """Statements of one kind in a row run as one; the whole batch is one transaction."""
        self._database.execute("BEGIN")
        sql = ""
        values: list[Any] = []
        for job in batch:
            if job is None:
                continue
            if job[0] != sql or job[2]:
                if values:
                    self._database.executemany(sql, values)
                sql, values = job[0], []
            if job[2]:
                self._answer(job[1], job[2])
            else:
                values.append(job[1])
        if values:
            self._database.executemany(sql, values)
        self._database.execute("COMMIT")

    def _answer(self, function: Callable[[sqlite3.Connection], Any], future: "Future[Any]") -> None:
        try:
            future.set_result(function(self._database))
        except Exception as error:
            future.set_exception(error)


# Questions, to be passed to Store.ask or Store.call.


def settings(database: sqlite3.Connection) -> list[tuple[str, str, Any]]:
    """(kind, username, value) of every account and set of dials."""
    return [
        (row["kind"], row["username"], json.loads(row["value"])) for row in database.execute("SELECT * FROM setting")
    ]


def optouts(database: sqlite3.Connection) -> set[tuple[str, str, str]]:
    """(username, sender, number) of everybody who left a sender."""
    return {tuple(row) for row in database.execute("SELECT username, sender, number FROM optout")}


def spent(database: sqlite3.Connection) -> dict[str, int]:
    """Ten-thousandths of KES by username, for the messages kept."""
    return dict(database.execute("SELECT username, SUM(cost) FROM message GROUP BY username").fetchall())


def open_messages(database: sqlite3.Connection) -> list[sqlite3.Row]:
    """Messages whose final report is still owed, oldest first."""
    return database.execute("SELECT * FROM message WHERE open = 1 ORDER BY id").fetchall()


def state_counts(database: sqlite3.Connection) -> dict[str, int]:
    return dict(database.execute("SELECT state, COUNT(*) FROM message GROUP BY state").fetchall())


def duplicates(database: sqlite3.Connection) -> int:
    """How many messages came more than once: arrivals of one number, text and sender beyond the first."""
    groups = "SELECT COUNT(*) n FROM message GROUP BY number, text, sender HAVING n > 1"
    return int(database.execute(f"SELECT COALESCE(SUM(n - 1), 0) FROM ({groups})").fetchone()[0])


def messages(number: str, limit: int) -> Callable[[sqlite3.Connection], list[sqlite3.Row]]:
    """The newest messages, of one number unless that is ""."""

    def read(database: sqlite3.Connection) -> list[sqlite3.Row]:
        where, values = ("WHERE number = ?", [number]) if number else ("", [])
        return database.execute(f"SELECT * FROM message {where} ORDER BY id DESC LIMIT ?", [*values, limit]).fetchall()

    return read


def phones(search: str, limit: int) -> Callable[[sqlite3.Connection], list[sqlite3.Row]]:
    """Numbers that got messages, the latest first: count and last message. `search`: digits anywhere in the number."""
    ask = """
    SELECT m.*, (SELECT COUNT(*) FROM message WHERE number = p.number) count
    FROM (SELECT number, MAX(id) last FROM {source} GROUP BY number ORDER BY last DESC LIMIT ?) p
    JOIN message m ON m.id = p.last ORDER BY m.id DESC
    """
    latest, matching = "(SELECT id, number FROM message ORDER BY id DESC LIMIT 2000)", "message WHERE number LIKE ?"

    def read(database: sqlite3.Connection) -> list[sqlite3.Row]:
        if not search:  # a page that refreshes itself must not read a million messages: the latest usually do
            rows = database.execute(ask.format(source=latest), (limit,)).fetchall()
            if len(rows) == limit:
                return rows
        return database.execute(ask.format(source=matching), (f"%{search}%", limit)).fetchall()

    return read


def forget_messages(database: sqlite3.Connection) -> None:
    """All messages and opt-outs; accounts and dials stay."""
    database.execute("DELETE FROM message")
    database.execute("DELETE FROM mail")
    database.execute("DELETE FROM optout")
