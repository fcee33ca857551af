"""Mails of campaigns: what a draft may hold, and how it is filled in for each person.

What a contact has is put into the text as it is, into HTML escaped, and into the subject on one line.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any, NamedTuple

from accounts.models import Client
from contacts import services as contact_services
from crm.common.errors import DomainError, InvalidInput
from crm.common.html_mail import text_of_html
from messaging.errors import NoRoute, TrialNumber
from messaging.models import Channel, SenderId, TemplateLanguage
from messaging.services.filling import OPT_OUT_LINK, Filler, language_of
from messaging.services.guards import Guard
from messaging.services.mails import LONGEST_BODY, LONGEST_SUBJECT, Layout, MailDraft, check_mail, content_for
from messaging.services.routing import RouteTable
from messaging.services.storing import NewMessage
from wallet import pricing
from wallet.errors import NoPrice

PARTS = ("subject", "preheader", "html", "reply_to")


class DraftMail(NamedTuple):
    """A mail as a draft keeps it: Campaign.text, Campaign.variants and Campaign.content."""

    text: str
    variants: dict[str, str]
    content: dict[str, Any]


def read_draft_mail(
    *, text: str, parts: Mapping[str, str], variants: Mapping[str, Mapping[str, str]] | None = None
) -> DraftMail:
    """Check and clean a mail that is still being written: nothing has to be there yet.

    parts: PARTS, those that were typed. variants: {text, subject, html} by language code.
    Raises: InvalidInput with a sentence per field (`subject`, `text`, `subject_fr`, …).
    """
    errors: dict[str, list[str]] = {}
    main = _read(errors, "", text=text, **{name: parts.get(name, "") for name in PARTS})
    content: dict[str, Any] = {name: getattr(main, name) for name in PARTS if getattr(main, name)}
    texts, others = {}, {}
    for code in TemplateLanguage.values:
        typed = (variants or {}).get(code) or {}
        words = _read(errors, f"_{code}", **{name: typed.get(name, "") for name in ("text", "subject", "html")})
        if words.text:
            texts[code] = words.text
        if kept := {name: getattr(words, name) for name in ("subject", "html") if getattr(words, name)}:
            others[code] = kept
    if errors:
        raise InvalidInput(errors)
    return DraftMail(main.text, texts, content | ({"variants": others} if others else {}))


def _read(errors: dict[str, list[str]], suffix: str, **typed: str) -> Layout:
    values: dict[str, str] = {"subject": "", "text": "", "html": ""} | typed
    try:
        return check_mail(**values, is_draft=True)  # type: ignore[arg-type]
    except DomainError as error:
        errors[f"{error.facts.get('field', 'text')}{suffix}"] = [str(error)]
        return Layout("", "", "")


class _Letter:
    """A mail in one language, taken apart once. Its text is made from the HTML where none was written."""

    def __init__(self, *, subject: str, text: str, html: str, preheader: str) -> None:
        self.parts = {
            "subject": Filler(subject),
            "preheader": Filler(preheader),
            "text": Filler(text if text.strip() else text_of_html(html)),
            "html": Filler(html),
        }
        self.has_fallback = any(part.template.fallbacks for part in self.parts.values())

    def fill(self, contact: Sequence, link: str = "") -> dict[str, str]:
        """link: the person's own way out; "" stands for one of the same length."""
        filled = {}
        for name, part in self.parts.items():
            values = part.values(contact)
            if link:
                values |= {field: link for field in values if field.casefold() == OPT_OUT_LINK}
            if name == "html":
                values = {field: escape(value) for field, value in values.items()}
            filled[name] = part.template.render(values)
        for name in ("subject", "preheader"):  # one line each, whatever a contact holds
            filled[name] = " ".join(filled[name].split())[:LONGEST_SUBJECT]
        return filled

    def missing(self, contact: Sequence) -> list[str]:
        found = (name for part in self.parts.values() for name in part.missing(part.values(contact)))
        return list(dict.fromkeys(found))

    def fallbacks(self, contact: Sequence) -> list[tuple[str, str]]:
        found = (gap for part in self.parts.values() for gap in part.fallbacks(part.values(contact)))
        return list(dict.fromkeys(found))


