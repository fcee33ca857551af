"""Imports: upload, check, run. Every step is a URL that can be left and opened again."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.files.base import ContentFile
from django.http import Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from contacts import queries, services
from contacts.forms import CheckForm, UploadForm
from contacts.importing.checking import MAX_EDITS
from contacts.importing.matching import FIELDS, HOW, OWN, chosen_in
from contacts.importing.sorting import DUPLICATE
from contacts.models import ContactField, ContactImport, ImportReject, ImportState
from contacts.views.page_parts import page_of, render_page, render_part
from crm.common.access import page
from crm.common.errors import DomainError, WrongState
from crm.common.exports import csv_lines

_SHOWN_IMPORTS = 5
_SHOWN_KEPT = 100
_NUMBER_ALONE = re.compile(r"[+(]?\d[\d ().-]{6,24}")
# language code: (its name in itself, the titles)
TEMPLATES = {
    "en": ("English", ("Name", "Phone", "Email", "Department")),
    "fr": ("Français", ("Nom", "Téléphone", "Courriel", "Service")),
    "sw": ("Kiswahili", ("Jina", "Simu", "Barua pepe", "Idara")),
}


@page("contacts.read")
@require_safe
def import_list(request: HttpRequest) -> HttpResponse:
    """/app/contacts/imports."""
    found = page_of(request, queries.imports_for(request.client))
    return render_part(
        request, "contacts/import_list.html", "contacts/_import_table.html", {"page": found, "imports": found}
    )


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def import_upload(request: HttpRequest) -> HttpResponse:
    """/app/contacts/import: choose a file, or paste a list. What can be read leads to its check."""
    form = UploadForm()
    if request.method == "POST":
        form = UploadForm(request.POST, request.FILES)
        if form.is_valid():
            upload = form.cleaned_data["file"] or _pasted(form.cleaned_data["text"])
            try:
                batch = services.start_import(client=request.client, by=request.user, upload=upload)
            except DomainError as error:
                form.refuse(error)
            else:
                return redirect("contacts:import_check", pk=batch.pk)
    context = {
        "form": form,
        "max_megabytes": settings.MAX_IMPORT_BYTES >> 20,
        "max_rows": settings.MAX_IMPORT_ROWS,
        "templates": TEMPLATES.items(),
        "recent": queries.imports_for(request.client)[:_SHOWN_IMPORTS],
    }
    return render_page(request, "contacts/import_upload.html", context, status=422 if form.errors else 200)


def _pasted(text: str) -> ContentFile:
    """What was pasted, as a file. Numbers typed on one line, with commas between them, stand below one another."""
    parts = [part.strip() for part in re.split(r"[,;\t\r\n]+", text) if part.strip()]
    if parts and all(_NUMBER_ALONE.fullmatch(part) for part in parts):
        text = "\n".join(parts)
    return ContentFile(text.encode(), name=_("Pasted list") + ".csv")


@page("contacts.read")
@require_safe
def import_template(request: HttpRequest, language: str) -> HttpResponse:
    """A file with the titles that we know best; the French one with the separator that a French Excel expects."""
    if language not in TEMPLATES:
        raise Http404
    _language, titles = TEMPLATES[language]
    line = (";" if language == "fr" else ",").join(titles)
    response = HttpResponse(f"\ufeff{line}\r\n", content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="contacts-{language}.csv"'
    return response


def _import(request: HttpRequest, pk: int) -> ContactImport:
    return get_object_or_404(queries.imports_for(request.client).select_related("client", "group", "by"), pk=pk)


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def import_check(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/import/{id}/check: what the file would do. POST reads it anew, or with `start` starts it."""
    batch = _import(request, pk)
    if batch.state != ImportState.UPLOADED:
        return redirect("contacts:import_detail", pk=pk)
    if request.method == "POST":
        form = CheckForm(request.POST, client=request.client)
        if form.is_valid():
            try:
                seen_as_is = _configure(request, batch, form)
                if "start" in request.POST and seen_as_is:
                    services.begin_import(contact_import=batch)
                    return redirect("contacts:import_detail", pk=pk)
                return redirect("contacts:import_check", pk=pk)
            except WrongState:
                return redirect("contacts:import_detail", pk=pk)
            except DomainError as error:
                form.refuse(error)
                batch.refresh_from_db()
    else:
        form = CheckForm(
            client=request.client,
            initial={
                "encoding": batch.encoding,
                "delimiter": batch.delimiter,
                "has_header": batch.has_header,
                "duplicates": batch.duplicates,
                "group": batch.group_id or "",
                "tags": ", ".join(tag.name for tag in queries.tags_for(request.client).filter(pk__in=batch.tags)),
                "consent_source": batch.consent.source if batch.consent else "",
                "consent_statement": batch.consent.statement if batch.consent else "",
            },
        )
    try:
        context = _check_context(request, batch, form)
    except FileNotFoundError:
        services.discard_import(contact_import=batch)
        messages.warning(request, _("The uploaded file is gone. Upload it again."))
        return redirect("contacts:import")
    return render_page(request, "contacts/import_check.html", context, status=422 if form.errors else 200)


