"""Who a campaign reaches, what each of them reads, and what it costs: one walk for quote and for sending."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from contacts import queries as contacts
from crm.common.figures import figure
from crm.common.text_units import MAX_CHARACTERS
from messaging.errors import ChannelNotAvailable, ClientSuspended, CountryClosed, NoRoute, TrialNumber
from messaging.models import Campaign, CampaignRecipient, Channel, SendingRules
from messaging.services.accept import check_may_send
from messaging.services.guards import ForeignRun
from messaging.services.mail_rendering import MailRenderer
from messaging.services.senders import class_problem
from messaging.services.storing import NewMessage
from messaging.services.text_rendering import Renderer
from messaging.services.whatsapp_rendering import WhatsAppRenderer, problems_of_template, unwritten_template

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

    def price(self, renderer: "AnyRenderer", people: Sequence[contacts.Recipient]) -> list[NewMessage]:
        """Render and add these people; returns the messages of those who get one."""
        priced = []
        for person in people:
            message, missing, reason = renderer.render(person)
            if missing:
                self.missing.update(missing)
            if message is None:
                self.left_out[reason] += 1
                continue
            priced.append((message, person[2], renderer.variant_of(person)))
            if renderer.has_fallback:
                self.fallbacks.update(renderer.fallbacks_of(person))
        self._count(priced)
        return [message for message, _, _ in priced]

    def _count(self, priced: Sequence[tuple[NewMessage, str, str]]) -> None:
        """Add messages, each with the name and the language of who reads it: alike ones together."""
        alike = Counter(
            (row.channel, row.units, row.cost_micros, row.country, row.encoding, code) for row, _, code in priced
        )
        fresh = {code for *_, code in alike if code not in self.by_language}
        for (channel, units, cost_micros, country, encoding, code), people in alike.items():
            self.recipients += people
            self.units += units * people
            self.cost_micros += cost_micros * people
            self.by_units[units] += people
            if channel != Channel.EMAIL:  # no country has hours for mails
                self.by_country[country] += people
            self.unicode_recipients += people if encoding == "ucs2" else 0
            self.by_language[code] += people
        if fresh or len(self.samples) < SAMPLES:
            for row, name, code in priced:
                if len(self.samples) < SAMPLES or code in fresh:  # each language is shown
                    self.samples.append((name, row.recipient, row.text, row.units))
                    self.contents.append(row.content)
                    fresh.discard(code)


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
    more = True
    while more:
        window = contacts.audience_window(
            campaign.client_id,
            group_ids,
            sender=sender,
            without=excluded,
            after_id=contact,
            until=until,
            size=CHUNK,
            channel=channel,
        )
        more = window.end is not None
        if window.people:
            contact = window.end or window.people[-1][0]
            yield Place(contact, listed), window.people
        contact = window.end or contact
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


def quote_campaign(campaign: Campaign, *, tell: Callable[[int], None] | None = None) -> Quote:
    """Render and price every recipient of a draft. Reads only; queries grow with chunks of 2,000, not with people.

    tell: called with how many people are counted, after each chunk; what it raises ends the counting.
    Raises: what pricing raises for a client without a plan.
    """
    quote = Quote()
    client = campaign.client
    sender = campaign.sender_name
    renderer = renderer_for(campaign, simulated=client.simulation, ending=ending_of(campaign))
    run = ForeignRun(client)
    for _place, people in walk_audience(campaign=campaign, sender=sender):
        for message in quote.price(renderer, people):
            if message.country != client.country and message.recipient.startswith("+"):
                run.add(message.recipient, message.country)
        if tell:
            tell(quote.recipients + quote.left_out.total())
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
            sentence = _("Nobody in these groups can be written to: choose a group with email addresses.")
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
