"""The inbox: threads that move with every message, who looks after them, notes, and answers at the price shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts.models import Client, Membership, User
from accounts.services.access import needs
from accounts.services.idempotency import answer_once
from crm.common.crypto import digest
from crm.common.errors import InvalidInput, NotFound
from crm.common.figures import figure
from crm.common.phones import region_of
from crm.common.sql import database_now
from messaging.conversations import WINDOW
from messaging.errors import QuoteChanged, WindowClosed
from messaging.models import Channel, SavedReply, Thread, ThreadEvent, ThreadEventKind, WhatsAppTemplate
from messaging.providers.whatsapp_words import fill_body, variables_of
from messaging.services.accept import Accepted, Draft, Refused, accept_messages, check_text
from messaging.services.answering import contact_of, price_of
from messaging.services.whatsapp import WhatsAppDraft, accept_whatsapp
from wallet import pricing

ENDPOINT = "/app/inbox"  # names these answers among the kept ones; no API path is called so
LONGEST_NOTE = 2000

_NOTE_INBOUND = """
    INSERT INTO messaging_thread (client_id, channel, person, own, sender, name, last_at, last_text, last_is_ours,
                                  last_inbound_at, unread)
    SELECT client_id, channel, sender, recipient, %s, name, received_at, SUBSTR(text, 1, 160), false, received_at, %s
    FROM messaging_inboundmessage WHERE id = %s
    ON CONFLICT (client_id, channel, person, own) DO UPDATE SET
        sender = CASE WHEN excluded.sender = '' THEN messaging_thread.sender ELSE excluded.sender END,
        name = CASE WHEN excluded.name = '' THEN messaging_thread.name ELSE excluded.name END,
        last_at = excluded.last_at, last_text = excluded.last_text, last_is_ours = false,
        last_inbound_at = excluded.last_inbound_at, unread = messaging_thread.unread + excluded.unread
    RETURNING id
"""


def note_inbound(*, client_id: int, inbound_id: int, sender: str, wants_answer: bool) -> int:
    """Move the thread of a message of a person up, or begin it; its id. In the transaction that keeps the message.

    sender: the sender ID that answers go from, "" where the number stands for none. wants_answer: it counts as unread.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_INBOUND, [sender, int(wants_answer), inbound_id])
        return cursor.fetchone()[0]


def get_thread(*, client: Client, thread_id: int) -> Thread:
    """With its colleagues. Raises: NotFound, for another client's thread as for none."""
    found = (
        Thread.objects.for_client(client)
        .select_related("client", "assigned_to", "replying_by")
        .filter(pk=thread_id)
        .first()
    )
    if found is None:
        raise NotFound(_("There is no such thread."))
    return found


def mark_read(*, thread: Thread) -> None:
    """Somebody looks at it."""
    if thread.unread:
        Thread.objects.for_client(thread.client_id).filter(pk=thread.pk, unread__gt=0).update(unread=0)


def mark_unread(*, thread: Thread) -> None:
    """Somebody wants it seen again."""
    Thread.objects.for_client(thread.client_id).filter(pk=thread.pk, unread=0).update(unread=1)


def say_replying(*, thread: Thread, by: User) -> None:
    """`by` is writing an answer at this moment."""
    Thread.objects.for_client(thread.client_id).filter(pk=thread.pk).update(replying_by=by, replying_at=Now())


@needs("messages.send", of="thread")
@transaction.atomic
def assign_thread(*, thread: Thread, to_id: int | None, by: User) -> bool:
    """Give a thread to a colleague, or to nobody (None). Returns whether that changed anything.

    Raises: InvalidInput (to): nobody of the organisation.
    """
    member = None
    if to_id is not None:
        member = Membership.objects.filter(client_id=thread.client_id, user_id=to_id).select_related("user").first()
        if member is None:
            raise InvalidInput({"to": [_("Choose somebody of your organisation.")]})
    mine = Thread.objects.for_client(thread.client_id).filter(pk=thread.pk)
    mine = mine.exclude(assigned_to_id=to_id) if to_id is not None else mine.filter(assigned_to__isnull=False)
    if not mine.update(assigned_to=to_id):
        return False
    name = str(member.user)[:200] if member else ""
    _note_event(thread, ThreadEventKind.ASSIGNED, by, text=name)
    return True


