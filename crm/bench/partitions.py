"""What months of their own give a large table: python -m crm.bench.partitions postgres://… [million rows [months]]

In a database of its own on that server, which is dropped at the end: the same rows in one table, and in tables that
are partitioned by month, with as many indexes as messages have, since planning reads those of every partition. Taking a
month away, inserting, reading a history, claiming from the queue, and the room that is left behind.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

CLIENTS = 200
BATCH = 500  # rows of one insert, as a campaign's
PURGED_AT_ONCE = 5000
READS = 300
CLAIMS = 60
_COLUMNS = """
    id bigint NOT NULL, client_id bigint NOT NULL, status varchar(10) NOT NULL, recipient varchar(254) NOT NULL,
    text text NOT NULL, at timestamptz NOT NULL, road integer NOT NULL, priority smallint NOT NULL
"""
_ROWS = """
    SELECT {first} + n, 1 + n % {clients}, '{status}', '+2547' || lpad((n % 90000000)::text, 8, '0'),
           repeat('x', 100), {at}, 1 + n % 3, 0 FROM generate_series(1::bigint, {count}) AS n
"""
_INDEXES = (
    "(client_id, id DESC)", "(client_id, status, id DESC)", "(client_id, recipient, id DESC)",
    "(road, priority, id) WHERE status = 'queued'", *(f"(at) WHERE status = 'state {number}'" for number in range(12)),
)  # fmt: skip
_CLAIM = """
    UPDATE {name} SET status = 'claimed' WHERE id IN (
        SELECT id FROM {name} WHERE status = 'queued' AND road = 1 ORDER BY priority, id LIMIT 100
        FOR UPDATE SKIP LOCKED) RETURNING id, text
