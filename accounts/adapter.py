"""How allauth behaves here: who may register, codes by SMS or email, our words, and secrets encrypted at rest."""

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import verified_phones
from accounts.models import User
from accounts.services import people
from crm.common.access import RECENT, authenticated_within
from crm.common.addresses import client_address
from crm.common.crypto import decrypt_text, encrypt_text
from crm.common.phones import InvalidPhone, read_phone

log = logging.getLogger(__name__)
PHONE_STAGE = "allauth.account.stages.PhoneVerificationStage"
EMAIL_STAGE = "allauth.account.stages.EmailVerificationStage"
CODE_SENT = {"account/messages/phone_verification_sent.txt", "account/messages/email_confirmation_sent.txt"}


class AccountAdapter(DefaultAccountAdapter):
    """Registration by setting (REGISTRATION), a code to the phone or else to the mailbox before the first page."""

    error_messages = DefaultAccountAdapter.error_messages | {
        # The same for an unknown address, so that nobody learns who has an account here.
        "email_password_mismatch": _(
            "This email address and password do not belong together. Check both and try again."
        ),
        "too_many_login_attempts": _(
            "Too many wrong passwords. Wait five minutes, use a passkey, or set a new password by email."
        ),
        "enter_current_password": _("This is not your present password."),
        "incorrect_password": _("This is not your present password."),
        "incorrect_code": _("This is not the code we sent. Look at the newest message, then type it again."),
        "rate_limited": _("Too many attempts in a short time. Wait a few minutes, then try again."),
        "email_taken": _("This email address already signs in here."),
        "select_only_one": _("Choose one address."),
        "same_as_current": _("Choose a password other than your present one."),
        "invalid_password_reset": _("This link was used already or has expired. Ask for a new one."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return settings.REGISTRATION == "open" or bool(request.session.get(people.INVITATION_KEY))

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request) or "0.0.0.0"  # noqa: S104 - allauth wants an address; unknown ones share one

    def is_reauthentication_required(self, *, app: str) -> bool:
        return not authenticated_within(self.request, RECENT)

    # --- codes ------------------------------------------------------------------------------------------------------

    def get_login_stages(self) -> list[str]:
        """The phone's code takes the place of the mailbox's where a person registers by phone and SMS can leave."""
        stages = super().get_login_stages()
        if not verified_phones.can_text():
            stages.remove(PHONE_STAGE)
        return [f"accounts.stages.{path.rsplit('.', 1)[1]}" if path in OURS else path for path in stages]

    def phone_form_field(self, **kwargs: Any) -> forms.CharField:
        return forms.CharField(max_length=40, **kwargs)

    def clean_phone(self, phone: str) -> str:
        try:
            return read_phone(phone, settings.DEFAULT_COUNTRY).e164
        except InvalidPhone as refusal:
            raise ValidationError(str(refusal)) from None

    def get_phone(self, user: User) -> tuple[str, bool] | None:  # type: ignore[override]
        return (user.phone, user.phone_verified_at is not None) if user.phone else None

    def set_phone(self, user: User, phone: str, verified: bool) -> None:  # type: ignore[override]
        people.set_phone(user=user, phone=phone, verified=verified)

    def set_phone_verified(self, user: User, phone: str) -> None:  # type: ignore[override]
        people.set_phone(user=user, phone=phone, verified=True)

    def get_user_by_phone(self, phone: str) -> User | None:  # type: ignore[override]
        return User.objects.filter(phone=phone, phone_verified_at__isnull=False).first()

    def generate_phone_verification_code(self, *, user: User, phone: str) -> str:  # type: ignore[override]
        return people.new_code()

    def generate_email_verification_code(self) -> str:
        return people.new_code()

    def send_verification_code_sms(self, user: User, phone: str, code: str, **kwargs: Any) -> None:  # type: ignore[override]
        text = gettext("%(code)s is your %(brand)s code. It is good for 15 minutes; give it to nobody.")
        if verified_phones.text(phone=phone, text=text % {"code": code, "brand": settings.BRAND_NAME}):
            messages.error(self.request, gettext("The SMS could not be sent. Have a code sent by email instead."))

    def send_account_already_exists_sms(self, phone: str) -> None:
        text = gettext("This number already has a %(brand)s account. Sign in, or ask for a new password.")
        verified_phones.text(phone=phone, text=text % {"brand": settings.BRAND_NAME})

    def send_unknown_account_sms(self, phone: str, **kwargs: Any) -> None:
        """Nobody signs in by phone here, so nobody is told that a number is unknown."""

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """That a code is on its way says the page that asks for it; a message says so where it is sent again."""
        if message_template in CODE_SENT and "action" not in request.POST:
            return
        super().add_message(request, level, message_template, *args, **kwargs)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """A mail server that is away must not break the page; the person is told and can ask again."""
        try:
            super().send_mail(template_prefix, email, context | {"brand": settings.BRAND_NAME})
        except OSError as error:  # smtplib's errors among them
            log.warning("the mail %s could not be sent: %s", template_prefix, type(error).__name__)
            messages.error(self.request, gettext("The mail could not be sent. Try again in a few minutes."))


OURS = (PHONE_STAGE, EMAIL_STAGE)


class MFAAdapter(DefaultMFAAdapter):
    """Second factors; their secrets are encrypted at rest (GUARANTEES.md S1)."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": _("This code is not right. Codes change every 30 seconds: type the one that shows now."),
    }

    def get_totp_issuer(self) -> str:
        return settings.BRAND_NAME

    def _get_site_name(self) -> str:
        return settings.BRAND_NAME

    def encrypt(self, text: str) -> str:
        return encrypt_text(text)

    def decrypt(self, encrypted_text: str) -> str:
        return decrypt_text(encrypted_text)
