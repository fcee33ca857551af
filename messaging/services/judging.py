"""Judging drafts before they are stored: read, found clear of refusals, priced and given a road, all in two reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.models import Client
from contacts import queries as contacts
from crm.common.errors import DomainError
from crm.common.phones import Phone, PhoneReader
from crm.common.reading import Part, read_together
from crm.common.sql import COMMIT_BEFORE_DISK, as_datetime, ids_part, now_sql, on_postgres, wait_for_disk
from crm.common.text_units import UnitRule
from messaging.errors import CountryClosed, NoRoute, TrialNumber
from messaging.models import Channel, Message, MessageClass, SenderId
from messaging.services.drafts import Draft, DuplicateRecipient, OptedOut, Refused
from messaging.services.guards import Guard, rules_part
from messaging.services.hours import HoursBook, OutsideHours
from messaging.services.routing import RouteTable, routes_part
from messaging.services.senders import SenderBook, senders_part
from messaging.services.storing import NewMessage
from wallet import pricing
from wallet import services as wallet
from wallet.errors import NoPrice


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for a client's messages at the moment of a call. routes: None in simulation mode; more: what else the
    caller read with it."""

    guard: Guard
    book: SenderBook
    prices: pricing.PriceList
    routes: RouteTable | None
    more: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict)


def read_terms(client: Client, more: Mapping[str, Part] | None = None) -> Terms:
    """One statement: a single send is dominated by its round trips. more: the caller's own reads, in the same."""
    parts = {
        **(more or {}),
        "rules": rules_part(client),
        "senders": senders_part(client),
        "rates": pricing.rates_part(client.pk),
    }
    if not client.simulation:
        parts["routes"] = routes_part(Channel.SMS)
    found = read_together(parts)
    return Terms(
        guard=Guard(client, rows=found["rules"]),
        book=SenderBook(client, rows=found["senders"]),
        prices=pricing.list_prices(found["rates"]),
        routes=RouteTable(Channel.SMS, rows=found["routes"]) if "routes" in found else None,
        more=found,
    )


@dataclass(frozen=True, slots=True)
class Ready:
    """A draft whose sender, number and text could be read. index: its place in the call."""

    index: int
    origin: SenderId
    phone: Phone
    text: str


def read_drafts(
    drafts: Sequence[Draft],
    parts: Sequence[tuple[SenderId | DomainError, str | DomainError]],
    client: Client,
) -> tuple[list[Ready], list[Refused | None]]:
    """Those that can be read, and a refusal or nothing for every draft.

    parts: each draft's sender and text as read, or why they cannot be.
    """
    refusals: list[Refused | None] = [None] * len(drafts)
    reader = PhoneReader(client.country)
    ready = []
    for index, (draft, (origin, text)) in enumerate(zip(drafts, parts, strict=True)):
        try:
            if isinstance(origin, DomainError):
                raise origin
            phone = reader.read(draft.recipient)
            if isinstance(text, DomainError):
                raise text
            ready.append(Ready(index, origin, phone, text))
        except DomainError as error:
            refusals[index] = Refused(draft.recipient, error)
    return ready, refusals


@dataclass(frozen=True, slots=True)
class Look:
    """What the database says of the people of a call. gone: (client id, number, sender) of whom we must not write to;
    near: numbers near a limit; ids: for the messages, none where the database gives them at the insert; more: what the
    caller read with it."""

    now: datetime
    gone: set[tuple[int, str, str]]
    near: list[list[str]]
    ids: list[int]
    more: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict)


