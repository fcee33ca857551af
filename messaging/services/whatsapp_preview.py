"""A WhatsApp template as one real person of the audience reads it, while the campaign is still being written."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from contacts import queries as contacts
from messaging.models import Campaign, Channel, TemplateLanguage, WhatsAppTemplate
from messaging.services.preview import LOOKED_AT, OneOfMany, titles_of
from messaging.services.whatsapp_rendering import WhatsAppRenderer, template_of
from wallet import pricing
from wallet.errors import NoPrice


@dataclass(frozen=True, slots=True)
class TemplatePreview(OneOfMany):
    """What one person reads. phone: "" where nobody is chosen yet; then the fields are still unfilled.

    header, footer, buttons: of the template in this person's language. category: of it. price_micros: of one message to
    this person, None where `problem` says why there is none. missing: fields that would leave a gap.
    """

    body: str = ""
    header: str = ""
    footer: str = ""
    buttons: Sequence[dict[str, str]] = ()
    code: str = ""
    category: str = ""
    name: str = ""
    phone: str = ""
    language: str = ""
    missing: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    price_micros: int | None = None
    problem: str = ""
    units: int = field(default=1)


def preview_template(
    *,
    campaign: Campaign,
    people: Sequence[contacts.Recipient],
    place: int = 0,
    problem: str = "",
) -> TemplatePreview:
    """Fill in the template of `campaign`, which need not be saved, for one of `people`.

    place: of the person among the first LOOKED_AT, counted on in circles.
    """
    client = campaign.client
    of = min(len(people), LOOKED_AT)
    template: WhatsAppTemplate | None = template_of(campaign)
    if template is None:
        return TemplatePreview(problem=problem, titles=tuple(titles_of(people[:LOOKED_AT])))
    price = None
    try:
        price = pricing.load_prices(client.pk).unit_price_micros(Channel.WHATSAPP, client.country, template.category)
    except NoPrice as error:
        problem = problem or str(error)
    if not people:
        return TemplatePreview(
            body=campaign.text, header=template.header, footer=template.footer, buttons=template.buttons,
            code=template.language, category=template.get_category_display(), price_micros=price, problem=problem,
        )  # fmt: skip
    renderer = WhatsAppRenderer(
        client=client, content=campaign.content, sender=campaign.sender, simulated=client.simulation
    )
    place %= of
    person = people[place]
    shown = renderer.words_for(person)[0] or template
    message = renderer.render(person)[0]
    return TemplatePreview(
        body=renderer.text_for(person), header=shown.header, footer=shown.footer, buttons=shown.buttons,
        code=shown.language, category=shown.get_category_display(), name=person[2], phone=person[1],
        language=str(dict(TemplateLanguage.choices).get(renderer.variant_of(person)[:2], "")),
        missing=tuple(renderer.missing_of(person)), titles=tuple(titles_of(people[:LOOKED_AT])), place=place, of=of,
        price_micros=message.cost_micros if message and not client.simulation else price, problem=problem,
    )  # fmt: skip
