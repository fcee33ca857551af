"""Registration, and the code to one's own phone: allauth's flow with our form, by SMS or email."""

from allauth.account import views as allauth_views
from allauth.account.internal.flows.login import resume_login
from allauth.account.internal.stagekit import stash_login
from allauth.account.stages import LoginStageController, PhoneVerificationStage
from allauth.account.views import SignupView
from allauth.core import ratelimit
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import stages, verified_phones
from accounts.errors import InvitationOver
from accounts.people_forms import OwnPhoneForm
from accounts.services import people, team
from crm.common.access import signed_in_page
from crm.common.phones import display_phone

_PHONE_CODE = "own_phone"  # of the session: {"phone", "code", "until", "left"}


class RegisterView(SignupView):
    """Registers an organisation, or whoever came by an invitation."""

    template_name = "account/signup.html"

    def get_context_data(self, **kwargs) -> dict:
        return super().get_context_data(**kwargs) | {"trial_units": settings.TRIAL_UNITS}

    def get_form_kwargs(self) -> dict:
        kwargs = super().get_form_kwargs()
        token = self.request.session.get(people.INVITATION_KEY)
        if token:
            try:
                kwargs["invitation"] = team.find_invitation(token)
            except InvitationOver:
                del self.request.session[people.INVITATION_KEY]
        return kwargs


register = RegisterView.as_view()


def verify_phone(request: HttpRequest) -> HttpResponse:
    """The code of a registration. Who is signed in changes a number on the page of their own."""
    if request.user.is_authenticated:
        return redirect("phone")
    return allauth_views.verify_phone(request)


@require_POST
@never_cache
def by_email(request: HttpRequest) -> HttpResponse:
    """The code by email in place of the SMS that does not come."""
    stage = LoginStageController.enter(request, PhoneVerificationStage.key)
    if stage is None:
        return redirect("account_login")
    stage.login.state[stages.BY_EMAIL] = True
    stash_login(request, stage.login)
    return resume_login(request, stage.login)


@signed_in_page
@require_http_methods(["GET", "POST"])
@never_cache
def phone(request: HttpRequest) -> HttpResponse:
    """One's own number: a code is sent to it and typed here."""
    state = request.session.get(_PHONE_CODE)
    action = request.POST.get("action", "")
    if request.method == "POST" and action == "verify" and state:
        return _verify(request, state)
    form = OwnPhoneForm(
        request.POST if action == "send" else None,
        country=request.client.country if request.client else settings.DEFAULT_COUNTRY,
        initial={"phone": display_phone(request.user.phone) if request.user.phone else ""},
    )
    if action == "send" and form.is_valid():
        limited = ratelimit.consume(request, action="verify_phone", key=form.cleaned_data["phone"])
        if not limited:
            form.add_error("phone", _("Too many codes were asked for. Wait a few minutes, then try again."))
        elif problem := _send_code(request, form.cleaned_data["phone"]):
            form.add_error("phone", _("The code could not be sent: {why}.").format(why=problem.rstrip(".")))
        else:
            return redirect("phone")
    context = {"form": form, "sent_to": state["phone"] if state else "", "can_text": verified_phones.can_text()}
    return render(request, "accounts/phone.html", context, status=422 if form.is_bound else 200)


def _send_code(request: HttpRequest, number: str) -> str:
    code = people.new_code()
    words = _("%(code)s is your %(brand)s code. It is good for 15 minutes; give it to nobody.")
    problem = verified_phones.text(phone=number, text=words % {"code": code, "brand": settings.BRAND_NAME})
    if not problem:
        request.session[_PHONE_CODE] = people.phone_code(number, code)
    return problem


def _verify(request: HttpRequest, state: dict) -> HttpResponse:
    if people.code_fits(state, request.POST.get("code", "")):
        del request.session[_PHONE_CODE]
        people.set_phone(user=request.user, phone=state["phone"], verified=True)
        messages.success(request, _("Your number is confirmed."))
        return redirect("profile")
    if state["left"] <= 0:
        del request.session[_PHONE_CODE]
        messages.error(request, _("The code was wrong too often or is too old. Ask for a new one."))
        return redirect("phone")
    request.session[_PHONE_CODE] = state
    form = OwnPhoneForm(initial={"phone": display_phone(state["phone"])}, country="")
    context = {"form": form, "sent_to": state["phone"], "wrong": True, "can_text": True}
    return render(request, "accounts/phone.html", context, status=422)
