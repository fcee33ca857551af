"""Chunks of a file into the book: each chunk with its members, rejects, counts and cursor in one transaction.

The number of statements per chunk is constant. Memory holds one chunk: a number met earlier in the same file is known
by the mark of the import on its contact, so nothing is remembered across chunks, and a successor of a killed worker
sees the same marks.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import orjson
from django.db import connection, transaction
from django.utils.translation import gettext as _

from accounts.services.privacy import erased_among, has_erased
from contacts.importing.reading import Table
from contacts.importing.rows import Entry, Refusal, RowReader
from contacts.models import Contact, ContactImport, Duplicates, GroupMember, ImportChange, ImportReject, ImportState
from crm.common.sql import allocate_ids, as_json, insert_rows, later_sql, now_sql, on_postgres, rows_sql

CHUNK_ROWS = 2000
LEASE_SECONDS = 60
DUPLICATE = "duplicate"
ERASED = "erased"


class LeaseLostError(Exception):
    """The import was stopped, or another worker took it over: nothing of the present chunk was written."""


class Known(NamedTuple):
    """A contact as it stands in the book before the chunk."""

    id: int
    email: str
    name: str
    department: str
    attributes: dict[str, str]
    consent_id: int | None
    last_import: int | None
    last_import_row: int | None


@dataclass
class Sorted:
    """A chunk sorted by what happens to each row. `duplicates` and `refused` become ImportReject rows."""

    new: list[Entry] = field(default_factory=list)
    changed: list[Entry] = field(default_factory=list)
    unchanged: list[tuple[Entry, Known]] = field(default_factory=list)
    duplicates: list[Refusal] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


def read_chunks(
    table: Table, reader: RowReader, *, start: int, size: int = CHUNK_ROWS
) -> Iterator[tuple[list[Entry | Refusal], int]]:
    """(rows read, number of the row after them), from row `start` of the file to its end."""
    rows = (reader.read(number, cells) for number, cells in table.rows(start))
    while chunk := list(islice(rows, size)):
        yield chunk, chunk[-1].row + 1


def find_known(client_id: int, entries: Iterable[Entry]) -> dict[str, Known]:
    """The contacts that the entries meet, by phone or, for entries without one, by e-mail address. One query."""
    phones = [[entry.phone] for entry in entries if entry.phone]
    emails = [[entry.email] for entry in entries if not entry.phone]
    columns = '"id", "email", "name", "department", "attributes", "consent_id", "last_import_id", "last_import_row"'
    table = f'"{Contact._meta.db_table}"'
    parts: list[str] = []
    params: list[int | str] = []
    for values, key, condition in ((phones, "phone", ""), (emails, "email", 'AND c."phone" IS NULL')):
        if values:
            parts.append(
                f'SELECT "phone", {columns} FROM {table} c WHERE c."client_id" = %s {condition} '
                f'AND c."{key}" IN (SELECT "{key}" FROM {rows_sql(Contact, [key])})'
            )
            params += [client_id, as_json(values)]
    if not parts:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), params)
        found = cursor.fetchall()
    return {
        phone or email: Known(pk, email, name, department, orjson.loads(attributes), *rest)
        for phone, pk, email, name, department, attributes, *rest in found
    }


def without_erased(client_id: int, rows: Sequence[Entry | Refusal]) -> Sequence[Entry | Refusal]:
    """The rows, those of people who were erased from the client's data refused. One query where there are none."""
    if not has_erased(client_id):
        return rows
    entries = [row for row in rows if isinstance(row, Entry)]
    gone = erased_among(client_id, [each for row in entries for each in (row.phone, row.email) if each])
    if not gone:
        return rows
    return [_erased(row) if isinstance(row, Entry) and gone & {row.phone, row.email} else row for row in rows]


def _erased(row: Entry) -> Refusal:
    """Without the row's cells: they would bring back what was erased."""
    sentence = _("This person's data was erased because they asked for it. A file does not bring them back.")
    return Refusal(row.row, "phone" if row.phone else "email", "", ERASED, sentence, [])


def sort_rows(
    rows: Iterable[Entry | Refusal],
    known: dict[str, Known],
    *,
    policy: str,
    import_id: int | None,
    seen: dict[str, int] | None = None,
    consent_id: int | None = None,
) -> Sorted:
    """Say what happens to each row. The first row of a number counts; later ones of the same file are duplicates.

    `seen` maps the numbers of earlier chunks to their rows where nothing is written (a check); a real run leaves it
    out and reads the marks that `import_id` has left on `known`. consent_id: what the file says about consent.
    """
    result, first = Sorted(), {} if seen is None else seen
    for row in rows:
        if isinstance(row, Refusal):
            result.refused.append(row)
            continue
        key = row.phone or row.email
        contact = known.get(key)
        earlier = first.get(key)
        if earlier is None and contact and import_id is not None and contact.last_import == import_id:
            earlier = contact.last_import_row
        if earlier is not None:
            result.duplicates.append(_duplicate(row, earlier))
            continue
        first[key] = row.row
        if contact is None:
            result.new.append(row)
        elif policy != Duplicates.SKIP and (
            _changes(row, contact, policy) or _new_consent(contact, consent_id, policy)
        ):
            result.changed.append(row)
        else:
            result.unchanged.append((row, contact))
    return result


