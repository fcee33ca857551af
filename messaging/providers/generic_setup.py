"""How an operator describes a provider without code, read and checked: lines, paths into answers, placeholders.

A path is names and positions: `data.id`, `[0].message_id`, `messages[0].status.id`. In an answer that is no JSON,
`text` stands for the whole of it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.utils.translation import gettext as _

from messaging.providers.base import OutcomeKind, ReportStatus
from messaging.providers.failures import FAILURES

PLACEHOLDERS: Final = frozenset("to to_digits text sender reference callback_url username password api_key".split())
# Causes that time or another provider may lift: a refusal of such a kind goes again, every other is final.
PASSING: Final = frozenset(
    "provider_balance provider_credentials provider_busy provider_error provider_address not_routed left_out".split()
)
_PLACE: Final = re.compile(r"\{([A-Za-z_][A-Za-z_0-9]*)\}")
_STEP: Final = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_-]*)|\[([0-9]{1,4})\]")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_STATUSES: Final[tuple[ReportStatus, ...]] = ("sent", "delivered", "read", "failed")


class UnusableSetup(ValueError):
    """A description that cannot be used; `field` names where, the text is a sentence for the operator."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of `success`. path () and contains: the text of the answer has one of the words in it."""

    path: tuple[str | int, ...]
    words: frozenset[str]
    contains: bool = False

    def holds(self, answer: Any, text: str) -> bool:
        if self.contains:
            return any(word in text for word in self.words)
        return find(answer, self.path) in self.words


