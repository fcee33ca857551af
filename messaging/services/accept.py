"""Accepting messages: the one way in for every door. What it returns is committed, paid for and queued (D1)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import transaction

from accounts.models import Client
from contacts import queries as contacts
from crm.common.errors import DomainError
from crm.common.networks import likely_network
from crm.common.phones import Phone, PhoneReader, region_of
from crm.common.reading import read_together
from crm.common.sql import allocate_ids, database_now, insert_rows, on_postgres
from crm.common.text_units import MAX_CHARACTERS, EmptyText, UnitRule, clean_text
from messaging import wake
from messaging.errors import (
    ChannelNotAvailable,
    ClientSuspended,
    CountryClosed,
    InvalidSchedule,
    NoRoute,
    RecipientLimit,
    TextTooLong,
    TrialNumber,
)
from messaging.models import Channel, EventKind, Message, MessageClass, MessageStatus, Route, SenderId
from messaging.models.messages import public_id
from messaging.services.guards import HOUR, Guard, rules_part
from messaging.services.hours import HoursBook, OutsideHours
from messaging.services.routing import RouteTable, routes_part
from messaging.services.senders import SenderBook, senders_part
from messaging.services.tallies import count_steps
from messaging.services.timeline import charge_reference, write_events
from wallet import pricing
from wallet import services as wallet
from wallet.errors import NoPrice

FURTHEST_SCHEDULE = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Draft:
    """One message as a door received it: the recipient as written, the final text, and the caller's own reference.

    sender: where the messages of one call have senders of their own; None for the call's.
    """

    recipient: str
    text: str
    reference: str = ""
    contact_id: int | None = None
    sender: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that is stored, paid for and on its way. recipient: E.164; cost in micros of the client's currency."""

    id: int
    recipient: str
    sender: str
    status: str
    units: int
    segments: int
    encoding: str
    cost_micros: int

    @property
    def message_id(self) -> str:
        return public_id(self.id)


@dataclass(frozen=True, slots=True)
class Refused:
    """A recipient left out of an accepted call. `recipient` as given; `error` has the code and the sentence."""

    recipient: str
    error: DomainError


class OptedOut(DomainError):
    code = "opted_out"
    default_message = "This person opted out of your messages."


class DuplicateRecipient(DomainError):
    """The same text to the same number a second time. Fact: `first`, the position of the draft that it repeats."""

    code = "duplicate_recipient"
    default_message = "This number is given twice; it is sent once."


def check_text(raw: str) -> str:
    """The text as it will be sent. Raises: EmptyText, UnreadableText, TextTooLong."""
    text = clean_text(raw)
    if not text.strip():
        raise EmptyText("There is no text to send.")
    if len(text) > MAX_CHARACTERS:
        raise TextTooLong(
            f"The text has {len(text)} characters; at most {MAX_CHARACTERS} are allowed.", characters=len(text)
        )
    return text


def check_may_send(client: Client, channel: str) -> None:
    """Raises: ClientSuspended, ChannelNotAvailable (other than SMS: no provider carries it, unless nothing leaves)."""
    if not client.is_active:
        raise ClientSuspended(reason=client.suspended_reason)
    if channel == Channel.SMS or (channel in Channel.values and client.simulation):
        return
    if not Route.objects.filter(channel=channel, account__is_active=True).exists():
        raise ChannelNotAvailable(f"The channel “{channel}” is not available on this installation.", channel=channel)


