"""Texin's requests read, and its answers written (contracts/dialects/texin.md). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from accounts.models import Client
from crm.common.errors import InvalidInput
from crm.common.money import format_money, from_micros, json_money
from crm.common.phones import InvalidPhone, digits
from messaging.dialects.ground import MOST_RECIPIENTS
from messaging.errors import NoRecipients
from messaging.models import Message
from messaging.queries import api_status
from messaging.services.accept import Accepted, DuplicateRecipient, Refused
from wallet.queries import Balance

VERSION = "2.0.1"
UNIT_RULE = "segments"  # the contract counts 160/153 and 70/67, whatever the client's plan does
PREVIEW = 50  # characters
_TIME = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class SendRequest:
    """send_sms has one recipient. sender_id: None for the client's default."""

    recipients: list[str]
    message: str
    sender_id: str | None


def read_send(body: Mapping[str, Any]) -> SendRequest:
    """Raises: InvalidInput."""
    return SendRequest([_word(body, "recipient")], _word(body, "message"), sender_of(body))


def read_bulk(body: Mapping[str, Any]) -> SendRequest:
    """Forms give the recipients as `recipients[]` or with commas between. Raises: InvalidInput, NoRecipients."""
    recipients = body.get("recipients")
    if isinstance(recipients, str):
        recipients = [part.strip() for part in recipients.split(",") if part.strip()]
    if recipients is None or recipients == []:
        raise NoRecipients
    if not isinstance(recipients, list) or not all(_is_word(value) for value in recipients):
        raise InvalidInput({"recipients": ["recipients must be an array of phone numbers."]})
    if len(recipients) > MOST_RECIPIENTS:
        raise InvalidInput({"recipients": [f"Give at most {MOST_RECIPIENTS} recipients in one call."]})
    return SendRequest([str(value) for value in recipients], _word(body, "message"), sender_of(body))


def read_message_id(body: Mapping[str, Any]) -> str:
    """Raises: InvalidInput."""
    return _word(body, "message_id")


def sender_of(body: Mapping[str, Any]) -> str | None:
    """Raises: InvalidInput."""
    given = body.get("sender_id")
    if given is not None and not _is_word(given):
        raise InvalidInput({"sender_id": ["sender_id must be a text."]})
    return str(given).strip() or None if given is not None else None


def _is_word(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _word(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None or value == "":
        raise InvalidInput({name: [f"{name} is required"]})
    if not _is_word(value):
        raise InvalidInput({name: [f"{name} must be a text."]})
    return str(value)


def public_id(pk: int) -> str:
    """`API-0000000123`. Derived from the message's number, as its other ids are."""
    return f"API-{pk:010d}"


def show_time(moment: datetime | None, time_zone: str) -> str | None:
    return moment.astimezone(ZoneInfo(time_zone)).strftime(_TIME) if moment else None


def show_sent(message: Accepted, text: str, client: Client, balance: Balance) -> dict[str, Any]:
    recipient, cost = digits(message.recipient), from_micros(message.cost_micros)
    return {
        "success": True,
        "message": "SMS sent successfully!",
        "message_id": public_id(message.id),
        "recipient": recipient,
        "sender_id": message.sender,
        "units_used": message.units,
        "message_length": len(text),
        "cost": json_money(message.cost_micros),
        "new_balance": balance.units,
        "simulation_mode": client.simulation,
        "details": {
            "To": recipient,
            "Message ID": public_id(message.id),
            "Units used": message.units,
            "Cost": format_money(cost, client.currency, plain=True),
            "New balance": f"{balance.units} credits",
            "Length": f"{len(text)} characters",
        },
    }


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """Results sorted as the contract tells them; a number given twice counts once."""

    accepted: list[Accepted]
    invalid: list[str]
    failed: dict[str, str]

    @property
    def statistics(self) -> dict[str, int]:
        return {
            "total_attempted": len(self.accepted) + len(self.invalid) + len(self.failed),
            "successful": len(self.accepted),
            "failed": len(self.failed),
            "invalid_numbers": len(self.invalid),
        }


def sort_results(results: Sequence[Accepted | Refused]) -> BulkOutcome:
    found = BulkOutcome([], [], {})
    for result in results:
        if isinstance(result, Accepted):
            found.accepted.append(result)
        elif isinstance(result.error, InvalidPhone):
            found.invalid.append(result.recipient)
        elif not isinstance(result.error, DuplicateRecipient):
            found.failed[result.recipient] = str(result.error)
    return found


def show_bulk(found: BulkOutcome, client: Client, balance: Balance) -> dict[str, Any]:
    return {
        "success": True,
        "message": f"Bulk SMS sent: {len(found.accepted)} successful, {len(found.failed)} failed",
        "statistics": found.statistics,
        "sender_id": found.accepted[0].sender,
        "units_used": sum(message.units for message in found.accepted),
        "total_cost": json_money(sum(message.cost_micros for message in found.accepted)),
        "new_balance": balance.units,
        "message_ids": {digits(message.recipient): public_id(message.id) for message in found.accepted},
        "invalid_numbers": found.invalid,
        "failed_recipients": found.failed,
        "simulation_mode": client.simulation,
    }


def show_status(message: Message, client: Client) -> dict[str, Any]:
    zone = client.time_zone
    return {
        "success": True,
        "message_id": public_id(message.pk),
        "recipient": digits(message.recipient),
        "sender_id": message.sender,
        "status": api_status(message.status),
        "units_used": message.units,
        "cost": show_price(from_micros(message.cost_micros)),
        "created_at": show_time(message.created_at, zone),
        "sent_at": show_time(message.sent_at, zone),
        "delivered_at": show_time(message.delivered_at, zone),
        "error_message": message.error_message or None,
        "gateway_response": _gateway_response(message, zone),
        "message_preview": message.text[:PREVIEW],
    }


def _gateway_response(message: Message, zone: str) -> dict[str, str] | None:
    """What the provider said of the message; null while none has."""
    answered_at = message.sent_at or message.failed_at
    if answered_at is None:
        return None
    taken = message.sent_at is not None
    mobile = digits(message.recipient)
    return {
        "status": "success" if taken else "error",
        "mobile": mobile if taken else "",
        "invalidMobile": "" if taken else mobile,
        "transactionId": message.provider_message_id,
        "statusCode": "200" if taken else "400",
        "reason": "success" if taken else message.error_message,
        "msgId": "",
        "requestTime": show_time(answered_at, zone) or "",
    }


def show_balance(
    client: Client, balance: Balance, *, username: str, default_sender: str | None, now: datetime
) -> dict[str, Any]:
    return {
        "success": True,
        "user_id": client.pk,
        "username": username,
        "email": client.contact_email,
        "sms_balance": balance.units,
        "default_sender_id": default_sender,
        "sms_cost_per_unit": show_price(balance.unit_price or Decimal(0)),
        "timestamp": show_time(now, client.time_zone),
    }


def show_price(amount: Decimal) -> str:
    """`0.30`, `0.305`: two decimals, more where the price has them."""
    text = f"{amount:.6f}".rstrip("0")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<2}"
