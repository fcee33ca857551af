"""Mifumo's requests read, and its answers written (contracts/dialects/mifumo.md). Pure."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from crm.common.api.params import Page
from crm.common.errors import InvalidInput
from crm.common.money import from_micros
from crm.common.text_units import EmptyText
from messaging import batches
from messaging.dialects.ground import MOST_RECIPIENTS
from messaging.dialects.mifumo.errors import NotE164
from messaging.errors import NoRecipients
from messaging.models import Message, MessageStatus
from messaging.services.accept import Accepted, Refused

PREVIEW = 50  # characters
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_MEMBER = {
    MessageStatus.DELIVERED: "delivered",
    MessageStatus.READ: "delivered",
    MessageStatus.FAILED: "failed",
    MessageStatus.CANCELLED: "failed",
}


@dataclass(frozen=True, slots=True)
class SendRequest:
    """POST sms/send/. sender_id: None for the client's default; schedule_time: UTC."""

    message: str
    recipients: list[str]
    sender_id: str | None
    schedule_time: datetime | None


def read_send(body: Mapping[str, Any], time_zone: str) -> SendRequest:
    """Raises: EmptyText, NoRecipients, NotE164, InvalidInput."""
    message, recipients = body.get("message"), body.get("recipients")
    if message is None or (isinstance(message, str) and not message.strip()):
        raise EmptyText
    if not isinstance(message, str):
        raise InvalidInput({"message": ["Give a text."]})
    if recipients is None or recipients in ([], ""):
        raise NoRecipients
    if not isinstance(recipients, list):
        raise InvalidInput({"recipients": ["Give an array of phone numbers."]})
    if len(recipients) > MOST_RECIPIENTS:
        raise InvalidInput({"recipients": [f"Give at most {MOST_RECIPIENTS} recipients in one call."]})
    wrong = [given for given in recipients if not isinstance(given, str) or not _E164.fullmatch(given)]
    if wrong:
        raise NotE164(numbers=[str(given)[:40] for given in wrong])
    sender_id = body.get("sender_id")
    if sender_id is not None and not isinstance(sender_id, str):
        raise InvalidInput({"sender_id": ["Give a text."]})
    return SendRequest(message, recipients, sender_id or None, _read_time(body.get("schedule_time"), time_zone))


def _read_time(given: Any, time_zone: str) -> datetime | None:
    """ISO 8601; without an offset it is the client's time."""
    if given is None or given == "":
        return None
    try:
        moment = datetime.fromisoformat(given.strip())
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(time_zone))
        return zoned.astimezone(UTC)
    except (ValueError, OverflowError, AttributeError):
        raise InvalidInput({"schedule_time": ["Give a time in ISO 8601, such as 2026-01-31T10:00:00Z."]}) from None


def success(message: str, data: Any, details: Any = None) -> dict[str, Any]:
    return {"success": True, "message": message, "data": data, "error_code": None, "details": details}


def show_sent(
    accepted: Sequence[Accepted], refused: Sequence[Refused], *, currency: str, provider: str
) -> dict[str, Any]:
    """`details` names the recipients left out, where there are any; the contract has null there."""
    first = accepted[0]
    data = {
        "message_id": batches.public_id(first.id),
        "recipients": [message.recipient for message in accepted],
        "cost": float(from_micros(sum(message.cost_micros for message in accepted))),
        "currency": currency,
        "provider": provider,
        "status": first.status,
    }
    told = "SMS scheduled successfully" if first.status == MessageStatus.SCHEDULED else "SMS sent successfully"
    return success(told, data, show_refused(refused) or None)


def show_refused(refused: Sequence[Refused]) -> list[dict[str, str]]:
    return [{"recipient": row.recipient, "reason": str(row.error)} for row in refused]


def show_status(members: Sequence[Message]) -> dict[str, Any]:
    batch = _show_batch(members[0], Counter(message.status for message in members))
    data: dict[str, Any] = {}
    for name, value in batch.items():
        data[name] = value
        if name == "created_at":
            data["updated_at"] = max(_last_change(message) for message in members)
    data["delivery_details"] = [
        {
            "recipient": message.recipient,
            "status": _MEMBER.get(MessageStatus(message.status), "pending"),
            "delivered_at": message.delivered_at,
            "error_message": _error_of(message),
        }
        for message in members
    ]
    return success("Message status retrieved successfully", data)


def show_reports(heads: Sequence[Message], tallies: Mapping[int, Counter], page: Page, total: int) -> dict[str, Any]:
    pages = -(-total // page.size)
    pagination = {"page": page.number, "per_page": page.size, "total": total, "pages": pages}
    reports = [_show_batch(head, tallies[head.pk]) for head in heads]
    return success("Delivery reports retrieved successfully", {"reports": reports, "pagination": pagination})


def _show_batch(head: Message, tally: Counter) -> dict[str, Any]:
    alone = head.batch_id != head.pk
    return {
        "message_id": batches.public_id(head.pk),
        "status": batches.status_of([head.status] if alone else tally),
        "created_at": head.created_at,
        "recipient_count": tally.total(),
        "content_preview": head.text[:PREVIEW],
        "sender_id": head.sender,
    }


def _last_change(message: Message) -> datetime:
    times = (message.created_at, message.queued_at, message.sent_at, message.delivered_at, message.failed_at)
    return max(moment for moment in times if moment)


def _error_of(message: Message) -> str | None:
    if message.status == MessageStatus.CANCELLED:
        return "Cancelled before it was sent"
    return message.error_message or None