def accept_messages(
    *,
    client: Client,
    drafts: Sequence[Draft],
    channel: str = Channel.SMS,
    sender: str | None = None,
    source: str = "api",
    api_key_id: int | None = None,
    schedule_at: datetime | None = None,
    all_or_nothing: bool = False,
    or_default_sender: bool = False,
    as_batch: bool = False,
    unit_rule: UnitRule | None = None,
    message_class: str = "",
) -> list[Accepted | Refused]:
    """Store, charge and queue a call's messages in one transaction; one result per draft, in order.

    A recipient that cannot be sent to is Refused and costs nothing; the others are charged together or not at all.
    In simulation mode messages cost nothing and never leave.
    all_or_nothing: the first draft that is refused for its sender, number or text, in this order, refuses the call;
    its error has the fact `position`. A message that repeats another of the call word for word is Refused all the same.
    or_default_sender: a sender ID that is not approved means the default one. as_batch: what is accepted shares a
    `batch_id`. message_class: what the text is; "" for what its sender ID is approved for. What leaves by one that is
    for promotions is refused outside their hours. unit_rule: counts units where the caller's contract has a rule of its
    own; None for the price plan's.
    Raises, and then nothing happened: ClientSuspended, ChannelNotAvailable, SenderNotApproved, NoSender, EmptyText,
    UnreadableText, TextTooLong, InvalidSchedule, DailyLimit, wallet.errors.InsufficientBalance.
    """
    check_may_send(client, channel)
    if channel != Channel.SMS:  # other channels have parts besides a text, and doors of their own
        raise ChannelNotAvailable(channel=channel)
    terms = _read_terms(client)
    origins = _attempt(
        {draft.sender or sender for draft in drafts} or {sender},
        lambda name: terms.book.choose(name, or_default=or_default_sender, message_class=message_class),
    )
    texts = _attempt({draft.text for draft in drafts}, check_text)
    if not all_or_nothing:
        _raise_first(origins.values())
        _raise_first(texts.values())
    for last_try in (False, False, False, True):
        try:
            results, rows = _take(
                terms, drafts, origins, texts, sender, all_or_nothing, schedule_at, unit_rule,
                source=source, api_key_id=api_key_id, as_batch=as_batch, last_try=last_try,
            )  # fmt: skip
            break
        except _Overtaken:
            terms = _read_terms(client)  # they may have changed while we waited for the others
    status = MessageStatus.SCHEDULED if schedule_at else MessageStatus.QUEUED
    answer: list[Accepted | Refused] = []
    for refused, row in zip(results, rows, strict=True):
        if refused is not None:
            answer.append(refused)
        elif row is not None:
            answer.append(
                Accepted(
                    id=row.id,
                    recipient=row.recipient,
                    sender=row.sender,
                    status=status,
                    units=row.units,
                    segments=row.segments,
                    encoding=row.encoding,
                    cost_micros=row.cost_micros,
                )
            )
    return answer


@dataclass(slots=True)
class NewMessage:
    """A priced message about to be stored; `id` is given by store_messages."""

    recipient: str
    sender: str
    text: str
    units: int
    segments: int
    encoding: str
    cost_micros: int
    account_id: int | None
    country: str = ""  # "": what the number says
    channel: str = Channel.SMS
    content: dict[str, Any] | None = None
    reference: str = ""
    contact_id: int | None = None
    next_attempt_at: datetime | None = None  # not before; None for at once
    id: int = 0


@dataclass(frozen=True, slots=True)
class _Terms:
    """What holds for a client's messages at the moment of a call. routes: None in simulation mode."""

    guard: Guard
    book: SenderBook
    prices: pricing.PriceList
    routes: RouteTable | None


def _read_terms(client: Client) -> _Terms:
    """One statement: a single send is dominated by its round trips."""
    parts = {
        "rules": rules_part(client),
        "senders": senders_part(client),
        "rates": pricing.rates_part(client.pk),
    }
    if not client.simulation:
        parts["routes"] = routes_part(Channel.SMS)
    found = read_together(parts)
    return _Terms(
        guard=Guard(client, rows=found["rules"]),
        book=SenderBook(client, rows=found["senders"]),
        prices=pricing.list_prices(found["rates"]),
        routes=RouteTable(Channel.SMS, rows=found["routes"]) if "routes" in found else None,
    )


class _Overtaken(Exception):
    """Calls at the same time wrote to the same numbers; what they did is seen when we look again."""


