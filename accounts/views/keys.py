"""Pages of accounts: organisations of a person, and the API keys of an organisation."""

import uuid
from datetime import datetime

from allauth.account import views as allauth_views
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import queries
from accounts.forms import ApiKeyForm
from accounts.middleware import SESSION_KEY
from accounts.models import ApiKey
from accounts.services.keys import create_api_key, revoke_api_key
from crm.common.access import page, signed_in_page
from crm.common.errors import InvalidInput

_USED_TOKENS = "api_key_forms"
_REMEMBERED_TOKENS = 20
_FIELD_OF_FACT = {"expires_at": "expires_on"}


@signed_in_page
def change_password(request: HttpRequest) -> HttpResponse:
    return allauth_views.password_change(request)


@signed_in_page
@require_GET
@never_cache
def no_organisation(request: HttpRequest) -> HttpResponse:
    """For somebody who signed in but belongs to no organisation yet: what to do."""
    if request.membership:
        return redirect("home")
    return render(request, "accounts/no_organisation.html")


@page("home")
@require_POST
def switch_client(request: HttpRequest) -> HttpResponse:
    """Act for another organisation of the same person; one that is not theirs changes nothing."""
    wanted = request.POST.get("client", "")
    for membership in request.memberships:
        if str(membership.client_id) == wanted:
            request.session[SESSION_KEY] = membership.client_id
            messages.success(request, _("You now act for {client}.").format(client=membership.client.name))
    return redirect("home")


@page("keys.read")
@require_GET
@never_cache
def api_keys(request: HttpRequest) -> HttpResponse:
    """The client ID, the keys, and how to call the API."""
    now = timezone.now()
    rows = [{"key": key, "status": _status(key, now)} for key in queries.keys_for(request.client)]
    context = {
        "rows": rows,
        "may_write": request.membership.may("keys.write"),
        "base_url": settings.PUBLIC_URL,
        "endpoints": list(queries.endpoints_for(request.client)),
    }
    return render(request, "accounts/api_key_list.html", context)


@page("keys.write")
@require_http_methods(["GET", "POST"])
@never_cache
def new_api_key(request: HttpRequest) -> HttpResponse:
    """Create a key and show its values, in this one answer and never again."""
    if request.method == "GET":
        form = ApiKeyForm(initial={"token": uuid.uuid4(), "scopes": ["messages:send", "messages:read", "wallet:read"]})
        return render(request, "accounts/api_key_form.html", {"form": form})
    form = ApiKeyForm(request.POST)
    used = request.session.get(_USED_TOKENS, [])
    if request.POST.get("token", "") in used:
        messages.warning(request, _("This form had created its key already. The values of a key are shown only once."))
        return redirect("api_keys")
    if form.is_valid():
        try:
            issued = create_api_key(
                client=request.client,
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                allowed_addresses=form.cleaned_data["allowed_addresses"],
                expires_at=form.expires_at(request.client.time_zone),
                by=request.user,
            )
        except InvalidInput as refusal:
            for name, sentences in refusal.errors.items():
                form.add_error(_FIELD_OF_FACT.get(name, name), sentences)
        else:
            request.session[_USED_TOKENS] = [*used, request.POST["token"]][-_REMEMBERED_TOKENS:]
            return render(request, "accounts/api_key_created.html", {"issued": issued, "base_url": settings.PUBLIC_URL})
    return render(request, "accounts/api_key_form.html", {"form": form}, status=422)


@page("keys.write")
@require_http_methods(["GET", "POST"])
@never_cache
def revoke_key(request: HttpRequest, key_id: int) -> HttpResponse:
    """Ask first; then end the key."""
    key = get_object_or_404(queries.keys_for(request.client), pk=key_id)
    if request.method == "GET" and key.revoked_at is None:
        return render(request, "accounts/api_key_revoke.html", {"key": key})
    if request.method == "POST" and revoke_api_key(key=key):
        messages.success(request, _("The key “{name}” is revoked: calls with it are refused.").format(name=key.name))
    else:
        messages.warning(request, _("The key “{name}” had been revoked before.").format(name=key.name))
    return redirect("api_keys")


def _status(key: ApiKey, now: datetime) -> str:
    if key.revoked_at:
        return "revoked"
    return "active" if key.is_live(now) else "expired"
