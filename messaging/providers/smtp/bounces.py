"""What mail servers send back: notes on delivery (RFC 3464) and complaints (RFC 5965), read out of a raw mail.

A note names its message by the address it was sent to (bounces+<id>@…), by the envelope's id, or by the Message-ID in
the part of our mail that it returns. Whoever writes to the bounce address without any of them says nothing.
"""

import email
import email.policy
import re
from email.message import EmailMessage, Message
from typing import Final

from messaging.providers.base import DeliveryReport, Suppression, UnreadableCallback, clip

_MESSAGE_ID: Final = re.compile(r"<?(msg-[0-9]+(?:\.[0-9a-z]+)?)@([^\s<>]+)>?", re.IGNORECASE)
_VERP: Final = re.compile(r"\+(msg-[0-9]+(?:\.[0-9a-z]+)?)@", re.IGNORECASE)
_TO: Final = ("X-Original-To", "Delivered-To", "Envelope-To", "To")

# Enhanced status codes (RFC 3463) of failures for good, by subject and detail; the rest is the server's plain refusal.
_CODES: Final = {"1.1": "bad_mailbox", "1.2": "bad_mailbox", "1.3": "bad_mailbox", "1.6": "bad_mailbox",
                 "1.10": "bad_mailbox", "2.1": "bad_mailbox", "2.2": "mailbox_full", "4.7": "expired",
                 "7.1": "rejected_by_network"}  # fmt: skip
_DEAD: Final = frozenset(("1.1", "1.2", "1.3", "1.6", "1.10", "2.1"))  # nobody will ever read what goes there


def read_bounce(raw: bytes) -> list[DeliveryReport | Suppression]:
    """What a raw mail to the bounce address says of messages of ours. Raises: UnreadableCallback."""
    try:
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        parts = [part for part in mail.walk() if isinstance(part, EmailMessage)]
        message_id = _message_id(mail, parts)
        if not message_id:
            raise UnreadableCallback("This mail names no message of ours.")
        if complaint := _part(parts, "message/feedback-report"):
            return _complaint(complaint, message_id)
        if status := _part(parts, "message/delivery-status"):
            return _status(status, message_id)
    except (ValueError, LookupError, AttributeError, TypeError) as error:  # the parser's own on hostile mails
        raise UnreadableCallback(f"This mail cannot be read: {type(error).__name__}.") from None
    raise UnreadableCallback("This mail is neither a note on delivery nor a complaint.")


def _part(parts: list[EmailMessage], kind: str) -> EmailMessage | None:
    return next((part for part in parts if part.get_content_type() == kind), None)


def _message_id(mail: EmailMessage, parts: list[EmailMessage]) -> str:
    """What stands before the @ of our Message-ID, as messages keep it; "" where the mail names none of ours."""
    for part in parts[1:]:
        if part.get_content_type() == "text/rfc822-headers":
            found = re.search(r"(?im)^message-id:\s*(\S+)", _text(part))
            if found and (match := _MESSAGE_ID.fullmatch(found[1].strip())):
                return match[1].lower()
        elif (value := part.get("Message-ID")) and (match := _MESSAGE_ID.fullmatch(str(value).strip())):
            return match[1].lower()
    for name in _TO:
        for value in mail.get_all(name, []):
            if match := _VERP.search(str(value)):
                return match[1].lower()
    return ""


def _complaint(part: EmailMessage, message_id: str) -> list[DeliveryReport | Suppression]:
    fields = _fields(part)
    kind = fields.get("feedback-type", "").lower()
    if kind not in ("abuse", "fraud", "opt-out", "opt-out-list"):
        return []
    recipient = fields.get("original-rcpt-to") or fields.get("removal-recipient") or ""
    return [Suppression(message_id, "complaint", raw=clip(f"{kind} {recipient}".strip()))]


def _status(part: EmailMessage, message_id: str) -> list[DeliveryReport | Suppression]:
    found: list[DeliveryReport | Suppression] = []
    fields = _fields(part)
    action, status = fields.get("action", "").lower(), fields.get("status", "").split(" ")[0]
    words = fields.get("diagnostic-code", "").partition(";")[2].strip() or status
    recipient = fields.get("final-recipient", "").partition(";")[2].strip()
    raw = clip(f"{action} {status} {recipient} {words}")
    kind, _, detail = status.partition(".")
    if action == "failed":
        code = _CODES.get(detail, "delivery_failed")
        found.append(DeliveryReport(message_id, "", "failed", True, code, words[:200], raw=raw))
        if kind == "5" and detail in _DEAD:
            found.append(Suppression(message_id, "bounce", raw=raw))
    elif action in ("delivered", "relayed", "expanded"):
        done = action == "delivered"
        found.append(DeliveryReport(message_id, "", "delivered" if done else "sent", done, raw=raw))
    elif action == "delayed":
        found.append(DeliveryReport(message_id, "", "sent", False, raw=raw))
    return found


def _fields(part: EmailMessage) -> dict[str, str]:
    """The header-like fields in the body of a machine-readable part; those of a recipient over those of the mail."""
    payload = part.get_payload()
    blocks = payload if isinstance(payload, list) else [email.message_from_string(_text(part))]
    return {
        name.lower(): str(value).strip()
        for block in blocks
        if isinstance(block, Message)
        for name, value in block.items()
    }


def _text(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes):
        return payload.decode("utf-8", "replace")
    inner = part.get_payload()
    first = inner[0] if isinstance(inner, list) and inner else inner
    return first.as_string() if isinstance(first, Message) else str(first)
