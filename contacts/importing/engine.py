"""Chunks of a file into the book: each chunk with its members, rejects, counts and cursor in one transaction.

The number of statements per chunk is constant. Memory holds one chunk: a number met earlier in the same file is known
by what the import has written, on the contact it made or in ImportMeeting, so nothing is remembered across chunks, and
a successor of a killed worker knows the same.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from django.db import IntegrityError, connection, transaction

from contacts.importing.reading import Table
from contacts.importing.rows import Entry, Refusal, RowReader
from contacts.importing.sorting import Change, Sorted, find_known, sort_rows, without_erased
from contacts.models import (
    Contact,
    ContactImport,
    Duplicates,
    GroupMember,
    ImportChange,
    ImportMeeting,
    ImportReject,
    ImportState,
)
from crm.common.sql import (
    allocate_ids,
    as_json,
    insert_rows,
    later_sql,
    now_sql,
    on_postgres,
    prepared_cursor,
    rows_sql,
)

CHUNK_ROWS = 2000
LEASE_SECONDS = 60
_TRIES = 5


class LeaseLostError(Exception):
    """The import was stopped, or another worker took it over: nothing of the present chunk was written."""


def read_chunks(
    table: Table, reader: RowReader, *, start: int, size: int = CHUNK_ROWS
) -> Iterator[tuple[list[Entry | Refusal], int]]:
    """(rows read, number of the row after them), from row `start` of the file to its end."""
    rows = (reader.read(number, cells) for number, cells in table.rows(start))
    while chunk := list(islice(rows, size)):
        yield chunk, chunk[-1].row + 1


def write_chunk(batch: ContactImport, rows: Sequence[Entry | Refusal], *, next_row: int, token: str) -> None:
    """Write one chunk, wholly or not at all, and move the cursor to `next_row`.

    Raises LeaseLostError, and then leaves nothing written, if `token` no longer holds the import.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            with transaction.atomic():
                counts = _write(batch, rows, next_row, token)
            break
        except IntegrityError:
            # Somebody added or removed one of these contacts since they were looked up: the book is looked at again.
            if attempt == _TRIES:
                raise
    for name, count in counts.items():
        setattr(batch, name, getattr(batch, name) + count)
    batch.next_row = next_row


def _write(batch: ContactImport, rows: Sequence[Entry | Refusal], next_row: int, token: str) -> dict[str, int]:
    """One try at a chunk; returns what is added to the import's counts."""
    rows = without_erased(batch.client_id, rows)
    known = find_known(batch.client_id, [row for row in rows if isinstance(row, Entry)], import_id=batch.pk)
    result = sort_rows(rows, known, policy=batch.duplicates, consent_id=batch.consent_id)
    ids = _insert_new(batch, result.new)
    _update_changed(batch, result.changed)
    ids += _note_meetings(batch, result)
    for group_id in filter(None, [batch.group_id, *batch.tags]):
        add_members(batch.client_id, group_id, ids, import_id=batch.pk)
    _record_rejects(batch, result.refused + result.duplicates)
    counts = {
        "imported": len(result.new),
        "updated": len(result.changed),
        "skipped": len(result.unchanged),
        "duplicate_rows": len(result.duplicates),
        "failed": len(result.refused),
    }
    _advance(batch, counts, next_row, token)
    return counts


_COLUMNS = ("id", "phone", "email", "name", "department", "attributes", "assigned", "created_row")
_MERGED = ("email", "name", "department")


def _insert_new(batch: ContactImport, entries: Sequence[Entry]) -> list[int]:
    """Returns the ids of the contacts, in the order of the entries. Raises IntegrityError if one is in the book now."""
    if not entries:
        return []
    ids = allocate_ids(Contact, len(entries))
    rows = [
        (pk, e.phone, e.email, e.name, e.department, e.attributes, e.assigned, e.row)
        for pk, e in zip(ids, entries, strict=True)
    ]
    names = ", ".join(f'"{column}"' for column in _COLUMNS)
    statement = (
        f'INSERT INTO "{Contact._meta.db_table}" ({names}, "client_id", "created_import_id", "consent_id", '
        f'"created_at", "updated_at") SELECT {names}, {batch.client_id}, {batch.pk}, {_consent(batch)}, '
        f"{now_sql()}, {now_sql()} FROM {rows_sql(Contact, _COLUMNS)} WHERE true"
    )
    with prepared_cursor() as cursor:
        cursor.execute(statement, [as_json(rows)])
    return ids


def _consent(batch: ContactImport) -> str:
    return str(int(batch.consent_id)) if batch.consent_id else "CAST(NULL AS BIGINT)"