"""
_AT = "timestamptz '2025-01-01Z' + n * (timestamptz '{end}' - timestamptz '2025-01-01Z') / {count}"


class Table:
    """One of the three. by: the column it is partitioned by, a month each; "" for one table.

    The borders of `id` are the first ids of the months, so that the key stays the id alone.
    """

    def __init__(self, server: psycopg.Connection[Any], name: str, by: str, count: int, months: int) -> None:
        self.server, self.name, self.by, self.months = server, name, by, months
        key = "id, at" if by == "at" else "id"  # what is unique in a partitioned table has its column in the key
        server.execute(
            f"CREATE TABLE {name} ({_COLUMNS}, PRIMARY KEY ({key}))" + (f" PARTITION BY RANGE ({by})" if by else "")
        )
        for month in range(1, months + 2) if by else ():
            begin, end = (_first(month), _first(month + 1)) if by == "at" else _ids(month, count, months)
            server.execute(f"CREATE TABLE {name}_{month} PARTITION OF {name} FOR VALUES FROM ('{begin}') TO ('{end}')")
        for words in _INDEXES:
            server.execute(f"CREATE INDEX ON {name} {words}")

    def fill(self, count: int) -> None:
        at = _AT.format(count=count, end=_first(self.months + 1))
        rows = _ROWS.format(first=0, clients=CLIENTS, at=at, count=count, status="sent")
        self.server.execute(f"INSERT INTO {self.name} {rows}")
        self.server.execute(f"VACUUM ANALYZE {self.name}")

    def insert(self, first: int, count: int) -> float:
        """Rows a second, in batches with a commit each."""
        began = time.monotonic()
        for start in range(first, first + count, BATCH):
            at = f"timestamptz '{_first(self.months + 1)}' - interval '1 day'"
            rows = _ROWS.format(first=start, clients=CLIENTS, at=at, count=BATCH, status="queued")
            self.server.execute(f"INSERT INTO {self.name} {rows}")
        return count / (time.monotonic() - began)

    def read(self) -> tuple[float, float]:
        """Milliseconds of a client's newest 50, and of its 50 around the middle, by key."""
        middle = self._value(f"SELECT max(id) / 2 FROM {self.name}")
        newest = self._timed(lambda client: (f"SELECT * FROM {self.name} WHERE client_id = {client}", ""))
        deep = self._timed(
            lambda client: (f"SELECT * FROM {self.name} WHERE client_id = {client}", f"AND id < {middle}")
        )
        return newest, deep

    def find(self) -> float:
        """Milliseconds of one row by its key."""
        most = self._value(f"SELECT max(id) FROM {self.name}")
        return self._timed(lambda _client: (f"SELECT * FROM {self.name} WHERE id = {random.randint(1, most)}", ""))

    def claim(self) -> float:
        """Milliseconds of taking 100 from the queue."""
        taken = []
        for _ in range(CLAIMS):
            began = time.monotonic()
            self.server.execute(_CLAIM.format(name=self.name)).fetchall()
            taken.append((time.monotonic() - began) * 1000)
        return median(taken)

    def purge(self) -> tuple[float, float]:
        """Take January away; seconds, and megabytes of log."""
        log, began = self._value("SELECT pg_current_wal_lsn()"), time.monotonic()
        if self.by:
            self.server.execute(f"ALTER TABLE {self.name} DETACH PARTITION {self.name}_1")
            self.server.execute(f"DROP TABLE {self.name}_1")
        else:
            some = f"SELECT id FROM {self.name} WHERE at < '{_first(2)}' ORDER BY id LIMIT {PURGED_AT_ONCE}"
            while self.server.execute(f"DELETE FROM {self.name} WHERE id IN ({some})").rowcount:
                pass
        seconds = time.monotonic() - began
        return seconds, float(self._value(f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{log}')")) / 1e6

    def megabytes(self) -> float:
        parts = f"(SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('{self.name}'))"
        return float(self._value(f"SELECT COALESCE({parts}, pg_total_relation_size('{self.name}'))")) / 1e6

    def _timed(self, words: Callable[[int], tuple[str, str]]) -> float:
        taken = []
        for _ in range(READS):
            head, tail = words(random.randint(1, CLIENTS))
            began = time.monotonic()
            self.server.execute(f"{head} {tail} ORDER BY id DESC LIMIT 50").fetchall()
            taken.append((time.monotonic() - began) * 1000)
        return median(taken)

    def _value(self, statement: str) -> Any:
        row = self.server.execute(statement).fetchone()
        return row[0] if row else None


def _ids(month: int, count: int, months: int) -> tuple[int, int]:
    """The border ids of a month; the one after the last has room for what is inserted later."""
    return count * (month - 1) // months + 1, count * month // months + 1 if month <= months else 2 * count


def _first(month: int) -> str:
    return f"{2025 + (month - 1) // 12}-{(month - 1) % 12 + 1:02}-01Z"


@contextmanager
def _own_database(url: str) -> Iterator[psycopg.Connection[Any]]:
    name, parts = f"tarishi_partitions_{random.randint(1000, 9999)}", urlsplit(url)
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            with psycopg.connect(urlunsplit(parts._replace(path=f"/{name}")), autocommit=True) as mine:
                yield mine
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def main(url: str, millions: float = 2.0, months: float = 12) -> str:
    """The figures as a Markdown table."""
    count = int(millions * 1_000_000)
    lines = ["| | one table | by month | by id, a month each |", "|---|---:|---:|---:|"]
    with _own_database(url) as server:
        kinds = (("plain", ""), ("timed", "at"), ("keyed", "id"))
        tables = [Table(server, name, by, count, int(months)) for name, by in kinds]
        for table in tables:
            table.fill(count)
        rates = [table.insert(count + 1, 50_000) for table in tables]
        reads = [table.read() for table in tables]
        found = [table.find() for table in tables]
        claims = [table.claim() for table in tables]
        sizes = [table.megabytes() for table in tables]
        purges = [table.purge() for table in tables]
        server.execute("VACUUM plain")
        after = [table.megabytes() for table in tables]

    def line(words: str, values: list[float], shape: str) -> None:
        lines.append(f"| {words} | " + " | ".join(format(value, shape) for value in values) + " |")

    line(f"rows inserted a second, {BATCH} at a time", rates, ",.0f")
    line("a client's newest 50, ms (median)", [read[0] for read in reads], ".2f")
    line("its 50 from the middle, by key, ms", [read[1] for read in reads], ".2f")
    line("one by its key, ms", found, ".2f")
    line("100 claimed from the queue, ms", claims, ".2f")
    line(f"a month of {count // int(months):,} rows taken away, s", [purge[0] for purge in purges], ".2f")
    line("log written by that, MB", [purge[1] for purge in purges], ",.1f")
    line("size before, MB", sizes, ",.0f")
    line("size after, with VACUUM, MB", after, ",.0f")
    return "\n".join(lines)


if __name__ == "__main__":
    print(main(sys.argv[1], *map(float, sys.argv[2:4])))  # noqa: T201
