"""/app/settings/privacy: one person's data exported or erased, with a record of who asked and when it was done."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.forms import PersonForm
from accounts.models import PersonRequest
from accounts.services import privacy
from crm.common.access import page
from crm.common.errors import DomainError, InvalidInput

_LISTED = 50


@page("privacy.write")
@require_http_methods(["GET", "POST"])
@never_cache
def data_rights(request: HttpRequest) -> HttpResponse:
    """The form, which POST sends with `do`: export, erase (asks first), sure or lift; and the latest requests."""
    form = PersonForm(request.POST or None, initial={"address": request.GET.get("address", "")})
    asks = False
    if request.method == "POST" and form.is_valid():
        try:
            person = privacy.read_address(request.client, form.cleaned_data["address"])
            do, reason = request.POST.get("do", ""), form.cleaned_data["reason"]
            if do == "erase" and len(reason.strip()) >= 3:
                asks = True
            elif words := _act(request, do, person, reason):
                messages.success(request, words)
                return redirect("data_rights")
        except InvalidInput as refusal:
            for name, sentences in refusal.errors.items():
                form.add_error(name, sentences)
        except DomainError as refusal:
            form.add_error(None, str(refusal))
    requests = PersonRequest.objects.for_client(request.client).select_related("asked_by").order_by("-pk")[:_LISTED]
    context: dict[str, Any] = {"form": form, "asks": asks, "requests": list(requests)}
    return render(request, "accounts/data_rights.html", context, status=422 if form.errors else 200)


def _act(request: HttpRequest, do: str, person: Any, reason: str) -> str:
    if do == "lift":
        if privacy.lift_erasure(client=request.client, person=person, reason=reason):
            return _("This person can be added and written to again.")
        raise InvalidInput({"address": [_("Nobody with this address was erased.")]})
    if do in ("erase", "sure"):
        privacy.request_erasure(client=request.client, person=person, by=request.user, reason=reason)
        return _("The person is being erased. Nothing is sent to them from now on.")
    privacy.request_export(membership=request.membership, person=person, language=get_language() or "en")
    return _("The file is being made. It appears under Downloads.")