def _duplicate(row: Entry, earlier: int) -> Refusal:
    value = row.phone or row.email
    if row.phone:
        sentence = _("The same number as in row %(row)s, which was taken.") % {"row": earlier}
    else:
        sentence = _("The same email address as in row %(row)s, which was taken.") % {"row": earlier}
    cells = [cell.replace("\x00", "\ufffd") for cell in row.cells]
    return Refusal(row.row, "phone" if row.phone else "email", (value or "")[:100], DUPLICATE, sentence, cells)


def _changes(row: Entry, contact: Known, policy: str) -> bool:
    pairs = [(row.email, contact.email), (row.name, contact.name), (row.department, contact.department)]
    pairs += [(value, contact.attributes.get(key, "")) for key, value in row.attributes.items()]
    if policy == Duplicates.OVERWRITE:
        return any(new and new != old for new, old in pairs)
    return any(new and not old for new, old in pairs)


def _new_consent(contact: Known, consent_id: int | None, policy: str) -> bool:
    return bool(consent_id) and (contact.consent_id is None or policy == Duplicates.OVERWRITE)


def merged(row: Entry, contact: Known | None, policy: str) -> Entry:
    """The contact as it will be stored: what `_upsert` does in SQL, for showing it before it happens."""
    if contact is None:
        return row
    values = {}
    for name in ("email", "name", "department"):
        new, old = getattr(row, name), getattr(contact, name)
        values[name] = (new or old) if policy == Duplicates.OVERWRITE else (old or new)
    if policy == Duplicates.SKIP:
        values = {name: getattr(contact, name) for name in values}
        return row._replace(attributes=contact.attributes, **values)
    layers = [contact.attributes, row.attributes]
    under, over = layers if policy == Duplicates.OVERWRITE else reversed(layers)
    return row._replace(attributes={**under, **over}, **values)


def write_chunk(batch: ContactImport, rows: Sequence[Entry | Refusal], *, next_row: int, token: str) -> None:
    """Write one chunk, wholly or not at all, and move the cursor to `next_row`.

    Raises LeaseLostError, and then leaves nothing written, if `token` no longer holds the import.
    """
    with transaction.atomic():
        rows = without_erased(batch.client_id, rows)
        known = find_known(batch.client_id, [row for row in rows if isinstance(row, Entry)])
        result = sort_rows(rows, known, policy=batch.duplicates, import_id=batch.pk, consent_id=batch.consent_id)
        _record_changes(batch, result.changed, known)
        written: list[int] = []
        created = 0
        stored = result.new + result.changed
        for phones in (True, False):
            entries = [entry for entry in stored if bool(entry.phone) is phones]
            ids, fresh = _upsert(batch, entries, on_phone=phones)
            written += ids
            created += fresh
        kept = [contact.id for _, contact in result.unchanged]
        _mark(batch, result.unchanged)
        for group_id in filter(None, [batch.group_id, *batch.tags]):
            add_members(batch.client_id, group_id, written + kept, import_id=batch.pk)
        _record_rejects(batch, result.refused + result.duplicates)
        counts = {
            "imported": created,
            "updated": len(stored) - created,
            "skipped": len(kept),
            "duplicate_rows": len(result.duplicates),
            "failed": len(result.refused),
        }
        _advance(batch, counts, next_row, token)
    for name, count in counts.items():
        setattr(batch, name, getattr(batch, name) + count)
    batch.next_row = next_row


_COLUMNS = ("id", "phone", "email", "name", "department", "attributes", "assigned", "last_import_row")


def _upsert(batch: ContactImport, entries: Sequence[Entry], *, on_phone: bool) -> tuple[list[int], int]:
    """Insert or merge the entries in one statement; returns the contacts' ids and how many of them are new.

    A row carries a fresh id; where the statement gives another id back, the contact was there, whoever made it when.
    """
    if not entries:
        return [], 0
    fresh = allocate_ids(Contact, len(entries))
    rows = [
        (pk, e.phone, e.email, e.name, e.department, e.attributes, e.assigned, e.row)
        for pk, e in zip(fresh, entries, strict=True)
    ]
    table = f'"{Contact._meta.db_table}"'
    overwrite = batch.duplicates == Duplicates.OVERWRITE
    sets = [_merge_text(table, column, overwrite) for column in ("email", "name", "department")]
    sets.append(f'"attributes" = {_merge_attributes(table, overwrite)}')
    sets += [f'"{column}" = excluded."{column}"' for column in ("last_import_id", "last_import_row", "updated_at")]
    if batch.consent_id:
        first, second = ("excluded", table) if overwrite else (table, "excluded")
        sets.append(f'"consent_id" = COALESCE({first}."consent_id", {second}."consent_id")')
    conflict = '("client_id", "phone")' if on_phone else '("client_id", "email") WHERE "phone" IS NULL'
    names = ", ".join(f'"{column}"' for column in _COLUMNS)
    consent = int(batch.consent_id) if batch.consent_id else "CAST(NULL AS BIGINT)"
    statement = (
        f'INSERT INTO {table} ({names}, "client_id", "last_import_id", "created_import_id", "consent_id", '
        f'"created_at", "updated_at") SELECT {names}, %s, %s, %s, {consent}, {now_sql()}, {now_sql()} '
        f"FROM {rows_sql(Contact, _COLUMNS)} WHERE true "
        f'ON CONFLICT {conflict} DO UPDATE SET {", ".join(sets)} RETURNING "id"'
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [batch.client_id, batch.pk, batch.pk, as_json(rows)])
        ids = [row[0] for row in cursor.fetchall()]
    return ids, len(set(ids) & set(fresh))


