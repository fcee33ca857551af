"""Accepting emails: the same promises as for texts (D1), with an address, a subject and HTML beside the text.

What a recipient gets is laid out here and kept with the message: the HTML made harmless, the text derived from it where
none was given, and the way out of the list at the end of both.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Any, Final

from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Client
from contacts import queries as contacts
from contacts import services as contact_services
from crm.common.errors import DomainError, InvalidInput
from crm.common.figures import figure
from crm.common.html_mail import clean_html, text_of_html
from crm.common.sql import database_now
from crm.common.text_units import EmptyText, clean_text
from messaging.errors import ClientSuspended, InvalidSchedule, NoRoute, TextTooLong, TrialNumber
from messaging.models import Channel, SenderId
from messaging.services.accept import FURTHEST_SCHEDULE, Accepted, DuplicateRecipient, OptedOut, Refused
from messaging.services.drafts import answers_of
from messaging.services.guards import Guard
from messaging.services.routing import RouteTable
from messaging.services.senders import SenderBook, read_email
from messaging.services.storing import NewMessage, store_messages
from wallet import pricing
from wallet.errors import NoPrice

LONGEST_SUBJECT: Final = 200
LONGEST_PREHEADER: Final = 200
LONGEST_BODY: Final = 200_000  # characters, of text and of HTML each
MOST_HEADERS: Final = 10
_HEADER: Final = re.compile(r"[Xx]-[A-Za-z0-9-]{1,60}")


class InvalidMail(DomainError):
    """A part of a mail cannot be sent so. Fact: `field`."""

    code = "invalid_mail"


@dataclass(frozen=True, slots=True)
class MailDraft:
    """One mail as a door received it. html and text: at least one. unsubscribe: whether it carries the way out."""

    recipient: str
    subject: str
    text: str = ""
    html: str = ""
    preheader: str = ""
    reply_to: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""
    contact_id: int | None = None
    unsubscribe: bool = True


@dataclass(frozen=True, slots=True)
class Layout:
    """A mail checked and cleaned, before it is one person's."""

    subject: str
    text: str
    html: str
    preheader: str = ""
    reply_to: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def check_mail(
    *, subject: str, text: str, html: str, preheader: str = "", reply_to: str = "",
    headers: Mapping[str, str] | None = None, is_draft: bool = False,
) -> Layout:  # fmt: skip
    """The mail as it will be sent; is_draft: subject and body may be missing, and no text is made from the HTML.

    Raises: InvalidMail, EmptyText, UnreadableText, TextTooLong.
    """
    subject = " ".join(clean_text(subject).split())
    if not subject and not is_draft:
        raise InvalidMail(_("Write a subject."), field="subject")
    if len(subject) > LONGEST_SUBJECT:
        raise InvalidMail(
            _("The subject has more than %(most)d characters.") % {"most": LONGEST_SUBJECT}, field="subject"
        )
    preheader = " ".join(clean_text(preheader).split())
    if len(preheader) > LONGEST_PREHEADER:
        raise InvalidMail(
            _("The preview text has more than %(most)d characters.") % {"most": LONGEST_PREHEADER}, field="preheader"
        )
    text, html = clean_text(text).strip(), clean_text(html).strip()
    for body in (text, html):
        if len(body) > LONGEST_BODY:
            raise TextTooLong(
                _("The mail has {n} characters; at most {most} are allowed.").format(
                    n=figure(len(body)), most=figure(LONGEST_BODY)
                ),
                characters=len(body),
            )
    html = clean_html(html) if html else ""
    if not is_draft:
        text = text or text_of_html(html)
    if not text and not html and not is_draft:
        raise EmptyText(_("There is no text to send."))
    if reply_to.strip():
        try:
            reply_to = read_email(reply_to, field="reply_to")
        except InvalidInput as error:
            raise InvalidMail(str(error), field="reply_to") from None
    return Layout(subject, text, html, preheader, reply_to.strip(), _checked_headers(headers or {}))


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    if len(headers) > MOST_HEADERS:
        raise InvalidMail(_("At most %(most)d headers.") % {"most": MOST_HEADERS}, field="headers")
    found = {}
    for name, value in headers.items():
        if not _HEADER.fullmatch(str(name)) or not isinstance(value, str) or len(value) > 500:
            raise InvalidMail(_("Headers of your own begin with X- and have short values."), field="headers")
        found[str(name)] = " ".join(clean_text(value).split())
    return found