def _configure(request: HttpRequest, batch: ContactImport, form: CheckForm) -> bool:
    """Returns whether the rows are read as the page showed them; otherwise they have to be looked at again first."""
    fields = form.cleaned_data
    before = (batch.encoding, batch.delimiter, batch.has_header)
    columns = [request.POST.get(f"column_{index}", "") for index in range(len(batch.headers))]
    group = form.chosen_group()
    names = ("encoding", "delimiter", "has_header", "duplicates", "consent_source", "consent_statement")
    settled = {name: fields[name] for name in names}
    edits = read_edits(request.POST)
    if edits:
        edits = changed_only(edits, queries.cells_of(batch, edits))
    tags = services.ensure_tags(client=request.client, names=form.chosen_tags())
    services.configure_import(contact_import=batch, columns=columns, group=group, tags=tags, edits=edits, **settled)
    if fields["new_group"].strip():
        group = services.create_group(client=request.client, name=fields["new_group"])
        services.configure_import(contact_import=batch, group=group)
    return before == (batch.encoding, batch.delimiter, batch.has_header) and not edits


def _check_context(request: HttpRequest, batch: ContactImport, form: CheckForm) -> dict:
    own = list(ContactField.objects.for_client(request.client))
    samples = queries.column_samples(batch)
    columns = [
        {
            "name": f"column_{index}",
            "title": batch.headers[index],
            "samples": samples[index],
            "field": request.POST.get(f"column_{index}") or chosen_in(match, own),
            "how": HOW.get(match.get("how", ""), ""),
        }
        for index, match in enumerate(batch.mapping)
    ]
    has_address = any(match["field"] in ("phone", "email") for match in batch.mapping)
    check = queries.check_import(batch)
    most = settings.IMPORT_HOLD_CONSECUTIVE
    taken = check.new + check.updated + check.unchanged
    return {
        "batch": batch,
        "form": form,
        "columns": columns,
        "fields": [*FIELDS.items(), *((OWN + field.key, field.key) for field in own)],
        "rejected_rows": editable(batch, check.refused),
        "corrected": len(batch.edits),
        "would_hold": bool(most) and check.longest_run >= most and not request.client.simulation,
        "check": check,
        "taken": taken,
        "extra": [match["key"] for match in batch.mapping if match["field"] == "attribute"],
        "problems": check.in_order(),
        "can_start": has_address and taken > 0,
        "has_address": has_address,
    }


def editable(batch: ContactImport, refused: Sequence[Any]) -> list[dict[str, Any]]:
    """Rejected rows whose cells can be corrected one by one: those that have as many cells as the table has columns.

    Each with `cells`, column index → text, of the contact's own fields and of the cell that was refused.
    """
    rows = []
    for each in refused:
        if each.reason in ("open_quote", "too_many_cells") or not each.cells:
            continue
        shown = [
            index
            for index, match in enumerate(batch.mapping)
            if match["field"] not in ("ignore", "attribute") or (match["key"] and match["key"][:20] == each.field)
        ]
        cells = {index: each.cells[index] if index < len(each.cells) else "" for index in shown}
        rows.append({"row": each.row, "sentence": each.sentence, "cells": cells, "inputs": [
            {"name": f"cell_{each.row}_{index}", "title": batch.headers[index], "value": text}
            for index, text in cells.items()
        ]})  # fmt: skip
    return rows


def read_edits(posted: QueryDict) -> dict[int, dict[int, str]]:
    """Row number → column index → text, of the inputs named cell_ROW_COLUMN."""
    edits: dict[int, dict[int, str]] = {}
    for name, text in posted.items():
        if found := re.fullmatch(r"cell_(\d{1,8})_(\d{1,4})", name):
            edits.setdefault(int(found[1]), {})[int(found[2])] = str(text)
    return edits


def changed_only(edits: dict[int, dict[int, str]], as_read: dict[int, dict[int, str]]) -> dict[int, dict[int, str]]:
    """The rows of `edits` in which a cell differs from what the page showed."""
    return {
        row: cells
        for row, cells in edits.items()
        if any(column in as_read.get(row, {}) and text != as_read[row][column] for column, text in cells.items())
    }