def keep_or_fill_sql() -> str:
    """SET clauses of an upsert into contacts: what is there stays, what is blank takes the new row's value."""
    table = f'"{Contact._meta.db_table}"'
    sets = [_merge_text(table, column, False) for column in ("email", "name", "department")]
    sets.append(f'"attributes" = {_merge_attributes(table, False)}')
    sets.append(f'"consent_id" = COALESCE({table}."consent_id", excluded."consent_id")')
    return ", ".join([*sets, '"updated_at" = excluded."updated_at"'])


def _merge_text(table: str, column: str, overwrite: bool) -> str:
    new, old = f'excluded."{column}"', f'{table}."{column}"'
    first, second = (new, old) if overwrite else (old, new)
    return f"\"{column}\" = CASE WHEN {first} <> '' THEN {first} ELSE {second} END"


def _merge_attributes(table: str, overwrite: bool) -> str:
    new, old = 'excluded."attributes"', f'{table}."attributes"'
    under, over = (old, new) if overwrite else (new, old)
    return f"{under} || {over}" if on_postgres() else f"json_patch({under}, {over})"


def _mark(batch: ContactImport, unchanged: Sequence[tuple[Entry, Known]]) -> None:
    """Note the import on contacts of its client that it met and left alone."""
    if not unchanged:
        return
    columns = ["id", "last_import_row"]
    statement = (
        f'UPDATE "{Contact._meta.db_table}" AS t SET "last_import_id" = %s, "last_import_row" = v."last_import_row" '
        f'FROM {rows_sql(Contact, columns)} WHERE t."id" = v."id"'
    )
    rows = [(contact.id, entry.row) for entry, contact in unchanged]
    with connection.cursor() as cursor:
        cursor.execute(statement, [batch.pk, as_json(rows)])


def _record_changes(batch: ContactImport, entries: Sequence[Entry], known: dict[str, Known]) -> None:
    """Keep what is about to be overwritten or filled in, so that the import can be undone."""
    rows = []
    for entry in entries:
        contact = known[entry.phone or entry.email]
        after = merged(entry, contact, batch.duplicates)
        values = {
            name: [getattr(contact, name), getattr(after, name)]
            for name in ("email", "name", "department")
            if getattr(contact, name) != getattr(after, name)
        }
        values |= {
            f"attributes.{key}": [contact.attributes.get(key, ""), value]
            for key, value in after.attributes.items()
            if contact.attributes.get(key, "") != value
        }
        if _new_consent(contact, batch.consent_id, batch.duplicates):
            values["consent_id"] = [contact.consent_id, batch.consent_id]
        rows.append((batch.client_id, batch.pk, contact.id, values))
    columns = ["client_id", "contact_import_id", "contact_id", "values"]
    insert_rows(ImportChange, columns, rows)


def add_members(client_id: int, group_id: int, contact_ids: Sequence[int], *, import_id: int | None = None) -> int:
    """Put contacts into a group in one statement; ids of other clients, and a group that is gone, are passed over.

    Returns how many were not in it before. import_id: the import that does it, noted on new places.
    """
    if not contact_ids:
        return 0
    by = int(import_id) if import_id else "CAST(NULL AS BIGINT)"
    statement = (
        f'INSERT INTO "{GroupMember._meta.db_table}" ("client_id", "group_id", "contact_id", "added_by_import") '
        f'SELECT c."client_id", g."id", c."id", {by} '
        'FROM "contacts_contact" c JOIN "contacts_group" g ON g."id" = %s AND g."client_id" = c."client_id" '
        # A join with the ids let SQLite walk the whole book and the ids for each of its contacts.
        f'WHERE c."client_id" = %s AND c."id" IN (SELECT "id" FROM {rows_sql(Contact, ["id"])}) '
        'ON CONFLICT ("client_id", "group_id", "contact_id") DO NOTHING'
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [group_id, client_id, as_json([(pk,) for pk in contact_ids])])
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
