"""Backups: one file with the database and the uploads, taken while everything runs, and what a restored one may do.

The file is a tar: `manifest.json`, then the database (SQLite: a file made by its online backup; PostgreSQL: a custom
dump of pg_dump, one snapshot), then `media/`. Keys are not in it: who finds a backup cannot read provider credentials.

A backup is older than the world. What waited in it may have been sent meanwhile, so a restored installation sends
nothing until a person says so (GUARANTEES.md D4): every provider account is paused.
"""

import io
import json
import os
import sqlite3
import subprocess
import tarfile
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from crm import __version__
from crm.common.crypto import Undecryptable, decrypt_text, encrypt_text
from crm.common.sql import database_now, later_sql, on_postgres
from messaging.models import ProviderAccount
from messaging.services.providers import pause_account

SQLITE, POSTGRES = "database.sqlite3", "database.dump"
_NAME = "tarishi-%Y%m%dT%H%M%SZ.tar"
_PATTERN = "tarishi-????????T??????Z.tar"


class BackupError(Exception):
    """A backup cannot be taken or restored; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Restored:
    """taken: when the backup was; paused: provider accounts; waiting: messages that had not left when it was taken."""

    taken: datetime
    paused: int
    waiting: int
    unknown: int


def take_backup(folder: Path, *, keep: int = 0) -> Path:
    """Write a backup into `folder` and return its path; keep: how many stay there, 0 for all. Raises: BackupError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / datetime.now(UTC).strftime(_NAME)
    draft = path.with_suffix(".unfinished")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tarishi-") as work:
        manifest = {
            "version": __version__,
            "database": connection.vendor,
            "taken": database_now().isoformat(),
            "lock": encrypt_text("tarishi"),  # opens with the key that opens what is encrypted in the database
            "migrations": sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations()),
        }
        dump = _dump(Path(work))
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                _add_text(tar, "manifest.json", json.dumps(manifest, indent=1))
                tar.add(dump, dump.name)
                if Path(settings.MEDIA_ROOT).is_dir():  # after the database: what it names is there
                    tar.add(settings.MEDIA_ROOT, "media", filter=_readable)
            file.flush()
            os.fsync(file.fileno())
    draft.rename(path)
    if keep > 0:
        for old in sorted(folder.glob(_PATTERN))[:-keep]:
            old.unlink()
    return path


def _readable(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return member if member.isfile() or member.isdir() else None


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _dump(work: Path) -> Path:
    if connection.vendor == "sqlite":
        target = work / SQLITE
        source = str(connection.settings_dict["NAME"])
        with closing(sqlite3.connect(source, timeout=20)) as here, closing(sqlite3.connect(target)) as there:
            here.backup(there, pages=2000, sleep=0.01)
        return target
    target = work / POSTGRES
    _run(["pg_dump", "--format=custom", "--no-owner", "--no-privileges", "--file", str(target)])
    return target


def _run(argv: list[str]) -> None:
    """A PostgreSQL program on our database; its password travels by the environment."""
    facts = connection.settings_dict
    given = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
    environment = os.environ | {name: str(facts[key]) for name, key in given.items() if facts.get(key)}
    try:
        ended = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        raise BackupError(
            f"{argv[0]} is not installed: it comes with PostgreSQL's client, of the server's version."
        ) from None
    if ended.returncode:
        raise BackupError(f"{argv[0]} failed: {ended.stderr.strip()[-1000:]}")


def read_manifest(path: Path) -> dict[str, Any]:
    """What a backup says of itself. Raises: BackupError."""
    try:
        with tarfile.open(path) as tar:
            first = tar.next()
            file = tar.extractfile(first) if first and first.name == "manifest.json" else None
            if file is None:
                raise BackupError(f"{path} is no backup of this product.")
            return json.load(file)
    except (OSError, tarfile.TarError) as error:
        raise BackupError(f"{path} cannot be read: {error}") from None


def restore_backup(path: Path, *, replace: bool = False, as_it_was: bool = False, forget: bool = False) -> Restored:
    """Bring database and uploads back to what they were, and the database to this release.

    replace: throw away what the present database holds, which otherwise must be empty. as_it_was: sending goes on at
    once. forget: what waited counts as maybe sent and is never sent again by itself. Raises: BackupError.
    """
    manifest = read_manifest(path)
    if manifest["database"] != connection.vendor:
        raise BackupError(f"The backup is of {manifest['database']} and DATABASE_URL names {connection.vendor}.")
    try:
        decrypt_text(manifest["lock"])
    except Undecryptable:
        raise BackupError(
            "ENCRYPTION_KEY is not the one under which the backup was taken, which opens its credentials. "
            "Set it to that of the old installation, or put its VAR_DIR/secrets here."
        ) from None
    newer = set(manifest["migrations"]) - _known_migrations()
    if newer:
        raise BackupError(f"The backup is of a newer release ({manifest['version']}): install that one first.")
    if connection.introspection.table_names() and not replace:
        raise BackupError("The database is not empty. Name an empty one, or say --replace to throw its content away.")
    folder = Path(settings.VAR_DIR)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".restore-") as work, tarfile.open(path) as tar:
        tar.extractall(work, filter="data")
        _load(Path(work), replace=replace)
        _bring_media(Path(work) / "media")
    call_command("migrate", interactive=False, verbosity=0)
    if not settings.CACHE_URL:
        call_command("createcachetable", verbosity=0)
    return _settle(datetime.fromisoformat(manifest["taken"]), as_it_was=as_it_was, forget=forget)


