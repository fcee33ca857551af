"""SMSPresto's requests read, and its answers written (contracts/dialects/smspresto.md). Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from accounts.models import Client
from crm.common.errors import InvalidInput
from messaging.dialects.ground import MOST_RECIPIENTS, Fields, read_form, read_json
from messaging.dialects.smspresto.errors import SenderTooLong
from messaging.errors import NoRecipients, NoSender
from messaging.models import Message, MessageStatus
from messaging.services.accept import Draft

LONGEST_SENDER = 11
MOST_ROWS = 1000
_FURTHEST = 10**9  # past the end of any archive
_TIME = "%Y-%m-%d %H:%M:%S"
_STATUS = {
    MessageStatus.SENT: "1",
    MessageStatus.DELIVERED: "1",
    MessageStatus.READ: "1",
    MessageStatus.FAILED: "2",
    MessageStatus.CANCELLED: "2",
}


@dataclass(frozen=True, slots=True)
class ArchiveRequest:
    """A range of the archive. since, before: UTC; start, stop: offsets."""

    since: datetime | None
    before: datetime | None
    start: int
    stop: int


def read_body(raw: bytes) -> Fields:
    """A form, whose field `data` may hold a JSON object; a JSON object, with or without `data=` in front.

    Raises: UnreadableRequest.
    """
    text = raw.removeprefix(b"\xef\xbb\xbf").strip()
    bare = text.removeprefix(b"data=").lstrip()
    if bare.startswith(b"{"):
        return read_json(bare)
    return with_data(read_form(text))


def with_data(fields: Fields) -> Fields:
    """`fields`, and over them those of the JSON object in `data`. Raises: UnreadableRequest."""
    data = fields.get("data")
    if not isinstance(data, str) or not data.strip():
        return fields
    return {name: value for name, value in fields.items() if name != "data"} | read_json(data.encode())


def read_send(fields: Mapping[str, Any]) -> list[Draft]:
    """One draft a recipient; its own message wins over the call's. What is no string is refused in its turn.

    Raises: NoSender, SenderTooLong, NoRecipients, InvalidInput.
    """
    sender = fields.get("from")
    if not isinstance(sender, str) or not sender.strip():
        raise NoSender
    if len(sender.strip()) > LONGEST_SENDER:
        raise SenderTooLong
    outer = _string(fields.get("message"))
    drafts = [
        Draft(recipient=international(number), text=outer if own is None else own, sender=sender.strip())
        for number, own in _recipients(fields.get("to"))
    ]
    if not drafts:
        raise NoRecipients
    if len(drafts) > MOST_RECIPIENTS:
        raise InvalidInput({"to": [f"at most {MOST_RECIPIENTS} recipients in one call"]})
    return drafts


def _recipients(given: Any) -> list[tuple[str, str | None]]:
    if isinstance(given, str):
        return [(part.strip(), None) for part in given.split(",") if part.strip()]
    if isinstance(given, dict):
        given = [given]
    if not isinstance(given, list):
        return []
    return [_recipient(entry) for entry in given]


def _recipient(entry: Any) -> tuple[str, str | None]:
    if not isinstance(entry, dict):
        return _string(entry), None
    own = entry.get("message")
    return _string(entry.get("recipient")), None if own is None else _string(own)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def international(number: str) -> str:
    """`22507…` with its plus. Numbers here carry their country; a local one begins with 0 or is shorter."""
    bare = number.strip()
    return f"+{bare}" if re.fullmatch(r"[1-9][0-9]{9,14}", bare, re.ASCII) else bare


def read_archive(fields: Mapping[str, Any], time_zone: str) -> ArchiveRequest:
    """Raises: InvalidInput."""
    start = _read_number(fields, "from", 0)
    stop = min(_read_number(fields, "to", start + MOST_ROWS), start + MOST_ROWS)
    since = _read_day(fields, "dateFrom", time_zone)
    return ArchiveRequest(since, _read_day(fields, "dateTo", time_zone, days=1), start, max(start, stop))


def _read_number(fields: Mapping[str, Any], name: str, default: int) -> int:
    given = fields.get(name)
    if given is None or given == "":
        return default
    text = str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""
    if not re.fullmatch(r"[0-9]{1,4000}", text, re.ASCII):
        raise InvalidInput({name: [f"{name} must be a whole number"]})
    return min(int(text), _FURTHEST)


def _read_day(fields: Mapping[str, Any], name: str, time_zone: str, *, days: int = 0) -> datetime | None:
    """The first moment of a day of the client's zone, `days` later."""
    given = fields.get(name)
    if given is None or given == "":
        return None
    try:
        if not isinstance(given, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", given, re.ASCII):
            raise ValueError
        day = date.fromisoformat(given) + timedelta(days=days)
        return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput({name: [f"{name} must be a day, YYYY-MM-DD"]}) from None


def show_sent(count: int) -> dict[str, Any]:
    return {"status": 0, "message": "Message sent successfully.", "message-count": count}


def show_total(count: int) -> dict[str, str]:
    return {"TOTAL": str(count)}


def show_archive(messages: Sequence[Message], names: Mapping[str, str], client: Client) -> list[dict[str, str]]:
    """names: the contacts' names by number."""
    zone = ZoneInfo(client.time_zone)
    reference = f"SP{client.pk:09d}"

    def local(moment: datetime | None) -> str:
        return moment.astimezone(zone).strftime(_TIME) if moment else ""

    return [
        {
            "IDHISTORIQUE": str(message.pk),
            "HIS_DESTINATAIRE": message.recipient,
            "HIS_MESSAGE": message.text,
            "HIS_STATUT": _STATUS.get(MessageStatus(message.status), "0"),
            "HIS_NOMBRESMS": str(message.units),
            "HIS_DATEHEURECREA": local(message.created_at),
            "HIS_DATEHEUREENVOI": local(message.sent_at),
            "IDDATEHEURE": local(message.created_at),
            "CPT_REF": reference,
            "IDSMSFILATTENTE": str(message.pk),
            "HIS_EXPEDITEUR": message.sender,
            "NOMCONTACT": names.get(message.recipient, ""),
        }
        for message in messages
    ]
