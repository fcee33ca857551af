"""Sender IDs and From addresses: opened by the operator, chosen by every send."""

import re
from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext as _

from accounts.models import Client
from accounts.services.audit import record_audit
from crm.common.errors import InvalidInput
from crm.common.reading import Part, read_part
from messaging.conversations import own_number
from messaging.errors import NoSender, SenderNotApproved
from messaging.models import Channel, CountryRules, MessageClass, NetworkState, SenderId, SenderNetwork, SenderState

# Alphanumeric names: at most 11 characters (3GPP TS 23.040 §9.1.2.5). Short codes and long numbers: digits only.
NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9 ._&-]{1,9}[A-Za-z0-9]|\+?[0-9]{3,14}")


_WHATSAPP_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


@transaction.atomic
def approve_sender_id(*, client: Client, name: str, default: bool = False) -> SenderId:
    """Let `client` send as `name` (3 to 11 letters, digits, space and ._&-, or a number); again changes nothing.

    The first one becomes the default, and so does one given with `default`. Raises: InvalidInput.
    """
    name = name.strip()
    if not NAME.fullmatch(name):
        raise InvalidInput(
            {"sender": [_("“{name}” cannot be a sender ID: use 3 to 11 letters or digits.").format(name=name)]}
        )
    return _approve(client, Channel.SMS, name, default, {})


@transaction.atomic
def approve_email_sender(*, client: Client, address: str, display_name: str = "", default: bool = False) -> SenderId:
    """Let `client` send email from `address`, shown as `display_name`; again changes only that name.

    The first one becomes the default of the channel, and so does one given with `default`. Raises: InvalidInput.
    """
    address = read_email(address, field="sender")
    display_name = " ".join(display_name.split())
    if len(display_name) > 80:
        raise InvalidInput({"display_name": [_("Use at most 80 characters for the name.")]})
    return _approve(client, Channel.EMAIL, address, default, {"display_name": display_name} if display_name else {})


def approve_sender(
    *, client: Client, channel: str, name: str, display_name: str = "", default: bool = False
) -> SenderId:
    """Let `client` send from `name` on a channel: a sender ID, a From address, a number. Raises: InvalidInput."""
    if channel == Channel.EMAIL:
        return approve_email_sender(client=client, address=name, display_name=display_name, default=default)
    if channel == Channel.SMS:
        return approve_sender_id(client=client, name=name, default=default)
    return approve_whatsapp_sender(client=client, number=name, default=default)


def approve_whatsapp_sender(*, client: Client, number: str, default: bool = False) -> SenderId:
    """Let `client` write from a WhatsApp number, which a provider account of the installation holds.

    The first one becomes the default of the channel, and so does one given with `default`. Raises: InvalidInput.
    """
    own = own_number(number)
    if not _WHATSAPP_NUMBER.fullmatch(own):
        raise InvalidInput({"sender": [_("“{value}” is not an international phone number.").format(value=number[:40])]})
    if SenderId.objects.for_client(client).filter(name=own).exclude(channel=Channel.WHATSAPP).exists():
        raise InvalidInput({"sender": [_("{own} is a sender of another channel already.").format(own=own)]})
    return _approve(client, Channel.WHATSAPP, own, default, {})


def read_email(address: str, *, field: str = "recipient") -> str:
    """An email address as typed, in lower case. Raises: InvalidInput (`field`)."""
    address = address.strip().lower()
    try:
        validate_email(address)
        if not address.isascii() or len(address) > 254:
            raise ValidationError("")
    except ValidationError:
        raise InvalidInput({field: [_("“{value}” is not an email address.").format(value=address[:60])]}) from None
    return address


def _approve(client: Client, channel: str, name: str, default: bool, shown: dict[str, str]) -> SenderId:
    senders = SenderId.objects.for_client(client).filter(channel=channel)
    before = senders.filter(name=name).values("state", "is_default").first()
    sender, _made = SenderId.objects.update_or_create(
        client=client, name=name, defaults={"state": SenderState.APPROVED, "channel": channel, **shown}
    )
    senders.filter(pk=sender.pk).update(approved_at=Coalesce("approved_at", Now()), reason="", fix="")
    SenderNetwork.objects.for_client(client).filter(sender=sender).exclude(state=NetworkState.APPROVED).update(
        state=NetworkState.APPROVED, decided_at=Now(), reason="", fix=""
    )
    if default or not senders.filter(is_default=True).exists():
        prefer_sender(sender)
    after = {"state": SenderState.APPROVED.value, "is_default": sender.is_default}
    if before != after:
        record_audit(client=client, action="sender.approved", target=f"sender:{name}", before=before, after=after)
    return sender


