"""A worker that dies in the middle leaves an import that another goes on with: no row twice, none missing."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection

from contacts import tasks
from contacts.importing import engine
from contacts.models import Contact, ContactImport, GroupMember, ImportReject
from contacts.services import (
    begin_import,
    configure_import,
    create_contact,
    create_group,
    import_runs,
    run_import,
    stop_import,
)
from crm.common.errors import WrongState
from crm.common.sql import database_now

from .conftest import counts, csv_text, load, started

ROWS = 1000
CHUNK = 100

CHILD = """
import os, sys
import django
django.setup()
from django.conf import settings
from django.db import connection
for name in ("default",):
    connection.settings_dict["NAME"] = sys.argv[1]
settings.MEDIA_ROOT = sys.argv[2]
from contacts.importing import engine
from contacts.services import run_import
place, chunks = sys.argv[4], int(sys.argv[5])
original = getattr(engine, place)
calls = 0
def crash(*args, **kwargs):
    global calls
    calls += 1
    if calls > chunks:
        os._exit(9)
    return original(*args, **kwargs)
setattr(engine, place, crash)
engine.read_chunks.__kwdefaults__["size"] = 100
run_import(import_id=int(sys.argv[3]))
"""


def a_file() -> str:
    rows = [["Name", "Phone"]]
    rows += [[f"P{n}", "99" if n % 50 == 0 else f"07{n % 900:08d}"] for n in range(1, ROWS + 1)]
    return csv_text(rows)


def small_chunks(monkeypatch) -> None:
    monkeypatch.setitem(engine.read_chunks.__kwdefaults__, "size", CHUNK)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("place", "chunks"), [("write_chunk", 4), ("_record_rejects", 4), ("_advance", 0), ("_insert_new", 7)]
)
def test_killed_import_goes_on_where_it_stopped(acme, settings, monkeypatch, place, chunks):
    small_chunks(monkeypatch)
    expected = counts(load(acme, a_file()))
    Contact.objects.for_client(acme).delete()
    batch = started(acme, a_file())
    group = create_group(client=acme, name="All")
    configure_import(contact_import=batch, group=group)
    begin_import(contact_import=batch, background=False)
    connection.close()

    name = str(connection.settings_dict["NAME"])
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "crm.settings"}
    command = [sys.executable, "-c", CHILD, name, str(settings.MEDIA_ROOT), str(batch.pk), place, str(chunks)]
    child = subprocess.run(command, cwd=django_settings.BASE_DIR, env=environment, capture_output=True, timeout=60)

    assert child.returncode == 9, child.stderr.decode()
    batch.refresh_from_db()
    assert batch.state == "running"
    assert batch.rows_done < ROWS
    assert batch.rows_done == batch.next_row - 2  # the counts and the cursor moved together
    assert not run_import(import_id=batch.pk)  # its lease has not run out
    lapse(batch)
    assert run_import(import_id=batch.pk)
    batch.refresh_from_db()
    assert batch.state == "done"
    assert counts(batch) == expected
    assert Contact.objects.for_client(acme).count() == batch.imported
    assert GroupMember.objects.filter(client=acme, group=group).count() == batch.imported
    rejects = ImportReject.objects.filter(client=acme, contact_import=batch)
    assert rejects.count() == batch.failed + batch.duplicate_rows
    assert not Path(batch.path).exists()


def lapse(batch: ContactImport) -> None:
    past = database_now() - timedelta(seconds=1)
    ContactImport.objects.filter(client_id=batch.client_id, pk=batch.pk).update(lease_until=past)


@pytest.mark.django_db
def test_counts_of_the_file_used_for_crashes(acme):
    batch = load(acme, a_file())

    # 20 numbers are bad; 901 … 1000 repeat 1 … 100, of which 950 and 1000 are among the bad ones.
    assert counts(batch) == (1000, 882, 0, 0, 98, 20)


@pytest.mark.django_db
def test_stop_keeps_what_is_in_and_nothing_more(acme, monkeypatch):
    small_chunks(monkeypatch)
    batch = started(acme, a_file())
    begin_import(contact_import=batch, background=False)
    original, calls = engine.write_chunk, []

    def stop_after_two(*args, **kwargs):
        if len(calls) == 2:
            stop_import(contact_import=batch)
        calls.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(engine, "write_chunk", stop_after_two)

    assert not run_import(import_id=batch.pk)
    batch.refresh_from_db()
    assert (batch.state, batch.rows_done) == ("stopped", 200)
    assert Contact.objects.for_client(acme).count() == batch.imported == 196
    with pytest.raises(WrongState):
        stop_import(contact_import=batch)


@pytest.mark.django_db
def test_two_files_of_one_client_take_turns_and_the_sweep_wakes_them(acme, zuri_ltd, monkeypatch):
    first, second = started(acme, a_file()), started(acme, a_file())
    other = started(zuri_ltd, a_file())
    for batch in (first, second, other):
        begin_import(contact_import=batch, background=False)
    assert import_runs._claim(first.pk)

    assert not run_import(import_id=second.pk)
    assert run_import(import_id=other.pk)
    woken = []
    monkeypatch.setattr("contacts.wake.run_import", woken.append)
    tasks.sweep()
    assert woken == [second.pk]
    lapse(first)
    tasks.sweep()
    assert woken == [second.pk, first.pk, second.pk]
    tasks.run_import(first.pk)
    tasks.run_import(second.pk)
    second.refresh_from_db()
    assert counts(second) == (1000, 0, 0, 882, 98, 20)


@pytest.mark.django_db
def test_a_file_that_is_gone_fails_in_words(acme):
    batch = started(acme, a_file())
    begin_import(contact_import=batch, background=False)
    batch.path.unlink()

    assert run_import(import_id=batch.pk)
    batch.refresh_from_db()
    assert (batch.state, batch.error) == ("failed", "The uploaded file is gone. Upload it again.")


@pytest.mark.django_db
def test_uploads_that_nobody_starts_are_removed_after_a_week(acme):
    old, fresh = started(acme, a_file()), started(acme, a_file())
    ContactImport.objects.filter(client=acme, pk=old.pk).update(created_at=database_now() - timedelta(days=8))

    import_runs.sweep_imports()

    assert list(ContactImport.objects.for_client(acme)) == [fresh]


@pytest.mark.django_db
@pytest.mark.parametrize("rows", [200, 2000])
def test_statements_per_chunk_do_not_grow_with_rows(acme, rows, django_assert_num_queries, monkeypatch):
    text = csv_text([["Name", "Phone", "Email"], *[[f"P{n}", f"07{n:08d}", ""] for n in range(rows)], ["x", "1", ""]])
    group = create_group(client=acme, name="All")
    batch = started(acme, text)
    configure_import(contact_import=batch, group=group)
    begin_import(contact_import=batch, background=False)
    token = import_runs._claim(batch.pk)
    batch.refresh_from_db()
    table = import_runs.Table(batch.path, batch.encoding, batch.delimiter)
    reader = import_runs.RowReader(batch.mapping, "KE")
    chunk, next_row = next(engine.read_chunks(table, reader, start=batch.next_row, size=5000))

    # savepoint, known, [ids on SQLite: sequence; PostgreSQL: nextval], upsert, members, rejects, cursor, release
    with django_assert_num_queries(9):  # one of them: was anybody erased?
        engine.write_chunk(batch, chunk, next_row=next_row, token=token)
    assert len(chunk) == rows + 1


@pytest.mark.django_db
@pytest.mark.parametrize("policy", ["fill", "overwrite", "skip"])
def test_a_file_loaded_again_knows_a_number_of_an_earlier_chunk(acme, monkeypatch, policy):
    small_chunks(monkeypatch)
    load(acme, a_file())

    again = load(acme, a_file(), duplicates=policy)

    assert counts(again) == (1000, 0, 0, 882, 98, 20)
    repeated = ImportReject.objects.filter(client=acme, contact_import=again, reason="duplicate").order_by("row")
    assert repeated[0].sentence == "The same number as in row 2, which was taken."


@pytest.mark.django_db
@pytest.mark.parametrize("missing", ["added", "removed"])
def test_who_is_added_or_removed_since_the_lookup_is_looked_up_again(acme, monkeypatch, missing):
    create_contact(client=acme, name="", phone="0712000001")
    text = csv_text([["Name", "Phone"], ["Ann", "0712000001"], ["Ben", "0712000002"]])
    original, calls = engine.find_known, []

    def outdated(*args, **kwargs):
        known = original(*args, **kwargs)
        calls.append(dict(known))
        if len(calls) > 1:
            return known
        gone = known["+254712000001"]._replace(id=10**9)
        return {} if missing == "added" else known | {"+254712000002": gone}

    monkeypatch.setattr(engine, "find_known", outdated)

    batch = load(acme, text)

    assert calls == [calls[0], calls[0]]
    assert counts(batch) == (2, 1, 1, 0, 0, 0)
    assert sorted(Contact.objects.for_client(acme).values_list("name", flat=True)) == ["Ann", "Ben"]
