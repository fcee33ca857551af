"""What is said between a person and one of our numbers, as everybody who reads of it needs to know."""

import re
from datetime import datetime, timedelta

from accounts.models import Client
from messaging.models import Channel, InboundMessage

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


def window_closes_at(client: Client, number: str, own: str) -> datetime | None:
    """When WhatsApp stops taking free text for the person, past or to come; None where they never wrote."""
    at = last_inbound_at(client, Channel.WHATSAPP, number, own)
    return at + WINDOW if at else None
