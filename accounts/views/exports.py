"""Files to download: asked for on the pages whose rows they hold, listed with their progress, fetched."""

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from accounts.exporting import KINDS
from accounts.models import Export, ExportState
from accounts.services import exports as service
from crm.common.access import page, wants_fragment
from crm.common.errors import DomainError

_LISTED = 50
_POLL_SECONDS = 2


@page("home")
@require_GET
@vary_on_headers("HX-Request", "HX-History-Restore-Request")
def export_list(request: HttpRequest) -> HttpResponse:
    """/app/exports: the latest files this member may have; asks again while one is being written."""
    found = Export.objects.for_client(request.client).select_related("by").exclude(state=ExportState.GONE)
    mine = [export for export in found.order_by("-pk")[:_LISTED] if service.may_fetch(export, request.membership)]
    rows = [(export, KINDS[export.kind].label if export.kind in KINDS else export.kind) for export in mine]
    polls = any(export.is_open for export in mine)
    context = {"rows": rows, "poll_seconds": _POLL_SECONDS if polls else 0, "days": service.KEPT.days}
    swap = wants_fragment(request)
    template = "accounts/_export_table.html" if swap else "accounts/export_list.html"
    response = render(request, template, context | {"is_fragment": swap})
    response["Cache-Control"] = "no-store"
    return response


@page("home")
@require_POST
def new_export(request: HttpRequest) -> HttpResponse:
    """POST /app/exports/new with kind, format and the page's query: small files come at once."""
    try:
        export = service.request_export(
            membership=request.membership,
            kind=request.POST.get("kind", ""),
            format=request.POST.get("format", ""),
            query=request.POST.get("query", ""),
            language=get_language() or "en",
        )
    except DomainError as error:
        if error.code == "not_found":
            raise Http404 from None
        messages.warning(request, str(error))
        return redirect(_back(request))
    if export.state == ExportState.DONE:
        return redirect("export_file", export_id=export.pk)
    if export.in_background:
        messages.success(
            request, _("The file is being written. You can leave this page: a letter says when it is ready.")
        )
    else:
        messages.warning(request, _("The file could not be written. It is tried again in a moment."))
    return redirect("exports")


@page("home")
@require_GET
def export_file(request: HttpRequest, export_id: int) -> HttpResponse | FileResponse:
    """/app/exports/{id}/file: the file, for those who may have it."""
    try:
        export = service.open_export(membership=request.membership, export_id=export_id)
    except DomainError as error:
        if error.code == "not_found":
            raise Http404 from None
        messages.warning(request, str(error))
        return redirect("exports")
    response = FileResponse(export.path.open("rb"), as_attachment=True, filename=export.filename)
    response["Cache-Control"] = "no-store"
    return response


def _back(request: HttpRequest) -> str:
    target = request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if safe else reverse("exports")
