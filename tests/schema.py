"""A migrated database, made once for each state of the migrations; every further one is a copy.

Some sixty migrations cost the better part of a minute of one core. Two runners, and each test that starts processes of
its own, would pay it again. The copy is a file beside the test's on SQLite and a template database on PostgreSQL.
"""

import fcntl
import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import django
from django.conf import settings
from django.db import connection

ROOT = Path(__file__).parents[1]
KEPT = 3  # templates of other branches on one PostgreSQL server


def fingerprint() -> str:
    """Twelve hex digits that change with the text of any migration and with Django's version."""
    found = hashlib.sha256(django.__version__.encode())
    for path in sorted(ROOT.glob("*/migrations/*.py")):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:12]


def copy_to(path: Path) -> bool:
    """Puts a migrated SQLite database at `path`; False where none was made yet."""
    with _alone() as folder:
        template = folder / f"{fingerprint()}.sqlite3"
        if template.exists():
            shutil.copyfile(template, path)
        return template.exists()


@contextmanager
def prepared() -> Iterator[bool]:
    """Whether the test database is there as a copy. If not, it is to be made in this block, and is kept after it."""
    name = str(connection.settings_dict["TEST"]["NAME"])
    with _files(Path(name)) if connection.vendor == "sqlite" else _templates(name) as is_there:
        yield is_there


@contextmanager
def _alone() -> Iterator[Path]:
    folder = settings.VAR_DIR / "test-schema"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@contextmanager
def _files(path: Path) -> Iterator[bool]:
    with _alone() as folder:
        template = folder / f"{fingerprint()}.sqlite3"
        for ending in ("", "-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        if template.exists():
            shutil.copyfile(template, path)
            yield True
            return
        yield False
        for old in folder.glob("*.sqlite3"):
            old.unlink()
        with closing(sqlite3.connect(path)) as made:
            made.execute("VACUUM INTO ?", [str(template)])


@contextmanager
def _templates(name: str) -> Iterator[bool]:
    template = f"test_tarishi_schema_{fingerprint()}"
    with connection.creation._nodb_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute("SELECT pg_advisory_lock(hashtext('tarishi test schema'))")  # until this connection closes
        cursor.execute("SELECT count(*) FROM pg_database WHERE datname = %s", [template])
        is_there = bool(cursor.fetchone()[0])
        if is_there:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        yield is_there
        connection.close()  # a database that somebody uses cannot be copied, and what is set holds for new sessions
        if not is_there:
            found = "SELECT datname FROM pg_database WHERE datname LIKE %s ORDER BY oid DESC OFFSET %s"
            cursor.execute(found, ["test_tarishi_schema_%", KEPT - 1])
            for (old,) in cursor.fetchall():
                cursor.execute(f'DROP DATABASE "{old}"')
            cursor.execute(f'CREATE DATABASE "{template}" TEMPLATE "{name}"')
        # As on SQLite: a test survives no power cut, and waits for none.
        cursor.execute(f'ALTER DATABASE "{name}" SET synchronous_commit TO off')