@needs("messages.send", of="thread")
def add_note(*, thread: Thread, text: str, by: User) -> ThreadEvent:
    """What colleagues should know; the person does not see it. Raises: InvalidInput (note)."""
    text = text.replace("\x00", "").strip()
    if not text:
        raise InvalidInput({"note": [_("Write the note.")]})
    if len(text) > LONGEST_NOTE:
        raise InvalidInput({"note": [_("A note has at most {n} characters.").format(n=figure(LONGEST_NOTE))]})
    return _note_event(thread, ThreadEventKind.NOTE, by, text=text)


def _note_event(
    thread: Thread, kind: ThreadEventKind, by: User | None, *, text: str = "", message_id: int | None = None
) -> ThreadEvent:
    return ThreadEvent.objects.create(
        client_id=thread.client_id, thread=thread, kind=kind, by=by, text=text, message_id=message_id, at=database_now()
    )


@dataclass(frozen=True, slots=True)
class ReplyQuote:
    """What an answer costs. units: SMS, or 1 on other channels; cost: micros."""

    units: int
    segments: int
    characters: int
    encoding: str
    cost_micros: int


def quote_reply(*, client: Client, thread: Thread, text: str) -> ReplyQuote:
    """By the price list that accepting uses. Raises: EmptyText, UnreadableText, TextTooLong, NoPrice."""
    text = check_text(text)
    units, segments, encoding, cost = price_of(pricing.load_prices(client.pk), thread, text)
    return ReplyQuote(units, segments, len(text), encoding, 0 if client.simulation else cost)


def window_end(thread: Thread) -> datetime | None:
    """When free text to the person ends, past or to come; None on channels that always take it."""
    return thread.last_inbound_at + WINDOW if thread.channel == Channel.WHATSAPP else None


@dataclass(frozen=True, slots=True)
class Replied:
    """The message of an answer. is_repeat: an earlier press of the button sent it."""

    message_id: int
    is_repeat: bool


@needs("messages.send")
def reply(*, thread: Thread, client: Client, by: User, token: str, text: str, expected_cost_micros: int) -> Replied:
    """Answer from the number that was written to, for exactly the price that was shown, once per `token`.

    Raises, and then nothing was sent: what accept_messages raises, the error of the number where it is refused,
    QuoteChanged, WindowClosed; accounts.errors.IdempotencyKeyReused, RequestInProgress.
    """
    text = check_text(text)

    def send() -> tuple[str, Sent]:
        ends = window_end(thread)
        if ends is not None and ends <= database_now():
            raise WindowClosed()
        return text, _send(client, thread, text)

    return _answer(thread, client, by, token, [thread.pk, text], expected_cost_micros, send)


@needs("messages.send")
def reply_by_template(
    *,
    thread: Thread,
    client: Client,
    by: User,
    token: str,
    template_id: int,
    variables: Mapping[str, str],
    expected_cost_micros: int,
) -> Replied:
    """Write to a person of WhatsApp by an approved template, which their 24 hours do not bind; else as `reply`.

    Raises besides: NotFound (the template), InvalidInput (template, variables).
    """
    template = _template(thread, template_id)
    values = {name: " ".join(str(variables.get(name, "")).split()) for name in variables_of(template.body)}

    def send() -> tuple[str, Sent]:
        draft = WhatsAppDraft(
            thread.person, template=template.name, language=template.language, variables=values,
            contact_id=contact_of(thread),
        )  # fmt: skip
        sender = thread.sender or thread.own
        return fill_body(template.body, values), _sent(
            accept_whatsapp(client=client, draft=draft, sender=sender, source="inbox")
        )

    return _answer(thread, client, by, token, [thread.pk, template.pk, values], expected_cost_micros, send)


