"""Who a campaign reaches, what each of them reads, and what it costs: one walk for quote and for sending."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Client
from contacts import queries as contacts
from contacts.services import opt_out_urls
from crm.common.figures import figure
from crm.common.phones import region_of
from crm.common.text_units import MAX_CHARACTERS
from messaging.errors import ChannelNotAvailable, ClientSuspended, CountryClosed, NoRoute, TrialNumber
from messaging.models import Campaign, CampaignRecipient, Channel, SendingRules
from messaging.services.accept import check_may_send
from messaging.services.filling import OPT_OUT_LINK, Filler, language_of
from messaging.services.guards import ForeignRun, Guard
from messaging.services.mail_rendering import MailRenderer
from messaging.services.routing import RouteTable
from messaging.services.senders import class_problem
from messaging.services.storing import NewMessage
from messaging.services.whatsapp_rendering import WhatsAppRenderer, problems_of_template, unwritten_template
from wallet import pricing
from wallet.errors import NoPrice

CHUNK = 2000
SAMPLES = 3


@dataclass(slots=True)
class Quote:
    """What a campaign would send and cost, counted over every recipient. cost in micros of the client's currency.

    by_units: how many people get how many units; by_country: how many are where (ISO 3166); by_language: how many
    read which variant of the text, "" being the text itself.
    missing: how many lack a field that has no fallback; fallbacks: how many read the fallback of a field.
    left_out: people who get nothing, by reason code (too_long, empty, no_price, no_route, country_closed,
    trial_number; by WhatsApp: missing). foreign_run: the most numbers in a row in other countries (services.guards).
    """

    recipients: int = 0
    units: int = 0
    cost_micros: int = 0
    unicode_recipients: int = 0
    by_units: Counter = field(default_factory=Counter)
    by_country: Counter = field(default_factory=Counter)
    by_language: Counter = field(default_factory=Counter)
    missing: Counter = field(default_factory=Counter)
    fallbacks: Counter = field(default_factory=Counter)
    left_out: Counter = field(default_factory=Counter)
    foreign_run: int = 0
    samples: list[tuple[str, str, str, int]] = field(default_factory=list)  # name, address, text, units
    contents: list[dict[str, Any] | None] = field(default_factory=list)  # of the samples: what they have beyond it

    def add(self, row: NewMessage, name: str, language: str = "") -> None:
        self.recipients += 1
        self.units += row.units
        self.cost_micros += row.cost_micros
        self.by_units[row.units] += 1
        if row.channel != Channel.EMAIL:  # no country has hours for mails
            self.by_country[row.country] += 1
        self.unicode_recipients += row.encoding == "ucs2"
        self.by_language[language] += 1
        if len(self.samples) < SAMPLES or self.by_language[language] == 1:  # each language is shown
            self.samples.append((name, row.recipient, row.text, row.units))
            self.contents.append(row.content)


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
        return filler.fallbacks(filler.values(contact)) if filler.template.fallbacks else []

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
        if link := self._links.get(contact[1]):
            values |= dict.fromkeys(self._link_fields, link)
        text = filler.template.render(values)
        if len(text) > MAX_CHARACTERS:
            return None, [], "too_long"
        if not text.strip():
            return None, filler.missing(values), "empty"
        region = region_of(contact[1])
        try:
            self.guard.check_place(contact[1], region)
            quote = self._prices.quote(text, Channel.SMS, region)
            choice = self._routes and self._routes.choose(country=region, sender=self.sender, number=contact[1])
        except (CountryClosed, TrialNumber, NoPrice, NoRoute) as error:
            return None, [], error.code
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
        return message, filler.missing(values), ""


AnyRenderer = Renderer | MailRenderer | WhatsAppRenderer


def renderer_for(campaign: Campaign, *, simulated: bool, ending: str, priced_at: datetime | None = None) -> AnyRenderer:
    """What turns a campaign's people into messages of its channel."""
    if campaign.channel == Channel.WHATSAPP:
        return WhatsAppRenderer(
            client=campaign.client,
            content=campaign.content,
            sender=campaign.sender,
            simulated=simulated,
            priced_at=priced_at,
        )
    if campaign.channel == Channel.EMAIL:
        return MailRenderer(
            client=campaign.client,
            text=campaign.text,
            content=campaign.content,
            variants=campaign.variants,
            sender=campaign.sender,
            simulated=simulated,
            priced_at=priced_at,
        )
    return Renderer(
        client=campaign.client,
        text=campaign.text,
        sender=campaign.sender_name,
        simulated=simulated,
        variants=campaign.variants,
        ending=ending,
        priced_at=priced_at,
    )