def prefer_sender(sender: SenderId) -> None:
    """Make an approved sender ID the one that is used where a call or campaign names none."""
    senders = SenderId.objects.for_client(sender.client_id).filter(channel=sender.channel)
    senders.filter(is_default=True).exclude(pk=sender.pk).update(is_default=False)
    sender.is_default = bool(senders.filter(pk=sender.pk, state=SenderState.APPROVED).update(is_default=True))


def class_problem(sender: SenderId, message_class: str) -> str:
    """Why a message of this class may not leave by this sender ID; "" where it may."""
    if message_class == MessageClass.PROMOTION and sender.message_class == MessageClass.INFORMATION:
        return _("The sender ID %(name)s is approved for information only: a promotion needs another.") % {
            "name": sender.name
        }
    mixed = message_class == MessageClass.INFORMATION and sender.message_class == MessageClass.PROMOTION
    if mixed and CountryRules.of(sender.client.country).separate_classes:
        return _("The sender ID %(name)s is for promotions: say that this is one, or choose another.") % {
            "name": sender.name
        }
    return ""


@transaction.atomic
def reject_sender_id(*, sender: SenderId) -> bool:
    """Let nothing more be sent as `sender`. Returns whether it was not rejected before."""
    mine = SenderId.objects.for_client(sender.client_id).filter(pk=sender.pk)
    changed = mine.exclude(state=SenderState.REJECTED).update(state=SenderState.REJECTED, is_default=False)
    if changed:
        before = {"state": sender.state, "is_default": sender.is_default}
        after = {"state": SenderState.REJECTED.value, "is_default": False}
        record_audit(
            client=sender.client_id,
            action="sender.rejected",
            target=f"sender:{sender.name}",
            before=before,
            after=after,
        )
    return bool(changed)


def senders_part(client: Client, channel: str = Channel.SMS) -> Part:
    """The read of a client's approved sender IDs of a channel."""
    return Part(
        ("id", "name", "display_name", "is_default", "message_class"),
        "messaging_senderid WHERE client_id = %s AND channel = %s AND state = 'approved'",
        [client.pk, channel],
    )


class SenderBook:
    """A client's approved sender IDs of a channel, loaded once for a call that may name several."""

    def __init__(self, client: Client, channel: str = Channel.SMS, *, rows: Sequence[Sequence] | None = None) -> None:
        """rows: what `senders_part` gave, where it was read with other things."""
        found = read_part(senders_part(client, channel)) if rows is None else rows
        self._approved = [
            SenderId(
                pk=pk, client=client, channel=channel, state=SenderState.APPROVED, name=name, display_name=shown,
                is_default=bool(is_default), message_class=message_class,
            )
            for pk, name, shown, is_default, message_class in found
        ]  # fmt: skip

    def choose(self, name: str | None, *, or_default: bool = False, message_class: str = "") -> SenderId:
        """The approved sender ID called `name`, letter case ignored where that is unambiguous; the default for None.

        or_default: a name that could be a sender ID but is not approved means the default one. message_class: what is
        to be sent; "" for what the sender ID is for. Raises: SenderNotApproved (fact: sender), NoSender.
        """
        chosen = self._find(name, or_default)
        if problem := class_problem(chosen, message_class):
            raise SenderNotApproved(problem, sender=chosen.name)
        return chosen

    def _find(self, name: str | None, or_default: bool) -> SenderId:
        if not name:
            return self._default()
        exact = [sender for sender in self._approved if sender.name == name]
        alike = exact or [sender for sender in self._approved if sender.name.casefold() == name.casefold()]
        if len(alike) == 1:
            return alike[0]
        if or_default and NAME.fullmatch(name):
            return self._default()
        raise SenderNotApproved(
            _("The sender ID “%(name)s” is not approved for your account.") % {"name": name[:20]}, sender=name
        )

    def _default(self) -> SenderId:
        for sender in self._approved:
            if sender.is_default:
                return sender
        raise NoSender()


def choose_sender(*, client: Client, name: str | None, channel: str = Channel.SMS, message_class: str = "") -> SenderId:
    """`SenderBook.choose` for a single name. Raises: SenderNotApproved (fact: sender), NoSender."""
    return SenderBook(client, channel).choose(name, message_class=message_class)
