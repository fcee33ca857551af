"""Exports: asked for, written by a worker or at once where they are small, fetched through a checked door, swept."""

import logging
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4
from zipfile import ZIP_DEFLATED, ZipFile

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.http import QueryDict
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import wake
from accounts.exporting import KINDS, Files, Job, Rows
from accounts.models import Export, ExportState, Membership
from accounts.services.access import require
from accounts.services.audit import record_audit
from crm.common.errors import DomainError, InvalidInput, NotFound, WrongState
from crm.common.exports import csv_lines, write_csv, write_xlsx
from crm.common.sql import database_now

log = logging.getLogger(__name__)

AT_ONCE = 5_000  # rows that are written while the person waits
KEPT = timedelta(days=7)
LEASE = timedelta(seconds=120)
MOST_ATTEMPTS = 4
MOST_OPEN = 5  # of one client, so that one does not keep the workers from the others
_STEP = 1000  # rows between two notes of progress
FORMATS = ("csv", "xlsx")
_LONGEST_QUERY = 2000


class TooManyExports(DomainError):
    code = "too_many_exports"
    default_message = gettext_lazy("Five files are being written already. Wait for one of them.")


class _LeaseLost(Exception):
    """Another worker has taken the export, or it was deleted."""


def request_export(*, membership: Membership, kind: str, format: str, query: str = "", language: str = "en") -> Export:
    """Have a file made of what `query` (the filter of the page, as in its address) finds.

    Up to AT_ONCE rows it is written before this returns; otherwise by a worker, and a letter says when it is ready.
    Raises: NotFound (no such kind, or not for this role), InvalidInput (format, query), TooManyExports.
    """
    known = KINDS.get(kind)
    if known is None or not membership.may(known.permission):
        raise NotFound
    require(membership.client_id, known.permission)
    if format not in FORMATS or len(query) > _LONGEST_QUERY or "\x00" in query:
        raise InvalidInput({"format": [_("Choose CSV or XLSX.")]})
    if known.files is not None:
        raise NotFound
    client = membership.client
    masked = not membership.may("contacts.read")
    total = known.count(Job(client, QueryDict(query), masked))
    small = total <= AT_ONCE
    with transaction.atomic():
        mine = Export.objects.for_client(client)
        if mine.filter(state__in=[ExportState.WAITING, ExportState.RUNNING]).count() >= MOST_OPEN:
            raise TooManyExports
        export = Export.objects.create(
            client=client,
            by=membership.user,
            kind=kind,
            format=format,
            query=query,
            language=language,
            masked=masked,
            in_background=not small,
            rows_total=total,
            created_at=database_now(),
        )
        if not small:
            wake.export(export.pk)
        facts = {"kind": kind, "format": format, "rows": total, "filter": dict(QueryDict(query).items())}
        record_audit(client=client, action="export.made", target=f"export:{export.pk}", after=facts)
    if small:
        run_export(export_id=export.pk)
        export.refresh_from_db(from_queryset=mine)
    return export


@transaction.atomic
def make_export(*, membership: Membership, kind: str, query: str = "", language: str = "en") -> Export:
    """Have a worker write the ZIP of a kind that is made of files; the caller records it. Raises: TooManyExports."""
    mine = Export.objects.for_client(membership.client)
    if mine.filter(state__in=[ExportState.WAITING, ExportState.RUNNING]).count() >= MOST_OPEN:
        raise TooManyExports
    export = Export.objects.create(
        client=membership.client,
        by=membership.user,
        kind=kind,
        format="zip",
        query=query,
        language=language,
        in_background=True,
        created_at=database_now(),
    )
    wake.export(export.pk)
    return export


def run_export(*, export_id: int) -> bool:
    """Write the file of an export that waits, or whose worker died; returns whether this call finished it.

    A file that a dead worker left half written is begun anew. Does nothing where another worker holds it.
    """
    token, now = uuid4().hex, database_now()
    free = Q(state=ExportState.WAITING) | Q(state=ExportState.RUNNING, lease_until__lt=now)
    rows = Export.objects.unscoped().filter(pk=export_id)
    if not rows.filter(free).update(
        state=ExportState.RUNNING, lease_token=token, lease_until=now + LEASE, rows=0, attempts=F("attempts") + 1
    ):
        return False
    export = rows.select_related("client", "by").get()
    if export.attempts > MOST_ATTEMPTS:
        return _end(export, token, ExportState.FAILED)
    folder = Path(settings.MEDIA_ROOT) / "exports" / str(export.client_id)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{token}.{export.format}"
    try:
        with translation.override(export.language):
            _write(export, token, path)
        if not _end(export, token, ExportState.DONE, path):
            raise _LeaseLost
    except _LeaseLost:
        path.unlink(missing_ok=True)
        return False
    except BaseException as error:
        path.unlink(missing_ok=True)
        log.exception("export %d was not written", export.pk)
        if not isinstance(error, Exception):
            raise
        # The sweep gives it to a worker again; after the last attempt it has failed.
        state = ExportState.FAILED if export.attempts >= MOST_ATTEMPTS else ExportState.WAITING
        _end(export, token, state)
        return False
    if export.in_background:
        _write_letter(export)
    return True


