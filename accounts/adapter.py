"""How allauth behaves here."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are opened by the operator (`createclient`, back office), not by visitors."""

    error_messages = DefaultAccountAdapter.error_messages | {
        # The same for an unknown address, so that nobody learns who has an account here.
        "email_password_mismatch": _(
            "This e-mail address and password do not belong together. Check both and try again."
        ),
        "too_many_login_attempts": _("Too many wrong passwords. Wait five minutes, then try again."),
        "enter_current_password": _("This is not your present password."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
