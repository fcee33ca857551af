"""How allauth behaves here."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are opened by the operator (`createclient`, back office), not by visitors."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