def _known_migrations() -> set[str]:
    return {f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations}


def _load(work: Path, *, replace: bool) -> None:
    if connection.vendor == "sqlite":
        target = Path(connection.settings_dict["NAME"])
        connections.close_all()
        if replace:
            for suffix in ("-wal", "-shm"):
                Path(f"{target}{suffix}").unlink(missing_ok=True)
        os.replace(work / SQLITE, target)
        return
    if replace:
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA public CASCADE")
            cursor.execute("CREATE SCHEMA public")
    connections.close_all()
    # Each statement that fails ends it: half a database is worse than none.
    _run(["pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--dbname", _name(), str(work / POSTGRES)])


def _name() -> str:
    return str(connection.settings_dict["NAME"])


def _bring_media(source: Path) -> None:
    """Files of the backup; what lies there beside them stays."""
    if not source.is_dir():
        return
    target = Path(settings.MEDIA_ROOT)
    for found in sorted(source.rglob("*")):
        goal = target / found.relative_to(source)
        if found.is_dir():
            goal.mkdir(parents=True, exist_ok=True)
        else:
            goal.parent.mkdir(parents=True, exist_ok=True)
            goal.write_bytes(found.read_bytes())


@transaction.atomic
def _settle(taken: datetime, *, as_it_was: bool, forget: bool) -> Restored:
    """Nothing that was on its way when the backup was taken goes out again by itself."""
    with connection.cursor() as cursor:
        # What was being written to a provider then has a lease, and the sweep records it as unknown.
        waits = """SELECT m.id FROM messaging_message m WHERE m.status = 'queued' AND NOT m.simulated AND NOT EXISTS (
            SELECT 1 FROM messaging_messagelease l WHERE l.message_id = m.id AND l.submitting)"""
        cursor.execute(f"SELECT COUNT(*) FROM ({waits}) AS waits", [])
        waiting = cursor.fetchone()[0]
        unknown = 0
        if forget:  # as if their sender had died while it wrote: the sweep records them as unknown
            cursor.execute(
                f"""UPDATE messaging_message SET status = 'queued', queued_at = {later_sql(0)}
                    WHERE NOT simulated AND status = 'scheduled' AND schedule_at <= {later_sql(0)}""",
                [],
            )
            cursor.execute("DELETE FROM messaging_messagelease WHERE NOT submitting", [])
            true = "TRUE" if on_postgres() else "1"
            cursor.execute(
                f"""INSERT INTO messaging_messagelease (message_id, owner, submitting, until)
                    SELECT id, 'restored', {true}, {later_sql(-1)} FROM ({waits}) AS waits""",
                [],
            )
            unknown = cursor.rowcount
        cursor.execute("DELETE FROM crm_lease", [])
    paused = 0
    if not as_it_was:
        reason = f"Restored from the backup of {taken:%Y-%m-%d %H:%M} UTC"
        accounts = ProviderAccount.objects.filter(is_active=True).values_list("pk", flat=True)
        paused = sum(pause_account(account_id=pk, by=None, reason=reason) for pk in list(accounts))
    return Restored(taken, paused, waiting, unknown)
