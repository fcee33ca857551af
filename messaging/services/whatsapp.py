"""Accepting WhatsApp messages: text and files within 24 hours of the person's last message, templates at any time.

Spec: Meta, "Messages" and "Message templates", read November 2026. The promises are those of texts (D1).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Client
from contacts import queries as contacts
from crm.common.errors import DomainError, InvalidInput
from crm.common.figures import figure
from crm.common.phones import Phone, PhoneReader
from crm.common.sql import database_now
from crm.common.text_units import EmptyText, clean_text
from messaging.conversations import own_number, window_closes_at
from messaging.errors import InvalidSchedule, TextTooLong, WindowClosed
from messaging.models import Channel, SenderId
from messaging.providers.whatsapp_words import fill_body, variables_of
from messaging.services.accept import FURTHEST_SCHEDULE, Accepted, OptedOut, Refused, check_may_send
from messaging.services.guards import Guard
from messaging.services.known_templates import known_templates, problem_of_sending
from messaging.services.routing import RouteTable
from messaging.services.senders import SenderBook
from messaging.services.storing import NewMessage, store_messages
from wallet import pricing
from wallet.errors import NoPrice

LONGEST_TEXT: Final = 4096
LONGEST_CAPTION: Final = 1024
LONGEST_VARIABLE: Final = 1024
MOST_VARIABLES: Final = 50
MEDIA: Final = ("image", "video", "audio", "document", "sticker")
SERVICE: Final = "service"  # what WhatsApp calls free text and files within the window
_CAPTIONED: Final = ("image", "video", "document")
_TEMPLATE: Final = re.compile(r"[a-z0-9_]{1,512}")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")


@dataclass(frozen=True, slots=True)
class WhatsAppDraft:
    """One message as a door received it: a text; a file with the text as its caption; or an approved template.

    variables: of the template, by name, or by "1", "2" and on where it counts them. media: {kind, url, filename?}.
    """

    recipient: str
    text: str = ""
    template: str = ""
    language: str = "en"
    variables: Mapping[str, str] = field(default_factory=dict)
    media: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""
    contact_id: int | None = None


@dataclass(frozen=True, slots=True)
class _Checked:
    """text: what people read in the history. content: Message.content; None for a text alone. category: what WhatsApp
    bills it as, "" for a template that we do not know.
    """

    text: str
    content: dict[str, Any] | None
    category: str = SERVICE

    @property
    def is_template(self) -> bool:
        return bool(self.content and "template" in self.content)


def accept_whatsapp(
    *,
    client: Client,
    draft: WhatsAppDraft,
    sender: str | None = None,
    source: str = "api",
    api_key_id: int | None = None,
    schedule_at: datetime | None = None,
    as_batch: bool = False,
) -> Accepted | Refused:
    """Store, charge and queue one message, at one unit of the plan's rate for WhatsApp and what WhatsApp bills it as;
    refused, it costs nothing.

    Free text and files are refused where the window is closed, or will be at `schedule_at`; before one leaves it is
    looked at again. as_batch: it has a `batch_id`. Raises, and then nothing happened: ClientSuspended,
    ChannelNotAvailable, SenderNotApproved, NoSender, InvalidInput, EmptyText, UnreadableText, TextTooLong,
    InvalidSchedule, DailyLimit, wallet.errors.InsufficientBalance.
    """
    check_may_send(client, Channel.WHATSAPP)
    origin = SenderBook(client, Channel.WHATSAPP).choose(own_number(sender) if sender else None)
    checked = _check(client, draft)
    guard = Guard(client)
    with transaction.atomic():
        now = database_now()
        if schedule_at is not None and not now < schedule_at <= now + FURTHEST_SCHEDULE:
            raise InvalidSchedule()
        try:
            phone = PhoneReader(client.country).read(draft.recipient)
            row = _price(client, guard, origin, phone, checked, draft, leaves_at=schedule_at or now)
        except (DomainError, NoPrice) as error:
            return Refused(draft.recipient, error)
        store_messages(
            client=client, rows=[row], now=now, source=source, api_key_id=api_key_id, schedule_at=schedule_at,
            as_batch=as_batch, guard=guard,
        )  # fmt: skip
    return Accepted.of(row, schedule_at)


def _price(
    client: Client,
    guard: Guard,
    origin: SenderId,
    phone: Phone,
    checked: _Checked,
    draft: WhatsAppDraft,
    *,
    leaves_at: datetime,
) -> NewMessage:
    """Raises: OptedOut, WindowClosed, CountryClosed, TrialNumber, RecipientLimit, NoPrice, NoRoute."""
    if contacts.opted_out_among(Channel.WHATSAPP, [(client.pk, phone.e164, origin.name)]):
        raise OptedOut()
    if not checked.is_template:
        closes_at = window_closes_at(client, phone.e164, origin.name)
        if closes_at is None or closes_at <= leaves_at:
            raise WindowClosed()
    guard.check_place(phone.e164, phone.region)
    if crowded := guard.crowded([(phone.e164, checked.text)]):
        raise crowded[0]
    price = pricing.load_prices(client.pk).unit_price_micros(Channel.WHATSAPP, phone.region, checked.category)
    choice = None
    if not client.simulation:
        choice = RouteTable(Channel.WHATSAPP).choose(country=phone.region, sender=origin.name, number=phone.e164)
    return NewMessage.of_one_unit(
        recipient=phone.e164,
        sender=origin.name,
        text=checked.text,
        price_micros=price,
        road=choice,
        country=phone.region,
        channel=Channel.WHATSAPP,
        content=checked.content,
        reference=draft.reference,
        contact_id=draft.contact_id,
    )


def _check(client: Client, draft: WhatsAppDraft) -> _Checked:
    text = clean_text(draft.text).strip()
    if draft.template:
        return _check_template(client, draft)
    if draft.variables:
        raise InvalidInput({"variables": [_("Variables belong to a template.")]})
    longest = LONGEST_CAPTION if draft.media else LONGEST_TEXT
    if len(text) > longest:
        raise TextTooLong(
            _("The text has {n} characters; at most {most} are allowed.").format(
                n=figure(len(text)), most=figure(longest)
            ),
            characters=len(text),
        )
    if not draft.media:
        if not text:
            raise EmptyText(_("There is no text to send."))
        return _Checked(text, None)
    kind, url = draft.media.get("kind", ""), draft.media.get("url", "")
    if kind not in MEDIA:
        raise InvalidInput({"media": [_("The kind of a file is one of %(kinds)s.") % {"kinds": ", ".join(MEDIA)}]})
    if text and kind not in _CAPTIONED:
        raise InvalidInput({"body": [_("Audio and stickers have no text.")]})
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or len(url) > 2000:
        raise InvalidInput({"media": [_("Give the https address of the file.")]})
    media = {"kind": kind, "url": url} | ({"caption": text} if text else {})
    if filename := clean_text(draft.media.get("filename", "")).strip()[:240]:
        media["filename"] = filename
    return _Checked(text or filename or url, {"media": media})


def _check_template(client: Client, draft: WhatsAppDraft) -> _Checked:
    """One that we know must be approved and get its own variables; any other is WhatsApp's to judge."""
    if draft.text.strip() or draft.media:
        raise InvalidInput({"template": [_("A template has its own text: give its variables alone.")]})
    if not _TEMPLATE.fullmatch(draft.template):
        raise InvalidInput({"template": [_("Give the name of an approved template.")]})
    if not _LANGUAGE.fullmatch(draft.language):
        raise InvalidInput({"language": [_("Give the template's language, such as en, en_US or sw.")]})
    values = {str(name): " ".join(clean_text(str(value)).split()) for name, value in draft.variables.items()}
    if len(values) > MOST_VARIABLES or any(not value or len(value) > LONGEST_VARIABLE for value in values.values()):
        raise InvalidInput({"variables": [_("Every variable needs a value of at most 1,024 characters.")]})
    parameters: list[str] | dict[str, str] = values
    if all(name.isascii() and name.isdigit() for name in values):
        if sorted(map(int, values)) != list(range(1, len(values) + 1)):
            raise InvalidInput({"variables": [_("Number the variables from 1 on, without a gap.")]})
        parameters = [values[name] for name in sorted(values, key=int)]
    content = {"template": draft.template, "language": draft.language, "parameters": parameters}
    known = known_templates([client.pk], [draft.template]).get((client.pk, draft.template, draft.language))
    if known is None:
        return _Checked(f"[{draft.template}] {' · '.join(values.values())}".strip(), content, "")
    if not client.simulation and (problem := problem_of_sending(known, draft.template, draft.language)):
        raise InvalidInput({"template": [problem]})
    wanted = variables_of(known.body)
    if set(wanted) != set(values) and not known.needs:
        listed = ", ".join(wanted) or _("none")
        raise InvalidInput({"variables": [_("This template has the variables: %(names)s.") % {"names": listed}]})
    return _Checked(fill_body(known.body, values), content, known.category)