@transaction.atomic
def _take(
    terms: "_Terms",
    drafts: Sequence[Draft],
    origins: dict[str | None, SenderId | DomainError],
    texts: dict[str, str | DomainError],
    sender: str | None,
    all_or_nothing: bool,
    schedule_at: datetime | None,
    unit_rule: UnitRule | None,
    *,
    source: str,
    api_key_id: int | None,
    as_batch: bool,
    last_try: bool,
) -> tuple[list[Refused | None], list[NewMessage | None]]:
    """Price, store and charge; one refusal or one row per draft. Raises: _Overtaken, where it is not the last try."""
    now, guard = database_now(), terms.guard
    if schedule_at is not None and not now < schedule_at <= now + FURTHEST_SCHEDULE:
        raise InvalidSchedule()
    parts = [(origins[draft.sender or sender], texts[draft.text]) for draft in drafts]
    results, rows = _price_drafts(drafts, parts, unit_rule, terms, schedule_at or now)
    _leave_crowded(drafts, results, rows, guard)
    if all_or_nothing:
        _refuse_whole(results)
    kept = [row for row in rows if row is not None]
    store_messages(
        client=guard.client,
        rows=kept,
        now=now,
        source=source,
        api_key_id=api_key_id,
        schedule_at=schedule_at,
        as_batch=as_batch,
        guard=guard,
    )
    if on_postgres() and guard.is_overrun([(row.recipient, row.text) for row in kept]):
        if not last_try:
            raise _Overtaken
        raise RecipientLimit(retry_after=HOUR)
    return results, rows


_Given = TypeVar("_Given")
_Read = TypeVar("_Read")


def _attempt(values: Iterable[_Given], read: Callable[[_Given], _Read]) -> dict[_Given, _Read | DomainError]:
    """What each different value is read as, or why it cannot be."""
    found: dict[_Given, _Read | DomainError] = {}
    for value in values:
        try:
            found[value] = read(value)
        except DomainError as error:
            found[value] = error
    return found


def _raise_first(results: Iterable[object]) -> None:
    for result in results:
        if isinstance(result, DomainError):
            raise result


def _refuse_whole(refusals: Sequence[Refused | None]) -> None:
    for position, refused in enumerate(refusals):
        if refused and not isinstance(refused.error, DuplicateRecipient):
            refused.error.facts["position"] = position
            raise refused.error


def _leave_crowded(
    drafts: Sequence[Draft], refusals: list[Refused | None], rows: list[NewMessage | None], guard: Guard
) -> None:
    """Refuse what would be too many messages for one number. Money comes first: who cannot pay for the call hears that.

    Raises: InsufficientBalance.
    """
    places = [place for place, row in enumerate(rows) if row is not None]
    pairs = [(row.recipient, row.text) for row in rows if row is not None]
    crowded = guard.crowded(pairs)
    if not crowded:
        return
    wallet.check_affordable(client=guard.client, micros=sum(row.cost_micros for row in rows if row is not None))
    for position, error in crowded.items():
        refusals[places[position]] = Refused(drafts[places[position]].recipient, error)
        rows[places[position]] = None


def _price_drafts(
    drafts: Sequence[Draft],
    parts: Sequence[tuple[SenderId | DomainError, str | DomainError]],
    unit_rule: UnitRule | None,
    terms: "_Terms",
    leaves_at: datetime,
) -> tuple[list[Refused | None], list[NewMessage | None]]:
    """Read numbers, leave out whom we must not write to, find price and road. Queries do not grow with the drafts.

    parts: each draft's sender and text as read, or why they cannot be.
    """
    guard, client, prices, routes = terms.guard, terms.guard.client, terms.prices, terms.routes
    refusals: list[Refused | None] = [None] * len(drafts)
    found: list[NewMessage | None] = [None] * len(drafts)
    reader = PhoneReader(client.country)
    ready: list[tuple[int, SenderId, Phone, str]] = []
    for index, (draft, (origin, text)) in enumerate(zip(drafts, parts, strict=True)):
        try:
            if isinstance(origin, DomainError):
                raise origin
            phone = reader.read(draft.recipient)
            if isinstance(text, DomainError):
                raise text
            ready.append((index, origin, phone, text))
        except DomainError as error:
            refusals[index] = Refused(draft.recipient, error)
    gone = contacts.opted_out_among(
        Channel.SMS, [(client.pk, phone.e164, origin.name) for _, origin, phone, _ in ready]
    )
    hours = HoursBook(MessageClass.PROMOTION, client.time_zone)
    seen: dict[tuple[str, str, str], int] = {}
    for index, origin, phone, text in ready:
        draft = drafts[index]
        try:
            if (first := seen.get((phone.e164, origin.name, text))) is not None:
                raise DuplicateRecipient(first=first)
            if (client.pk, phone.e164, origin.name) in gone:
                raise OptedOut()
            guard.check_place(phone.e164, phone.region)
            if origin.message_class == MessageClass.PROMOTION and not hours.allows(leaves_at, [phone.region]):
                raise OutsideHours(next_slot=hours.next_slot(leaves_at, [phone.region]))
            quote = prices.quote(text, Channel.SMS, phone.region, unit_rule)
            choice = (
                routes.choose(country=phone.region, sender=origin.name, number=phone.e164)
                if routes is not None
                else None
            )
        except (OptedOut, DuplicateRecipient, CountryClosed, TrialNumber, OutsideHours, NoPrice, NoRoute) as error:
            refusals[index] = Refused(draft.recipient, error)
            continue
        seen[phone.e164, origin.name, text] = index
        found[index] = NewMessage(
            recipient=phone.e164,
            sender=origin.name,
            text=text,
            units=quote.units,
            segments=quote.segments,
            encoding=quote.encoding,
            cost_micros=0 if client.simulation else quote.cost_micros,
            account_id=choice.pick() if choice else None,
            next_attempt_at=choice.not_before if choice else None,
            country=phone.region,
            reference=draft.reference,
            contact_id=draft.contact_id,
        )
    return refusals, found


