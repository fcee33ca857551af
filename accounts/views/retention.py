"""/app/settings/data: how long data is kept, everything as one file, and closing the organisation."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.forms import RetentionForm
from accounts.services import closing, retention
from crm.common.access import page
from crm.common.errors import DomainError


@page("client.write")
@require_http_methods(["GET", "POST"])
@never_cache
def data_life(request: HttpRequest) -> HttpResponse:
    """The days, which POST saves; what can be taken along; closing."""
    found = retention.retention_of(request.client)
    days = {name: getattr(found, name) for name in retention.FIELDS}
    form = RetentionForm(request.POST or None, initial=days)
    if request.method == "POST" and form.is_valid():
        retention.set_retention(client=request.client, **form.cleaned_data)
        messages.success(request, _("Saved. What is older is removed within the hour."))
        return redirect("data_life")
    return _render(request, form, "")


@page("client.write")
@require_POST
def export_all(request: HttpRequest) -> HttpResponse:
    """POST /app/settings/data/export: everything in one ZIP, made by a worker."""
    try:
        closing.export_everything(membership=request.membership, language=get_language() or "en")
    except DomainError as error:
        messages.warning(request, str(error))
        return redirect("data_life")
    messages.success(request, _("The file is being made. A letter says when it is ready."))
    return redirect("exports")


@page("client.write")
@require_POST
def close(request: HttpRequest) -> HttpResponse:
    """POST /app/settings/data/close with the name typed again; for owners."""
    if request.membership.role != "owner":
        raise PermissionDenied
    try:
        closing.ask_closure(client=request.client, by=request.membership, name=request.POST.get("name", ""))
    except DomainError as error:
        found = retention.retention_of(request.client)
        form = RetentionForm(initial={name: getattr(found, name) for name in retention.FIELDS})
        return _render(request, form, str(error))
    messages.success(request, _("The organisation will be closed. You can take that back until then."))
    return redirect("data_life")


@page("client.write")
@require_POST
def keep(request: HttpRequest) -> HttpResponse:
    """POST /app/settings/data/keep takes the closure back."""
    if request.membership.role != "owner":
        raise PermissionDenied
    if closing.withdraw_closure(client=request.client):
        messages.success(request, _("The organisation stays open."))
    return redirect("data_life")


def _render(request: HttpRequest, form: RetentionForm, close_error: str) -> HttpResponse:
    context = {
        "form": form,
        "closure": closing.closure_of(request.client),
        "close_error": close_error,
        "is_owner": request.membership.role == "owner",
        "notice_days": closing.NOTICE.days,
    }
    status = 422 if form.errors or close_error else 200
    return render(request, "accounts/data_life.html", context, status=status)
