"""Values of the client's own fields: what people type for a number, a date or a choice, in one spelling each."""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation

from django.utils.translation import gettext as _

_GAPS = re.compile(r"[\s\u00a0\u202f'’]")
_DAY_FIRST = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})")
_YEAR_FIRST = re.compile(r"(\d{4})[./-](\d{1,2})[./-](\d{1,2})(?:[ T]00:00(?::00)?)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")


class BadValueError(ValueError):
    """The text is not of the field's kind; the message is a sentence for the person who typed it."""


def read_value(kind: str, text: str, choices: Sequence[str] = ()) -> str:
    """`text`, not blank, as it is kept: a number as `-1500.5`, a date as `2026-11-20`, a choice as it is listed.

    Dates are read day first, as they are written where we work: `5/11/2026` is the fifth of November.
    Raises: BadValueError.
    """
    if kind == "number":
        return _read_number(text)
    if kind == "date":
        return _read_date(text)
    if kind == "choice":
        plain = text.casefold()
        for choice in choices:
            if choice.casefold() == plain:
                return choice
        raise BadValueError((_("This is none of: %(choices)s.") % {"choices": ", ".join(choices)})[:300])
    return text


def _read_number(text: str) -> str:
    plain = _GAPS.sub("", text)
    if "," in plain and "." in plain:
        decimal = max(plain.rfind(","), plain.rfind("."))
        plain = re.sub(r"[.,]", "", plain[:decimal]) + "." + plain[decimal + 1 :]
    elif _THOUSANDS.fullmatch(plain):
        plain = plain.replace(",", "")
    else:
        plain = plain.replace(",", ".")
    try:
        number = Decimal(plain) if re.fullmatch(r"[+-]?\d{1,18}(?:\.\d{1,9})?", plain, re.ASCII) else None
    except InvalidOperation:
        number = None
    if number is None:
        raise BadValueError(_("This is not a number."))
    return f"{number.normalize():f}" if number else "0"


def _read_date(text: str) -> str:
    if found := _YEAR_FIRST.fullmatch(text):
        year, month, day = found.groups()
    elif found := _DAY_FIRST.fullmatch(text):
        day, month, year = found.groups()
    else:
        raise BadValueError(_("This is not a date: write it as 2026-11-20 or 20/11/2026."))
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        sentence = _("There is no such day: write the day first, 20/11/2026, or the year first.")
        raise BadValueError(sentence) from None
