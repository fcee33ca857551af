"""WhatsApp campaigns: an approved template, filled in for each person in the language that they prefer.

`Campaign.content` names the template and what its variables stand for, as texts with merge fields:
{template, language, variables: {"1": "{first_name|client}", …}}. `Campaign.text` is the body with these put in.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from accounts.models import Client
from crm.common.errors import InvalidInput
from crm.common.phones import region_of
from messaging.errors import CountryClosed, NoRoute, TrialNumber
from messaging.models import Campaign, Channel, MessageClass, SenderId, WhatsAppTemplate, WhatsAppTemplateEvent
from messaging.providers.whatsapp_words import fill_body, parameters_of, variables_of
from messaging.services.filling import Filler, language_of
from messaging.services.guards import Guard
from messaging.services.known_templates import problem_of_sending
from messaging.services.routing import RouteTable
from messaging.services.storing import NewMessage
from wallet import pricing
from wallet.errors import NoPrice

LONGEST_VARIABLE = 1024
PARTS = ("template", "language", "variables")


class DraftTemplate(NamedTuple):
    """A draft's message as it is kept: Campaign.text and Campaign.content."""

    text: str
    content: dict[str, Any]


def read_draft_template(client: Client, given: Mapping[str, Any]) -> DraftTemplate:
    """Check what is chosen of a draft that is still being written: nothing has to be there yet.

    given: PARTS. A language may be left out where the template has one alone; a person who prefers another one that it
    has reads that. Raises: InvalidInput (template, language, variables).
    """
    name, language = str(given.get("template") or "").strip(), str(given.get("language") or "").strip()
    typed = given.get("variables") or {}
    if not name:
        return DraftTemplate("", {})
    rows = list(WhatsAppTemplate.objects.for_client(client).filter(name=name).order_by("pk"))
    if not rows:
        raise InvalidInput({"template": [problem_of_sending(None, name[:100], language or "?")]})
    chosen = [row for row in rows if row.language == language] if language else rows
    if not chosen:
        raise InvalidInput({"language": [problem_of_sending(None, name, language[:15])]})
    template = next((row for row in chosen if row.can_be_sent), chosen[0])
    wanted = variables_of(template.body)
    variables = {name: " ".join(str(typed.get(name) or "").split()) for name in wanted}
    if strangers := sorted(set(map(str, typed)) - set(wanted)):
        listed = ", ".join(wanted) or _("none")
        words = _("This template has the variables: %(names)s.") % {"names": listed}
        raise InvalidInput({"variables": [f"{words} ({', '.join(strangers)[:100]})"]})
    if any(len(value) > LONGEST_VARIABLE for value in variables.values()):
        raise InvalidInput({"variables": [_("Every variable needs a value of at most 1,024 characters.")]})
    kept = {name: value for name, value in variables.items() if value}
    content = {"template": name, "language": template.language, "variables": kept}
    return DraftTemplate(fill_body(template.body, kept), content)


def template_of(campaign: Campaign) -> WhatsAppTemplate | None:
    """The template of a draft in its main language, whatever its state."""
    content = campaign.content
    mine = WhatsAppTemplate.objects.for_client(campaign.client_id)
    return mine.filter(name=content.get("template", ""), language=content.get("language", "")).first()


def unwritten_template(campaign: Campaign) -> list[str]:
    """Which parts nobody has chosen yet."""
    if not campaign.content.get("template"):
        return [_("Choose a WhatsApp template.")]
    template = template_of(campaign)
    if template is None:
        return [problem_of_sending(None, campaign.content["template"], campaign.content.get("language", ""))]
    given = campaign.content.get("variables", {})
    missing = [name for name in variables_of(template.body) if not str(given.get(name, "")).strip()]
    return [_("Say what {{%(name)s}} of the template stands for.") % {"name": name} for name in missing]


def problems_of_template(campaign: Campaign) -> list[str]:
    """Why WhatsApp would not take it, as sentences with the remedy. What is unwritten is not among them."""
    template = template_of(campaign)
    if template is None:
        return []
    found = []
    simulated = campaign.client.simulation
    if not simulated and (problem := problem_of_sending(template, template.name, template.language)):
        found.append(problem)
    if template.needs:
        found.append(_("This template takes more than its text’s variables: send it by the API."))
    if template.category == "marketing" and campaign.message_class != MessageClass.PROMOTION:
        found.append(_("This template is marketing to WhatsApp: say that the message is a promotion."))
    return found


def stopped_template(campaign: Campaign) -> str:
    """Why a running campaign had better wait: its template is not approved any more. "" where it is."""
    if campaign.channel != Channel.WHATSAPP or campaign.simulated:
        return ""
    content = campaign.content
    return problem_of_sending(template_of(campaign), content.get("template", ""), content.get("language", ""))


class _Letter:
    """One language of the template, and what its variables are filled with."""

    def __init__(self, template: WhatsAppTemplate, variables: Mapping[str, str], category: str) -> None:
        self.template, self.category = template, category
        self.fillers = {name: Filler(variables.get(name, "")) for name in variables_of(template.body)}
        self.has_fallback = any(filler.template.fallbacks for filler in self.fillers.values())

    def values(self, contact: Sequence) -> dict[str, str]:
        """What this person has for each variable: one line, whatever a contact holds."""
        found = {}
        for name, filler in self.fillers.items():
            found[name] = " ".join(filler.template.render(filler.values(contact)).split())[:LONGEST_VARIABLE]
        return found

    def missing(self, contact: Sequence) -> list[str]:
        found = (name for filler in self.fillers.values() for name in filler.missing(filler.values(contact)))
        return list(dict.fromkeys(found))

    def fallbacks(self, contact: Sequence) -> list[tuple[str, str]]:
        found = (gap for filler in self.fillers.values() for gap in filler.fallbacks(filler.values(contact)))
        return list(dict.fromkeys(found))


