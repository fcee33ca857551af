"""The life of an import: uploaded → ready → running → done | stopped | failed."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce

from accounts.models import Client
from accounts.services.events import record_events
from contacts import wake
from contacts.errors import UnreadableFile
from contacts.importing import engine, matching, reading
from contacts.importing.reading import Table
from contacts.importing.rows import RowReader, clean_text
from contacts.models import ContactImport, Duplicates, Group, ImportState
from crm.common.errors import InvalidInput, WrongState
from crm.common.phones import PhoneReader
from crm.common.sql import database_now

log = logging.getLogger(__name__)

KEEP_UNSTARTED = timedelta(days=7)
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
        raise UnreadableFile("This file is empty: there is nothing to import.", reason="empty")
    phones = PhoneReader(region)
    (first_number, first), below = sample[0], [cells for _, cells in sample[1:]]
    if has_header is None:
        has_header = matching.looks_like_header(first, below, phones)
    width = len(first) if has_header else max(len(cells) for _, cells in sample)
    if width > reading.MAX_COLUMNS:
        raise UnreadableFile(
            f"This table has {width} columns; {reading.MAX_COLUMNS} are allowed.", reason="too_many_columns"
        )
    rows = reading.count_rows(table, max_rows=settings.MAX_IMPORT_ROWS, titles=int(has_header))
    if rows == 0 or (len(sample) == 1 and not has_header and not matching.has_contact(first, phones)):
        raise UnreadableFile("This file has only a title row: there are no contacts in it.", reason="only_header")
    headers = [clean_text(cell.replace("\x00", "").strip())[:100] for cell in first] if has_header else []
    headers = headers or [f"Column {number}" for number in range(1, width + 1)]
    samples = below if has_header else [first, *below]
    matches = matching.match_columns(headers, samples, titled=has_header, reader=phones)
    return Draft(table, has_header, headers, [match.stored() for match in matches], rows, first_number + has_header)


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
                    break  # detect() says so; the rest need not be stored first
        table = reading.detect(path, filename, max_bytes=settings.MAX_IMPORT_BYTES)
        draft = draft_import(table, region=client.country)
        return ContactImport.objects.create(
            client=client,
            by=by,
            stored_as=stored_as,
            filename=filename,
            size=path.stat().st_size,
            **_draft_fields(draft, mapping=_last_mapping(client, draft.headers) if draft.has_header else None),
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


def configure_import(
    *,
    contact_import: ContactImport,
    encoding: str | None = None,
    delimiter: str | None = None,
    has_header: bool | None = None,
    columns: Sequence[str] | None = None,
    duplicates: str | None = None,
    group: Group | None = None,
) -> ContactImport:
    """Change how an unstarted import is read and what it does; None leaves a setting, `group` None means no group.

    columns: a key of matching.FIELDS per column. They are guessed anew when encoding, separator or header changes.
    Raises: InvalidInput, UnreadableFile, WrongState (it was started).
    """
    batch = contact_import
    now = {"encoding": batch.encoding, "delimiter": batch.delimiter, "has_header": batch.has_header}
    asked = {"encoding": encoding, "delimiter": delimiter, "has_header": has_header}
    wanted = {**now, **{name: value for name, value in asked.items() if value is not None}}
    if wanted["encoding"] not in reading.ENCODINGS or wanted["delimiter"] not in reading.DELIMITERS:
        raise InvalidInput({"file": ["Choose one of the encodings and separators listed."]})
    if duplicates is not None and duplicates not in Duplicates.values:
        raise InvalidInput({"duplicates": ["Choose what happens to contacts that exist."]})
    if group is not None and group.client_id != batch.client_id:
        raise InvalidInput({"group": ["There is no such group."]})
    fields: dict[str, Any] = {"duplicates": duplicates or batch.duplicates, "group": group}
    if wanted != now:
        table = Table(batch.path, wanted["encoding"], wanted["delimiter"])
        fields |= _draft_fields(draft_import(table, region=batch.client.country, has_header=bool(wanted["has_header"])))
    elif columns is not None:
        fields["mapping"] = _keep_reasons(batch, matching.mapping_from_choices(batch.headers, columns))
    _change_unstarted(batch, **fields)
    return batch


def _keep_reasons(batch: ContactImport, mapping: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A column left as it was still says how it had been recognised."""
    return [
        {**new, "how": old["how"] if new["field"] == old["field"] else "chosen"}
        for new, old in zip(mapping, batch.mapping, strict=True)
    ]


def begin_import(*, contact_import: ContactImport, background: bool = True) -> ContactImport:
    """Hand a checked import to the workers, or with background=False leave it to the caller's `run_import`.

    Raises: InvalidInput (`mapping`: neither phone nor email), WrongState (it was started).
    """
    fields = {match["field"] for match in contact_import.mapping}
    if not fields & {"phone", "email"}:
        raise InvalidInput({"mapping": ["Say which column holds the phone number (or at least the email address)."]})
    with transaction.atomic():
        _change_unstarted(contact_import, state=ImportState.READY)
        if background:
            wake.run_import(contact_import.pk)
    return contact_import


