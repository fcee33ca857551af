"""Request bodies: one JSON object, read strictly and within bounds (GUARANTEES.md U2)."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

DEEPEST = 64
_BOM = b"\xef\xbb\xbf"
# Programs that send JSON and forget to say so: curl's default, a plain string, nothing at all.
_READ_AS_JSON = {"", "application/json", "text/json", "text/plain", "application/x-www-form-urlencoded"}


class BodyTooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"
    default_detail = "The body is too large."


class JsonParser(BaseParser):
    """Strict UTF-8, no NaN or Infinity, no NUL, no half of a character; the last of two equal names holds.

    Raises: ParseError, BodyTooLarge, UnsupportedMediaType.
    """

    media_type = "*/*"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        kind = (media_type or "").partition(";")[0].strip().lower()
        if kind not in _READ_AS_JSON and not kind.endswith("+json"):
            raise UnsupportedMediaType(kind, detail="Send the body as JSON, with Content-Type: application/json.")
        raw = _read_all(stream)
        if parser_context and (request := parser_context.get("request")):
            request._request.raw_body = raw  # for the list of the last requests
        try:
            return read_object(raw)
        except ParseError:
            if kind == "application/x-www-form-urlencoded" and raw.lstrip()[:1] not in (b"{", b"["):
                raise UnsupportedMediaType(
                    kind, detail="This is a form. Send the body as JSON, with Content-Type: application/json."
                ) from None
            raise


def _read_all(stream: IO[bytes]) -> bytes:
    most = settings.API_MAX_BODY_BYTES
    raw = stream.read(most + 1)
    if len(raw) > most:
        raise BodyTooLarge(f"The body may have at most {most} bytes.")
    return raw


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises: ParseError, with the sentence for the caller."""
    raw = raw.removeprefix(_BOM)
    # Counting brackets is cheap, and only a body with this many can be too deep.
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and _depth(raw) > DEEPEST:
        raise ParseError(f"The body is nested more than {DEEPEST} levels deep.")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ParseError(f"The body cannot be read as JSON: {error}") from None
    if not isinstance(value, dict):
        raise ParseError("The body must be a JSON object: { … }.")
    if b"\\u0000" in raw and _holds_nul(value):
        raise ParseError("The body contains a NUL character (\\u0000).")
    return value


def _depth(raw: bytes) -> int:
    """How deep brackets outside strings are nested; brackets need not match, the parser sees to that."""
    depth = deepest = 0
    in_string = escaped = False
    for byte in raw:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _holds_nul(value: Any) -> bool:
    """Whether a string or name in `value` has a NUL; `\\\\u0000` in the body may also be an escaped backslash."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in name or _holds_nul(inner) for name, inner in value.items())
    return isinstance(value, list) and any(_holds_nul(inner) for inner in value)
