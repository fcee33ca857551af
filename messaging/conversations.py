"""What is said between a person and one of our numbers, as everybody who reads of it needs to know."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Client, User
from contacts import queries as contacts
from contacts.models import Contact
from crm.common.spans import newest_first
from crm.common.sql import database_now
from messaging.models import (
    Channel,
    InboundMessage,
    Message,
    SavedReply,
    SenderId,
    SenderState,
    Thread,
    ThreadEvent,
    ThreadEventKind,
)

WINDOW = timedelta(hours=24)  # after a person's last message WhatsApp takes free text (Meta, "Messages")
_NUMBER = re.compile(r"\+?[0-9][0-9 ().-]*")
_SHORTEST_LONG = 9  # digits; what is shorter is a short code, which has no country


def own_number(name: str) -> str:
    """The one spelling of a number of ours: E.164 where it is long, digits where it is a short code; names as they are.

    Providers and sender IDs spell the same number with and without plus, blanks and dashes.
    """
    name = name.strip()
    if not _NUMBER.fullmatch(name):
        return name
    digits = re.sub(r"[^0-9]", "", name)
    return digits if len(digits) < _SHORTEST_LONG or digits.startswith("0") else f"+{digits}"


def spellings(own: str) -> list[str]:
    """How a number of ours may be written where it was kept as somebody gave it."""
    number = own_number(own)
    bare = number.lstrip("+")
    return list(dict.fromkeys([own, number, bare, f"+{bare}"]))


def last_inbound_at(client: Client, channel: str, number: str, own: str) -> datetime | None:
    """When the person at `number` (E.164) last wrote to the client's `own` number or sender ID; None for never."""
    found = InboundMessage.objects.for_client(client).filter(sender=number, channel=channel)
    return found.filter(recipient__in=spellings(own)).order_by("-pk").values_list("received_at", flat=True).first()


def open_windows(rows: Iterable[tuple[int, str, str]]) -> set[tuple[int, str, str]]:
    """Of these (client id, person, number of ours), given back as they came, those that WhatsApp takes free text for
    now. One query."""
    asked = list(rows)
    found = InboundMessage.objects.unscoped().filter(
        client_id__in={client_id for client_id, _, _ in asked},
        sender__in={person for _, person, _ in asked},
        channel=Channel.WHATSAPP,
        received_at__gt=database_now() - WINDOW,
    )
    wrote = {
        (client_id, person, own_number(own))
        for client_id, person, own in found.values_list("client_id", "sender", "recipient")
    }
    return {row for row in asked if (row[0], row[1], own_number(row[2])) in wrote}


def window_closes_at(client: Client, number: str, own: str) -> datetime | None:
    """When WhatsApp stops taking free text for the person, past or to come; None where they never wrote."""
    at = last_inbound_at(client, Channel.WHATSAPP, number, own)
    return at + WINDOW if at else None


# --- the list ---------------------------------------------------------------------------------------------------------

_UNREAD = '"messaging_thread"."unread" > 0'  # as a literal, or SQLite does not see that the partial index serves
_SEARCHED_CONTACTS = 200  # whose names match a search; more would say nothing


def threads_for(
    client: Client, *, show: str = "", channel: str = "", search: str = "", user: User | None = None
) -> QuerySet[Thread]:
    """A client's threads, the latest first. show: "unread", "mine" (of `user`), "unassigned", or "" for all.

    search: a part of a contact's name, or the beginning or end of a number.
    """
    found: QuerySet[Thread] = Thread.objects.for_client(client).select_related("assigned_to")
    found = found.order_by("-last_at", "-pk")
    if show == "unread":
        found = found.extra(where=[_UNREAD])  # noqa: S610 - a constant
    elif show == "mine":
        found = found.filter(assigned_to=user)
    elif show == "unassigned":
        found = found.filter(assigned_to=None)
    if channel:
        found = found.filter(channel=channel)
    if text := search.replace("\x00", "").strip()[:100]:
        book = contacts.contacts_for(client, search=text).filter(phone__isnull=False)
        phones = list(book.order_by().values_list("phone", flat=True)[:_SEARCHED_CONTACTS])
        plain = re.sub(r"[^0-9]", "", text).lstrip("0")
        number = Q(person__contains=plain) if len(plain) >= 3 else Q()
        found = found.filter(Q(person__in=phones) | Q(name__icontains=text) | number)
    return found


@dataclass(frozen=True, slots=True)
class ThreadSlice:
    """One page of threads. older: where the next one begins, "" for none."""

    rows: list[Thread]
    older: str