class WhatsAppRenderer:
    """Turns contacts into priced messages, as text_rendering.Renderer does into texts. A message is one unit, priced by
    what WhatsApp bills it as.
    """

    def __init__(
        self,
        *,
        client: Client,
        content: Mapping[str, Any],
        sender: SenderId | None,
        simulated: bool,
        priced_at: datetime | None = None,
    ) -> None:
        """priced_at: whose prices and categories hold; None: those of now."""
        name, self._main = content.get("template", ""), content.get("language", "")
        variables = content.get("variables", {})
        rows = list(WhatsAppTemplate.objects.for_client(client).filter(name=name)) if name else []
        main = next((row for row in rows if row.language == self._main), None)
        wanted = set(variables_of(main.body)) if main else set()
        usable = [row for row in rows if row is main or (_is_twin(row, wanted) and (simulated or row.can_be_sent))]
        categories = _categories_at(client, usable, priced_at)
        self._letters = {row.language: _Letter(row, variables, categories[row.pk]) for row in usable}
        self.has_fallback = any(letter.has_fallback for letter in self._letters.values())
        # en before en_GB where somebody reads English
        self._by_preference = {code.split("_")[0]: code for code in sorted(self._letters, reverse=True)}
        if main:
            self._by_preference[self._main.split("_")[0]] = self._main
        self.client, self.sender, self.simulated = client, sender, simulated
        self._prices = pricing.load_prices(client.pk, priced_at)
        self._routes = None if simulated else RouteTable(Channel.WHATSAPP)
        self.guard = Guard(client, simulated=simulated)

    def make_links(self, people: Sequence[Sequence]) -> None:
        """Nothing: a template has no way out of its own; people answer STOP."""

    def _letter(self, contact: Sequence) -> _Letter | None:
        return self._letters.get(self.variant_of(contact) or self._main)

    def variant_of(self, contact: Sequence) -> str:
        """The language of the template that this person reads; "" for the main one."""
        language = self._by_preference.get(language_of(contact), "") if len(self._letters) > 1 else ""
        return "" if language == self._main else language

    def fallbacks_of(self, contact: Sequence) -> list[tuple[str, str]]:
        letter = self._letter(contact)
        return letter.fallbacks(contact) if letter and letter.has_fallback else []

    def missing_of(self, contact: Sequence) -> list[str]:
        letter = self._letter(contact)
        return letter.missing(contact) if letter else []

    def text_for(self, contact: Sequence) -> str:
        """What this person reads, whatever its price or country."""
        letter = self._letter(contact)
        return fill_body(letter.template.body, letter.values(contact)) if letter else ""

    def words_for(self, contact: Sequence) -> tuple[WhatsAppTemplate | None, dict[str, str]]:
        """The template in this person's language, and the values of its variables."""
        letter = self._letter(contact)
        return (letter.template, letter.values(contact)) if letter else (None, {})

    def render(self, contact: Sequence) -> tuple[NewMessage | None, list[str], str]:
        """(message, fields that are missing, reason code): the message is None where the person is left out."""
        letter, phone = self._letter(contact), contact[1]
        if letter is None:
            return None, [], "empty"
        values = letter.values(contact)
        if not all(values.values()):
            return None, letter.missing(contact), "missing"
        region, sender = region_of(phone), self.sender.name if self.sender else ""
        try:
            self.guard.check_place(phone, region)
            price = self._prices.unit_price_micros(Channel.WHATSAPP, region, letter.category)
            choice = self._routes.choose(country=region, sender=sender, number=phone) if self._routes else None
        except (CountryClosed, TrialNumber, NoPrice, NoRoute) as error:
            return None, [], error.code
        template = letter.template
        message = NewMessage.of_one_unit(
            recipient=phone,
            sender=sender,
            text=fill_body(template.body, values),
            price_micros=price,
            road=choice,
            country=region,
            channel=Channel.WHATSAPP,
            content={
                "template": template.name,
                "language": template.language,
                "parameters": parameters_of(template.body, values),
            },
            contact_id=contact[0] or None,
        )
        return message, [], ""


def _is_twin(template: WhatsAppTemplate, variables: set[str]) -> bool:
    """Whether a template of the same name can stand in for the main one, for those who read its language."""
    return not template.needs and set(variables_of(template.body)) == variables


def _categories_at(client: Client, rows: Sequence[WhatsAppTemplate], moment: datetime | None) -> dict[int, str]:
    """What WhatsApp billed these as at a moment, by id: a change of category after it alters no price (M7)."""
    found = {row.pk: row.category for row in rows}
    if moment is not None:
        later = WhatsAppTemplateEvent.objects.for_client(client).filter(
            template__in=list(found), kind="category", at__gt=moment
        )
        found |= dict(later.order_by("-pk").values_list("template_id", "before"))  # the first one after it counts
    return found
