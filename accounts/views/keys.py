"""Pages of accounts: organisations of a person, and the API keys of an organisation."""

import uuid
from datetime import datetime, timedelta

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
from accounts.forms import ApiKeyForm, KeyValuesForm, RevokeKeyForm, RotateKeyForm
from accounts.middleware import SESSION_KEY
from accounts.models import ApiKey
from accounts.services.keys import IssuedKey, create_api_key, revoke_api_key, rotate_api_key
from crm.common.access import page, signed_in_page
from crm.common.errors import InvalidInput, WrongState

_USED_TOKENS = "api_key_forms"
_REMEMBERED_TOKENS = 20
_IN_USE = timedelta(hours=24)  # revoking a key that was used within asks for its name
_FORGOTTEN = timedelta(days=90)  # a key unused for so long is better revoked
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
    rows = [_row(key, now) for key in queries.keys_for(request.client)]
    context = {
        "rows": rows,
        "may_write": request.membership.may("keys.write"),
        "base_url": settings.PUBLIC_URL,
        "endpoints": list(queries.endpoints_for(request.client)),
    }
    return render(request, "accounts/api_key_list.html", context)


@page("keys.write", recent=True)
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
                simulation=form.cleaned_data["mode"] == "simulation",
                by=request.user,
            )
        except InvalidInput as refusal:
            for name, sentences in refusal.errors.items():
                form.add_error(_FIELD_OF_FACT.get(name, name), sentences)
        else:
            request.session[_USED_TOKENS] = [*used, request.POST["token"]][-_REMEMBERED_TOKENS:]
            return _show_once(request, issued)
    return render(request, "accounts/api_key_form.html", {"form": form}, status=422)


@page("keys.write", recent=True)
@require_http_methods(["GET", "POST"])
@never_cache
def revoke_key(request: HttpRequest, key_id: int) -> HttpResponse:
    """Ask first, for one in use also its name; then end the key."""
    key = get_object_or_404(queries.keys_for(request.client), pk=key_id)
    in_use = key.last_used_at is not None and key.last_used_at > timezone.now() - _IN_USE
    form = RevokeKeyForm(request.POST or None, key_name=key.name) if in_use else None
    is_asked = request.method == "GET" or (form is not None and not form.is_valid())
    if is_asked and key.revoked_at is None:
        status = 422 if request.method == "POST" else 200
        return render(request, "accounts/api_key_revoke.html", {"key": key, "form": form}, status=status)
    if request.method == "POST" and revoke_api_key(key=key):
        messages.success(request, _("The key “{name}” is revoked: calls with it are refused.").format(name=key.name))
    else:
        messages.warning(request, _("The key “{name}” had been revoked before.").format(name=key.name))
    return redirect("api_keys")


@page("keys.write", recent=True)
@require_http_methods(["GET", "POST"])
@never_cache
def rotate_key(request: HttpRequest, key_id: int) -> HttpResponse:
    """Choose how long the old key works beside the new one; then show the new one, in this one answer."""
    key = get_object_or_404(queries.keys_for(request.client), pk=key_id)
    form = RotateKeyForm(request.POST if request.method == "POST" else None, initial={"overlap": "24h"})
    if not key.is_live(timezone.now()) or key.replaced_by_id:
        messages.warning(request, _("The key “{name}” has ended or was rotated before.").format(name=key.name))
        return redirect("api_keys")
    if not form.is_valid():
        status = 422 if form.is_bound else 200
        return render(request, "accounts/api_key_rotate.html", {"key": key, "form": form}, status=status)
    try:
        issued = rotate_api_key(key=key, overlap=form.cleaned_data["overlap"], by=request.user)
    except WrongState:  # the same form was sent twice
        messages.warning(request, _("The key “{name}” has ended or was rotated before.").format(name=key.name))
        return redirect("api_keys")
    key.refresh_from_db(from_queryset=queries.keys_for(request.client))
    return _show_once(request, issued, old=key)


@page("keys.write")
@require_POST
@never_cache
def key_file(request: HttpRequest) -> HttpResponse:
    """The values of a new key, which its page posts back, as a file for a program's environment. Nothing is kept."""
    form = KeyValuesForm(request.POST)
    if not form.is_valid():
        return redirect("api_keys")
    values = {
        "TARISHI_BASE_URL": settings.PUBLIC_URL,
        "TARISHI_CLIENT_ID": str(request.client.pk),
        "TARISHI_API_KEY": form.cleaned_data["api_key"],
        "TARISHI_API_SECRET": form.cleaned_data["api_secret"],
        "TARISHI_APP_KEY": form.cleaned_data["app_key"],
    }
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    headers = {"Content-Disposition": 'attachment; filename="tarishi.env"'}
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)


def _show_once(request: HttpRequest, issued: IssuedKey, old: ApiKey | None = None) -> HttpResponse:
    context = {"issued": issued, "old": old, "base_url": settings.PUBLIC_URL, "now": timezone.now()}
    return render(request, "accounts/api_key_created.html", context)


def _row(key: ApiKey, now: datetime) -> dict[str, object]:
    """A key as the list shows it. is_replaced: it works on until its end; is_forgotten: nobody seems to need it."""
    is_live = key.is_live(now)
    return {
        "key": key,
        "status": _status(key, now),
        "is_live": is_live,
        "is_replaced": is_live and key.replaced_by_id is not None,
        "is_forgotten": is_live and (key.last_used_at or key.created_at) < now - _FORGOTTEN,
    }


def _status(key: ApiKey, now: datetime) -> str:
    if key.revoked_at:
        return "revoked"
    return "active" if key.is_live(now) else "expired"
