"""A backup taken while messages are on their way, brought back into another database: books agree, nothing twice."""

import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from crm import backups
from crm.common.crypto import encrypt_text
from tests.ops.places import Place

KEY = Fernet.generate_key().decode()
# Three messages: one that the provider has, one being written as the backup is taken, one that waits.
WORLD = """
from messaging.sending.sweep import sweep
from tests.messaging.core.world import *
client, road = make_sender(), make_road()
send_one(client, road, "AT1")
accept(client, first=1); assert len(submit(road)) == 1
accept(client, first=2)
"""
LATER = """
import io, json
from django.core.management import call_command
from tests.messaging.core.world import *
from messaging.models import *
from messaging.sending.sweep import sweep
from messaging.services.providers import resume_account
run_sql(f"UPDATE messaging_messagelease SET until = {later_sql(-1)}")
def states(): return dict(Message.objects.unscoped().values_list("recipient", "status"))
def takes(): return [m.recipient for m in Message.objects.unscoped().filter(pk__in=submit(road))]
road = ProviderAccount.objects.get()
active = road.is_active
sweep()
call_command("reconcile", stdout=io.StringIO())  # raises where anything differs
before = states()
resume_account(account_id=road.pk, by=None)
road.refresh_from_db()
print(json.dumps({"active": active, "before": before, "sent": takes(), "after": states()}))
"""


@pytest.fixture
def places(tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    made = []
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        made.append(Place(tmp_path / name, ENCRYPTION_KEY=KEY))
    yield made[0], made[1]
    for place in made:
        place.close()


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_a_restored_backup_agrees_and_sends_nothing_that_may_have_left(places: tuple[Place, Place]) -> None:
    old, new = places
    old.manage("prepare")
    old.manage("shell", "--no-imports", "-c", WORLD)
    media = old.folder / "media" / "exports"
    media.mkdir(parents=True)
    (media / "one.csv").write_text("kept")
    said = old.manage("backup", str(old.folder / "backups"))
    (file,) = (old.folder / "backups").glob("*.tar")
    assert str(file) in said
    assert os.stat(file).st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        assert not [name for name in tar.getnames() if "secret" in name]

    said = new.manage("restore", str(file))
    assert "1 messages waited then, and wait now." in said
    assert "1 provider accounts are paused." in said
    assert (new.folder / "media/exports/one.csv").read_text() == "kept"

    found = json.loads(new.manage("shell", "--no-imports", "-c", LATER))
    assert found["active"] is False
    has, written, waits = (f"+2547{10_000_000 + index}" for index in range(3))
    assert found["before"] == {has: "sent", written: "sent", waits: "queued"}
    assert found["sent"] == [waits], "something that may have left was sent again"

    refused = new.run("restore", str(file))
    assert refused.returncode != 0
    assert "The database is not empty" in refused.stderr
    said = new.manage("restore", str(file), "--replace", "--forget-waiting", "--as-it-was")
    assert "1 messages that waited count as maybe sent." in said
    found = json.loads(new.manage("shell", "--no-imports", "-c", LATER))
    assert found["active"] is True
    assert found["before"] == {has: "sent", written: "sent", waits: "sent"}
    assert found["sent"] == []


def test_only_the_newest_backups_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in (1, 2, 3):
        (tmp_path / f"tarishi-2026010{day}T000000Z.tar").write_text("")
    (tmp_path / "tarishi-notes.tar").write_text("mine")
    monkeypatch.setattr(backups, "_dump", lambda work: _touch(work / backups.SQLITE))
    monkeypatch.setattr(backups, "database_now", lambda: backups.datetime.now(backups.UTC))
    monkeypatch.setattr(backups.MigrationRecorder, "applied_migrations", lambda self: {})
    path = backups.take_backup(tmp_path, keep=2)
    assert {found.name for found in tmp_path.iterdir()} == {
        path.name,
        "tarishi-20260103T000000Z.tar",
        "tarishi-notes.tar",
    }


def _touch(path: Path) -> Path:
    path.write_text("")
    return path


@pytest.mark.django_db
def test_what_cannot_be_restored_is_refused_before_anything_changes(tmp_path: Path) -> None:
    junk = tmp_path / "junk.tar"
    junk.write_text("no tar")
    with pytest.raises(backups.BackupError, match="cannot be read"):
        backups.restore_backup(junk, replace=True)

    def made(**facts: object) -> Path:
        path = tmp_path / "made.tar"
        manifest = {
            "version": "9",
            "database": connection.vendor,
            "taken": "2026-01-01T00:00:00+00:00",
            "migrations": [],
            "lock": encrypt_text("tarishi"),
        }
        with tarfile.open(path, "w") as tar:
            backups._add_text(tar, "manifest.json", json.dumps(manifest | facts))
        return path

    with pytest.raises(backups.BackupError, match="newer release"):
        backups.restore_backup(made(migrations=["crm.9999_from_tomorrow"]), replace=True)
    with pytest.raises(backups.BackupError, match="The backup is of oracle"):
        backups.restore_backup(made(database="oracle"), replace=True)
    with pytest.raises(backups.BackupError, match="ENCRYPTION_KEY is not the one"):
        backups.restore_backup(made(lock=Fernet(Fernet.generate_key()).encrypt(b"tarishi").decode()), replace=True)
    with pytest.raises(backups.BackupError, match="not empty"):
        backups.restore_backup(made())