class Place(NamedTuple):
    """How far a walk through an audience has come: the last contact of the groups, the last listed number."""

    contact: int
    listed: int


START = Place(0, 0)


def walk_audience(
    *, campaign: Campaign, sender: str, after: Place = START, until: int | None = None
) -> Iterator[tuple[Place, list]]:
    """A campaign's people in chunks, each with the place after it: the contacts of its groups by id up to `until`,
    then its listed addresses that are in none of those groups. Without those who opted out of `sender`, and without the
    members of its excluded groups.
    """
    excluded = list(campaign.excluded.filter(client_id=campaign.client_id).values_list("pk", flat=True))
    group_ids = list(campaign.groups.filter(client_id=campaign.client_id).values_list("pk", flat=True))
    contact, listed = after
    channel = campaign.channel
    while rows := contacts.audience(
        campaign.client_id, group_ids, sender=sender, without=excluded, after_id=contact, limit=CHUNK, channel=channel
    ):
        last = rows[-1][0]
        rows = [row for row in rows if until is None or row[0] <= until]
        if rows:
            contact = rows[-1][0]
            yield Place(contact, listed), rows
        if until is not None and last > until:
            break
    numbers = CampaignRecipient.objects.for_client(campaign.client_id).filter(campaign=campaign).order_by("pk")
    while chunk := list(numbers.filter(pk__gt=listed).values_list("pk", "address")[:CHUNK]):
        listed = chunk[-1][0]
        rows = contacts.people_by_address(
            campaign.client_id,
            [address for _, address in chunk],
            sender=sender,
            outside=group_ids,
            until_contact=until,
            without=excluded,
            channel=channel,
        )
        yield Place(contact, listed), rows


def ending_of(campaign: Campaign) -> str:
    """What follows the text of a campaign."""
    rules = SendingRules.objects.for_client(campaign.client_id).first() or SendingRules(client=campaign.client)
    return rules.ending(campaign.message_class)


def quote_campaign(campaign: Campaign) -> Quote:
    """Render and price every recipient of a draft. Reads only; queries grow with chunks of 2,000, not with people.

    Raises: what pricing raises for a client without a plan.
    """
    quote = Quote()
    client = campaign.client
    sender = campaign.sender_name
    renderer = renderer_for(campaign, simulated=client.simulation, ending=ending_of(campaign))
    run = ForeignRun(client)
    for _place, rows in walk_audience(campaign=campaign, sender=sender):
        for row in rows:
            message, missing, reason = renderer.render(row)
            for name in missing:
                quote.missing[name] += 1
            if message is None:
                quote.left_out[reason] += 1
            else:
                quote.add(message, row[2], renderer.variant_of(row))
                for gap in renderer.fallbacks_of(row):
                    quote.fallbacks[gap] += 1
                if message.recipient.startswith("+"):
                    run.add(message.recipient, region_of(message.recipient))
    quote.foreign_run = run.longest()
    return quote


class Problem(NamedTuple):
    """What keeps a campaign from being sent, as a sentence with the remedy. step: on which of its pages that is."""

    step: str
    sentence: str


