"""What one real person of the chosen groups would read, while the text is still being written."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from accounts.models import Client
from contacts import queries as contacts
from crm.common.errors import DomainError
from crm.common.merge_fields import parse_template
from crm.common.phones import region_of
from crm.common.plain_letters import plain_letter
from crm.common.text_units import (
    MAX_CHARACTERS,
    ForcingCharacter,
    Layout,
    UnitRule,
    clean_text,
    forcing_unicode,
    lay_out,
)
from messaging.models import Channel, TemplateLanguage
from messaging.services.filling import BUILT_IN, Filler, field_values, language_of
from wallet import pricing
from wallet.errors import NoPrice

LOOKED_AT = 200  # contacts of the groups whose columns are offered as fields


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOfMany:
    """Which of how many people is shown, and who comes before and after, in a circle."""

    place: int = 0
    of: int = 0

    @property
    def before(self) -> int:
        return (self.place - 1) % self.of if self.of else 0

    @property
    def after(self) -> int:
        return (self.place + 1) % self.of if self.of else 0


def people_to_show(
    client: Client,
    *,
    sender: str,
    group_ids: Sequence[int],
    excluded_ids: Sequence[int],
    addresses: Sequence[str],
    channel: str = Channel.SMS,
) -> list[contacts.Recipient]:
    """The first LOOKED_AT of the groups, and those of the addresses where there are fewer. Never the whole audience."""
    people = contacts.audience(
        client.pk, group_ids, sender=sender, without=excluded_ids, limit=LOOKED_AT, channel=channel
    )
    if len(people) < LOOKED_AT and addresses:
        people += contacts.people_by_address(
            client.pk, addresses, sender=sender, outside=group_ids, without=excluded_ids, channel=channel
        )
    return people


def readers_of(
    people: Sequence[contacts.Recipient], language: str, written: Collection[str]
) -> list[contacts.Recipient]:
    """Those who read a language of a text that is also `written` in these; "" is what everybody else reads."""
    prefer = [(person, language_of(person)) for person in people]
    return [person for person, found in prefer if (found if found in written else "") == language]


@dataclass(frozen=True, slots=True)
class Preview(OneOfMany):
    """The text filled in for one person and measured. Counts and price are those the review page and the charge use.

    phone: E.164, "" where no group with anybody is chosen; then the fields are still unfilled. price_micros: of one
    unit, None where `problem` says why there is no price. values: what the person has, by field name in lower case;
    None without a person. missing: fields that would leave a gap for this person. titles: further columns to offer.
    """

    text: str
    layout: Layout
    unit_rule: str
    name: str = ""
    phone: str = ""
    values: dict[str, str] | None = None
    missing: tuple[str, ...] = ()
    forcing: list[ForcingCharacter] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    price_micros: int | None = None
    problem: str = ""
    ending: str = ""
    language: str = ""
    units_plain: int = 0

    @property
    def extra_units(self) -> int:
        """What the characters outside the standard alphabet cost: units that would not be, were they plain."""
        return max(self.units - self.units_plain, 0)

    @property
    def pieces(self) -> list[tuple[str, str]]:
        """The units of the text, each with what was typed of it and what the ending adds."""
        typed, found = len(self.text) - len(self.ending), []
        start = 0
        for part in self.layout.parts:
            cut = min(max(typed - start, 0), len(part))
            found.append((part[:cut], part[cut:]))
            start += len(part)
        return found

    @property
    def plain(self) -> list[tuple[ForcingCharacter, str | None]]:
        """What forces Unicode, each with the plain letters that stand in for it; None where nothing does."""
        return [(found, plain_letter(found.character)) for found in self.forcing]

    @property
    def units(self) -> int:
        return len(self.layout.parts)

    @property
    def characters(self) -> int:
        return len(self.text)

    @property
    def too_long(self) -> bool:
        return self.characters > MAX_CHARACTERS

    @property
    def blocks(self) -> list[int]:
        """How far each unit is filled, at least one block; each holds `layout.size`."""
        full = [self.layout.size] * (self.units - 1)
        return [*full, self.layout.size - self.layout.left]


def preview_text(
    *,
    client: Client,
    text: str,
    people: Sequence[contacts.Recipient] = (),
    place: int = 0,
    variants: Mapping[str, str] | None = None,
    ending: str = "",
    prices: pricing.PriceList | None = None,
) -> Preview:
    """Fill in and measure `text` for one of `people`, unfilled where there are none. Reads small tables only; a text
    that no phone can show is measured as empty and named in `problem`.

    place: of the person among the first LOOKED_AT, counted on in circles. variants: by language code, read by who
    prefers them. ending: what follows the text (SendingRules.ending). prices: the client's, where somebody read them.
    """
    problem = ""
    texts = {"": text} | {code: words for code, words in (variants or {}).items() if words.strip()}
    try:
        texts = {code: clean_text(words) for code, words in texts.items()}
    except DomainError as error:
        texts, problem = {"": ""}, str(error)
    prices = pricing.load_prices(client.pk) if prices is None else prices
    language = ""
    name, phone, values = "", "", None
    missing: tuple[str, ...] = ()
    text = texts[""]
    if people:
        place %= min(len(people), LOOKED_AT)
        person = people[place]
        _, phone, name, *_ = person
        language = language_of(person) if language_of(person) in texts else ""
        filler = Filler(texts[language])
        filled = filler.values(person)
        text, missing = filler.template.render(filled), tuple(filler.missing(filled))
        values = field_values(person)
    written = text
    text += ending if text.strip() else ""
    price = None
    try:
        price = prices.unit_price_micros(Channel.SMS, region_of(phone) if phone else client.country)
    except NoPrice as error:
        problem = problem or str(error)
    return Preview(
        text=text,
        ending=text[len(written) :],
        place=place if people else 0,
        of=min(len(people), LOOKED_AT),
        language=str(dict(TemplateLanguage.choices).get(language, "")),
        units_plain=len(lay_out(_plain(text), prices.unit_rule).parts),
        layout=lay_out(text, prices.unit_rule),
        unit_rule=prices.unit_rule,
        name=name,
        phone=phone,
        values=values,
        missing=missing,
        forcing=forcing_unicode(text),
        titles=titles_of(people[:LOOKED_AT]),
        price_micros=price,
        problem=problem,
    )


def measure_text(typed: str, rule: UnitRule) -> Preview:
    """What `typed` takes on air by `rule`, for nobody in particular: the counter that needs no account."""
    problem = ""
    try:
        text = clean_text(typed)
    except DomainError as error:
        text, problem = "", str(error)
    return Preview(
        text=text,
        layout=lay_out(text, rule),
        unit_rule=rule,
        forcing=forcing_unicode(text),
        units_plain=len(lay_out(_plain(text), rule).parts),
        problem=problem,
    )


def _plain(text: str) -> str:
    """The text in the standard alphabet; what has no plain letter is left out."""
    letters = {found.character: plain_letter(found.character) or "" for found in forcing_unicode(text)}
    return "".join(letters.get(character, character) for character in text)


def titles_of(people: Sequence[contacts.Recipient]) -> list[str]:
    """The columns of these contacts that can be written as a merge field, built-in ones left out."""
    titles = dict.fromkeys(title for person in people for title in person[5])
    return [
        title
        for title in sorted(titles, key=str.casefold)
        if title.casefold() not in BUILT_IN and parse_template(f"{{{title}}}").fields == (title,)
    ][:20]