def _update_changed(batch: ContactImport, changes: Sequence[Change]) -> None:
    """Merge the rows into contacts that exist, and keep what was there, so that the import can be undone."""
    if not changes:
        return
    overwrite = batch.duplicates == Duplicates.OVERWRITE
    columns = ("id", *_MERGED, "attributes")
    first, second = ("v", "t") if overwrite else ("t", "v")
    sets = [_first_text(column, f"{first}.", f"{second}.") for column in _MERGED]
    sets.append(f'"attributes" = {_joined_attributes(f"{second}.", f"{first}.")}')
    if batch.consent_id:
        consents = ['t."consent_id"', _consent(batch)]
        sets.append(
            f'"consent_id" = {_consent(batch)}' if overwrite else f'"consent_id" = COALESCE({", ".join(consents)})'
        )
    statement = (
        f'UPDATE "{Contact._meta.db_table}" AS t SET {", ".join(sets)}, "updated_at" = {now_sql()} '
        f'FROM {rows_sql(Contact, columns)} WHERE t."id" = v."id"'
    )
    rows = [(contact.id, e.email, e.name, e.department, e.attributes) for e, contact, _values in changes]
    with prepared_cursor() as cursor:
        cursor.execute(statement, [as_json(rows)])
        if cursor.rowcount != len(rows):
            raise IntegrityError("a contact was removed while its row was read")
    logged = [(batch.client_id, batch.pk, contact.id, values) for _entry, contact, values in changes]
    insert_rows(ImportChange, ["client_id", "contact_import_id", "contact_id", "values"], logged)


def keep_or_fill_sql() -> str:
    """SET clauses of an upsert into contacts: what is there stays, what is blank takes the new row's value."""
    table = f'"{Contact._meta.db_table}".'
    sets = [_first_text(column, table, "excluded.") for column in _MERGED]
    sets.append(f'"attributes" = {_joined_attributes("excluded.", table)}')
    sets.append(f'"consent_id" = COALESCE({table}"consent_id", excluded."consent_id")')
    return ", ".join([*sets, '"updated_at" = excluded."updated_at"'])


def _first_text(column: str, first: str, second: str) -> str:
    return f'"{column}" = CASE WHEN {first}"{column}" <> \'\' THEN {first}"{column}" ELSE {second}"{column}" END'


def _joined_attributes(under: str, over: str) -> str:
    if on_postgres():
        return f'{under}"attributes" || {over}"attributes"'
    return f'json_patch({under}"attributes", {over}"attributes")'


def _note_meetings(batch: ContactImport, result: Sorted) -> list[int]:
    """Note that the import met these contacts, which others had made; returns their ids."""
    met = [(contact.id, entry.row) for entry, contact, _values in result.changed]
    met += [(contact.id, entry.row) for entry, contact in result.unchanged]
    if met:
        columns = ("contact_id", "row")
        statement = (
            f'INSERT INTO "{ImportMeeting._meta.db_table}" ("contact_id", "row", "client_id", "contact_import_id") '
            f'SELECT "contact_id", "row", {batch.client_id}, {batch.pk} FROM {rows_sql(ImportMeeting, columns)} '
            'WHERE true ON CONFLICT ("contact_id") DO UPDATE SET "contact_import_id" = excluded."contact_import_id", '
            '"row" = excluded."row"'
        )
        with prepared_cursor() as cursor:
            cursor.execute(statement, [as_json(met)])
    return [pk for pk, _row in met]


def add_members(client_id: int, group_id: int, contact_ids: Sequence[int], *, import_id: int | None = None) -> int:
    """Put contacts into a group in one statement; ids of other clients, and a group that is gone, are passed over.

    Returns how many were not in it before. import_id: the import that does it, noted on new places.
    """
    if not contact_ids:
        return 0
    by = int(import_id) if import_id else "CAST(NULL AS BIGINT)"
    listed = rows_sql(Contact, ["id"])
    if on_postgres():  # each looked up for itself, as in sorting.find_known
        among = f"{listed} CROSS JOIN LATERAL (SELECT * FROM contacts_contact k WHERE k.id = v.id OFFSET 0) c"
        where = ""
    else:
        among, where = "contacts_contact c", f'AND c."id" IN (SELECT "id" FROM {listed})'
    statement = (
        f'INSERT INTO "{GroupMember._meta.db_table}" ("client_id", "group_id", "contact_id", "added_by_import") '
        f'SELECT c."client_id", g."id", c."id", {by} FROM "contacts_group" g CROSS JOIN {among} '
        f'WHERE g."id" = %s AND g."client_id" = c."client_id" AND c."client_id" = %s {where} '
        'ON CONFLICT ("client_id", "group_id", "contact_id") DO NOTHING'
    )
    ids = as_json([(pk,) for pk in contact_ids])
    params: list[int | str] = [ids, group_id, client_id] if on_postgres() else [group_id, client_id, ids]
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return max(cursor.rowcount, 0)


def _record_rejects(batch: ContactImport, refusals: Sequence[Refusal]) -> None:
    columns = ["client_id", "contact_import_id", "row", "field", "value", "reason", "sentence", "cells"]
    insert_rows(ImportReject, columns, [(batch.client_id, batch.pk, *refusal) for refusal in refusals])


def _advance(batch: ContactImport, counts: dict[str, int], next_row: int, token: str) -> None:
    """Move cursor, counts and lease, if the import is still running under `token`; else undo the chunk."""
    sets = ", ".join(f'"{name}" = "{name}" + %s' for name in counts)
    statement = (
        f'UPDATE "{ContactImport._meta.db_table}" SET {sets}, "next_row" = %s, '
        f'"lease_until" = {later_sql(LEASE_SECONDS)} '
        'WHERE "id" = %s AND "state" = %s AND "lease_token" = %s AND "next_row" <= %s'
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*counts.values(), next_row, batch.pk, ImportState.RUNNING, token, next_row])
        if cursor.rowcount != 1:
            raise LeaseLostError
