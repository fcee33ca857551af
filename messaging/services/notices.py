"""SMS of the installation itself, such as notices to members: messages of the operator's own client, which pays."""

from typing import Any

from django.conf import settings

from accounts.models import Client
from crm.common.errors import DomainError
from messaging.models import SenderId
from messaging.queries import approved_senders
from messaging.services.accept import Draft, Refused, accept_messages


def _own_client() -> Client | None:
    return Client.objects.filter(pk=settings.SYSTEM_CLIENT_ID).first() if settings.SYSTEM_CLIENT_ID else None


def system_sender(**_: Any) -> str:
    """The default sender ID of the operator's own client; "" where none is set up."""
    client = _own_client()
    sender: SenderId | None = approved_senders(client).first() if client and client.is_active else None
    return sender.name if sender else ""


def send_system_sms(*, phone: str, text: str, **_: Any) -> str:
    """Accept one SMS; returns "" or why it was not taken."""
    client = _own_client()
    if client is None:
        return "This installation has no sender for SMS of its own."
    try:
        (result,) = accept_messages(client=client, drafts=[Draft(recipient=phone, text=text)], source="notice")
    except DomainError as error:
        return str(error)
    return str(result.error) if isinstance(result, Refused) else ""
