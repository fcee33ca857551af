"""What people write to our numbers: kept once, given to whose number it is, and STOP, START and HELP obeyed."""

from collections.abc import Sequence
from dataclasses import asdict

from django.db import transaction

from accounts.services.events import moment, record_events
from contacts import services as contacts
from crm.common.opt_out_words import reply_word
from crm.common.phones import digits
from crm.common.sql import database_now, insert_rows
from messaging.conversations import own_number
from messaging.models import InboundMessage
from messaging.providers.base import InboundNotice, clip
from messaging.services.auto_replies import answer_word
from messaging.services.number_owners import owner_of
from messaging.services.threads import note_inbound

_COLUMNS = (
    "account_id", "client_id", "channel", "sender", "recipient", "name", "text", "media", "word",
    "provider_message_id", "written_at", "received_at",
)  # fmt: skip


def receive(*, account_id: int, notices: Sequence[InboundNotice]) -> int:
    """Keep what people wrote and act on STOP, START and HELP. Returns how many are news; a repeat changes nothing.

    The thread moves up in the client's inbox, and a client with an endpoint for it hears `message.received`. Where
    nobody can say whose number was written to, the message is kept without a client, for the operator to see.
    """
    return sum(_receive_one(account_id, notice) for notice in notices)


@transaction.atomic
def _receive_one(account_id: int, notice: InboundNotice) -> bool:
    owner = owner_of(account_id=account_id, notice=notice)
    now = database_now()
    media = [asdict(file) for file in notice.media]
    own = _text(own_number(notice.recipient), 254)
    word, language = reply_word(owner.text)
    row = (
        account_id, owner.client_id, notice.channel, _text(notice.sender, 254), own, _text(notice.name, 120),
        notice.text.replace("\x00", "\ufffd")[:20_000], media, word, _text(notice.provider_message_id, 128), notice.at,
        now,
    )  # fmt: skip
    suffix = 'ON CONFLICT ("account_id", "provider_message_id") DO NOTHING RETURNING "id"'
    added = insert_rows(InboundMessage, _COLUMNS, [row], suffix=suffix)
    if not added:
        return False
    pk, client_id = added[0][0], owner.client_id
    if client_id is None:
        return True
    thread_id = note_inbound(client_id=client_id, inbound_id=pk, sender=owner.sender, wants_answer=not word)
    if word:
        contacts.take_reply(
            client_id=client_id, channel=notice.channel, address=notice.sender, sender=owner.sender, text=owner.text
        )
        answer_word(thread_id=thread_id, client_id=client_id, inbound_id=pk, language=language)
    data = {
        "id": pk,
        "channel": notice.channel,
        "sender": digits(notice.sender) if notice.sender.startswith("+") else notice.sender,
        "recipient": notice.recipient,
        "text": notice.text,
        "name": notice.name or None,
        "media": [{"kind": file.kind, "url": file.url or None, "mime_type": file.mime_type} for file in notice.media],
        "received_at": moment(now),
    }
    record_events(client_id, [("message.received", data)])
    return True


def _text(text: str, limit: int) -> str:
    return clip(text)[:limit]
