"""Sender IDs: opened by the operator, chosen by every send."""

import re

from django.db import transaction

from accounts.models import Client
from crm.common.errors import InvalidInput
from messaging.errors import NoSender, SenderNotApproved
from messaging.models import SenderId, SenderState

# Alphanumeric names: at most 11 characters (3GPP TS 23.040 §9.1.2.5). Short codes and long numbers: digits only.
NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9 ._&-]{1,9}[A-Za-z0-9]|\+?[0-9]{3,14}")


@transaction.atomic
def approve_sender_id(*, client: Client, name: str, default: bool = False) -> SenderId:
    """Let `client` send as `name` (3 to 11 letters, digits, space and ._&-, or a number); again changes nothing.

    The first one becomes the default, and so does one given with `default`. Raises: InvalidInput.
    """
    name = name.strip()
    if not NAME.fullmatch(name):
        raise InvalidInput({"sender": [f"“{name}” cannot be a sender ID: use 3 to 11 letters or digits."]})
    senders = SenderId.objects.for_client(client)
    sender, _ = SenderId.objects.update_or_create(client=client, name=name, defaults={"state": SenderState.APPROVED})
    if default or not senders.filter(is_default=True).exists():
        senders.filter(is_default=True).exclude(pk=sender.pk).update(is_default=False)
        senders.filter(pk=sender.pk).update(is_default=True)
        sender.is_default = True
    return sender


class SenderBook:
    """A client's approved sender IDs, loaded once for a call that may name several."""

    def __init__(self, client: Client) -> None:
        self._approved = list(SenderId.objects.for_client(client).filter(state=SenderState.APPROVED))

    def choose(self, name: str | None, *, or_default: bool = False) -> SenderId:
        """The approved sender ID called `name`, letter case ignored where that is unambiguous; the default for None.

        or_default: a name that could be a sender ID but is not approved means the default one.
        Raises: SenderNotApproved (fact: sender), NoSender.
        """
        if not name:
            return self._default()
        exact = [sender for sender in self._approved if sender.name == name]
        alike = exact or [sender for sender in self._approved if sender.name.casefold() == name.casefold()]
        if len(alike) == 1:
            return alike[0]
        if or_default and NAME.fullmatch(name):
            return self._default()
        raise SenderNotApproved(f"The sender ID “{name[:20]}” is not approved for your account.", sender=name)

    def _default(self) -> SenderId:
        for sender in self._approved:
            if sender.is_default:
                return sender
        raise NoSender()


def choose_sender(*, client: Client, name: str | None) -> SenderId:
    """`SenderBook.choose` for a single name. Raises: SenderNotApproved (fact: sender), NoSender."""
    return SenderBook(client).choose(name)
