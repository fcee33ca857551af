"""Query parameters of lists: pages, days and plain words, bounded before they reach the database (U2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from crm.common.errors import InvalidInput

PER_PAGE = 20
MOST_PER_PAGE = 100
_LARGEST_ID = 2**63 - 1
_FURTHEST_PAGE = 10**9  # past the end of any list, and its offset still fits a 64-bit integer


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted; pages count from 1."""

    number: int
    size: int

    @property
    def start(self) -> int:
        return (self.number - 1) * self.size

    @property
    def stop(self) -> int:
        return self.number * self.size

    def meta(self, total: int) -> dict[str, int]:
        """The documented `meta`; an empty list has one page."""
        last = max(1, -(-total // self.size))
        return {"current_page": self.number, "total": total, "per_page": self.size, "last_page": last}


def read_page(params: Mapping[str, str]) -> Page:
    """`page` and `per_page`; more than 100 rows are read as 100. Raises: InvalidInput."""
    number = read_count(params, "page", default=1)
    size = read_count(params, "per_page", default=PER_PAGE)
    return Page(min(number, _FURTHEST_PAGE), min(size, MOST_PER_PAGE))


def read_count(params: Mapping[str, str], name: str, *, default: int) -> int:
    """A whole number from 1 up. Raises: InvalidInput."""
    text = params.get(name, "").strip()
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,4000}", text) or not text.strip("0"):
        raise InvalidInput({name: ["Give a whole number from 1 up."]})
    return int(text)


def read_id(text: str) -> int | None:
    """The id of a row; None for a text that cannot be one."""
    is_number = text.isascii() and text.isdigit() and len(text) <= 19
    return int(text) if is_number and 0 < int(text) <= _LARGEST_ID else None


def read_word(params: Mapping[str, str], name: str, *, longest: int = 254) -> str:
    """A text to look for; "" where it is not given. Raises: InvalidInput for NUL and for more than `longest`."""
    text = params.get(name, "").strip()
    if "\x00" in text or len(text) > longest:
        raise InvalidInput({name: [f"Give a text of at most {longest} characters."]})
    return text


def read_moment(params: Mapping[str, str], name: str, time_zone: str, *, ends: bool = False) -> datetime | None:
    """A day (`2025-10-09`, in `time_zone`) or a moment (ISO 8601) as UTC; None where it is not given.

    ends: the parameter closes a range, so a day means the beginning of the next one. Raises: InvalidInput.
    """
    text = params.get(name, "").strip().replace(" ", "+")  # an unescaped "+03:00" arrives as a space
    if not text:
        return None
    zone = ZoneInfo(time_zone)
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            day = date.fromisoformat(text) + timedelta(days=1 if ends else 0)
            return datetime.combine(day, time(), zone).astimezone(UTC)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput({name: ["Give a day such as 2025-10-09, or a time in ISO 8601."]}) from None


def read_choice(params: Mapping[str, str], name: str, choices: Mapping[str, Any], *, default: str) -> str:
    """One of `choices`, in any letter case. Raises: InvalidInput."""
    text = params.get(name, "").strip().lower() or default
    if text not in choices:
        raise InvalidInput({name: [f"Choose one of {', '.join(filter(None, choices))}."]})
    return text
