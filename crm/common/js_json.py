"""JSON exactly as JavaScript writes it: for every value here, the bytes are those of JSON.stringify(JSON.parse(bytes)).

Receivers of webhooks sign either the raw body or what JSON.stringify makes of the parsed one; both must agree
(contracts/dialects/native.md, "Webhooks"). Rules: ECMA-262, Number::toString and SerializeJSONProperty.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

_EXACT = 2**53  # larger whole numbers are not all numbers of JavaScript
_SURROGATE = re.compile("[\ud800-\udfff]")


def js_json(value: Any) -> str:
    """`value` (dict, list, str, int, float, Decimal, bool, None) as JSON.stringify would write it.

    Decimals and whole numbers beyond 2**53 become the nearest double, as JSON.parse makes them; a lone half of a
    surrogate pair becomes U+FFFD, since UTF-8 cannot carry it.
    Raises: ValueError for NaN and Infinity, and for an object key that is a whole number, which JavaScript would move
    to the front; TypeError for anything else that JSON has no word for.
    """
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return str(value) if -_EXACT <= value <= _EXACT else _number(float(value))
    if isinstance(value, float | Decimal):
        return _number(float(value))
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_string(_key(name))}:{js_json(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return "[" + ",".join(map(js_json, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def _key(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError("an object's keys are strings")
    if name.isascii() and name.isdigit():
        raise ValueError(f"the key “{name}” is a whole number, which JavaScript would put first")
    return name


def _string(text: str) -> str:
    """Python escapes the same characters in the same way; U+2028 and everything above stay as they are in both."""
    if _SURROGATE.search(text):
        # A pair given as two halves is one character; a half alone is none.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return encode_basestring(text)


def _number(value: float) -> str:
    """ECMA-262 s6.1.6.1.20: the shortest digits that read back as the same double, which Python's repr finds too."""
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("NaN and Infinity have no place in JSON")
    if value == 0:
        return "0"
    _, figures, exponent = Decimal(repr(abs(value))).normalize().as_tuple()
    sign, digits = "-" if value < 0 else "", "".join(map(str, figures))
    point = len(digits) + int(exponent)  # the decimal point lies behind so many digits
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = f"{point - 1:+d}"
    return f"{sign}{digits[0]}e{power}" if count == 1 else f"{sign}{digits[0]}.{digits[1:]}e{power}"
