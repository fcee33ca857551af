"""Pages of one person: profile, the own number, security; and of the organisation they act for."""

from allauth.account import views as allauth_views
from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.people_forms import OrganisationForm, ProfileForm
from accounts.services import organisation, people
from crm.common.access import page, signed_in_page
from crm.common.errors import InvalidInput


@signed_in_page
@require_http_methods(["GET", "POST"])
@never_cache
def profile(request: HttpRequest) -> HttpResponse:
    """Name, language, colours, rows, shortcuts; the client ID that guides ask for."""
    user = request.user
    form = ProfileForm(request.POST or None, initial=ProfileForm.values_of(user))
    if request.method == "POST" and form.is_valid():
        try:
            people.change_profile(user=user, **form.cleaned_data)
        except InvalidInput as refusal:
            form.take(refusal)
        else:
            messages.success(request, _("Saved."))
            return redirect("profile")
    return render(request, "accounts/profile.html", {"form": form}, status=422 if form.is_bound else 200)


@signed_in_page
@never_cache
def change_email(request: HttpRequest) -> HttpResponse:
    """Another address to sign in by; it holds once a code from it was typed."""
    return allauth_views.email(request)


@page("organisation.read")
@require_http_methods(["GET", "POST"])
@never_cache
def organisation_page(request: HttpRequest) -> HttpResponse:
    """Who the organisation is: name, papers, time zone, language, and what it asks of its members."""
    may_write = request.membership.may("organisation.write")
    form = OrganisationForm(request.POST or None, initial=OrganisationForm.values_of(request.client))
    if request.method == "POST":
        if not may_write:
            return render(request, "403.html", status=403)
        if form.is_valid():
            values = form.cleaned_data
            asks = values["require_second_factor"] and not request.client.require_second_factor
            if asks and not is_mfa_enabled(request.user):
                form.add_error("require_second_factor", _("Set up a second step for yourself first, under Security."))
            else:
                try:
                    organisation.change_organisation(client=request.client, **values)
                except InvalidInput as refusal:
                    form.take(refusal)
                else:
                    messages.success(request, _("Saved."))
                    return redirect("organisation")
    context = {"form": form, "may_write": may_write}
    return render(request, "accounts/organisation.html", context, status=422 if form.is_bound else 200)


@page("organisation.read")
@require_http_methods(["GET", "POST"])
@never_cache
def simulation(request: HttpRequest) -> HttpResponse:
    """The account switch between simulation and real sending; leaving it names what becomes real."""
    may_write = request.membership.may("organisation.write")
    if request.method == "POST":
        if not may_write:
            return render(request, "403.html", status=403)
        on = request.POST.get("on") == "1"
        if not on and request.client.simulation and request.POST.get("confirm") != "1":
            return render(request, "accounts/simulation.html", {"may_write": True, "confirming": True})
        organisation.set_simulation(client=request.client, on=on)
        words = _("Simulation is on: nothing is sent or charged.") if on else _("Messages are real from now on.")
        messages.success(request, words)
        return redirect("simulation")
    return render(request, "accounts/simulation.html", {"may_write": may_write, "confirming": False})


@signed_in_page
@never_cache
def security(request: HttpRequest) -> HttpResponse:
    """Second steps, passkeys, recovery codes and the devices that are signed in."""
    authenticators = list(Authenticator.objects.filter(user=request.user))
    by_type: dict[str, list[Authenticator]] = {}
    for authenticator in authenticators:
        by_type.setdefault(authenticator.type, []).append(authenticator)
    codes = by_type.get(Authenticator.Type.RECOVERY_CODES)
    context = {
        "totp": by_type.get(Authenticator.Type.TOTP),
        "passkeys": by_type.get(Authenticator.Type.WEBAUTHN, []),
        "unused_codes": len(codes[0].wrap().get_unused_codes()) if codes else None,
        "sessions": sorted(
            UserSession.objects.purge_and_list(request.user), key=lambda s: s.last_seen_at, reverse=True
        ),
        "required_by": request.second_factor_wanted,
        "recent": did_recently_reauthenticate(request),
    }
    return render(request, "accounts/security.html", context)


@signed_in_page
@require_POST
def sign_out_others(request: HttpRequest) -> HttpResponse:
    """End every other session of this person."""
    people.end_other_sessions(user=request.user)
    update_session_auth_hash(request, request.user)
    UserSession.objects.filter(user=request.user).exclude(session_key=request.session.session_key).delete()
    messages.success(request, _("Every other device is signed out."))
    return redirect("security")