def price_of_template(*, client: Client, thread: Thread, template_id: int) -> int:
    """What an answer by it costs, in micros. Raises: NotFound, NoPrice."""
    template = _template(thread, template_id)
    if client.simulation:
        return 0
    return pricing.load_prices(client.pk).unit_price_micros(
        Channel.WHATSAPP, region_of(thread.person), template.category
    )


def _template(thread: Thread, template_id: int) -> WhatsAppTemplate:
    """Raises: NotFound, also in a thread that is not WhatsApp's."""
    mine = WhatsAppTemplate.objects.for_client(thread.client_id).filter(pk=template_id)
    template = mine.first() if thread.channel == Channel.WHATSAPP else None
    if template is None:
        raise NotFound(_("There is no such template."))
    return template


class Sent(NamedTuple):
    """A message that was accepted: its id, its sender and its cost in micros."""

    id: int
    sender: str
    cost_micros: int


def _answer(
    thread: Thread,
    client: Client,
    by: User,
    token: str,
    content: list[Any],
    expected_cost_micros: int,
    send: Callable[[], tuple[str, Sent]],
) -> Replied:
    """`send` once per token, for the price that was shown; the thread moves up. send: the words, and the message."""

    def act() -> tuple[int, str]:
        now = database_now()
        text, sent = send()
        if sent.cost_micros != expected_cost_micros:
            raise QuoteChanged(quote=None)
        _note_event(thread, ThreadEventKind.REPLIED, by, message_id=sent.id)
        Thread.objects.for_client(client).filter(pk=thread.pk).update(
            last_at=now,
            last_text=text[:160],
            last_is_ours=True,
            unread=0,
            replying_by=None,
            replying_at=None,
            sender=sent.sender,
        )
        return 201, orjson.dumps({"message": sent.id}).decode()

    body = digest(orjson.dumps(content).decode())
    answer = answer_once(client=client, endpoint=ENDPOINT, key=token, body_hash=body, act=act)
    return Replied(orjson.loads(answer.body)["message"], answer.is_replay)


def _send(client: Client, thread: Thread, text: str) -> Sent:
    contact_id, sender = contact_of(thread), thread.sender or None
    if thread.channel == Channel.WHATSAPP:
        asked = WhatsAppDraft(thread.person, text, contact_id=contact_id)
        return _sent(accept_whatsapp(client=client, draft=asked, sender=sender, source="inbox"))
    draft = Draft(thread.person, text, contact_id=contact_id)
    (result,) = accept_messages(client=client, drafts=[draft], sender=sender, source="inbox")
    return _sent(result)


def _sent(result: Accepted | Refused) -> Sent:
    if isinstance(result, Refused):
        raise result.error
    return Sent(result.id, result.sender, result.cost_micros)


# --- saved replies ----------------------------------------------------------------------------------------------------


@needs("campaigns.write")
@transaction.atomic
def save_reply(*, client: Client, name: str, text: str, reply_id: int | None = None) -> SavedReply:
    """Keep words to answer with. name: one word, in lower case. Raises: InvalidInput (name, text), NotFound."""
    errors: dict[str, list[str]] = {}
    name, text = name.strip().lstrip("/").casefold(), text.replace("\x00", "").strip()
    if not name or len(name) > 40 or len(name.split()) != 1:
        errors["name"] = [_("Give it a name of one word and at most 40 characters.")]
    elif SavedReply.objects.for_client(client).filter(name=name).exclude(pk=reply_id or 0).exists():
        errors["name"] = [_("There is a saved reply of this name already.")]
    if not 1 <= len(text) <= 1600:
        errors["text"] = [_("Write the text, at most 1,600 characters.")]
    if errors:
        raise InvalidInput(errors)
    if reply_id is None:
        return SavedReply.objects.create(client=client, name=name, text=text)
    if not SavedReply.objects.for_client(client).filter(pk=reply_id).update(name=name, text=text):
        raise NotFound(_("There is no such saved reply."))
    return SavedReply.objects.for_client(client).get(pk=reply_id)


@needs("campaigns.write")
def delete_reply(*, client: Client, reply_id: int) -> bool:
    """Whether there was one."""
    return bool(SavedReply.objects.for_client(client).filter(pk=reply_id).delete()[0])