class MailRenderer:
    """Turns contacts into priced mails, as text_rendering.Renderer does into texts: one unit each, priced at home."""

    def __init__(
        self,
        *,
        client: Client,
        text: str,
        content: Mapping[str, Any],
        variants: Mapping[str, str],
        sender: SenderId | None,
        simulated: bool,
        priced_at: datetime | None = None,
    ) -> None:
        subject, preheader = content.get("subject", ""), content.get("preheader", "")
        self._letters = {"": _Letter(subject=subject, text=text, html=content.get("html", ""), preheader=preheader)}
        others: Mapping[str, Mapping[str, str]] = content.get("variants", {})
        for code in {*variants, *others}:
            other = others.get(code, {})
            words, html = variants.get(code, ""), other.get("html", "")
            if words.strip() or html:
                self._letters[code] = _Letter(
                    subject=other.get("subject") or subject, text=words, html=html, preheader=preheader
                )
        self.has_fallback = any(letter.has_fallback for letter in self._letters.values())
        self._reply_to: str = content.get("reply_to", "")
        self.client = client
        self.sender = sender
        self.simulated = simulated
        self._prices = pricing.load_prices(client.pk, priced_at)
        self._routes = None if simulated else RouteTable(Channel.EMAIL)
        self.guard = Guard(client, simulated=simulated)
        self._links: dict[str, str] = {}

    @property
    def unfilled_text(self) -> str:
        """The text of the main mail with its fields as they are."""
        return self._letters[""].parts["text"].template.text

    def make_links(self, people: Sequence[Sequence]) -> None:
        """Make everybody's own way out of the list, before these people are rendered to be sent to. Two statements.

        A quote goes without: its mails end before the way out.
        """
        self._links = contact_services.opt_out_urls(
            client_id=self.client.pk, channel=Channel.EMAIL, sender="", addresses=[person[3] for person in people]
        )

    def variant_of(self, contact: Sequence) -> str:
        """The language of the mail that this person reads; "" for the main one."""
        language = language_of(contact) if len(self._letters) > 1 else ""
        return language if language in self._letters else ""

    def fallbacks_of(self, contact: Sequence) -> list[tuple[str, str]]:
        letter = self._letters[self.variant_of(contact)]
        return letter.fallbacks(contact) if letter.has_fallback else []

    def missing_of(self, contact: Sequence) -> list[str]:
        return self._letters[self.variant_of(contact)].missing(contact)

    def fill(self, contact: Sequence) -> dict[str, str]:
        """{subject, preheader, text, html} as this person reads them, without the way out."""
        return self._letters[self.variant_of(contact)].fill(contact)

    def draft_for(self, contact: Sequence, *, to: str, mark: str = "") -> MailDraft:
        """What this person reads, as one mail to somebody else; `mark` begins its subject."""
        filled = self.fill(contact)
        return MailDraft(
            to,
            f"{mark}{filled['subject']}"[:LONGEST_SUBJECT],
            text=filled["text"],
            html=filled["html"],
            preheader=filled["preheader"],
            reply_to=self._reply_to,
        )

    def text_for(self, contact: Sequence) -> str:
        return self.fill(contact)["text"]

    def render(self, contact: Sequence) -> tuple[NewMessage | None, list[str], str]:
        """(message, fields that are missing, reason code): the message is None where the person is left out."""
        language, address = self.variant_of(contact), contact[3]
        letter, link = self._letters[language], self._links.get(address, "")
        filled = letter.fill(contact, link)
        if max(len(filled["text"]), len(filled["html"])) > LONGEST_BODY:
            return None, [], "too_long"
        if not filled["subject"] or not filled["text"].strip() + filled["html"].strip():
            return None, letter.missing(contact), "empty"
        country, sender = self.client.country, self.sender.name if self.sender else ""
        try:
            self.guard.check_address(address)
            price = self._prices.unit_price_micros(Channel.EMAIL, country)
            choice = self._routes.choose(country=country, sender=sender, number=address) if self._routes else None
        except (TrialNumber, NoPrice, NoRoute) as error:
            return None, [], error.code
        layout = Layout(filled["subject"], filled["text"], filled["html"], filled["preheader"], self._reply_to)
        from_name = self.sender.display_name if self.sender else ""
        text, content = content_for(layout, from_name=from_name, way_out=link, language=language)
        message = NewMessage.of_one_unit(
            recipient=address,
            sender=sender,
            text=text,
            price_micros=price,
            road=choice,
            country=country,
            channel=Channel.EMAIL,
            content=content,
            contact_id=contact[0] or None,
        )
        return message, letter.missing(contact), ""