def _write(export: Export, token: str, path: Path) -> None:
    kind = KINDS[export.kind]
    job = Job(export.client, QueryDict(export.query), export.masked)
    if kind.files is not None:
        _write_zip(path, ((name, _counted(export, token, rows)) for name, rows in kind.files(job)))
        return
    rows = _watched(export, token, kind.rows(job))
    (write_xlsx if export.format == "xlsx" else write_csv)(path, rows)


def _watched(export: Export, token: str, rows: Rows) -> Rows:
    """The rows as they come, progress noted now and then. Raises: _LeaseLost."""
    for number, row in enumerate(rows):  # 0 is the heading
        yield row
        export.rows = number
        if number and number % _STEP == 0:
            _note(export, token)


def _counted(export: Export, token: str, rows: Rows | str) -> Rows | str:
    """As `_watched`, over all files of a ZIP."""
    if isinstance(rows, str):
        return rows
    return _count_on(export, token, rows)


def _count_on(export: Export, token: str, rows: Rows) -> Rows:
    for number, row in enumerate(rows):
        yield row
        export.rows += bool(number)
        if number and export.rows % _STEP == 0:
            _note(export, token)


def _write_zip(path: Path, files: Files) -> None:
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, rows in files:
            with archive.open(name, "w", force_zip64=True) as file:
                if isinstance(rows, str):
                    file.write(rows.encode())
                else:
                    for line in csv_lines(rows):
                        file.write(line.encode("utf-8", "replace"))


def _note(export: Export, token: str) -> None:
    mine = Export.objects.for_client(export.client_id).filter(pk=export.pk, lease_token=token)
    if not mine.filter(state=ExportState.RUNNING).update(rows=export.rows, lease_until=database_now() + LEASE):
        raise _LeaseLost


def _end(export: Export, token: str, state: str, path: Path | None = None) -> bool:
    now = database_now()
    stored = str(path.relative_to(settings.MEDIA_ROOT)) if path else ""
    mine = Export.objects.for_client(export.client_id).filter(pk=export.pk, lease_token=token)
    return bool(
        mine.filter(state=ExportState.RUNNING).update(
            state=state,
            rows=export.rows,
            rows_total=export.rows if path else export.rows_total,
            size=path.stat().st_size if path else 0,
            stored_as=stored,
            lease_token="",
            lease_until=None,
            finished_at=None if state == ExportState.WAITING else now,
            expires_at=now + KEPT if path else None,
        )
    )


def _write_letter(export: Export) -> None:
    """Tell whoever asked that the file is there; a mail server that is away costs them the letter, not the file."""
    if export.by is None or not export.by.is_active:
        return
    with translation.override(export.language):
        context = {"export": export, "kind": KINDS[export.kind], "url": f"{settings.PUBLIC_URL}/app/exports"}
        context |= {"client": export.client, "brand": settings.BRAND_NAME, "days": KEPT.days}
        subject, _, text = render_to_string("notices/export_ready.txt", context).strip().partition("\n")
    try:
        EmailMessage(" ".join(subject.split()), text.strip() + "\n", to=[export.by.email]).send()
    except (OSError, ValueError) as error:
        log.warning("the letter about export %d was not sent: %s", export.pk, type(error).__name__)


def may_fetch(export: Export, membership: Membership) -> bool:
    """Whether a member may have this file: the one who asked, and those who may read the audit log; each only what
    their role may see."""
    kind = KINDS.get(export.kind)
    permission = kind.permission if kind else "audit.read"
    mine = export.by_id == membership.user_id or membership.may("audit.read")
    return mine and membership.may(permission) and (export.masked or membership.may("contacts.read"))


def open_export(*, membership: Membership, export_id: int) -> Export:
    """The export whose file is to be sent; the download is recorded. Raises: NotFound, WrongState (no file)."""
    export = Export.objects.for_client(membership.client).filter(pk=export_id).first()
    if export is None or not may_fetch(export, membership):
        raise NotFound
    if export.state != ExportState.DONE or not export.path.is_file():
        raise WrongState(_("This file is not there (any more). Make a new one."))
    record_audit(client=membership.client, action="export.fetched", target=f"export:{export.pk}")
    return export


def delete_files(*, client_id: int, before: datetime | None = None) -> int:
    """Delete the files of a client's exports, of all or of those made before a moment; returns how many."""
    done = Export.objects.for_client(client_id).exclude(state=ExportState.GONE)
    return _delete(done if before is None else done.filter(created_at__lt=before))


def _delete(found: QuerySet[Export]) -> int:
    count = 0
    for export in found.order_by("pk")[:1000]:
        rows = Export.objects.for_client(export.client_id).filter(pk=export.pk)
        count += rows.update(state=ExportState.GONE, query="", stored_as="", lease_token="", lease_until=None)
        if export.stored_as:
            export.path.unlink(missing_ok=True)
    return count


def sweep_exports() -> None:
    """Wake what waits or was left by a dead worker; delete files that have served their time, and what crashes left."""
    now = database_now()
    everyone = Export.objects.unscoped()
    left = everyone.filter(Q(state=ExportState.WAITING) | Q(state=ExportState.RUNNING, lease_until__lt=now))
    for export_id in list(left.order_by("pk").values_list("pk", flat=True)[:50]):
        wake.export(export_id)
    _delete(everyone.filter(state=ExportState.DONE, expires_at__lt=now))
