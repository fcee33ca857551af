"""Imports as they run: taken by a worker, held for staff, stopped, gone on with after a crash, ended."""

import logging
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import override

from accounts.services.access import needs
from accounts.services.events import record_events
from contacts import wake
from contacts.importing import engine
from contacts.importing.reading import Table
from contacts.importing.rows import RowReader
from contacts.importing.screening import ConsecutiveNumbers
from contacts.models import ContactImport, ImportState
from contacts.services.import_undo import sweep_undo
from contacts.services.imports import audit_import, discard_import
from crm.common.errors import WrongState
from crm.common.figures import figure
from crm.common.sql import database_now

log = logging.getLogger(__name__)

KEEP_UNSTARTED = timedelta(days=7)


def run_import(*, import_id: int) -> bool:
    """Run an import that waits, or go on with one whose worker died; returns whether this call brought it to its end.

    Does nothing if another worker holds it, or runs another file of the same client. A database that is away raises:
    the sweep finds the import when its lease has run out. What is wrong with a row is said, for good, in the language
    of the person who uploaded the file.
    """
    token = _claim(import_id)
    if not token:
        return False
    batch = ContactImport.objects.unscoped().select_related("client", "by").get(pk=import_id)
    with override(getattr(batch.by, "language", "") or settings.LANGUAGE_CODE):
        return _run(batch, token)


def _run(batch: ContactImport, token: str) -> bool:
    table = Table(batch.path, batch.encoding, batch.delimiter)
    reader = RowReader(batch.mapping, batch.client.country, batch.edits)
    try:
        if not batch.screened and _hold(batch, table, reader, token):
            return False
        for rows, next_row in engine.read_chunks(table, reader, start=batch.next_row):
            engine.write_chunk(batch, rows, next_row=next_row, token=token)
    except engine.LeaseLostError:
        return False
    except (OperationalError, InterfaceError):
        raise
    except FileNotFoundError:
        return _end(batch, token, ImportState.FAILED, _("The uploaded file is gone. Upload it again."))
    except Exception:
        log.exception("import %s failed at row %s", batch.pk, batch.next_row)
        sentence = _("Something in the file or the program stopped it at row %(row)s. Rows before it are in.")
        return _end(batch, token, ImportState.FAILED, sentence % {"row": batch.next_row})
    return _end(batch, token, ImportState.DONE)


def _hold(batch: ContactImport, table: Table, reader: RowReader, token: str) -> bool:
    """Whether the import has to wait for staff: too many of its numbers follow one another without a gap.

    Looked at once, before the first row is written. Nothing leaves a client in simulation, so nothing of it is held.
    """
    numbers = ConsecutiveNumbers()
    most = settings.IMPORT_HOLD_CONSECUTIVE
    if most and not batch.client.simulation:
        for row, cells in table.rows(batch.next_row):
            numbers.add(reader.phone_in(row, cells))
    longest = numbers.longest()
    fields: dict[str, Any] = {"screened": True}
    if held := bool(most) and longest >= most:
        fields = {
            "state": ImportState.HELD, "lease_token": "", "lease_until": None,
            "hold_reason": _("%(n)s of the numbers follow one another without a gap, as invented lists do.")
            % {"n": figure(longest)},
        }  # fmt: skip
    mine = ContactImport.objects.filter(
        client_id=batch.client_id, pk=batch.pk, state=ImportState.RUNNING, lease_token=token
    )
    with transaction.atomic():
        if not mine.update(**fields):
            raise engine.LeaseLostError
        if held:
            _wake_next(batch)
    return held


def release_import(*, contact_import: ContactImport) -> ContactImport:
    """Let a held import run after all. Raises: WrongState."""
    with transaction.atomic():
        held = ContactImport.objects.filter(
            client_id=contact_import.client_id, pk=contact_import.pk, state=ImportState.HELD
        )
        if not held.update(state=ImportState.READY, screened=True, hold_reason=""):
            raise WrongState(_("This import is not held."))
        wake.run_import(contact_import.pk)
        audit_import(contact_import, "released")
    contact_import.refresh_from_db()
    return contact_import


def refuse_import(*, contact_import: ContactImport, reason: str = "") -> ContactImport:
    """End a held import without a row taken; its client reads the reason. Raises: WrongState."""
    with transaction.atomic():
        held = ContactImport.objects.filter(
            client_id=contact_import.client_id, pk=contact_import.pk, state=ImportState.HELD
        )
        words = _("Our staff looked at this list and did not take it.")
        error = f"{words} {reason}".strip()[:300]
        if not held.update(state=ImportState.STOPPED, error=error, finished_at=database_now()):
            raise WrongState(_("This import is not held."))
        _after_end(contact_import, ImportState.STOPPED)
        audit_import(contact_import, "refused")
    contact_import.refresh_from_db()
    return contact_import


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


@needs("contacts.write", of="contact_import")
def stop_import(*, contact_import: ContactImport) -> ContactImport:
    """Stop after the chunk being written; what is in stays. Raises: WrongState (not running or waiting)."""
    running = ContactImport.objects.filter(
        client_id=contact_import.client_id,
        pk=contact_import.pk,
        state__in=[ImportState.READY, ImportState.RUNNING, ImportState.HELD],
    )
    with transaction.atomic():
        fields = {"state": ImportState.STOPPED, "lease_token": "", "lease_until": None, "finished_at": database_now()}
        if not running.update(**fields):
            raise WrongState(_("This import is not running."))
        _after_end(contact_import, ImportState.STOPPED)
        audit_import(contact_import, "stopped")
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
    _wake_next(batch)


def _wake_next(batch: ContactImport) -> None:
    waiting = ContactImport.objects.filter(client_id=batch.client_id, state=ImportState.READY).order_by("pk").first()
    if waiting:
        wake.run_import(waiting.pk)


def sweep_imports() -> int:
    """Wake what waits or was left by a dead worker, drop what nobody started within a week; returns how many woken."""
    now = database_now()
    everyone = ContactImport.objects.unscoped()
    left = everyone.filter(Q(state=ImportState.READY) | Q(state=ImportState.RUNNING, lease_until__lt=now))
    ids = list(left.order_by("pk").values_list("pk", flat=True)[:100])
    for import_id in ids:
        wake.run_import(import_id)
    sweep_undo(now)
    stale = everyone.filter(state=ImportState.UPLOADED, created_at__lt=now - KEEP_UNSTARTED)
    for batch in stale[:100]:
        try:
            discard_import(contact_import=batch)
        except WrongState:  # started this very moment
            continue
    return len(ids)
