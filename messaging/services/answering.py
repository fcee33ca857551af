"""One message into a thread by itself, on either channel: what STOP, START and HELP get."""

from typing import Any

from django.db import transaction

from contacts import queries as contacts
from contacts.models import Contact
from crm.common.phones import region_of
from crm.common.sql import database_now
from messaging.errors import ClientSuspended
from messaging.models import Channel, Thread
from messaging.services.accept import OptedOut, check_text
from messaging.services.guards import Guard
from messaging.services.routing import RouteTable
from messaging.services.senders import choose_sender
from messaging.services.storing import UNCOUNTED, NewMessage, store_messages
from wallet import pricing
from wallet.pricing import PriceList


def price_of(prices: PriceList, thread: Thread, text: str) -> tuple[int, int, str, int]:
    """(units, segments, encoding, cost in micros) of a text to the thread's person. Raises: EmptyText, NoPrice."""
    region = region_of(thread.person)
    if thread.channel == Channel.SMS:
        quote = prices.quote(text, Channel.SMS, region)
        return quote.units, quote.segments, quote.encoding, quote.cost_micros
    return 1, 1, UNCOUNTED, prices.unit_price_micros(thread.channel, region, "service")


@transaction.atomic
def send_into(
    *, thread: Thread, text: str, content: dict[str, Any] | None = None, to_opted_out: bool = False
) -> NewMessage:
    """Store, charge and queue one message from the number that the person wrote to, as `accept_messages` would.

    By WhatsApp it goes from that very number. to_opted_out: it is the answer to STOP itself.
    Raises, and then nothing happened: ClientSuspended, NoSender, SenderNotApproved, OptedOut, CountryClosed,
    TrialNumber, RecipientLimit, NoPrice, NoRoute, DailyLimit, wallet.errors.InsufficientBalance.
    """
    client, text = thread.client, check_text(text)
    if not client.is_active:
        raise ClientSuspended(reason=client.suspended_reason)
    if thread.channel == Channel.WHATSAPP:
        sender = thread.sender or thread.own
    else:
        sender = choose_sender(client=client, name=thread.sender or None, channel=thread.channel).name
    country, guard = region_of(thread.person), Guard(client)
    key = (client.pk, thread.person, sender)
    if not to_opted_out and key in contacts.opted_out_among(thread.channel, [key]):
        raise OptedOut()
    guard.check_place(thread.person, country)
    units, segments, encoding, cost = price_of(pricing.load_prices(client.pk), thread, text)
    if crowded := guard.crowded([(thread.person, text)]):
        raise crowded[0]
    choice = None
    if not client.simulation:
        choice = RouteTable(thread.channel).choose(country=country, sender=sender, number=thread.person)
    row = NewMessage(
        recipient=thread.person,
        sender=sender,
        text=text,
        units=units,
        segments=segments,
        encoding=encoding,
        cost_micros=0 if client.simulation else cost,
        account_id=choice.pick() if choice else None,
        next_attempt_at=choice.not_before if choice else None,
        country=country,
        channel=thread.channel,
        content=content,
        contact_id=contact_of(thread),
    )
    store_messages(client=client, rows=[row], now=database_now(), source="inbox", guard=guard)
    return row


def contact_of(thread: Thread) -> int | None:
    """The contact with the person's number."""
    known = Contact.objects.for_client(thread.client_id).filter(phone=thread.person)
    return known.values_list("pk", flat=True).first()
