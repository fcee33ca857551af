"""Sending now: whom somebody typed, picked or grouped, what it costs, and one run however often one presses send."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Client, User
from accounts.services.access import needs
from accounts.services.idempotency import answer_once
from contacts import queries as contacts
from contacts.models import Contact
from crm.common.crypto import digest
from crm.common.errors import DomainError, InvalidInput
from crm.common.figures import figure
from crm.common.phones import InvalidPhone, PhoneReader
from messaging.errors import NoRecipients, QuoteChanged
from messaging.models import Channel, MessageClass, OwnNumber
from messaging.services.accept import Accepted, Draft, accept_messages, check_may_send, check_text
from messaging.services.audience import Quote
from messaging.services.guards import Repeated, repeated_lately
from messaging.services.mails import read_address
from messaging.services.rules import rules_of
from messaging.services.senders import choose_sender
from messaging.services.text_rendering import Renderer

REPEATED_SECONDS = 2 * 3600  # the same text to the same number again within it warns
MOST_AT_ONCE = 1000  # people; beyond it a campaign says who, what and when on its review page
ENDPOINT = "/app/send"  # names these runs among the kept answers; no API path is called so

_PIECES = re.compile(r"[,;\t\r\n|]+")


@dataclass(slots=True)
class Typed:
    """What a recipients box holds. numbers: E.164, or email addresses in lower case, each once, in order;
    invalid: (as typed, why); duplicates: how many more times one was given."""

    numbers: list[str] = field(default_factory=list)
    invalid: list[tuple[str, str]] = field(default_factory=list)
    duplicates: int = 0


def read_numbers(typed: str, region: str) -> Typed:
    """Take apart what was typed or pasted: numbers between commas, semicolons, tabs, lines or blanks.

    A number may itself hold blanks (`0712 345 678`): words are then joined until they make a number.
    """
    found, seen = Typed(), set()
    reader = PhoneReader(region)
    for piece in _PIECES.split(typed.replace("\x00", "")):
        for words, number, why in _read_piece(reader, piece.strip()):
            if why:
                found.invalid.append((words, why))
            elif number in seen:
                found.duplicates += 1
            else:
                seen.add(number)
                found.numbers.append(number)
    return found


def read_emails(typed: str) -> Typed:
    """Take apart email addresses that were typed or pasted, between commas, semicolons, lines or blanks."""
    found, seen = Typed(), set()
    for word in re.split(r"[,;|<>\s]+", typed.replace("\x00", "")):
        if not word:
            continue
        try:
            address = read_address(word)
        except DomainError as error:
            found.invalid.append((word[:40], str(error)))
            continue
        if address in seen:
            found.duplicates += 1
        else:
            seen.add(address)
            found.numbers.append(address)
    return found


def _read_piece(reader: PhoneReader, piece: str) -> list[tuple[str, str, str]]:
    """(as typed, number or "", why not or "") for what stands between two separators."""
    if not piece:
        return []
    words = piece.split()
    each = [_read(reader, word) for word in words]
    if all(number for _, number, _ in each):
        return each
    whole = _read(reader, piece)
    if whole[1] or len(words) == 1:
        return [whole]
    results, start = [], 0
    for end in range(1, len(words) + 1):
        joined = _read(reader, " ".join(words[start:end]))
        if joined[1]:
            results.append(joined)
            start = end
    if start < len(words):
        results.append(_read(reader, " ".join(words[start:])))
    return results


def _read(reader: PhoneReader, words: str) -> tuple[str, str, str]:
    try:
        return words, reader.read(words).e164, ""
    except InvalidPhone as error:
        return words[:40], "", str(error)


@dataclass(slots=True)
class Recipients:
    """Everybody a message was to go to. people: those it will go to, as contacts.queries.audience gives them, id 0 for
    a number that is in no book. too_many: more than MOST_AT_ONCE, who are not all listed. size: how many there are.
    """

    people: list[contacts.Recipient] = field(default_factory=list)
    typed: Typed = field(default_factory=Typed)
    opted_out: list[str] = field(default_factory=list)
    duplicates: int = 0
    size: int = 0

    @property
    def too_many(self) -> bool:
        return self.size > MOST_AT_ONCE


def gather_recipients(
    *, client: Client, typed: str = "", group_ids: Sequence[int] = (), contact_ids: Sequence[int] = (), sender: str = ""
) -> Recipients:
    """Typed numbers, picked contacts and groups together, each number once. Reads at most MOST_AT_ONCE of the groups.

    A typed number that a contact has is that contact, whose data fills the text in.
    """
    found = Recipients(typed=read_numbers(typed, client.country))
    picked = Contact.objects.for_client(client).filter(pk__in=list(contact_ids)[:MOST_AT_ONCE], phone__isnull=False)
    numbers = dict.fromkeys(phone for phone in picked.order_by("pk").values_list("phone", flat=True) if phone)
    given = len(numbers) + len(found.typed.numbers)
    numbers |= dict.fromkeys(found.typed.numbers)
    found.duplicates = found.typed.duplicates + given - len(numbers)
    gone = contacts.opted_out_among(Channel.SMS, [(client.pk, number, sender) for number in numbers])
    found.opted_out = [number for number in numbers if (client.pk, number, sender) in gone]
    reached = [number for number in numbers if (client.pk, number, sender) not in gone]
    people = {row[1]: row for row in contacts.people_by_address(client.pk, reached[: MOST_AT_ONCE + 1], sender=sender)}
    found.size = len(reached)
    if group_ids:
        members = contacts.audience(client.pk, group_ids, sender=sender, limit=MOST_AT_ONCE + 1)
        found.duplicates += sum(1 for member in members if member[1] in people)
        people |= {member[1]: member for member in members}
        size = contacts.audience_size(client.pk, group_ids, sender=sender)
        found.size = max(len(people), size, found.size)
    found.people = list(people.values())[: MOST_AT_ONCE + 1]
    return found


def quote_direct(*, client: Client, text: str, sender: str, people: Sequence[contacts.Recipient]) -> Quote:
    """What this text to these people costs, by the renderer and the price list that campaigns use."""
    quote = Quote()
    quote.price(_renderer(client, text, sender), people)
    return quote


def _renderer(client: Client, text: str, sender: str) -> Renderer:
    return Renderer(
        client=client,
        text=text,
        sender=sender,
        simulated=client.simulation,
        ending=rules_of(client).ending(MessageClass.INFORMATION),
    )


def repeats_among(*, client: Client, text: str, sender: str, people: Sequence[contacts.Recipient]) -> Repeated | None:
    """How many of these people got just what they would get now within REPEATED_SECONDS; None: nobody."""
    renderer = _renderer(client, text, sender)
    pairs = [(person[1], renderer.text_for(person)) for person in people]
    return repeated_lately(client, pairs, seconds=REPEATED_SECONDS)


@dataclass(frozen=True, slots=True)
class Run:
    """What one press of the button came to. first_id: of the batch. is_repeat: an earlier press did it."""

    first_id: int
    messages: int
    is_repeat: bool


@needs("messages.send")
def send_direct(
    *,
    client: Client,
    by: User | None,
    token: str,
    text: str,
    sender: str | None,
    typed: str = "",
    group_ids: Sequence[int] = (),
    contact_ids: Sequence[int] = (),
    expected_recipients: int,
    expected_cost_micros: int,
    to_oneself: bool = False,
) -> Run:
    """Send to exactly the people and for exactly the price that were shown, once per `token` (1 to 100 characters).

    to_oneself: the only number is the sender's own, kept to be offered the next time.
    Raises, and then nothing happened: ClientSuspended, ChannelNotAvailable, EmptyText, TextTooLong, NoSender,
    SenderNotApproved, NoRecipients, InvalidInput (too many, or a field without value), QuoteChanged (fact: quote),
    wallet.errors.InsufficientBalance; accounts.errors.IdempotencyKeyReused where the token stands for another message,
    RequestInProgress.
    """
    text = check_text(text)
    content = [text, sender, typed, sorted(group_ids), sorted(contact_ids)]

    def send() -> tuple[int, str]:
        check_may_send(client, Channel.SMS)
        name = choose_sender(client=client, name=sender, message_class=MessageClass.INFORMATION).name
        found = gather_recipients(client=client, typed=typed, group_ids=group_ids, contact_ids=contact_ids, sender=name)
        if found.too_many:
            raise InvalidInput(
                {"to": [_("More than %(most)s people are written to by a campaign.") % {"most": figure(MOST_AT_ONCE)}]}
            )
        quote = quote_direct(client=client, text=text, sender=name, people=found.people)
        if quote.missing:
            raise InvalidInput({"text": [gap_sentence(quote)]})
        if not quote.recipients:
            raise NoRecipients()
        if (quote.recipients, quote.cost_micros) != (expected_recipients, expected_cost_micros):
            raise QuoteChanged(quote=quote)
        renderer = _renderer(client, text, name)
        drafts = []
        for person in found.people:
            message, _missing, _reason = renderer.render(person)
            if message is not None:
                drafts.append(Draft(message.recipient, message.text, contact_id=message.contact_id or None))
        results = accept_messages(client=client, drafts=drafts, sender=name, source="dashboard", as_batch=True)
        accepted = [result for result in results if isinstance(result, Accepted)]
        if (len(accepted), sum(row.cost_micros for row in accepted)) != (expected_recipients, expected_cost_micros):
            raise QuoteChanged(quote=quote)  # somebody opted out in this very moment
        if to_oneself and by is not None and len(accepted) == 1:
            OwnNumber.objects.update_or_create(
                client=client, user=by, defaults={"phone": accepted[0].recipient, "updated_at": timezone.now()}
            )
        return 201, orjson.dumps({"first": accepted[0].id, "messages": len(accepted)}).decode()

    answer = answer_once(
        client=client, endpoint=ENDPOINT, key=token, body_hash=digest(orjson.dumps(content).decode()), act=send
    )
    kept = orjson.loads(answer.body)
    return Run(first_id=kept["first"], messages=kept["messages"], is_repeat=answer.is_replay)


def gap_sentence(quote: Quote) -> str:
    """Which fields somebody lacks, with the remedy; the quote has at least one."""
    name, count = min(quote.missing.items())
    return ngettext(
        "{n} person has no value for {field}. Write a fallback, such as {example}.",
        "{n} people have no value for {field}. Write a fallback, such as {example}.",
        count,
    ).format(n=figure(count), field=f"{{{name}}}", example=f"{{{name}|customer}}")


def own_number(*, client: Client, user: User) -> str:
    """The number to which `user` sends tests, E.164; "" before the first one."""
    return OwnNumber.objects.for_client(client).filter(user=user).values_list("phone", flat=True).first() or user.phone
