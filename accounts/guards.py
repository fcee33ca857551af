"""What follows for a person's sessions and confirmation when allauth changed something: brought here by its signals."""

import time
from typing import Any

from allauth.account.signals import email_confirmed, password_changed, password_reset
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from accounts.models import User
from accounts.services import people
from accounts.services.audit import record_audit_of_person


def connect() -> None:
    """Called once, when the app is ready."""
    for signal in (authenticator_added, authenticator_removed, authenticator_reset):
        signal.connect(_second_factor_changed, dispatch_uid="accounts.guards")
    for signal in (password_changed, password_reset):
        signal.connect(_password_changed, dispatch_uid="accounts.guards")
    user_logged_in.connect(_session_began, dispatch_uid="accounts.guards")
    email_confirmed.connect(_mailbox_confirmed, dispatch_uid="accounts.guards")


def _session_began(sender: Any, request: HttpRequest, **kwargs: Any) -> None:
    """From here count the times that accounts.middleware.SessionMiddleware looks at."""
    request.session["began_at"] = request.session["seen_at"] = int(time.time())


def _second_factor_changed(
    sender: Any, request: HttpRequest, user: User, authenticator: Any, signal: Any, **kwargs: Any
) -> None:
    """Every other session ends (A1); the present one goes on under the new hash."""
    people.end_other_sessions(user=user)
    if request.user.is_authenticated:
        update_session_auth_hash(request, user)
    verb = {authenticator_added: "added", authenticator_removed: "removed"}.get(signal, "renewed")
    record_audit_of_person(user=user, action=f"second_step.{verb}", after={"kind": str(authenticator.type)})


def _password_changed(sender: Any, user: User, **kwargs: Any) -> None:
    record_audit_of_person(user=user, action="person.password_changed")


def _mailbox_confirmed(sender: Any, email_address: Any, **kwargs: Any) -> None:
    people.confirm_by_email(user=email_address.user, email=email_address.email)
