"""What may be kept of an API call: names of fields, and values that tell nothing about a person or a credential.

Only fields of SHOWN keep their values. A text becomes its length, `•••(23)`; a phone number its last three digits,
`•••678`; a credential, and whatever looks like one of ours, `•••`. Long lists and bodies are cut.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

DOTS = "•••"
LONGEST_PARSED = 64 << 10  # bytes; of a longer body only the size is kept
_LONGEST_SHOWN = 2000
_LONGEST_VALUE = 60
_MOST_FIELDS, _MOST_ROWS = 30, 3

# Words and numbers of the contracts. Not `reference`, `name` or `search`: what stands there may be about a person.
SHOWN = {
    "action", "active", "amount", "campaign", "channel", "client_id", "contacts", "cursor", "department", "duplicates",
    "event", "events", "expires_on", "fmt", "format", "from_date", "group", "groups", "limit", "offset", "page",
    "payment_method", "per_page", "priority", "schedule_at", "schedule_date", "schedule_time", "sender", "sender_id",
    "senderid", "since", "start", "state", "status", "template", "to_date", "type", "until", "upsert",
}  # fmt: skip
_CONTAINERS = {"recipients", "messages", "sms", "data", "to"}  # rows in them are judged like the body itself
_CREDENTIALS = {"pass", "password", "secret", "token"}
_OURS = re.compile(r"t[ksa]_(?:live|test)_\w+")
_LONG_NUMBER = re.compile(r"\+?[0-9]{7,}")
_PHONE = re.compile(r"[+(]?[0-9][0-9 ().-]{5,20}")


def redact_path(path: str) -> str:
    """The path of a call; long numbers by their last three digits."""
    return _masked(path)[:200]


def redact_query(query: str) -> str:
    """The query of a call, without the values that may not be kept."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return f"{DOTS}({len(query)})"
    return "&".join(f"{_name(name)}={_show(name, value, hidden=False)}" for name, value in pairs)[:500]


def redact_body(raw: bytes, content_type: str) -> str:
    """The body of a call as JSON of what may be kept; for one that cannot be read, or is a file, its size."""
    if not raw:
        return ""
    size = f"{DOTS}({len(raw)} bytes)"
    kind = content_type.partition(";")[0].strip().lower()
    if len(raw) > LONGEST_PARSED or kind == "multipart/form-data":
        return size
    try:
        if kind == "application/x-www-form-urlencoded" and raw.lstrip()[:1] not in (b"{", b"["):
            fields: Any = dict(parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=2000))
        else:
            fields = orjson.loads(raw)
        shown = orjson.dumps(_show("data", fields, hidden=False)).decode()
    except (ValueError, TypeError, RecursionError):
        return size
    return shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + "…"


def _show(name: str, value: Any, *, hidden: bool) -> Any:
    """hidden: below a field whose inner names are the caller's own, such as the variables of a template."""
    bare = name.partition("[")[0].lower()
    if isinstance(value, Mapping):
        inner = hidden or bare not in _CONTAINERS
        found = {_name(key): _show(str(key), each, hidden=inner) for key, each in list(value.items())[:_MOST_FIELDS]}
        return found | ({"…": len(value) - _MOST_FIELDS} if len(value) > _MOST_FIELDS else {})
    if isinstance(value, list):
        rows = [_show(name, each, hidden=hidden) for each in value[:_MOST_ROWS]]
        return [*rows, f"… {len(value) - _MOST_ROWS}"] if len(value) > _MOST_ROWS else rows
    if value is None:
        return None
    text = value if isinstance(value, str) else str(value)
    if bare in _CREDENTIALS or "key" in bare:
        return DOTS
    if bare in SHOWN and not hidden:
        return _masked(text)[:_LONGEST_VALUE] if isinstance(value, str) or len(text) > 6 else value
    if _PHONE.fullmatch(text) and sum(map(str.isdigit, text)) >= 7:
        return DOTS + "".join(filter(str.isdigit, text))[-3:]
    return f"{DOTS}({len(text)})" if isinstance(value, str) else DOTS


def _name(name: Any) -> str:
    return _masked(str(name))[:40]


def _masked(text: str) -> str:
    return _LONG_NUMBER.sub(lambda found: DOTS + found[0][-3:], _OURS.sub(DOTS, text))
