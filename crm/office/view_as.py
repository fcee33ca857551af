"""Looking at a client's pages as a viewer of its organisation: for a while, with a reason, and unable to write."""

import re
import time
from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Client, Membership, Role
from accounts.services.audit import record_audit

KEY: Final = "view_as"
SECONDS: Final = 30 * 60
_OWN_PATHS: Final = ("/staff/", "/static/", "/logout", "/login", "/language", "/theme")
_WRITES: Final = re.compile(
    r"\s*(INSERT|UPDATE|DELETE|REPLACE|MERGE|TRUNCATE)\b"
    r"|\s*WITH\b.*(\bINSERT\s+INTO\b|(?<!FOR )\bUPDATE\b|\bDELETE\s+FROM\b)",
    re.I | re.S,
)


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Why you look"),
        min_length=5,
        max_length=200,
        help_text=gettext_lazy("It stands in the audit log of the client, who can read it."),
    )


class NothingIsWritten(PermissionDenied):
    """A page tried to write while a member of staff looks at it as its client."""


def _refuse_writes(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    if _WRITES.match(sql):
        raise NothingIsWritten
    return execute(sql, params, many, context)


class ViewAsMiddleware:
    """Puts the client that a member of staff looks at in the place of their own organisation, with the role Viewer.

    Three things each keep such a visit from changing anything: any method but GET and HEAD is refused, the role may
    not write, and the database connection refuses statements that write.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        client = self._client_of(request)
        request.viewing_as = client  # type: ignore[attr-defined]
        if client is None or request.path.startswith(_OWN_PATHS):
            return self.get_response(request)
        membership = Membership(pk=0, user=request.user, client=client, role=Role.VIEWER)  # type: ignore[misc]
        request.client, request.membership, request.memberships = client, membership, [membership]  # type: ignore[attr-defined]
        if request.method not in ("GET", "HEAD"):
            return render(
                request, "403.html", {"exception": _("You are looking only: nothing was changed.")}, status=403
            )
        with connection.execute_wrapper(_refuse_writes):
            return self.get_response(request)

    def _client_of(self, request: HttpRequest) -> Client | None:
        """Whom this session looks at; None, and forgotten, once it is over or the person is no staff any more."""
        if request.path.startswith(("/api/", "/console/", "/static/", "/callbacks/")):
            return None
        found = request.session.get(KEY)
        if not found:
            return None
        user = request.user
        may = user.is_staff and user.is_active and user.has_perm("accounts.view_client")
        client = Client.objects.filter(pk=found["client"]).first() if may and time.time() < found["until"] else None
        if client is None:
            del request.session[KEY]
        return client


@require_http_methods(["GET", "POST"])
def start(request: HttpRequest, pk: int) -> HttpResponse:
    """GET asks why; POST begins."""
    if not request.user.has_perm("accounts.view_client"):
        raise PermissionDenied
    client = get_object_or_404(Client, pk=pk)
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            after = {"reason": form.cleaned_data["reason"]}
            record_audit(client=client, action="client.viewed", target=f"client:{client.pk}", after=after)
        request.session[KEY] = {"client": client.pk, "until": time.time() + SECONDS}
        return redirect("home")
    context = {
        **admin.site.each_context(request),
        "title": _("View as %(client)s") % {"client": client},
        "client": client,
        "form": form,
    }
    return TemplateResponse(request, "admin/office/view_as.html", context, status=422 if form.errors else 200)


@require_POST
def stop(request: HttpRequest) -> HttpResponse:
    """Ends the visit and leads back to the client's page."""
    found = request.session.pop(KEY, None)
    client = Client.objects.filter(pk=found["client"]).first() if found else None
    if client is None:
        return redirect("admin:accounts_client_changelist")
    record_audit(client=client, action="client.view_ended", target=f"client:{client.pk}")
    messages.success(request, _("You no longer look as %(client)s.") % {"client": client})
    return redirect("admin:accounts_client_change", client.pk)
