"""Acts that Django does for us, brought to the audit log: signing in and out, and every change in the back office."""

import json
from typing import Any

from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_save

from accounts.models import Client, User
from accounts.services.audit import record_audit, record_audit_of_person

_VERBS = {ADDITION: "added", DELETION: "deleted"}
_MOST_NAMES = 40


def connect() -> None:
    """Called once, when the app is ready."""
    user_logged_in.connect(_signed_in, dispatch_uid="audit")
    user_logged_out.connect(_signed_out, dispatch_uid="audit")
    user_login_failed.connect(_refused, dispatch_uid="audit")
    post_save.connect(_changed_in_back_office, sender=LogEntry, dispatch_uid="audit")


def _signed_in(sender: Any, user: User, **kwargs: Any) -> None:
    record_audit_of_person(user=user, action="person.signed_in")


def _signed_out(sender: Any, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        record_audit_of_person(user=user, action="person.signed_out")


def _refused(sender: Any, credentials: dict[str, Any], **kwargs: Any) -> None:
    """Only for somebody who exists: what a stranger types may be a password in the wrong field."""
    email = str(credentials.get("email") or credentials.get("username") or "").lower()
    user = User.objects.filter(email=email).first() if email and "\x00" not in email else None
    if user is not None:
        record_audit_of_person(user=user, action="person.sign_in_refused")


def _changed_in_back_office(sender: Any, instance: LogEntry, created: bool, **kwargs: Any) -> None:
    """Which row and which of its fields; values are in the entries of the services that know them."""
    if not created or instance.content_type is None:
        return
    kind = f"{instance.content_type.app_label}.{instance.content_type.model}"
    verb = _VERBS.get(instance.action_flag, "changed")
    record_audit(
        client=_client_of(instance),
        action=f"staff.{verb}",
        target=f"{kind}:{instance.object_id}",
        after={"fields": _names(instance.change_message)} if verb == "changed" else None,
    )


def _client_of(instance: LogEntry) -> int | None:
    """The client whose row it is; None where it belongs to none, or is gone already."""
    model = instance.content_type.model_class() if instance.content_type else None
    if model is None or not instance.object_id:
        return None
    if model is Client:
        return int(instance.object_id)
    if not any(field.name == "client" for field in model._meta.fields):
        return None
    found = model._base_manager.filter(pk=instance.object_id)
    rows = found.unscoped() if hasattr(found, "unscoped") else found
    return rows.values_list("client_id", flat=True).first()


def _names(message: str) -> list[str]:
    """Names of the fields in a change message, such as [{"changed": {"fields": ["Role"]}}]."""
    try:
        steps = json.loads(message)
    except ValueError:
        return []
    found = [(verb, what) for step in steps if isinstance(step, dict) for verb, what in step.items()]
    names = [f"{what['name']} {verb}" if "name" in what else "" for verb, what in found]
    fields = [field for _, what in found for field in what.get("fields", [])]
    return [name for name in [*fields, *names] if name][:_MOST_NAMES]