def look_up(ready: Sequence[Ready], guard: Guard, more: Mapping[str, Part] | None = None) -> Look:
    """One statement for all of it, in the transaction that stores them. more: the caller's own reads, in the same.

    That transaction's commit gives the wallet's row back before it waits for the disk, and the wait follows: whoever
    called is answered no sooner than it is written (D1), but a client's sends do not queue for one disk write each.
    """
    client_pk = guard.client.pk
    opt_outs = contacts.OptOutLook(Channel.SMS, [(client_pk, one.phone.e164, one.origin.name) for one in ready])
    parts = {
        "now": Part((now_sql(),), "(SELECT 1) AS once"),
        **(more or {}),
        **opt_outs.parts,
        **guard.near_parts(one.phone.e164 for one in ready),
    }
    if on_postgres() and ready:
        parts |= {"ids": ids_part(Message, len(ready)), "late": COMMIT_BEFORE_DISK}
        transaction.on_commit(wait_for_disk)
    found = read_together(parts)
    return Look(
        now=as_datetime(found["now"][0][0]),
        gone=opt_outs.out_of(found),
        near=found.get("near", []),
        ids=sorted(row[0] for row in found.get("ids", ())),
        more=found,
    )


def price_drafts(
    drafts: Sequence[Draft],
    ready: Sequence[Ready],
    refusals: list[Refused | None],
    look: Look,
    terms: Terms,
    *,
    unit_rule: UnitRule | None,
    leaves_at: datetime,
) -> list[NewMessage | None]:
    """Leave out whom we must not write to, find price and road. Notes refusals; a message or nothing for each draft."""
    guard, client, prices, routes = terms.guard, terms.guard.client, terms.prices, terms.routes
    found: list[NewMessage | None] = [None] * len(drafts)
    hours = HoursBook(MessageClass.PROMOTION, client.time_zone)
    seen: dict[tuple[str, str, str], int] = {}
    client_pk, is_free = client.pk, client.simulation
    quotes: dict[tuple[str, str], pricing.Quote] = {}  # a call's recipients mostly get one text in one country
    for one in ready:
        draft, origin, phone, text = drafts[one.index], one.origin, one.phone, one.text
        try:
            if (first := seen.get((phone.e164, origin.name, text))) is not None:
                raise DuplicateRecipient(first=first)
            if (client_pk, phone.e164, origin.name) in look.gone:
                raise OptedOut()
            guard.check_place(phone.e164, phone.region)
            if origin.message_class == MessageClass.PROMOTION and not hours.allows(leaves_at, [phone.region]):
                raise OutsideHours(next_slot=hours.next_slot(leaves_at, [phone.region]))
            quote = quotes.get((text, phone.region))
            if quote is None:
                quote = quotes[text, phone.region] = prices.quote(text, Channel.SMS, phone.region, unit_rule)
            choice = (
                routes.choose(country=phone.region, sender=origin.name, number=phone.e164)
                if routes is not None
                else None
            )
        except (OptedOut, DuplicateRecipient, CountryClosed, TrialNumber, OutsideHours, NoPrice, NoRoute) as error:
            refusals[one.index] = Refused(draft.recipient, error)
            continue
        seen[phone.e164, origin.name, text] = one.index
        found[one.index] = NewMessage(
            recipient=phone.e164,
            sender=origin.name,
            text=text,
            units=quote.units,
            segments=quote.segments,
            encoding=quote.encoding,
            cost_micros=0 if is_free else quote.cost_micros,
            account_id=choice.pick() if choice else None,
            next_attempt_at=choice.not_before if choice else None,
            country=phone.region,
            reference=draft.reference,
            contact_id=draft.contact_id,
        )
    return found


def leave_crowded(
    drafts: Sequence[Draft],
    refusals: list[Refused | None],
    rows: list[NewMessage | None],
    guard: Guard,
    near: Sequence[Sequence[str]],
) -> None:
    """Refuse what would be too many messages for one number. Money comes first: who cannot pay for the call hears that.

    near: from `look_up`. Raises: InsufficientBalance.
    """
    places = [place for place, row in enumerate(rows) if row is not None]
    pairs = [(row.recipient, row.text) for row in rows if row is not None]
    crowded = guard.crowded(pairs, near)
    if not crowded:
        return
    wallet.check_affordable(client=guard.client, micros=sum(row.cost_micros for row in rows if row is not None))
    for position, error in crowded.items():
        refusals[places[position]] = Refused(drafts[places[position]].recipient, error)
        rows[places[position]] = None