def problems_of(campaign: Campaign, quote: Quote) -> list[Problem]:
    """What keeps a campaign from being sent; money is not among it."""
    found = [Problem("message", sentence) for sentence in unwritten(campaign)]
    mail = campaign.channel == Channel.EMAIL
    if sentence := _sender_problem(campaign):
        found.append(Problem("message", sentence))
    if campaign.channel == Channel.WHATSAPP:
        found += [Problem("message", sentence) for sentence in problems_of_template(campaign)]
    try:
        check_may_send(campaign.client, campaign.channel)
    except ChannelNotAvailable as error:
        found.append(Problem("audience", str(error)))
    except ClientSuspended:
        pass  # the page says so by itself, and confirming refuses
    if quote.recipients == 0 and not quote.left_out:
        sentence = _("Nobody in these groups can be written to: choose a group with phone numbers.")
        if mail:
            sentence = _("Nobody in these groups can be written to: choose a group with e-mail addresses.")
        found.append(Problem("audience", sentence))
    everybody = quote.recipients + sum(quote.left_out.values())
    found += [
        Problem("message", _gap(name, count, is_everybody=count >= everybody))
        for name, count in sorted(quote.missing.items())
    ]
    if n := quote.left_out["too_long"]:
        found.append(Problem("message", _too_long(n, mail=mail)))
    if (n := quote.left_out["empty"]) and not unwritten(campaign):
        sentence = ngettext("For %(n)s person the text would be empty.", "For %(n)s people the text would be empty.", n)
        found.append(Problem("message", sentence % {"n": figure(n)}))
    if quote.recipients == 0:
        reasons = {
            "no_price": _("Your price plan has no price for these destinations. Ask your account manager."),
            "no_route": str(NoRoute.default_message),
            "country_closed": str(CountryClosed.default_message),
            "trial_number": str(TrialNumber.default_message),
        }
        found += [Problem("audience", sentence) for code, sentence in reasons.items() if quote.left_out[code]]
    return found


def _sender_problem(campaign: Campaign) -> str:
    if campaign.sender is None:
        return _("Choose the address it comes from.") if campaign.channel == Channel.EMAIL else _("Choose a sender ID.")
    if campaign.sender.state != "approved":
        return _("The sender ID %(name)s is not approved yet.") % {"name": campaign.sender.name}
    return class_problem(campaign.sender, campaign.message_class)


def _gap(name: str, count: int, *, is_everybody: bool) -> str:
    facts = {"field": f"{{{name}}}", "fallback": f"{{{name}|customer}}", "n": figure(count)}
    if is_everybody:
        return _("Nobody has a value for %(field)s. Write a fallback, such as %(fallback)s.") % facts
    sentence = ngettext(
        "%(n)s person has no value for %(field)s. Write a fallback, such as %(fallback)s.",
        "%(n)s people have no value for %(field)s. Write a fallback, such as %(fallback)s.",
        count,
    )
    return sentence % facts


def _too_long(n: int, *, mail: bool) -> str:
    if mail:
        sentence = ngettext(
            "For %(n)s person the filled-in mail is too long.", "For %(n)s people the filled-in mail is too long.", n
        )
    else:
        sentence = ngettext(
            "For %(n)s person the filled-in text is longer than %(most)s characters.",
            "For %(n)s people the filled-in text is longer than %(most)s characters.",
            n,
        )
    return sentence % {"n": figure(n), "most": MAX_CHARACTERS}


def unwritten(campaign: Campaign) -> list[str]:
    """Which parts of the message nobody has written yet."""
    if campaign.channel == Channel.WHATSAPP:
        return unwritten_template(campaign)
    if campaign.channel != Channel.EMAIL:
        return [] if campaign.text.strip() else [_("Write the text of the message.")]
    found = []
    if not campaign.content.get("subject"):
        found.append(_("Write the subject of the mail."))
    if not campaign.text.strip() and not campaign.content.get("html"):
        found.append(_("Write the text of the mail."))
    return found