@dataclass(frozen=True, slots=True)
class Setup:
    """A description that was read."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    body_kind: str
    document: Any
    form: tuple[tuple[str, str], ...]
    success: tuple[Condition, ...]
    id_at: tuple[str | int, ...]
    refusal_at: tuple[str | int, ...]
    refusals: dict[str, str]
    report_id_at: tuple[str | int, ...]
    report_status_at: tuple[str | int, ...]
    report_reason_at: tuple[str | int, ...]
    report_to_at: tuple[str | int, ...]
    report_words: dict[str, tuple[ReportStatus, str]]
    report_answer: str


def read_setup(values: Mapping[str, str]) -> Setup:
    """Raises: UnusableSetup for the first thing that is wrong."""
    read = {name: reader(values.get(name, "")) for name, reader in _READERS.items()}
    if read["body_kind"] == "json":
        read["document"] = _read_document(values.get("body", ""))
    elif read["body_kind"] == "form":
        read["form"] = _pairs("body", values.get("body", ""), "=")
    return Setup(**{"document": None, "form": (), **read})


def problems_in(values: Mapping[str, str]) -> dict[str, str]:
    """A sentence for each field that cannot be used."""
    found: dict[str, str] = {}
    readers: dict[str, Callable[[str], Any]] = dict(_READERS)
    kind = values.get("body_kind", "").strip() or "json"
    if kind == "json":
        readers["body"] = _read_document
    elif kind == "form":
        readers["body"] = lambda text: _pairs("body", text, "=")
    for name, reader in readers.items():
        try:
            reader(values.get(name, ""))
        except UnusableSetup as error:
            found.setdefault(error.field, str(error))
    if kind == "none" and values.get("body", "").strip():
        found["body"] = _("There is a template, but the body is “none”.")
    if (values.get("method", "").strip() or "POST") == "GET" and kind != "none":
        found["body_kind"] = _("A GET has no body: choose “none” and write the values as a query.")
    if values.get("refusals", "").strip() and not values.get("refusal_at", "").strip():
        found["refusal_at"] = _("Say where the reason of a refusal stands, or leave out what refusals mean.")
    if values.get("report_words", "").strip() and not values.get("report_status_at", "").strip():
        found["report_status_at"] = _("Say where the status of a report stands, or leave out what its words mean.")
    if values.get("report_status_at", "").strip() and not values.get("report_words", "").strip():
        found["report_words"] = _("Say what the words mean: without that every message stays sent.")
    return found


def fill(template: str, values: Mapping[str, str]) -> str:
    """`template` with its placeholders filled. A value is put in as it is and is not looked through again."""
    return _PLACE.sub(lambda found: values.get(found[1], found[0]), template)


def filled(document: Any, values: Mapping[str, str]) -> Any:
    """A JSON document with the placeholders of its strings filled; names of fields stay as they are."""
    if isinstance(document, str):
        return fill(document, values)
    if isinstance(document, list):
        return [filled(each, values) for each in document]
    if isinstance(document, dict):
        return {name: filled(each, values) for name, each in document.items()}
    return document


def find(answer: Any, path: Iterable[str | int]) -> str:
    """What stands at `path`, as text; "" where nothing does, or something with parts of its own."""
    for step in path:
        if isinstance(step, int):
            answer = answer[step] if isinstance(answer, list) and step < len(answer) else None
        else:
            answer = answer.get(step) if isinstance(answer, dict) else None
    if isinstance(answer, bool):
        return "true" if answer else "false"
    return str(answer).strip() if isinstance(answer, (str, int, float)) else ""


def kind_of(error_code: str) -> OutcomeKind:
    return "retry" if error_code in PASSING else "rejected"


def _place_names(field: str, text: str) -> str:
    unknown = sorted(set(_PLACE.findall(text)) - PLACEHOLDERS)
    if unknown:
        known = " ".join(f"{{{name}}}" for name in sorted(PLACEHOLDERS))
        words = _("There is no placeholder {%(name)s}. There are: %(known)s.")
        raise UnusableSetup(field, words % {"name": unknown[0], "known": known})
    return text


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _pairs(field: str, text: str, mark: str) -> tuple[tuple[str, str], ...]:
    found = []
    for line in _lines(text):
        name, parted, value = line.partition(mark)
        if not parted or not name.strip():
            words = _("“%(line)s” is not of the form: name %(mark)s value.")
            raise UnusableSetup(field, words % {"line": line[:60], "mark": mark})
        found.append((name.strip(), _place_names(field, value.strip())))
    return tuple(found)


def _read_path(text: str) -> str:
    text = text.strip()
    if "://" in text or "?" in text or "#" in text or any(char.isspace() for char in text):
        words = _("Write only what follows the base URL, such as /sms/send; parameters go into the query.")
        raise UnusableSetup("path", words)
    return _place_names("path", text)


def _read_headers(text: str) -> tuple[tuple[str, str], ...]:
    pairs = _pairs("headers", text, ":")
    for name, value in pairs:
        if not _HEADER_NAME.fullmatch(name) or not value.isprintable() or not value.isascii():
            raise UnusableSetup("headers", _("“%(name)s” is no header that can be sent.") % {"name": name[:40]})
        if {"text", "sender"} & set(_PLACE.findall(value)):
            raise UnusableSetup("headers", _("A message's text or sender cannot travel in a header."))
        if name.lower() in ("content-length", "host", "transfer-encoding", "content-type", "connection"):
            words = _("The header %(name)s is set by itself; leave it out.")
            raise UnusableSetup("headers", words % {"name": name})
    return pairs


def _read_document(text: str) -> Any:
    try:
        document = orjson.loads(text)
    except ValueError as error:
        words = _("The body template is not JSON: %(problem)s.")
        raise UnusableSetup("body", words % {"problem": str(error).rstrip(".")}) from None
    if not isinstance(document, (dict, list)):
        raise UnusableSetup("body", _("The body template is a JSON object or list."))
    _place_names("body", orjson.dumps(document).decode())
    return document


def _at(field: str) -> Callable[[str], tuple[str | int, ...]]:
    return lambda text: _read_at(field, text)


def _read_at(field: str, text: str) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    rest = text.strip()
    while rest:
        found = _STEP.match(rest)
        if not found:
            words = _("“%(path)s” is no place in an answer. Write it like data.id or [0].message_id.")
            raise UnusableSetup(field, words % {"path": text.strip()[:60]})
        steps.append(found[1] if found[1] else int(found[2]))
        rest = rest[found.end() :]
    return tuple(steps)


def _read_success(text: str) -> tuple[Condition, ...]:
    conditions = []
    for line in _lines(text):
        if line.lower().startswith("text contains "):
            conditions.append(Condition((), frozenset({line[len("text contains ") :].strip()}), contains=True))
            continue
        path, parted, words = line.partition("=")
        wanted = frozenset(word.strip() for word in words.split("|") if word.strip())
        if not parted or not path.strip() or not wanted:
            told = _("“%(line)s” is no condition. Write it like status = ok, or: text contains OK.")
            raise UnusableSetup("success", told % {"line": line[:60]})
        conditions.append(Condition(_read_at("success", path), wanted))
    if not conditions:
        raise UnusableSetup("success", _("Say how a success looks, or no message would ever count as sent."))
    return tuple(conditions)


def _read_refusals(text: str) -> dict[str, str]:
    found = {}
    for word, code in _pairs("refusals", text, "="):
        if code not in FAILURES:
            words = _("“%(code)s” is none of our codes. There are: %(known)s.")
            raise UnusableSetup("refusals", words % {"code": code[:40], "known": ", ".join(FAILURES)})
        found[word.lower()] = code
    return found


def _read_words(text: str) -> dict[str, tuple[ReportStatus, str]]:
    found: dict[str, tuple[ReportStatus, str]] = {}
    for word, meaning in _pairs("report_words", text, "="):
        status, _space, code = meaning.partition(" ")
        known = next((each for each in _STATUSES if each == status), None)
        code = code.strip()
        if known is None or (code and (known != "failed" or code not in FAILURES)):
            words = _("“%(meaning)s” is not sent, delivered, read, failed, or failed with one of our codes.")
            raise UnusableSetup("report_words", words % {"meaning": meaning[:60]})
        found[word.lower()] = (known, code or ("delivery_failed" if known == "failed" else ""))
    return found


def _choice(field: str, *choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        chosen = text.strip() or choices[0]
        if chosen not in choices:
            words = _("Choose one of: %(choices)s.")
            raise UnusableSetup(field, words % {"choices": ", ".join(choices)})
        return chosen

    return read


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "method": _choice("method", "POST", "GET"),
    "path": _read_path,
    "query": lambda text: _pairs("query", text, "="),
    "headers": _read_headers,
    "body_kind": _choice("body_kind", "json", "form", "none"),
    "success": _read_success,
    "id_at": _at("id_at"),
    "refusal_at": _at("refusal_at"),
    "refusals": _read_refusals,
    "report_id_at": _at("report_id_at"),
    "report_status_at": _at("report_status_at"),
    "report_reason_at": _at("report_reason_at"),
    "report_to_at": _at("report_to_at"),
    "report_words": _read_words,
    "report_answer": lambda text: text.strip() or "OK",
}
