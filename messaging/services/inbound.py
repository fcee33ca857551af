"""What people write to our numbers: kept once, given to the client whose number it is, and STOP and START obeyed."""

from collections.abc import Sequence
from dataclasses import asdict

from django.db import transaction

from accounts.models import Client
from accounts.services.events import moment, record_events
from contacts import services as contacts
from crm.common.phones import digits
from crm.common.sql import database_now, insert_rows
from messaging.models import InboundMessage, Message, SenderId, SenderState
from messaging.providers.base import InboundNotice, clip

_COLUMNS = (
    "account_id", "client_id", "channel", "sender", "recipient", "name", "text", "media", "word",
    "provider_message_id", "written_at", "received_at",
)  # fmt: skip


def receive(*, account_id: int, notices: Sequence[InboundNotice]) -> int:
    """Keep what people wrote and act on STOP and START. Returns how many are news; a repeat changes nothing.

    A client with an endpoint for it hears `message.received`. Where nobody can say whose number was written to, the
    message is kept without a client, for the operator to see.
    """
    return sum(_receive_one(account_id, notice) for notice in notices)


@transaction.atomic
def _receive_one(account_id: int, notice: InboundNotice) -> bool:
    client_id, sender_name = _owner_of(account_id, notice)
    now = database_now()
    media = [asdict(file) for file in notice.media]
    row = (
        account_id, client_id, notice.channel, _text(notice.sender, 254), _text(notice.recipient, 254),
        _text(notice.name, 120), notice.text.replace("\x00", "\ufffd")[:20_000], media, "",
        _text(notice.provider_message_id, 128), notice.at, now,
    )  # fmt: skip
    suffix = 'ON CONFLICT ("account_id", "provider_message_id") DO NOTHING RETURNING "id"'
    added = insert_rows(InboundMessage, _COLUMNS, [row], suffix=suffix)
    if not added:
        return False
    pk = added[0][0]
    if client_id is None:
        return True
    word = contacts.take_reply(
        client_id=client_id, channel=notice.channel, address=notice.sender, sender=sender_name, text=notice.text
    )
    if word:
        InboundMessage.objects.for_client(client_id).filter(pk=pk).update(word=word)
    data = {
        "id": pk,
        "channel": notice.channel,
        "sender": digits(notice.sender) if notice.sender.startswith("+") else notice.sender,
        "recipient": notice.recipient,
        "text": notice.text,
        "received_at": moment(now),
    }
    record_events(client_id, [("message.received", data)])
    return True


def _owner_of(account_id: int, notice: InboundNotice) -> tuple[int | None, str]:
    """The client that was written to, and the name of the sender ID that it stands for; (None, "") for nobody's.

    The client with that approved sender ID; where several share the number, the one that last wrote to this person from
    it. A number that is no sender ID belongs to the last client that wrote to the person by this account.
    """
    bare = notice.recipient.lstrip("+")
    names = [notice.recipient, bare, f"+{bare}"]
    owners = dict(
        SenderId.objects.unscoped()
        .filter(name__in=names, channel=notice.channel, state=SenderState.APPROVED)
        .values_list("client_id", "name")
    )
    if len(owners) == 1:
        return next(iter(owners.items()))
    written = Message.objects.unscoped().filter(
        recipient=notice.sender, provider_account_id=account_id, channel=notice.channel
    )
    if owners:
        written = written.filter(client_id__in=list(owners), sender__in=names)
    else:
        written = written.filter(client_id__in=Client.objects.values("pk"))  # lets the index by client serve
    return written.order_by("-pk").values_list("client_id", "sender").first() or (None, "")


def _text(text: str, limit: int) -> str:
    return clip(text)[:limit]
