"""What happens to each row of a chunk, by what the book and the file already hold. Reads the book, writes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from django.db import connection
from django.utils.translation import gettext as _

from accounts.services.privacy import erased_among, has_erased
from contacts.importing.rows import Entry, Refusal
from contacts.models import Contact, Duplicates, ImportMeeting
from crm.common.sql import as_json, on_postgres

DUPLICATE = "duplicate"
ERASED = "erased"
_OWN = "attributes."

Changes = dict[str, list[Any]]  # field, or "attributes." and its key → [before, after]


class Known(NamedTuple):
    """A contact as it stands in the book before the chunk. met_row: the row of this import that made or met it."""

    id: int
    email: str
    name: str
    department: str
    attributes_json: str
    consent_id: int | None
    met_row: int | None

    @property
    def attributes(self) -> dict[str, str]:
        return orjson.loads(self.attributes_json)


class Change(NamedTuple):
    """A row that changes a contact, and what it changes."""

    entry: Entry
    contact: Known
    values: Changes


@dataclass
class Sorted:
    """A chunk sorted by what happens to each row. `duplicates` and `refused` become ImportReject rows."""

    new: list[Entry] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    unchanged: list[tuple[Entry, Known]] = field(default_factory=list)
    duplicates: list[Refusal] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    @property
    def taken(self) -> list[Entry]:
        return [*self.new, *(change.entry for change in self.changed), *(entry for entry, _known in self.unchanged)]


def find_known(client_id: int, entries: Iterable[Entry], *, import_id: int | None = None) -> dict[str, Known]:
    """The contacts that the entries meet, by phone or, for entries without one, by email address. One query.

    import_id: the import that runs; without it no contact has a `met_row`.
    """
    phones = [entry.phone for entry in entries if entry.phone]
    emails = [entry.email for entry in entries if not entry.phone]
    met = "NULL"
    if import_id is not None:
        number = int(import_id)
        met = (
            f"CASE WHEN c.created_import_id = {number} THEN c.created_row ELSE (SELECT m.row "
            f"FROM {ImportMeeting._meta.db_table} m WHERE m.contact_id = c.id AND m.contact_import_id = {number}) END"
        )
    parts: list[str] = []
    params: list[int | str] = []
    for values, key, condition in ((phones, "phone", ""), (emails, "email", "AND c.phone IS NULL")):
        if values:
            columns = f"c.{key}, c.id, c.email, c.name, c.department, c.attributes, c.consent_id, {met}"
            book = f"SELECT {columns} FROM {Contact._meta.db_table} c WHERE c.client_id = %s {condition} AND c.{key}"
            if on_postgres():
                # Each value is looked up for itself (OFFSET 0 keeps it so). By a list of values or a join PostgreSQL
                # reads the client's whole book for every chunk, until its statistics know the client.
                listed = "(SELECT jsonb_array_elements_text(%s::jsonb) AS key) v"
                parts.append(f"SELECT c.* FROM {listed} CROSS JOIN LATERAL ({book} = v.key OFFSET 0) c")
                params += [as_json(values), client_id]
            else:
                parts.append(f"{book} IN (SELECT value FROM json_each(%s))")
                params += [client_id, as_json(values)]
    if not parts:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), params)
        return {row[0]: Known._make(row[1:]) for row in cursor.fetchall()}


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
    seen: dict[str, int] | None = None,
    consent_id: int | None = None,
) -> Sorted:
    """Say what happens to each row. The first row of a number counts; later ones of the same file are duplicates.

    `seen` maps the numbers of earlier chunks to their rows where nothing is written (a check); a real run leaves it
    out: what it wrote tells by `Known.met_row`. consent_id: what the file says about consent.
    """
    result, first = Sorted(), {} if seen is None else seen
    skip, overwrite = policy == Duplicates.SKIP, policy == Duplicates.OVERWRITE
    for row in rows:
        if isinstance(row, Refusal):
            result.refused.append(row)
            continue
        key = row.phone or row.email
        contact = known.get(key)
        earlier = first.get(key)
        if earlier is None and contact:
            earlier = contact.met_row
        if earlier is not None:
            result.duplicates.append(_duplicate(row, earlier))
            continue
        first[key] = row.row
        if contact is None:
            result.new.append(row)
            continue
        values = {} if skip else changes_of(row, contact, overwrite=overwrite, consent_id=consent_id)
        if values:
            result.changed.append(Change(row, contact, values))
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


def changes_of(row: Entry, contact: Known, *, overwrite: bool, consent_id: int | None = None) -> Changes:
    """What the row changes on the contact. A blank cell changes nothing, and a value only gives way to `overwrite`."""
    values: Changes = {}
    for name, new, old in (
        ("email", row.email, contact.email),
        ("name", row.name, contact.name),
        ("department", row.department, contact.department),
    ):
        if new and new != old and (overwrite or not old):
            values[name] = [old, new]
    if row.attributes:
        before = contact.attributes
        if before != row.attributes:
            for key, new in row.attributes.items():
                old = before.get(key, "")
                if new != old and (overwrite or not old):
                    values[_OWN + key] = [old, new]
    if consent_id and contact.consent_id != consent_id and (overwrite or contact.consent_id is None):
        values["consent_id"] = [contact.consent_id, consent_id]
    return values


def merged(row: Entry, contact: Known | None, policy: str) -> Entry:
    """The contact as it will be stored: what the engine does in SQL, for showing it before it happens."""
    if contact is None:
        return row
    values = {} if policy == Duplicates.SKIP else changes_of(row, contact, overwrite=policy == Duplicates.OVERWRITE)
    after = {name: new for name, (_old, new) in values.items()}
    own = {name.removeprefix(_OWN): new for name, new in after.items() if name.startswith(_OWN)}
    return row._replace(
        email=after.get("email", contact.email),
        name=after.get("name", contact.name),
        department=after.get("department", contact.department),
        attributes=contact.attributes | own,
    )
