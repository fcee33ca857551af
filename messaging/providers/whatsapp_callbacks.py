"""What Meta posts about WhatsApp: statuses, messages, states of templates and numbers, choices of people.

Spec: Meta's webhook references, read November 2026. One post holds many changes of many kinds; a kind that nobody needs
says nothing. `user_id` may stand where a phone number is missing.
"""

import hashlib
import hmac
import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from messaging.providers.base import (
    AccountNotice,
    Callback,
    DeliveryReport,
    InboundNotice,
    Media,
    Notice,
    OptOutNotice,
    ReportStatus,
    UnreadableCallback,
    clip,
    e164_or_empty,
)
from messaging.providers.reading import (
    field,
    inner,
    json_callback,
    moment_of_unix,
    number_in,
    query_fields,
    rows_of,
    text_of,
)
from messaging.providers.whatsapp_errors import failure_for

log = logging.getLogger(__name__)

STATUS: Final[dict[str, tuple[ReportStatus, bool]]] = {
    "sent": ("sent", False),
    "delivered": ("delivered", True),
    "read": ("read", True),
    "played": ("read", True),
    "failed": ("failed", True),
}
FILES: Final = ("image", "video", "audio", "document", "sticker")


def is_signed(callback: Callback, app_secret: str) -> bool:
    """Whether X-Hub-Signature-256 is ours over the raw body."""
    given = callback.headers.get("x-hub-signature-256", "")
    expected = hmac.new(app_secret.encode(), callback.body, hashlib.sha256).hexdigest()
    return bool(app_secret) and hmac.compare_digest(f"sha256={expected}".encode(), given.encode())


def is_handshake(callback: Callback, verify_token: str) -> bool:
    """Whether Meta asks for our address to be verified, with the token that was entered there."""
    try:
        asked = query_fields(callback)
    except UnreadableCallback:
        return False
    given = asked.get("hub.verify_token", "")
    is_same = hmac.compare_digest(given.encode(), verify_token.encode())
    return bool(verify_token) and is_same and asked.get("hub.mode") == "subscribe"


def challenge_of(callback: Callback) -> bytes:
    return query_fields(callback).get("hub.challenge", "")[:200].encode()


def read(callback: Callback) -> list[Notice]:
    """Everything that one post says. Raises: UnreadableCallback."""
    found = json_callback(callback)
    entries = rows_of(found.get("entry")) if isinstance(found, dict) else []
    if not isinstance(found, dict) or found.get("object") != "whatsapp_business_account" or "entry" not in found:
        raise UnreadableCallback("WhatsApp posts entries of a whatsapp_business_account.")
    said: list[Notice] = []
    for entry in entries:
        for change in rows_of(entry.get("changes")):
            said += _read_change(field(change, "field"), inner(change, "value"))
    if len(said) == 1:
        return [_with_raw(said[0], clip(text_of(callback.body)))]
    return said


def _with_raw(notice: Notice, raw: str) -> Notice:
    values = {name: getattr(notice, name) for name in notice.__slots__}
    return type(notice)(**values | {"raw": raw})


def _read_change(about: str, value: dict[str, Any]) -> Iterator[Notice]:
    if about == "messages":
        yield from (_read_status(row) for row in rows_of(value.get("statuses")) if field(row, "id"))
        number = field(inner(value, "metadata"), "display_phone_number")
        names = {field(row, "wa_id", "user_id"): field(inner(row, "profile"), "name") for row in _contacts(value)}
        for row in rows_of(value.get("messages")):
            if field(row, "id") and field(row, "from", "user_id"):
                yield _read_message(row, number, names)
    elif about == "message_template_status_update":
        yield _about_template("template", value, field(value, "event"), field(value, "reason").removeprefix("NONE"))
    elif about == "message_template_quality_update":
        was = field(value, "previous_quality_score")
        yield _about_template("quality", value, field(value, "new_quality_score"), f"was {was}" if was else "")
    elif about == "template_category_update" and field(value, "new_category"):
        yield _about_template("category", value, field(value, "new_category"), field(value, "previous_category"))
    elif about == "phone_number_quality_update":
        yield AccountNotice(
            about="number",
            name=field(value, "display_phone_number"),
            state=field(value, "event"),
            detail=field(value, "max_daily_conversations_per_business", "current_limit"),
            raw=_raw(value),
        )
    elif about == "user_preferences":
        for row in rows_of(value.get("user_preferences")) or [value]:
            person = e164_or_empty(field(row, "wa_id"))
            if person and field(row, "value") == "stop":  # "resume" takes back a stop of Meta's own list alone
                yield OptOutNotice(recipient=person, sender="", raw=_raw(row), channel="whatsapp")


