"""Imports: upload, check, run. Every step is a URL that can be left and opened again."""

from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from contacts import queries, services
from contacts.forms import CheckForm, UploadForm
from contacts.importing.engine import DUPLICATE
from contacts.importing.matching import FIELDS, HOW
from contacts.models import ContactImport, ImportState
from contacts.views.page_parts import page_of, render_page, render_part
from crm.common.access import page
from crm.common.errors import DomainError, WrongState
from crm.common.exports import csv_lines

_SHOWN_IMPORTS = 5


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
    """/app/contacts/import: choose a file. A readable one leads to its check."""
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST":
        form = UploadForm(request.POST, request.FILES)
        if form.is_valid():
            try:
                batch = services.start_import(client=request.client, by=request.user, upload=form.cleaned_data["file"])
            except DomainError as error:
                form.refuse(error)
            else:
                return redirect("contacts:import_check", pk=batch.pk)
    context = {
        "form": form,
        "max_megabytes": settings.MAX_IMPORT_BYTES >> 20,
        "max_rows": settings.MAX_IMPORT_ROWS,
        "recent": queries.imports_for(request.client)[:_SHOWN_IMPORTS],
    }
    return render_page(request, "contacts/import_upload.html", context, status=422 if form.errors else 200)


@page("contacts.read")
@require_safe
def import_template(request: HttpRequest) -> HttpResponse:
    """A file with the titles that we know best."""
    response = HttpResponse("\ufeffName,Phone,Email,Department\r\n", content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="contacts.csv"'
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
    settled = {name: fields[name] for name in ("encoding", "delimiter", "has_header", "duplicates")}
    services.configure_import(contact_import=batch, columns=columns, group=group, **settled)
    if fields["new_group"].strip():
        group = services.create_group(client=request.client, name=fields["new_group"])
        services.configure_import(contact_import=batch, group=group)
    return before == (batch.encoding, batch.delimiter, batch.has_header)


def _check_context(request: HttpRequest, batch: ContactImport, form: CheckForm) -> dict:
    samples = queries.column_samples(batch)
    columns = [
        {
            "name": f"column_{index}",
            "title": batch.headers[index],
            "samples": samples[index],
            "field": request.POST.get(f"column_{index}") or match["field"],
            "how": HOW.get(match.get("how", ""), ""),
        }
        for index, match in enumerate(batch.mapping)
    ]
    has_address = any(match["field"] in ("phone", "email") for match in batch.mapping)
    check = queries.check_import(batch)
    taken = check.new + check.updated + check.unchanged
    return {
        "batch": batch,
        "form": form,
        "columns": columns,
        "fields": FIELDS.items(),
        "check": check,
        "taken": taken,
        "extra": [match["key"] for match in batch.mapping if match["field"] == "attribute"],
        "problems": sorted(check.problems.values(), key=lambda problem: -problem.count),
        "can_start": has_address and taken > 0,
        "has_address": has_address,
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
    seconds = _seconds(batch)
    context = {
        "batch": batch,
        "show": show,
        "page": page_of(request, rejects),
        "rate": round(batch.rows_done / seconds) if seconds >= 1 else 0,
        "poll_seconds": 0 if batch.is_over or batch.state == ImportState.UPLOADED else 2,
        "is_late": batch.state == ImportState.READY and batch.created_at < timezone.now() - timedelta(minutes=2),
    }
    return render_part(request, "contacts/import_detail.html", "contacts/_import_progress.html", context)


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