MESSAGE_COLUMNS = (
    "id", "client_id", "campaign_id", "batch_id", "contact_id", "channel", "recipient", "sender", "text", "content",
    "reference", "source",
    "api_key_id", "simulated", "status", "priority", "units", "segments", "encoding", "cost_micros",
    "provider_account_id", "provider_message_id", "network_code", "attempts", "next_attempt_at", "lease_owner",
    "unconfirmed",
    "error_code", "error_message", "created_at", "schedule_at", "queued_at", "country", "network",
)  # fmt: skip


def store_messages(
    *,
    client: Client,
    rows: Sequence[NewMessage],
    now: datetime,
    source: str,
    api_key_id: int | None = None,
    schedule_at: datetime | None = None,
    campaign_id: int | None = None,
    priority: int = 0,
    simulated: bool | None = None,
    reservation: str | None = None,
    as_batch: bool = False,
    guard: Guard | None = None,
) -> None:
    """Write messages, their events and their charges with a number of statements that does not depend on how many.

    Must run inside the caller's transaction; sets each row's id; wakes the senders after the commit. The wallet row is
    touched last. as_batch: the messages share an id, that of the first. guard: the client's rules, where they are
    loaded already; every message counts for its limits of a day.
    Raises: InsufficientBalance, ReservationShort, DailyLimit - and the caller's transaction must then roll back.
    """
    if not rows:
        return
    if simulated is None:
        simulated = client.simulation
    if guard is None:
        guard = Guard(client, simulated=simulated)
    status = MessageStatus.SCHEDULED if schedule_at else MessageStatus.QUEUED
    for row, pk in zip(rows, allocate_ids(Message, len(rows)), strict=True):
        row.id = pk
    batch_id = rows[0].id if as_batch else None
    common = (source, api_key_id, simulated, status, priority)
    queued_at = None if schedule_at else now
    insert_rows(
        Message,
        MESSAGE_COLUMNS,
        [
            (
                row.id,
                client.pk,
                campaign_id,
                batch_id,
                row.contact_id,
                row.channel,
                row.recipient,
                row.sender,
                row.text,
                row.content,
                row.reference,
            )
            + common
            + (row.units, row.segments, row.encoding, row.cost_micros, row.account_id)
            + ("", "", 0, row.next_attempt_at, "", False, "", "", now, schedule_at, queued_at)
            + (row.country or region_of(row.recipient), likely_network(row.recipient))
            for row in rows
        ],
    )
    kind = EventKind.SCHEDULED if schedule_at else EventKind.QUEUED
    write_events([(row.id, client.pk, kind, "", "") for row in rows], at=now)
    count_steps((client.pk, now, str(row.channel), "", status, row.cost_micros) for row in rows)
    guard.count_abroad((row.recipient for row in rows), now)
    charges = [(charge_reference(row.id), row.cost_micros) for row in rows if row.cost_micros]
    if charges:
        wallet.debit_many(client_id=client.pk, charges=charges, reservation=reservation, caller_undoes=True)
    guard.check_day(now)
    if schedule_at is None:
        wake.senders({row.account_id for row in rows})