def content_for(layout: Layout, *, from_name: str, way_out: str, language: str = "") -> tuple[str, dict[str, Any]]:
    """One person's text and content: with a key for bounces and the way out at the end. way_out: "" for none."""
    text, html = layout.text, layout.html
    if way_out:
        with translation.override(language or None):
            words = _("Unsubscribe")
        text = f"{text}\n\n-- \n{words}: {way_out}"
        if html:
            html += f'<p style="color:#667085;font-size:12px"><a href="{escape(way_out)}">{escape(words)}</a></p>'
    if html and layout.preheader:
        html = f'<div style="display:none;max-height:0;overflow:hidden">{escape(layout.preheader)}</div>{html}'
    content: dict[str, Any] = {"subject": layout.subject, "key": secrets.token_hex(5)}
    optional = {
        "html": html,
        "preheader": layout.preheader,
        "reply_to": layout.reply_to,
        "from_name": from_name,
        "unsubscribe": way_out,
        "headers": dict(layout.headers),
    }
    return text, content | {name: value for name, value in optional.items() if value}


def accept_mails(
    *,
    client: Client,
    drafts: Sequence[MailDraft],
    sender: str | None = None,
    source: str = "api",
    api_key_id: int | None = None,
    schedule_at: datetime | None = None,
    as_batch: bool = False,
) -> list[Accepted | Refused]:
    """Store, charge and queue a call's mails in one transaction; one result per draft, in order.

    As `accept_messages` is for texts; as_batch: what is accepted shares a `batch_id`. A mail costs one unit of the
    plan's rate for email.
    Raises, and then nothing happened: ClientSuspended, SenderNotApproved, NoSender, InvalidSchedule, DailyLimit,
    wallet.errors.InsufficientBalance.
    """
    if not client.is_active:
        raise ClientSuspended(reason=client.suspended_reason)
    origin = SenderBook(client, Channel.EMAIL).choose(sender.strip().lower() if sender else None)
    results: list[Refused | None] = [None] * len(drafts)
    rows: list[NewMessage | None] = [None] * len(drafts)
    laid_out: dict[int, tuple[str, Layout]] = {}
    for index, draft in enumerate(drafts):
        try:
            laid_out[index] = (read_address(draft.recipient), _lay_out(draft))
        except DomainError as error:
            results[index] = Refused(draft.recipient, error)
    with transaction.atomic():
        now = database_now()
        if schedule_at is not None and not now < schedule_at <= now + FURTHEST_SCHEDULE:
            raise InvalidSchedule()
        _price(client, origin, drafts, laid_out, results, rows)
        store_messages(
            client=client,
            rows=[row for row in rows if row is not None],
            now=now,
            source=source,
            api_key_id=api_key_id,
            schedule_at=schedule_at,
            as_batch=as_batch,
            guard=Guard(client),
        )
    return answers_of(results, rows, schedule_at)


class InvalidAddress(DomainError):
    code = "invalid_address"
    default_message = gettext_lazy("This is not an email address.")


def read_address(given: str) -> str:
    """An email address in lower case. Raises: InvalidAddress."""
    try:
        return read_email(given)
    except InvalidInput as error:
        raise InvalidAddress(str(error)) from None


def _lay_out(draft: MailDraft) -> Layout:
    return check_mail(
        subject=draft.subject,
        text=draft.text,
        html=draft.html,
        preheader=draft.preheader,
        reply_to=draft.reply_to,
        headers=draft.headers,
    )


def _price(
    client: Client,
    origin: SenderId,
    drafts: Sequence[MailDraft],
    laid_out: Mapping[int, tuple[str, Layout]],
    results: list[Refused | None],
    rows: list[NewMessage | None],
) -> None:
    """Leave out whom we must not write to, find price and road. Queries do not grow with the drafts."""
    addresses = [address for address, _ in laid_out.values()]
    gone = contacts.opted_out_among(Channel.EMAIL, [(client.pk, address, origin.name) for address in addresses])
    ways_out = contact_services.opt_out_urls(client_id=client.pk, channel=Channel.EMAIL, sender="", addresses=addresses)
    prices = pricing.load_prices(client.pk)
    routes = None if client.simulation else RouteTable(Channel.EMAIL)
    guard = Guard(client)
    seen: dict[tuple[str, str, str], int] = {}
    for index, (address, layout) in laid_out.items():
        draft = drafts[index]
        key = (address, layout.subject, layout.text)
        try:
            if (first := seen.get(key)) is not None:
                raise DuplicateRecipient(first=first)
            if (client.pk, address, origin.name) in gone:
                raise OptedOut()
            guard.check_address(address)
            price = prices.unit_price_micros(Channel.EMAIL, client.country)
            choice = None
            if routes is not None:
                choice = routes.choose(country=client.country, sender=origin.name, number=address)
        except (OptedOut, DuplicateRecipient, TrialNumber, NoPrice, NoRoute) as error:
            results[index] = Refused(draft.recipient, error)
            continue
        seen[key] = index
        way_out = ways_out[address] if draft.unsubscribe else ""
        text, content = content_for(layout, from_name=origin.display_name, way_out=way_out)
        rows[index] = NewMessage.of_one_unit(
            recipient=address,
            sender=origin.name,
            text=text,
            price_micros=price,
            road=choice,
            country=client.country,
            channel=Channel.EMAIL,
            content=content,
            reference=draft.reference,
            contact_id=draft.contact_id,
        )
