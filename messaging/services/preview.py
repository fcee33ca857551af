"""What one real person of the chosen groups would read, while the text is still being written."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from accounts.models import Client
from contacts import queries as contacts
from crm.common.errors import DomainError
from crm.common.merge_fields import parse_template
from crm.common.phones import region_of
from crm.common.plain_letters import plain_letter
from crm.common.text_units import MAX_CHARACTERS, ForcingCharacter, Layout, clean_text, forcing_unicode, lay_out
from messaging.models import Channel
from messaging.services.audience import BUILT_IN, Filler, field_values
from wallet import pricing
from wallet.errors import NoPrice

LOOKED_AT = 200  # contacts of the groups whose columns are offered as fields


@dataclass(frozen=True, slots=True)
class Preview:
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
    group_ids: Sequence[int] = (),
    sender: str = "",
    people: Sequence[contacts.Recipient] | None = None,
) -> Preview:
    """Fill in and measure `text` for the first of `people`, or of the groups where no people are given. Reads three
    small tables, never the whole audience; a text that no phone can show is measured as empty and named in `problem`.
    """
    problem = ""
    try:
        text = clean_text(text)
    except DomainError as error:
        text, problem = "", str(error)
    prices = pricing.load_prices(client.pk)
    if people is None:
        people = contacts.audience(client.pk, group_ids, sender=sender, limit=LOOKED_AT)
    name, phone, values = "", "", None
    missing: tuple[str, ...] = ()
    if people:
        _, phone, name, *_ = people[0]
        filler = Filler(text)
        filled = filler.values(people[0])
        text, missing = filler.template.render(filled), tuple(filler.missing(filled))
        values = field_values(people[0])
    price = None
    try:
        price = prices.unit_price_micros(Channel.SMS, region_of(phone) if phone else client.country)
    except NoPrice as error:
        problem = problem or str(error)
    return Preview(
        text=text,
        layout=lay_out(text, prices.unit_rule),
        unit_rule=prices.unit_rule,
        name=name,
        phone=phone,
        values=values,
        missing=missing,
        forcing=forcing_unicode(text),
        titles=_titles(people[:LOOKED_AT]),
        price_micros=price,
        problem=problem,
    )


def _titles(people: Sequence[contacts.Recipient]) -> list[str]:
    """The columns of these contacts that can be written as a merge field, built-in ones left out."""
    titles = dict.fromkeys(title for person in people for title in person[5])
    return [
        title
        for title in sorted(titles, key=str.casefold)
        if title.casefold() not in BUILT_IN and parse_template(f"{{{title}}}").fields == (title,)
    ][:20]
