"""What contacts tells and asks the apps above it; they connect in their apps.py."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.dispatch import Signal

# Asked with client_id, phones (E.164) and since: receivers return the set of phones that were messaged since then.
asking_who_was_messaged = Signal()
# Asked with nothing: the receiver returns an unbound queryset of messages, whose fields client_id, recipient,
# created_at, channel, sender, text, status and pk are read here.
asking_for_messages = Signal()


def messaged_among(client_id: int, phones: list[str], since: datetime) -> set[str]:
    """Which of the numbers got a message from the client at or after `since`."""
    answers = asking_who_was_messaged.send(sender=None, client_id=client_id, phones=phones, since=since)
    return {phone for _, found in answers for phone in found or ()}


def all_messages() -> QuerySet | None:
    """Every message of the installation, to be narrowed by `client_id`; None where nobody above keeps messages."""
    answers: list[Any] = [found for _, found in asking_for_messages.send(sender=None)]
    return answers[0] if answers else None