def _change_unstarted(batch: ContactImport, **fields: Any) -> None:
    waiting = ContactImport.objects.filter(client_id=batch.client_id, pk=batch.pk, state=ImportState.UPLOADED)
    if not waiting.update(**fields):
        raise WrongState("This import was started already.")
    for name, value in fields.items():
        setattr(batch, name, value)


def run_import(*, import_id: int) -> bool:
    """Run an import that waits, or go on with one whose worker died; returns whether this call brought it to its end.

    Does nothing if another worker holds it, or runs another file of the same client. A database that is away raises:
    the sweep finds the import when its lease has run out.
    """
    token = _claim(import_id)
    if not token:
        return False
    batch = ContactImport.objects.unscoped().select_related("client").get(pk=import_id)
    table = Table(batch.path, batch.encoding, batch.delimiter)
    reader = RowReader(batch.mapping, batch.client.country)
    try:
        for rows, next_row in engine.read_chunks(table, reader, start=batch.next_row):
            engine.write_chunk(batch, rows, next_row=next_row, token=token)
    except engine.LeaseLostError:
        return False
    except (OperationalError, InterfaceError):
        raise
    except FileNotFoundError:
        return _end(batch, token, ImportState.FAILED, "The uploaded file is gone. Upload it again.")
    except Exception:
        log.exception("import %s failed at row %s", batch.pk, batch.next_row)
        sentence = f"Something in the file or the program stopped it at row {batch.next_row:,}. Rows before it are in."
        return _end(batch, token, ImportState.FAILED, sentence)
    return _end(batch, token, ImportState.DONE)


def _claim(import_id: int) -> str:
    """Take the import for this worker; "" if it is not to be had. One file of a client runs at a time."""
    token, now = uuid4().hex, database_now()
    free = Q(state=ImportState.READY) | Q(state=ImportState.RUNNING, lease_until__lt=now)
    try:
        with transaction.atomic():
            taken = ContactImport.objects.unscoped().filter(free, pk=import_id).update(
                state=ImportState.RUNNING,
                lease_token=token,
                lease_until=now + timedelta(seconds=engine.LEASE_SECONDS),
                started_at=Coalesce("started_at", now),
            )  # fmt: skip
    except IntegrityError:  # import_one_running: its turn comes when the other ends
        return ""
    return token if taken else ""


def _end(batch: ContactImport, token: str, state: ImportState, error: str = "") -> bool:
    with transaction.atomic():
        mine = ContactImport.objects.filter(
            client_id=batch.client_id, pk=batch.pk, state=ImportState.RUNNING, lease_token=token
        )
        if not mine.update(state=state, error=error, lease_token="", lease_until=None, finished_at=database_now()):
            return False
        _after_end(batch, state)
    return True


def stop_import(*, contact_import: ContactImport) -> ContactImport:
    """Stop after the chunk being written; what is in stays. Raises: WrongState (not running or waiting)."""
    running = ContactImport.objects.filter(
        client_id=contact_import.client_id,
        pk=contact_import.pk,
        state__in=[ImportState.READY, ImportState.RUNNING],
    )
    with transaction.atomic():
        fields = {"state": ImportState.STOPPED, "lease_token": "", "lease_until": None, "finished_at": database_now()}
        if not running.update(**fields):
            raise WrongState("This import is not running.")
        _after_end(contact_import, ImportState.STOPPED)
    contact_import.refresh_from_db()
    return contact_import


def _after_end(batch: ContactImport, state: ImportState) -> None:
    """Tell the client's webhooks, remove the file, wake the client's next import: it had to wait for this one."""
    path = batch.path
    data = {
        "import_id": batch.pk,
        "filename": batch.filename,
        "status": state.value,
        "total": batch.rows_total,
        "imported": batch.imported,
        "updated": batch.updated,
        "skipped": batch.skipped + batch.duplicate_rows,
        "failed": batch.failed,
    }
    record_events(batch.client_id, [("import.completed", data)])
    transaction.on_commit(lambda: path.unlink(missing_ok=True))
    waiting = ContactImport.objects.filter(client_id=batch.client_id, state=ImportState.READY).order_by("pk").first()
    if waiting:
        wake.run_import(waiting.pk)


def discard_import(*, contact_import: ContactImport) -> None:
    """Forget an upload that was never started, and its file. Raises: WrongState."""
    path = contact_import.path
    unstarted = ContactImport.objects.filter(
        client_id=contact_import.client_id, pk=contact_import.pk, state=ImportState.UPLOADED
    )
    with transaction.atomic():
        if not unstarted.delete()[0]:
            raise WrongState("This import was started already.")
        transaction.on_commit(lambda: path.unlink(missing_ok=True))


def sweep_imports() -> int:
    """Wake what waits or was left by a dead worker, drop what nobody started within a week; returns how many woken."""
    now = database_now()
    everyone = ContactImport.objects.unscoped()
    left = everyone.filter(Q(state=ImportState.READY) | Q(state=ImportState.RUNNING, lease_until__lt=now))
    ids = list(left.order_by("pk").values_list("pk", flat=True)[:100])
    for import_id in ids:
        wake.run_import(import_id)
    stale = everyone.filter(state=ImportState.UPLOADED, created_at__lt=now - KEEP_UNSTARTED)
    for batch in stale[:100]:
        try:
            discard_import(contact_import=batch)
        except WrongState:  # started this very moment
            continue
    return len(ids)
