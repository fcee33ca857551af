"""A mail as one real person of its audience reads it, while it is still being written."""

from collections.abc import Sequence
from dataclasses import dataclass

from contacts import queries as contacts
from messaging.models import Campaign, Channel, TemplateLanguage
from messaging.services.mail_rendering import MailRenderer
from messaging.services.preview import LOOKED_AT, OneOfMany, titles_of
from wallet import pricing
from wallet.errors import NoPrice


@dataclass(frozen=True, slots=True)
class MailPreview(OneOfMany):
    """What one person reads. address: "" where nobody is chosen yet; then the fields are still unfilled.

    price_micros: of one mail, None where `problem` says why there is none. missing: fields that would leave a gap.
    titles: further columns to offer as fields.
    """

    subject: str = ""
    preheader: str = ""
    text: str = ""
    html: str = ""
    name: str = ""
    address: str = ""
    language: str = ""
    missing: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    price_micros: int | None = None
    problem: str = ""


def preview_mail(
    *,
    campaign: Campaign,
    people: Sequence[contacts.Recipient],
    place: int = 0,
    problem: str = "",
) -> MailPreview:
    """Fill in the mail of `campaign`, which need not be saved, for one of `people`.

    place: of the person among the first LOOKED_AT, counted on in circles.
    """
    client = campaign.client
    renderer = MailRenderer(
        client=client,
        text=campaign.text,
        content=campaign.content,
        variants=campaign.variants,
        sender=campaign.sender,
        simulated=True,  # reads no roads: nothing is sent
    )
    price, of = None, min(len(people), LOOKED_AT)
    try:
        price = pricing.load_prices(client.pk).unit_price_micros(Channel.EMAIL, client.country)
    except NoPrice as error:
        problem = problem or str(error)
    if not people:
        return MailPreview(
            subject=campaign.content.get("subject", ""),
            preheader=campaign.content.get("preheader", ""),
            text=renderer.unfilled_text,
            html=campaign.content.get("html", ""),
            price_micros=price,
            problem=problem,
        )
    place %= of
    person = people[place]
    filled = renderer.fill(person)
    return MailPreview(
        **filled,
        name=person[2],
        address=person[3],
        language=str(dict(TemplateLanguage.choices).get(renderer.variant_of(person), "")),
        missing=tuple(renderer.missing_of(person)),
        titles=tuple(titles_of(people[:LOOKED_AT])),
        place=place,
        of=of,
        price_micros=price,
        problem=problem,
    )
