"""Imports before they run: read so far that a person can check them, configured, begun. import_runs has the rest.

The life of one: uploaded → ready → running → done | stopped | failed.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Client
from accounts.services.access import needs
from accounts.services.audit import record_audit
from contacts import wake
from contacts.errors import UnreadableFile
from contacts.importing import checking, matching, reading
from contacts.importing.reading import Table
from contacts.importing.rows import clean_text
from contacts.importing.sorting import DUPLICATE
from contacts.models import (
    STATEMENT_LENGTH,
    Consent,
    ConsentSource,
    ContactField,
    ContactImport,
    Duplicates,
    Group,
    GroupKind,
    ImportReject,
    ImportState,
)
from contacts.services.fields import ensure_fields
from contacts.services.groups import refuse_by_rule
from crm.common.errors import InvalidInput, WrongState
from crm.common.figures import figure
from crm.common.phones import PhoneReader

_SAMPLES = 50


@dataclass(frozen=True, slots=True)
class Draft:
    """What we make of a file before anybody has said anything about it. first_row: the first row below the header."""

    table: Table
    has_header: bool
    headers: list[str]
    mapping: list[dict[str, Any]]
    rows_total: int
    first_row: int


def draft_import(table: Table, *, region: str | None, has_header: bool | None = None) -> Draft:
    """Read the file's head, match its columns, count its rows. has_header None: find out. Raises: UnreadableFile."""
    sample = table.sample(_SAMPLES)
    if not sample:
        raise UnreadableFile(_("This file is empty: there is nothing to import."), reason="empty")
    phones = PhoneReader(region)
    (first_number, first), below = sample[0], [cells for _row, cells in sample[1:]]
    if has_header is None:
        has_header = matching.looks_like_header(first, below, phones)
    width = len(first) if has_header else max(len(cells) for _, cells in sample)
    if width > reading.MAX_COLUMNS:
        raise UnreadableFile(
            _("This table has %(columns)s columns; %(most)s are allowed.")
            % {"columns": figure(width), "most": reading.MAX_COLUMNS},
            reason="too_many_columns",
        )
    rows = reading.count_rows(table, max_rows=settings.MAX_IMPORT_ROWS, titles=int(has_header))
    if rows == 0 or (len(sample) == 1 and not has_header and not matching.has_contact(first, phones)):
        raise UnreadableFile(_("This file has only a title row: there are no contacts in it."), reason="only_header")
    headers = [clean_text(cell.replace("\x00", "").strip())[:100] for cell in first] if has_header else []
    headers = headers or [_("Column %(n)s") % {"n": number} for number in range(1, width + 1)]
    samples = below if has_header else [first, *below]
    matches = matching.match_columns(headers, samples, titled=has_header, reader=phones)
    return Draft(table, has_header, headers, [match.stored() for match in matches], rows, first_number + has_header)


@needs("contacts.write")
def start_import(*, client: Client, by: Any, upload: Any) -> ContactImport:
    """Keep an upload (`name`, `chunks()`) and read it so far that a person can check it; no contact is touched.

    Raises: UnreadableFile, and then nothing is kept.
    """
    stored_as = f"imports/{client.pk}/{uuid4().hex}.csv"
    path = Path(settings.MEDIA_ROOT) / stored_as
    path.parent.mkdir(parents=True, exist_ok=True)
    filename = clean_text(Path(upload.name or "upload").name)[:200] or "upload"
    try:
        with path.open("wb") as file:
            for block in upload.chunks():
                file.write(block)
                if file.tell() > settings.MAX_IMPORT_BYTES:
                    break  # prepare() says so; the rest need not be stored first
        size = path.stat().st_size
        table, sheet = reading.prepare(
            path, filename, max_bytes=settings.MAX_IMPORT_BYTES, max_rows=settings.MAX_IMPORT_ROWS
        )
        draft = draft_import(table, region=client.country)
        fields = _draft_fields(draft, mapping=_last_mapping(client, draft.headers) if draft.has_header else None)
        fields["mapping"] = matching.with_own_fields(fields["mapping"], ContactField.objects.for_client(client))
        return ContactImport.objects.create(
            client=client,
            by=by,
            stored_as=stored_as,
            filename=filename,
            size=size,
            sheet=sheet.name if sheet else "",
            other_sheets=sheet.others if sheet else 0,
            **fields,
        )
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _draft_fields(draft: Draft, mapping: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "encoding": draft.table.encoding,
        "delimiter": draft.table.delimiter,
        "has_header": draft.has_header,
        "headers": draft.headers,
        "mapping": mapping or draft.mapping,
        "rows_total": draft.rows_total,
        "next_row": draft.first_row,
    }


