"""What contacts tells and asks the apps above it; they connect in their apps.py."""

from datetime import datetime

from django.dispatch import Signal

# Asked with client_id, phones (E.164) and since: receivers return the set of phones that were messaged since then.
asking_who_was_messaged = Signal()


def messaged_among(client_id: int, phones: list[str], since: datetime) -> set[str]:
    """Which of the numbers got a message from the client at or after `since`."""
    answers = asking_who_was_messaged.send(sender=None, client_id=client_id, phones=phones, since=since)
    return {phone for _, found in answers for phone in found or ()}