def _contacts(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    return rows_of(value.get("contacts"))


def _read_status(row: Mapping[str, Any]) -> DeliveryReport:
    word = field(row, "status")
    if word.lower() not in STATUS:
        log.warning("WhatsApp: unlisted message status %.60r", word)
    status, final = STATUS.get(word.lower(), ("sent", False))
    errors = rows_of(row.get("errors"))
    error = errors[0] if errors else {}
    error_code = failure_for(number_in(error, "code"))[1] if status == "failed" and error else ""
    return DeliveryReport(
        provider_message_id=field(row, "id")[:100],
        recipient=e164_or_empty(field(row, "recipient_id")),
        status=status,
        final=final,
        error_code=error_code or ("delivery_failed" if status == "failed" else ""),
        error_message=words_of(error) if status == "failed" else "",
        raw=_raw(row),
        reference=field(row, "biz_opaque_callback_data")[:40],
    )


def words_of(error: Mapping[str, Any]) -> str:
    """Meta's own words: the code and the details, which say more than the title. `error_data` may be plain text."""
    data = error.get("error_data")
    details = field(data, "details") if isinstance(data, Mapping) else (data if isinstance(data, str) else "")
    words = details or field(error, "message", "title")
    return clip(f"{field(error, 'code')} {words}".strip())[:200]


def _read_message(row: Mapping[str, Any], number: str, names: Mapping[str, str]) -> InboundNotice:
    person, kind = field(row, "from", "user_id"), field(row, "type")
    file = inner(row, kind) if kind in FILES else {}
    media = (
        Media(
            kind,
            id=field(file, "id"),
            url=field(file, "url"),
            mime_type=field(file, "mime_type"),
            filename=field(file, "filename"),
        ),
    )
    return InboundNotice(
        sender=e164_or_empty(person) or person[:64],
        recipient=number,
        text=_text_of(row, kind) or field(file, "caption"),
        provider_message_id=field(row, "id")[:128],
        channel="whatsapp",
        media=media if file else (),
        at=moment_of_unix(row.get("timestamp")),
        name=names.get(person, "")[:120],
        raw=_raw(row),
    )


def _text_of(row: Mapping[str, Any], kind: str) -> str:
    """What a person would read: the text, the button that was pressed, the place, the emoji."""
    part = inner(row, kind)
    if kind == "text":
        return field(part, "body")
    if kind == "button":
        return field(part, "text")
    if kind == "interactive":
        chosen = inner(part, field(part, "type"))
        return field(chosen, "title", "body")
    if kind == "reaction":
        return field(part, "emoji")
    if kind == "location":
        place = ", ".join(filter(None, (field(part, "name"), field(part, "address"))))
        spot = f"{part.get('latitude', '')}, {part.get('longitude', '')}"
        return clip(f"{place} ({spot})" if place else spot)
    if kind == "system":
        return field(part, "body")
    return ""


def _about_template(about: Any, value: Mapping[str, Any], state: str, detail: str) -> AccountNotice:
    rejection = field(inner(value, "rejection_info"), "reason") or field(inner(value, "other_info"), "title")
    return AccountNotice(
        about=about,
        name=field(value, "message_template_name"),
        state=state,
        language=field(value, "message_template_language"),
        provider_id=field(value, "message_template_id"),
        detail=": ".join(filter(None, (detail, rejection))),
        raw=_raw(value),
    )


def _raw(row: Mapping[str, Any]) -> str:
    return clip(orjson.dumps(row).decode())