def _last_mapping(client: Client, headers: Sequence[str]) -> list[dict[str, Any]] | None:
    """What the client chose when it last imported a file with the same titles."""
    earlier = ContactImport.objects.for_client(client).exclude(state=ImportState.UPLOADED).filter(has_header=True)
    for batch in earlier.only("headers", "mapping")[:20]:
        if batch.headers == list(headers):
            return [{**match, "how": "before"} for match in batch.mapping]
    return None


@needs("contacts.write", of="contact_import")
def configure_import(
    *,
    contact_import: ContactImport,
    encoding: str | None = None,
    delimiter: str | None = None,
    has_header: bool | None = None,
    columns: Sequence[str] | None = None,
    duplicates: str | None = None,
    group: Group | None = None,
    tags: Sequence[Group] | None = None,
    consent_source: str | None = None,
    consent_statement: str = "",
    edits: Mapping[int, Mapping[int, str]] | None = None,
) -> ContactImport:
    """Change how an unstarted import is read and what it does; None leaves a setting, `group` None means no group.

    columns: a choice of matching.mapping_from_choices per column. They are guessed anew when encoding, separator or
    header changes. consent_source: a ConsentSource, "" for none. edits: corrected cells by row and column index, added
    to those made before; at most checking.MAX_EDITS rows in all.
    Raises: InvalidInput, UnreadableFile, WrongState (it was started).
    """
    batch = contact_import
    now = {"encoding": batch.encoding, "delimiter": batch.delimiter, "has_header": batch.has_header}
    asked = {"encoding": encoding, "delimiter": delimiter, "has_header": has_header}
    wanted = {**now, **{name: value for name, value in asked.items() if value is not None}}
    if wanted["encoding"] not in reading.ENCODINGS or wanted["delimiter"] not in reading.DELIMITERS:
        raise InvalidInput({"file": [_("Choose one of the encodings and separators listed.")]})
    if duplicates is not None and duplicates not in Duplicates.values:
        raise InvalidInput({"duplicates": [_("Choose what happens to contacts that exist.")]})
    if group is not None and group.client_id != batch.client_id:
        raise InvalidInput({"group": [_("There is no such group.")]})
    if group is not None:
        refuse_by_rule(group)
    fields: dict[str, Any] = {"duplicates": duplicates or batch.duplicates, "group": group}
    if tags is not None:
        if any(tag.client_id != batch.client_id or tag.kind != GroupKind.TAG for tag in tags):
            raise InvalidInput({"tags": [_("There is no such tag.")]})
        fields["tags"] = [tag.pk for tag in tags]
    own = list(ContactField.objects.for_client(batch.client_id))
    if wanted != now:
        table = Table(batch.path, wanted["encoding"], wanted["delimiter"])
        fields |= _draft_fields(draft_import(table, region=batch.client.country, has_header=bool(wanted["has_header"])))
        fields["mapping"] = matching.with_own_fields(fields["mapping"], own)
        fields["edits"] = {}  # rows and columns may be others now
    elif columns is not None:
        fields["mapping"] = _keep_reasons(batch, matching.mapping_from_choices(batch.headers, columns, own))
    if edits and wanted == now:
        fields["edits"] = _with_edits(batch, edits)
    with transaction.atomic():
        if consent_source is not None:
            fields["consent"] = _consent(batch, consent_source, consent_statement)
        _change_unstarted(batch, **fields)
    return batch


def _with_edits(batch: ContactImport, edits: Mapping[int, Mapping[int, str]]) -> dict[str, dict[str, str]]:
    every = dict(batch.edits)
    for row, cells in edits.items():
        texts = {str(column): text.replace("\x00", "")[:1000] for column, text in cells.items()}
        every[str(row)] = every.get(str(row), {}) | texts
    if len(every) > checking.MAX_EDITS:
        sentence = _("At most %(most)s rows can be corrected here: correct the file.") % {"most": checking.MAX_EDITS}
        raise InvalidInput({"file": [sentence]})
    return every


def _consent(batch: ContactImport, source: str, statement: str) -> Consent | None:
    """What the unstarted import says about consent, as a row of its own; without a source there is none."""
    statement = clean_text(statement.strip())
    if source and source not in ConsentSource.values:
        raise InvalidInput({"consent_source": [_("Choose how they agreed.")]})
    if statement and not source:
        raise InvalidInput({"consent_source": [_("Choose also how they agreed.")]})
    if len(statement) > STATEMENT_LENGTH:
        raise InvalidInput({"consent_statement": [_("At most %(most)s characters.") % {"most": STATEMENT_LENGTH}]})
    before = batch.consent
    if before and (before.source, before.statement) == (source, statement):
        return before
    return (
        Consent.objects.create(client=batch.client, source=source, statement=statement, by=batch.by) if source else None
    )


