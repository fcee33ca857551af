"""Servers of a test's own: PostgreSQL with a streaming replica, and Redis, in a temporary folder, on any address."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.ops.installation import free_port, wait_for

QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=64MB", "wal_level=replica")


def programs() -> Path:
    """The folder of PostgreSQL's server programs; skips the test where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    beside = shutil.which("initdb")
    if not found and not beside:
        pytest.skip("the server programs of PostgreSQL are not installed")
    return (found[-1] if found else Path(str(beside))).parent


def _owner() -> str | None:
    """Whom the server runs as: it refuses to run as root."""
    if os.geteuid():
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")


class Postgres:
    """One server. `url` names its database `tarishi`, which every caller may use without a password."""

    def __init__(self, address: str = "127.0.0.1", network: str = "") -> None:
        self.address, self.port = address, free_port()
        self.user = _owner()
        # Not below pytest's folder, which another user may not enter.
        self.folder = Path(tempfile.mkdtemp(prefix="tarishi-postgres-"))
        if self.user:
            shutil.chown(self.folder, self.user)
        self.network = network or f"{address}/32"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgres://tarishi@{self.address}:{self.port}/tarishi"

    def make(self) -> None:
        self._run("initdb", "-D", str(self.data), "-U", "tarishi", "-A", "trust", "--no-sync", "-E", "UTF8")
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {self.network} trust\nhost replication all {self.network} trust\n")
        self.start()
        with self.connect("postgres") as server:
            server.execute("CREATE DATABASE tarishi")

    def make_from(self, primary: "Postgres") -> None:
        """A streaming replica: a copy that follows the log of `primary`."""
        source = f"postgres://tarishi@{primary.address}:{primary.port}/"
        self._run("pg_basebackup", "-D", str(self.data), "-d", source, "-X", "stream", "-R", "-c", "fast", "--no-sync")
        self.start()

    def start(self) -> None:
        options = [f"listen_addresses={self.address}", f"port={self.port}", f"unix_socket_directories={self.folder}"]
        words = [word for option in (*options, *QUICK, "max_connections=100") for word in ("-c", option)]
        with (self.folder / "log").open("ab") as output:
            self.process = subprocess.Popen(
                [programs() / "postgres", "-D", self.data, *words],
                stdout=output, stderr=output, user=self.user, group=self.user, extra_groups=[] if self.user else None,
            )  # fmt: skip
        wait_for(self._answers, 60, "PostgreSQL answers")

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # "fast": ends sessions, keeps what was committed
            self.process.wait(timeout=60)

    def connect(self, database: str = "tarishi") -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self.address, port=self.port, user="tarishi", dbname=database, autocommit=True, connect_timeout=3
        )

    def ask(self, sql: str) -> Any:
        """The first column of the first row."""
        with self.connect() as server:
            row = server.execute(sql).fetchone()  # type: ignore[call-overload]
            return row[0] if row else None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            self.connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [programs() / program, *words], capture_output=True, text=True, timeout=120, cwd=self.folder,
            user=self.user, group=self.user, extra_groups=[] if self.user else None,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@contextmanager
def postgres(
    address: str = "127.0.0.1", network: str = "", *, replica_of: Postgres | None = None
) -> Iterator[Postgres]:
    """A new, empty server; or a streaming replica of one that is running, where that is."""
    if replica_of:
        address, network = replica_of.address, replica_of.network
    server = Postgres(address, network)
    try:
        if replica_of:
            server.make_from(replica_of)
        else:
            server.make()
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


@contextmanager
def redis(address: str) -> Iterator[int]:
    """A Redis that keeps nothing on disk; its port."""
    program = shutil.which("redis-server")
    if not program:
        pytest.skip("redis-server is not installed")
    port = free_port()
    words = ["--bind", address, "--port", str(port), "--save", "", "--appendonly", "no", "--protected-mode", "no"]
    process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, cwd="/tmp")
    try:
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)
