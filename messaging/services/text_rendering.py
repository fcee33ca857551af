"""Texts of campaigns: filled in from contacts, counted and priced, by one object for the quote and for sending."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from accounts.models import Client
from contacts.services import opt_out_urls
from crm.common.phones import region_of, shares_its_code
from crm.common.text_units import MAX_CHARACTERS
from messaging.errors import CountryClosed, NoRoute, TrialNumber
from messaging.models import Channel
from messaging.services.filling import OPT_OUT_LINK, Filler, language_of
from messaging.services.guards import Guard
from messaging.services.routing import Choice, RouteTable
from messaging.services.storing import NewMessage
from wallet import pricing
from wallet.errors import NoPrice

_COUNTRY = 4  # signs of a number in E.164, which hold any calling code


class Renderer:
    """Turns contacts into priced messages, with the tables it needs loaded once."""

    def __init__(
        self,
        *,
        client: Client,
        text: str,
        sender: str,
        simulated: bool,
        variants: Mapping[str, str] | None = None,
        ending: str = "",
        priced_at: datetime | None = None,
    ) -> None:
        """ending: what follows every text (SendingRules.ending). priced_at: whose prices hold; None: those of now."""
        texts = {"": text} | dict(variants or {})
        self._fillers = {code: Filler(words + ending if words.strip() else "") for code, words in texts.items()}
        self.sender = sender
        self.simulated = simulated
        self._prices = pricing.load_prices(client.pk, priced_at)
        self._routes = None if simulated else RouteTable(Channel.SMS)
        self.guard = Guard(client, simulated=simulated)
        self._client_id = client.pk
        fields = {name for filler in self._fillers.values() for name in filler.template.fields}
        self._link_fields = [name for name in fields if name.casefold() == OPT_OUT_LINK]
        self._links: dict[str, str] = {}
        self.has_fallback = any(filler.with_fallback for filler in self._fillers.values())
        # How much of a number says where it is and which roads it may go; what it says of those met so far.
        self._telling = max(_COUNTRY, self._routes.telling if self._routes else 0)
        self._places: dict[str, tuple[str, Choice | None] | str] = {}

    def make_links(self, people: Sequence[Sequence]) -> None:
        """Make the opt-out links that the text asks for, before these people are rendered to be sent to.

        A quote goes without: its texts have a link of the same length.
        """
        self._links = {}
        if self._link_fields:
            self._links = opt_out_urls(
                client_id=self._client_id, channel=Channel.SMS, sender=self.sender, addresses=[row[1] for row in people]
            )

    def text_for(self, contact: Sequence) -> str:
        """What this person reads, whatever its length, price or country."""
        filler = self._fillers[self.variant_of(contact)]
        return filler.template.render(filler.values(contact))

    def fallbacks_of(self, contact: Sequence) -> list[tuple[str, str]]:
        """Which fields of the text somebody lacks, with what is read instead."""
        filler = self._fillers[self.variant_of(contact)]
        return filler.fallbacks(filler.values(contact)) if filler.with_fallback else []

    def variant_of(self, contact: Sequence) -> str:
        """The language of the text that this person reads; "" for the text itself."""
        if len(self._fillers) == 1:
            return ""
        language = language_of(contact)
        return language if language in self._fillers else ""

    def render(self, contact: Sequence) -> tuple[NewMessage | None, list[str], str]:
        """(message, fields that are missing, reason code): the message is None where the person is left out."""
        filler = self._fillers[self.variant_of(contact)]
        values = filler.values(contact)
        if self._links and (link := self._links.get(contact[1])):
            values |= dict.fromkeys(self._link_fields, link)
        text = filler.template.render(values)
        if len(text) > MAX_CHARACTERS:
            return None, [], "too_long"
        if not text or text.isspace():
            return None, filler.missing(values), "empty"
        place = self._place_of(contact[1])
        if isinstance(place, str):
            return None, [], place
        region, choice = place
        quote = self._prices.quote(text, Channel.SMS, region)
        message = NewMessage(
            recipient=contact[1],
            sender=self.sender,
            text=text,
            units=quote.units,
            segments=quote.segments,
            encoding=quote.encoding,
            cost_micros=0 if self.simulated else quote.cost_micros,
            account_id=choice.pick() if choice else None,
            next_attempt_at=choice.not_before if choice else None,
            country=region,
            contact_id=contact[0] or None,
        )
        return message, [] if all(values.values()) else filler.missing(values), ""

    def _place_of(self, phone: str) -> tuple[str, Choice | None] | str:
        """Country and roads of a number, or the code of the reason why it gets nothing."""
        if self.guard.is_trial or shares_its_code(phone):
            return self._look_up(phone)  # the whole number decides
        beginning = phone[: self._telling]
        place = self._places.get(beginning)
        if place is None:
            place = self._places[beginning] = self._look_up(phone)
        return place

    def _look_up(self, phone: str) -> tuple[str, Choice | None] | str:
        region = region_of(phone)
        try:
            self.guard.check_place(phone, region)
            self._prices.unit_price_micros(Channel.SMS, region)
            if self._routes is None:
                return region, None
            return region, self._routes.choose(country=region, sender=self.sender, number=phone)
        except (CountryClosed, TrialNumber, NoPrice, NoRoute) as error:
            return error.code