def _keep_reasons(batch: ContactImport, mapping: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A column left as it was still says how it had been recognised."""
    return [
        {**new, "how": old["how"] if (new["field"], new["key"]) == (old["field"], old["key"]) else "chosen"}
        for new, old in zip(mapping, batch.mapping, strict=True)
    ]


@needs("contacts.write", of="contact_import")
def begin_import(*, contact_import: ContactImport, background: bool = True, screen: bool = True) -> ContactImport:
    """Hand a checked import to the workers, or with background=False leave it to the caller's `run_import`.

    Columns that become fields of the client's own are such fields from now on. screen=False: the operator vouches for
    the numbers, so that the import is not held for review however they look.
    Raises: InvalidInput (`mapping`: neither phone nor email), WrongState (it was started).
    """
    fields = {match["field"] for match in contact_import.mapping}
    if not fields & {"phone", "email"}:
        sentence = _("Say which column holds the phone number (or at least the email address).")
        raise InvalidInput({"mapping": [sentence]})
    with transaction.atomic():
        _change_unstarted(contact_import, state=ImportState.READY, screened=not screen)
        ensure_fields(client_id=contact_import.client_id, kinds=_kinds(contact_import.mapping))
        if background:
            wake.run_import(contact_import.pk)
        after = {"file": contact_import.filename, "duplicates": contact_import.duplicates}
        audit_import(contact_import, "started", after=after)
    return contact_import


def audit_import(batch: ContactImport, verb: str, **facts: Any) -> None:
    """Say in the audit log what was done to an import; last in the transaction."""
    record_audit(client=batch.client_id, action=f"import.{verb}", target=f"import:{batch.pk}", **facts)


def _kinds(mapping: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {match["key"]: match.get("kind", "text") for match in mapping if match["field"] == "attribute"}


def _change_unstarted(batch: ContactImport, **fields: Any) -> None:
    waiting = ContactImport.objects.filter(client_id=batch.client_id, pk=batch.pk, state=ImportState.UPLOADED)
    if not waiting.update(**fields):
        raise WrongState(_("This import was started already."))
    for name, value in fields.items():
        setattr(batch, name, value)


@needs("contacts.write", of="contact_import")
def retake_rejects(
    *, contact_import: ContactImport, corrections: Mapping[int, Mapping[int, str]], by: Any
) -> ContactImport:
    """Import rejected rows of a finished import again, as corrected: a small import of its own, set up like the first.

    corrections: by row number the new texts by column index; rows that are not among the rejected are passed over.
    Raises: InvalidInput (none, or more than checking.MAX_EDITS), UnreadableFile.
    """
    batch = contact_import
    rejects = ImportReject.objects.for_client(batch.client_id).filter(contact_import=batch, row__in=list(corrections))
    width = len(batch.headers)
    rows = []
    for reject in rejects.exclude(reason=DUPLICATE)[: checking.MAX_EDITS + 1]:
        cells = [*reject.cells, *[""] * (width - len(reject.cells))]
        rows.append([corrections[reject.row].get(index, cell) for index, cell in enumerate(cells)])
    if not 0 < len(rows) <= checking.MAX_EDITS:
        sentence = _("Correct at least one row, and at most %(most)s at once.") % {"most": checking.MAX_EDITS}
        raise InvalidInput({"file": [sentence]})
    text = StringIO()
    csv.writer(text).writerows([batch.headers, *rows])
    stem, dot, _ending = batch.filename.rpartition(".")
    name = f"{(stem if dot else batch.filename)[:180]} (corrected).csv"
    new = start_import(client=batch.client, by=by, upload=ContentFile(text.getvalue().encode(), name=name))
    try:
        configure_import(
            contact_import=new, encoding="utf-8", delimiter=",", has_header=True,
            duplicates=batch.duplicates, group=batch.group,
        )  # fmt: skip
        _change_unstarted(new, mapping=batch.mapping, consent=batch.consent, tags=batch.tags)
        return begin_import(contact_import=new)
    except BaseException:
        discard_import(contact_import=new)
        raise


@needs("contacts.write", of="contact_import")
def discard_import(*, contact_import: ContactImport) -> None:
    """Forget an upload that was never started, and its file. Raises: WrongState."""
    path = contact_import.path
    unstarted = ContactImport.objects.filter(
        client_id=contact_import.client_id, pk=contact_import.pk, state=ImportState.UPLOADED
    )
    with transaction.atomic():
        if not unstarted.delete()[0]:
            raise WrongState(_("This import was started already."))
        transaction.on_commit(lambda: path.unlink(missing_ok=True))
