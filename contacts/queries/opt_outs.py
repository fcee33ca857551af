"""Reads of opt-outs."""

from collections.abc import Iterable, Mapping, Sequence

from django.conf import settings
from django.db.models import Q, QuerySet

from accounts.models import Client
from accounts.services.privacy import erased_among
from contacts.models import Channel, Contact, OptOut, OptOutChange, normal_address
from contacts.opt_out_links import SAMPLE_TOKEN
from crm.common.reading import Part, read_together
from crm.common.sql import as_json, rows_sql


def opt_outs_for(client: Client, *, search: str = "") -> QuerySet[OptOut]:
    """Newest first; search: part of an address."""
    found = OptOut.objects.for_client(client)
    if text := search.replace("\x00", "").strip()[:100]:
        plain = "".join(char for char in text if char.isdigit())
        found = found.filter(address__contains=plain.lstrip("0") or plain) if plain and "@" not in text else (
            found.filter(address__icontains=text)
        )  # fmt: skip
    return found.order_by("-pk")


def opt_outs_of(contact: Contact) -> list[OptOut]:
    """Every opt-out of the contact's number and email address."""
    condition = Q(address="-")
    if contact.phone:
        condition |= Q(channel__in=[Channel.SMS, Channel.WHATSAPP], address=contact.phone)
    if contact.email:
        condition |= Q(channel=Channel.EMAIL, address=contact.email)
    return list(OptOut.objects.for_client(contact.client_id).filter(condition))


def opt_out_history_of(contact: Contact, count: int = 20) -> list[OptOutChange]:
    """What was recorded about the contact's number and address, newest first, with who recorded it."""
    former = contact.former_addresses.filter(client_id=contact.client_id).values_list("address", flat=True)
    addresses = [address for address in (contact.phone, contact.email, *former) if address]
    found = OptOutChange.objects.for_client(contact.client_id).filter(address__in=addresses)
    return list(found.select_related("by").order_by("-pk")[:count])


def sample_opt_out_url() -> str:
    """An address as long as those of services.opt_out_urls, for texts that are only measured; it leads to nobody."""
    return f"{settings.PUBLIC_URL}/o/{SAMPLE_TOKEN}"


class OptOutLook:
    """Which of (client id, address, sender) may not be written to: the address opted out of that sender or of all.

    Erased people too. `parts` are read with other things of the caller's; `out_of` reads the answer.
    """

    def __init__(self, channel: str, rows: Iterable[tuple[int, str, str]]) -> None:
        self._asked = {(client_id, normal_address(channel, address), sender): (client_id, address, sender)
                       for client_id, address, sender in rows}  # fmt: skip
        self._channel = channel

    @property
    def parts(self) -> dict[str, Part]:
        """Nothing where nobody is asked about."""
        if not self._asked:
            return {}
        out = (
            f"{rows_sql(OptOut, ['client_id', 'address', 'sender'])} "
            f'JOIN "{OptOut._meta.db_table}" o ON o."client_id" = v.client_id AND o."channel" = %s '
            'AND o."address" = v.address AND o."sender" IN (\'\', v.sender)'
        )
        # The clients that erased somebody, whose addresses only their hashes tell.
        clients = sorted({client_id for client_id, _, _ in self._asked})
        places = ", ".join(["%s"] * len(clients))
        erasers = (
            f"accounts_client a WHERE a.id IN ({places}) "
            "AND EXISTS (SELECT 1 FROM accounts_erasedaddress e WHERE e.client_id = a.id)"
        )
        return {
            "opted out": Part(("v.client_id", "v.address", "v.sender"), out, [as_json(self._asked), self._channel]),
            "erasers": Part(("a.id",), erasers, clients),
        }

    def out_of(self, found: Mapping[str, Sequence[Sequence]]) -> set[tuple[int, str, str]]:
        """Who is left out, as they were given. Two queries for each client that erased somebody."""
        out = {self._asked[client_id, address, sender] for client_id, address, sender in found.get("opted out", ())}
        for (client_id,) in found.get("erasers", ()):
            gone = erased_among(client_id, [address for owner, address, _ in self._asked if owner == client_id])
            out |= {given for key, given in self._asked.items() if key[0] == client_id and key[1] in gone}
        return out


def opted_out_among(channel: str, rows: Iterable[tuple[int, str, str]]) -> set[tuple[int, str, str]]:
    """`OptOutLook` by itself: one query for any number of rows and clients, and its two for who erased somebody."""
    look = OptOutLook(channel, rows)
    return look.out_of(read_together(look.parts)) if look.parts else set()