def thread_slice(threads: QuerySet[Thread], *, size: int, before: str = "") -> ThreadSlice:
    """The `size` latest below `before`, a place that an earlier slice named; an unreadable one means the top."""
    place = _place(before)
    if place:
        at, pk = place
        threads = threads.filter(Q(last_at__lt=at) | Q(last_at=at, pk__lt=pk))
    rows = list(threads[: size + 1])
    last = rows[size - 1] if len(rows) > size else None
    return ThreadSlice(rows[:size], f"{last.last_at.timestamp():.6f}-{last.pk}" if last else "")


def _place(text: str) -> tuple[datetime, int] | None:
    found = re.fullmatch(r"([0-9]{1,11}\.[0-9]{6})-([0-9]{1,18})", text, re.ASCII)
    if not found:
        return None
    seconds, _, micros = found[1].partition(".")
    return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(micros)), int(found[2])


MOST_UNREAD = 1000


def unread_threads(client: Client) -> int:
    """How many threads nobody has looked at, counted up to MOST_UNREAD."""
    unread = Thread.objects.for_client(client).extra(where=[_UNREAD])  # noqa: S610 - a constant
    return unread.order_by()[:MOST_UNREAD].count()


def names_of_people(client: Client, people: Sequence[str]) -> dict[str, tuple[int, str]]:
    """The contacts with these numbers: (id, name) by number. One query."""
    found = Contact.objects.for_client(client).filter(phone__in=set(people))
    return {phone: (pk, name) for phone, pk, name in found.values_list("phone", "pk", "name") if phone}


def thread_of(message: Message) -> Thread | None:
    """The thread in which a message to a person is shown; None where the person never wrote to that number."""
    found = Thread.objects.for_client(message.client_id).filter(person=message.recipient, channel=message.channel)
    names = spellings(message.sender)
    return found.filter(Q(own__in=names) | Q(sender__in=names)).order_by("-last_at").first()


# --- one thread -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One thing in a thread. kind: "in" (inbound), "out" (message, by whom) or a ThreadEventKind (event)."""

    kind: str
    at: datetime
    inbound: InboundMessage | None = None
    message: Message | None = None
    event: ThreadEvent | None = None
    by: Any = None
    auto: bool = False


@dataclass(slots=True)
class Talk:
    """The latest lines of a thread, oldest first. more: whether there are earlier ones."""

    lines: list[Line] = field(default_factory=list)
    more: bool = False


def talk_of(thread: Thread, *, size: int) -> Talk:
    """What was said and noted in a thread: the latest `size` lines. Three queries, each by an index."""
    names = spellings(thread.own) + (spellings(thread.sender) if thread.sender else [])
    heard = InboundMessage.objects.for_client(thread.client_id).filter(
        sender=thread.person, channel=thread.channel, recipient__in=names
    )
    said = Message.objects.for_client(thread.client_id).filter(
        recipient=thread.person, channel=thread.channel, sender__in=names
    )
    done = ThreadEvent.objects.for_client(thread.client_id).filter(thread=thread).select_related("by")
    inbound = list(heard.order_by("-pk")[: size + 1])
    messages = newest_first(said.order_by("-pk"), size + 1)
    events = list(done.order_by("-pk")[: 2 * size + 1])
    writers = {event.message_id: event for event in events if event.message_id}
    lines = [Line("in", row.received_at, inbound=row) for row in inbound]
    for row in messages:
        event = writers.get(row.pk)
        auto = event is not None and event.kind == ThreadEventKind.ANSWERED
        lines.append(Line("out", row.created_at, message=row, by=event.by if event else None, auto=auto))
    lines += [Line(event.kind, event.at, event=event) for event in events if not event.message_id]
    lines.sort(key=lambda line: line.at)
    return Talk(lines[-size:], len(lines) > size)


def can_be_answered(name: str) -> bool:
    """Whether people can write to a sender ID: to a number they can, to a name they cannot."""
    return bool(_NUMBER.fullmatch(name.strip()))


def numbers_to_write_to(client: Client) -> list[SenderId]:
    """The client's approved senders to which people can write, on channels that have an inbox."""
    found = SenderId.objects.for_client(client).filter(state=SenderState.APPROVED).exclude(channel=Channel.EMAIL)
    return [sender for sender in found if sender.channel == Channel.WHATSAPP or can_be_answered(sender.name)]


def saved_replies_for(client: Client) -> QuerySet[SavedReply]:
    return SavedReply.objects.for_client(client).order_by("name")
