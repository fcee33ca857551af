"""Reading what vendors write: JSON and forms of any shape become text that is fit to keep, or nothing."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

import orjson

from messaging.providers.base import Balance, Callback, HttpResponse, UnreadableCallback, clip, e164_or_empty

MOST_FIELDS = 200
_NO_DIGIT = re.compile(r"[^0-9]+")
FORM = "application/x-www-form-urlencoded"


def text_of(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def json_or_none(body: bytes) -> Any:
    """The value of a JSON body; None where it is none."""
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def object_of(response: HttpResponse) -> dict[str, Any]:
    """The JSON object of an answer; empty where it is anything else."""
    found = json_or_none(response.body)
    return found if isinstance(found, dict) else {}


def rows_of(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; none where it is no list or holds anything else."""
    return value if isinstance(value, list) and all(isinstance(row, dict) for row in value) else []


def inner(value: Any, *names: str) -> dict[str, Any]:
    """The object inside objects under these names; empty where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return dict(value) if isinstance(value, Mapping) else {}


def field(row: Mapping[str, Any], *names: str) -> str:
    """The first of `names` that holds text or a whole number, as text without surrounding blanks; else ""."""
    for name in names:
        value = row.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
            return clip(str(value).strip())
    return ""


def number_in(row: Mapping[str, Any], *names: str) -> int:
    """A whole number, also when it came as text; -1 where there is none."""
    found = field(row, *names)
    return int(found) if found.isascii() and found.isdecimal() and len(found) < 10 else -1


def digits(number: Any) -> str:
    """Only the ASCII digits of a number however it is written."""
    return _NO_DIGIT.sub("", str(number))


def person_of(text: str) -> str:
    """Who wrote to us: E.164 where it is a plain international number, else as it came (short codes, names)."""
    return e164_or_empty(text) or text.strip()[:32]


def decimal_or_none(value: Any) -> Decimal | None:
    """An amount that came as a number or as text. Floats are read by their shortest form."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        found = Decimal(str(value).strip().replace(",", ""))
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found) < 10**15 else None


def balance_in(value: Any, currency: str) -> Balance | None:
    amount = decimal_or_none(value)
    return None if amount is None else Balance(amount, currency[:8])


def json_callback(callback: Callback) -> Any:
    """The JSON of a callback. Raises: UnreadableCallback."""
    if callback.content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnreadableCallback("The vendor posts JSON.")
    found = json_or_none(callback.body)
    if not isinstance(found, (dict, list)):
        raise UnreadableCallback("The JSON could not be read.")
    return found


def form_callback(callback: Callback) -> dict[str, str]:
    """The form fields of a callback; of a repeated name the first counts. Raises: UnreadableCallback."""
    if callback.content_type.partition(";")[0].strip().lower() != FORM:
        raise UnreadableCallback("The vendor posts forms.")
    return form_fields(callback.body)


def form_fields(encoded: bytes) -> dict[str, str]:
    """As `form_callback`, for a body or a query string."""
    try:
        pairs = parse_qsl(encoded.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError as error:  # not UTF-8, or too many fields
        raise UnreadableCallback("The form could not be read.") from error
    if "\x00" in "".join(name + value for name, value in pairs):
        raise UnreadableCallback("The form holds a NUL.")
    return dict(reversed(pairs))


def query_fields(callback: Callback) -> dict[str, str]:
    """The parameters of a callback's address. Raises: UnreadableCallback."""
    return form_fields(callback.query.encode())


def raw_of(callback: Callback, row: Any, count: int) -> str:
    """What is kept beside one piece of news: the whole body where it is alone in it, else its own part."""
    if count == 1 and callback.body:
        return clip(text_of(callback.body))
    return clip(orjson.dumps(row).decode()) if callback.body else clip(callback.query)


def moment_of_unix(seconds: Any) -> datetime | None:
    """A time told in Unix seconds, as a number or text."""
    found = number_in({"at": seconds}, "at") if not isinstance(seconds, str) else -1
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdecimal() and len(seconds) <= 11:
        found = int(seconds)
    return datetime.fromtimestamp(found, UTC) if 0 < found < 10**11 else None


def moment_of_iso(text: Any) -> datetime | None:
    """A time in ISO 8601 that names its zone; one without is a guess and reads as none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None