@page("contacts.write")
@require_POST
def import_discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget an upload that was not started."""
    try:
        services.discard_import(contact_import=_import(request, pk))
    except WrongState:
        return redirect("contacts:import_detail", pk=pk)
    messages.success(request, _("The file was removed; nothing was imported."))
    return redirect("contacts:import")


@page("contacts.read")
@require_safe
def import_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/import/{id}: how far it is, then what became of it; `?show=duplicates` lists those instead."""
    batch = _import(request, pk)
    if batch.state == ImportState.UPLOADED and request.membership.may("contacts.write"):
        return redirect("contacts:import_check", pk=pk)
    show = "duplicates" if request.GET.get("show") == "duplicates" else "rejected"
    rejects = batch.rejects.filter(client=request.client)
    rejects = rejects.filter(reason=DUPLICATE) if show == "duplicates" else rejects.exclude(reason=DUPLICATE)
    shown_rejects = page_of(request, rejects)
    for reject in shown_rejects.object_list:
        reject.title = "" if reject.field == "row" else FIELDS.get(reject.field, reject.field)
    seconds = _seconds(batch)
    context = {
        "batch": batch,
        "show": show,
        "page": shown_rejects,
        "rate": round(batch.rows_done / seconds) if seconds >= 1 else 0,
        "poll_seconds": 1 if batch.state in (ImportState.READY, ImportState.RUNNING, ImportState.UNDOING) else 0,
        "kept": queries.kept_by_undo(batch)[:_SHOWN_KEPT] if batch.state == ImportState.UNDONE else [],
        "seconds_left": _seconds_left(batch, seconds),
        "is_late": batch.state == ImportState.READY and batch.created_at < timezone.now() - timedelta(minutes=2),
    }
    return render_part(request, "contacts/import_detail.html", "contacts/_import_progress.html", context)


def _seconds_left(batch: ContactImport, seconds: float) -> int:
    """A guess from the pace so far; 0 where there is nothing to go by."""
    if batch.state != ImportState.RUNNING or seconds < 2 or not batch.rows_done:
        return 0
    return round((batch.rows_total - batch.rows_done) * seconds / batch.rows_done)


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def import_correct(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/import/{id}/correct: rejected rows of an import that is over; POST imports the corrected ones."""
    batch = _import(request, pk)
    if not batch.is_over:
        return redirect("contacts:import_detail", pk=pk)
    rejects = ImportReject.objects.for_client(request.client).filter(contact_import=batch).exclude(reason=DUPLICATE)
    rows = editable(batch, list(rejects[:MAX_EDITS]))
    error = ""
    if request.method == "POST":
        posted = read_edits(request.POST)
        corrections = changed_only(posted, {row["row"]: row["cells"] for row in rows})
        try:
            new = services.retake_rejects(contact_import=batch, corrections=corrections, by=request.user)
        except DomainError as refusal:
            error = str(refusal)
            for row in rows:
                for cell in row["inputs"]:
                    cell["value"] = request.POST.get(cell["name"], cell["value"])
        else:
            return redirect("contacts:import_detail", pk=new.pk)
    context = {"batch": batch, "rows": rows, "error": error}
    return render_page(request, "contacts/import_correct.html", context, status=422 if error else 200)


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def import_undo(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/import/{id}/undo: says what will happen; POST does it."""
    batch = _import(request, pk)
    if request.method == "POST":
        try:
            services.undo_import(contact_import=batch)
        except WrongState as error:
            messages.warning(request, str(error))
        return redirect("contacts:import_detail", pk=pk)
    if not batch.can_undo:
        return redirect("contacts:import_detail", pk=pk)
    return render_page(request, "contacts/import_undo.html", {"batch": batch})


@page("contacts.write")
@require_POST
def import_audience(request: HttpRequest, pk: int) -> HttpResponse:
    """A campaign to the people of a file that was put into no group: to a group by rule, made on the first press."""
    batch = _import(request, pk)
    group = services.group_of_import(contact_import=batch)
    return redirect(f"{reverse('campaign_new')}?group={group.pk}")


@page("contacts.read")
@require_safe
def import_chip(request: HttpRequest) -> HttpResponse:
    """The import that is under way, for the top bar of every page; asks again while there is one."""
    context = {"running_import": queries.import_under_way(request.client)}
    response = render_page(request, "contacts/_import_chip.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _seconds(batch: ContactImport) -> float:
    if not batch.started_at:
        return 0
    return ((batch.finished_at or timezone.now()) - batch.started_at).total_seconds()


@page("contacts.write")
@require_POST
def import_stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop after the rows being written; they stay."""
    try:
        services.stop_import(contact_import=_import(request, pk))
    except WrongState as error:
        messages.warning(request, str(error))
    return redirect("contacts:import_detail", pk=pk)


@page("contacts.read")
@require_safe
def import_rejected(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The rejected rows with their original columns and the reason: fit to be corrected and uploaded again."""
    batch = _import(request, pk)
    rejects = batch.rejects.filter(client=request.client).exclude(reason=DUPLICATE)
    width = len(batch.headers)

    def rows():
        yield [*batch.headers, _("Reason")]
        for cells, sentence in rejects.values_list("cells", "sentence").iterator(chunk_size=1000):
            padded = [*cells, *[""] * (width - len(cells))]
            yield [*padded[:width], sentence, *padded[width:]]

    response = StreamingHttpResponse(csv_lines(rows()), content_type="text/csv; charset=utf-8")
    name = slugify(batch.filename.rpartition(".")[0]) or "contacts"
    response["Content-Disposition"] = f'attachment; filename="{name}-rejected.csv"'
    return response
