"""What a measure costs, and the child processes in which the parts of an installation are measured."""

import os
import platform
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import django
from django.conf import settings
from django.db import connection

_TICKS = os.sysconf("SC_CLK_TCK")
SHARED_ONCE = "PSS, in which pages that processes share count once"


@dataclass(slots=True)
class Figure:
    """One line of the table: `count` of `what` in `seconds`. cpu: seconds, those of the database's processes for us
    included where `with_database`; queries: statements in all, None where nobody counted."""

    what: str
    count: int
    seconds: float = 0.0
    cpu: float = 0.0
    remark: str = ""
    queries: int | None = None
    peak_mib: float = 0.0
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        return self.count / self.seconds if self.seconds else 0.0

    @property
    def cpu_per_1000(self) -> float:
        return 1000 * self.cpu / self.count if self.count else 0.0


class Statements:
    """Counts what passes through a connection, as an execute wrapper."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        self.count += 1
        return execute(sql, params, many, context)


def process_cpu(pid: int | str) -> float:
    """CPU seconds of a process so far; 0.0 where it has gone."""
    try:
        values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(values[11]) + int(values[12])) / _TICKS


def database_cpu() -> float:
    """CPU seconds of the PostgreSQL processes that serve this database now, where they run on this host; else 0.0."""
    return sum(_database_processes().values())


def _database_processes() -> dict[int, float]:
    """Those processes, each with its CPU seconds so far."""
    if connection.vendor != "postgresql":
        return {}
    name = f" {connection.settings_dict['NAME']} "
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                told = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if told.startswith("postgres:") and name in told:
                found[int(folder.name)] = process_cpu(folder.name)
    return found


class DatabaseCpu:
    """What they need while a block lasts, those that end in it included: one that has gone tells nobody."""

    EVERY = 0.25  # seconds

    def __enter__(self) -> "DatabaseCpu":
        self._before = _database_processes()
        self._seen = dict(self._before)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._seen |= _database_processes()
        self.seconds = sum(self._seen.values()) - sum(self._before.values())

    def _look(self) -> None:
        while not self._over.wait(self.EVERY):
            self._seen |= _database_processes()


def peak_mib(pid: int | str = "self") -> float:
    """The most memory a process ever held, in MiB; 0.0 where nobody tells."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 if pid == "self" else 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def held_mib(pid: int) -> float:
    """What a process holds now in MiB, pages that it shares with others counted in parts; 0.0 where nobody tells."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


@contextmanager
def timed(what: str, count: int) -> Iterator[Figure]:
    """Measure the block in this process; `count` and `remark` may be changed inside by the figure it yields."""
    figure, statements = Figure(what, count), Statements()
    with connection.execute_wrapper(statements):
        began, cpu = time.perf_counter(), time.process_time()
        with DatabaseCpu() as theirs:
            yield figure
            figure.seconds = time.perf_counter() - began
        figure.cpu = time.process_time() - cpu + theirs.seconds
    figure.queries, figure.peak_mib = statements.count, peak_mib()


def environment(**more: str) -> dict[str, str]:
    """For a child that works on the database at hand; it wakes nobody by itself."""
    held = connection.settings_dict
    if connection.vendor == "sqlite":
        address = f"sqlite:///{held['NAME']}"
    else:
        who = quote(held["USER"] or "") + (f":{quote(held['PASSWORD'])}" if held["PASSWORD"] else "")
        address = f"postgres://{who}@{held['HOST'] or '127.0.0.1'}:{held['PORT'] or 5432}/{held['NAME']}"
    own = {"DATABASE_URL": address, "CELERY_BROKER_URL": "memory://localhost", "DEBUG": "0", "ALLOWED_HOSTS": "*"}
    own |= {"SECURE": "0", "PYTHONPATH": str(settings.BASE_DIR)}
    return {**os.environ, **own, **more}


def start(*arguments: str, env: dict[str, str], **options: Any) -> subprocess.Popen[str]:
    """A Python of ours as a child process."""
    return subprocess.Popen(  # noqa: S603 - our own modules
        [sys.executable, *arguments], env=env, cwd=settings.BASE_DIR, text=True, **options
    )


def end(children: Sequence[subprocess.Popen]) -> None:
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(5)


def family(pid: int) -> list[int]:
    """A process and those it started, as far as they live."""
    found = [pid]
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                values = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(values[1]), []).append(int(folder.name))
    for one in found:
        found += parents.get(one, [])
    return found


def family_mib(pid: int) -> float:
    """What a process and those it started hold now in MiB, pages that they share counted once."""
    return sum(held_mib(one) for one in family(pid))


def family_cpu(pid: int) -> float:
    return sum(process_cpu(one) for one in family(pid))


def describe() -> str:
    """The line under a table: versions, cores and load."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()" if connection.vendor == "postgresql" else "SELECT sqlite_version()")
        version = " ".join(cursor.fetchone()[0].split()[:2])
    database = version if connection.vendor == "postgresql" else f"SQLite {version}"
    ours = f"Python {platform.python_version()}, Django {django.get_version()}, {database}"
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name || ' ' || setting FROM pg_settings WHERE name IN ('synchronous_commit', 'fsync')"
            )
            ours += f" ({', '.join(sorted(row[0] for row in cursor.fetchall()))})"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{ours}; {os.cpu_count()} cores, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f} at the end"
