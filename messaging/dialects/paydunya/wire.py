"""PayDunya's requests read, and its answers written (contracts/dialects/paydunya.md). Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from accounts.errors import CredentialsMissing
from crm.common.errors import DomainError
from crm.common.phones import InvalidPhone, digits, read_phone
from messaging.dialects.paydunya.errors import (
    InvalidEndDate,
    InvalidStartDate,
    NoNode,
    TooManyRecipients,
    WrongNode,
    WrongType,
)
from messaging.errors import NoRecipients
from messaging.models import Message
from messaging.services.accept import Accepted, Draft, Refused

SEND, STATS = "send_sms_request", "sms_sent"  # the nodes
MOST_OBJECTS = 50
_TIME = "%Y-%m-%d %H:%M:%S"
_NEVER_A_SENDER = "?"  # what stands for a `from` that is no string, so that it is refused in its turn


@dataclass(frozen=True, slots=True)
class Filters:
    """What stats asks for. numbers: as given, None for every recipient; since and before: UTC."""

    numbers: list[str] | None
    since: datetime | None
    before: datetime | None


def read_login(body: Mapping[str, Any]) -> tuple[str, str]:
    """User key and secret key. Raises: CredentialsMissing."""
    user_key, secret_key = body.get("user_key"), body.get("secret_key")
    if not (isinstance(user_key, str) and isinstance(secret_key, str) and user_key and secret_key):
        raise CredentialsMissing
    return user_key, secret_key


def read_node(body: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], str]:
    """The request's one node and the application key in it, "" for one that cannot be a key.

    Raises: NoNode, WrongNode, WrongType.
    """
    node = body.get(name)
    if not isinstance(node, dict):
        raise NoNode
    if name == SEND:
        _check_objects(node.get("sms"))
    else:
        filters = node.get("filters") or {}
        if not isinstance(filters, dict):
            raise WrongNode
        _check_objects(filters.get("receiver_address") or [])
    if node.get("type") != "application":
        raise WrongType
    app_key = node.get("app_key")
    return node, app_key if isinstance(app_key, str) else ""


def read_drafts(node: Mapping[str, Any]) -> list[Draft]:
    """The messages asked for. What is no string becomes one that the service refuses in its turn.

    Raises: NoRecipients, TooManyRecipients.
    """
    objects = node["sms"]
    _check_count(objects)
    return [
        Draft(
            recipient=_string(wanted.get("to"), ""),
            text=_string(wanted.get("text"), ""),
            sender="" if wanted.get("from") is None else _string(wanted["from"], _NEVER_A_SENDER).strip(),
        )
        for wanted in objects
    ]


def read_filters(node: Mapping[str, Any], time_zone: str) -> Filters:
    """Raises: NoRecipients, TooManyRecipients, InvalidStartDate, InvalidEndDate."""
    filters = node.get("filters") or {}
    wanted = filters.get("receiver_address")
    numbers = None
    if wanted is not None:
        _check_count(wanted)
        numbers = [_string(entry.get("value"), "") for entry in wanted]
    since = _read_time(filters.get("start_date"), time_zone, InvalidStartDate)
    before = _read_time(filters.get("end_date"), time_zone, InvalidEndDate, seconds=1)  # its second is included
    return Filters(numbers, since, before)


def _check_objects(found: Any) -> None:
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise WrongNode


def _check_count(objects: Sequence[Any]) -> None:
    if not objects:
        raise NoRecipients
    if len(objects) > MOST_OBJECTS:
        raise TooManyRecipients


def _string(value: Any, otherwise: str) -> str:
    return value if isinstance(value, str) else otherwise


def _read_time(given: Any, time_zone: str, refusal: type[DomainError], *, seconds: int = 0) -> datetime | None:
    """`given`, a time of the client's zone, and `seconds` more."""
    if given is None or given == "":
        return None
    if not isinstance(given, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", given, re.ASCII):
        raise refusal
    try:
        local = datetime.strptime(given, _TIME).replace(tzinfo=ZoneInfo(time_zone))
        return local.astimezone(UTC) + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        raise refusal from None


def sort_numbers(numbers: Sequence[str], country: str) -> tuple[list[str], list[str]]:
    """The numbers in E.164, and those that cannot be read, without plus as they are printed."""
    valid, invalid = [], []
    for given in numbers:
        try:
            valid.append(read_phone(given, country).e164)
        except InvalidPhone:
            invalid.append(given.removeprefix("+"))
    return list(dict.fromkeys(valid)), list(dict.fromkeys(invalid))


def show_token(token: str, seconds: int) -> dict[str, Any]:
    return {"access_token": token, "token_type": "bearer", "expires_in": seconds}


def show_logout() -> dict[str, Any]:
    return _success("success", "The request is process successfully", {})


def show_sent(drafts: Sequence[Draft], results: Sequence[Accepted | Refused]) -> dict[str, Any]:
    """One row an object; one that repeats another word for word shows the message that was sent."""
    rows = []
    for draft, result in zip(drafts, results, strict=True):
        message = results[result.error.facts["first"]] if isinstance(result, Refused) else result
        rows.append(
            {
                "code": message.message_id,
                "sender_addresss": message.sender,
                "receiver_address": message.recipient,
                "text": draft.text,
            }
        )
    return _success("sms_sent", "The sms sent successfully", {"sms": rows})


def show_stats(messages: Sequence[Message], valid: Sequence[str], invalid: Sequence[str]) -> dict[str, Any]:
    """valid: the numbers asked for, shown with an empty list where nothing was written to them."""
    found: dict[str, list[dict[str, str]]] = {digits(number): [] for number in valid}
    for message in messages:
        found.setdefault(digits(message.recipient), []).append({"code": message.message_id, "content": message.text})
    data: dict[str, Any] = {"invalid_number": [{"value": number} for number in invalid]} if invalid else {}
    data["valid_number"] = [{number: rows} for number, rows in found.items()]
    return _success("success", "The request is success", data)


def _success(message: str, description: str, data: Any) -> dict[str, Any]:
    return {"code": "00", "message": message, "description": description, "data": data}
