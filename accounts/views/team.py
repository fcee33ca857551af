"""Pages of an organisation's people: members, roles, invitations; and the page an invitation leads to."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import queries, roles
from accounts.errors import InvitationOver, LastOwner, NotAllowed
from accounts.middleware import SESSION_KEY
from accounts.models import Role
from accounts.people_forms import InvitationForm, RoleForm
from accounts.services import team
from accounts.services.people import INVITATION_KEY
from crm.common.access import page, public_page
from crm.common.errors import InvalidInput


@page("team.read")
@require_GET
@never_cache
def team_page(request: HttpRequest) -> HttpResponse:
    """Who belongs to the organisation, and what each role may do."""
    return _team_page(request, InvitationForm(by=request.membership))


@page("team.write", recent=True)
@require_POST
def invite(request: HttpRequest) -> HttpResponse:
    """Invite somebody; the answer shows the link once, in case neither mail nor SMS arrives."""
    form = InvitationForm(request.POST, by=request.membership)
    if form.is_valid():
        try:
            issued = team.invite_member(client=request.client, by=request.membership, **form.cleaned_data)
        except InvalidInput as refusal:
            form.take(refusal)
        except NotAllowed as refusal:
            raise PermissionDenied(str(refusal)) from None
        else:
            return render(request, "accounts/invitation_sent.html", {"issued": issued})
    return _team_page(request, form, status=422)


@page("team.write", recent=True)
@require_http_methods(["GET", "POST"])
@never_cache
def member(request: HttpRequest, pk: int) -> HttpResponse:
    """Change somebody's role."""
    found = get_object_or_404(queries.members_of(request.client), pk=pk)
    form = RoleForm(request.POST or None, by=request.membership, initial={"role": found.role})
    if request.method == "POST" and form.is_valid():
        try:
            team.change_role(member=found, role=form.cleaned_data["role"], by=request.membership)
        except (NotAllowed, LastOwner) as refusal:
            form.add_error(None, _refusal_words(refusal))
        else:
            messages.success(request, _("{name} is now {role}.").format(name=found.user, role=found.get_role_display()))
            return redirect("team")
    status = 422 if form.is_bound else 200
    return render(request, "accounts/member_form.html", {"member": found, "form": form}, status=status)


@page("home", recent=True)
@require_http_methods(["GET", "POST"])
@never_cache
def member_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask first; then take somebody, or oneself, out of the organisation."""
    found = get_object_or_404(queries.members_of(request.client), pk=pk)
    oneself = found.pk == request.membership.pk
    if not oneself and not request.membership.may("team.write"):
        raise PermissionDenied("team.write")
    problem = ""
    if request.method == "POST":
        try:
            team.remove_member(member=found, by=request.membership)
        except (NotAllowed, LastOwner) as refusal:
            problem = _refusal_words(refusal)
        else:
            messages.success(
                request, _("{name} no longer belongs to {client}.").format(name=found.user, client=request.client)
            )
            return redirect("home" if oneself else "team")
    context = {"member": found, "oneself": oneself, "problem": problem}
    return render(request, "accounts/member_remove.html", context, status=422 if problem else 200)


@page("team.write")
@require_POST
def invitation_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    invitation = get_object_or_404(queries.invitations_of(request.client), pk=pk)
    if team.revoke_invitation(invitation=invitation):
        messages.success(request, _("The invitation of {who} is withdrawn.").format(who=invitation.address))
    return redirect("team")


@public_page
@require_http_methods(["GET", "POST"])
@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """What an invitation is to; accepts it for whoever is signed in, and leads others to sign in or register."""
    try:
        found = team.find_invitation(token)
    except InvitationOver:
        return render(request, "accounts/invitation_over.html", status=404)
    if request.user.is_authenticated and request.method == "POST":
        try:
            membership = team.accept_invitation(invitation=found, user=request.user)
        except InvitationOver:
            return render(request, "accounts/invitation_over.html", status=404)
        request.session[SESSION_KEY] = membership.client_id
        request.session.pop(INVITATION_KEY, None)
        messages.success(request, _("You now belong to {client}.").format(client=found.client))
        return redirect("home")
    if not request.user.is_authenticated:
        request.session[INVITATION_KEY] = token
    known = queries.has_account(found.email) if found.email else False
    return render(request, "accounts/invitation.html", {"invitation": found, "token": token, "known": known})


def _team_page(request: HttpRequest, form: InvitationForm, status: int = 200) -> HttpResponse:
    context = {
        "members": queries.members_with_sign_in(request.client),
        "invitations": queries.open_invitations_of(request.client),
        "form": form,
        "matrix": roles.matrix(),
        "role_names": Role.labels,
        "may_write": request.membership.may("team.write"),
    }
    return render(request, "accounts/team.html", context, status=status)


def _refusal_words(refusal: NotAllowed | LastOwner) -> str:
    if isinstance(refusal, LastOwner):
        return _("An organisation needs an owner: make somebody else one first.")
    return _("Only an owner may do this to an owner.")
