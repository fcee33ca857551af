"""Hours in which a route holds, as people write them: `Mon-Fri 08:00-18:00, Sat 08:00-12:00, 22:00-06:00`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PART = re.compile(r"(?:([a-z]{3})(?:-([a-z]{3}))? )?(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})", re.ASCII)
_WEEK = 7 * 24 * 60


class UnreadableWindow(ValueError):
    """What was written is no list of hours; the message is a sentence for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes of the week, from Monday 00:00, in which a route holds: (first, end). Empty: always."""

    spans: tuple[tuple[int, int], ...] = ()

    def holds_at(self, local: datetime) -> bool:
        return not self.spans or any(_within(_minute(local), span) for span in self.spans)

    def opens_after(self, local: datetime) -> datetime:
        """The next moment at which it holds; `local` itself where it does."""
        if self.holds_at(local):
            return local
        minute = _minute(local)
        wait = min((first - minute) % _WEEK for first, _ in self.spans)
        return local.replace(second=0, microsecond=0) + timedelta(minutes=wait)


def read_window(text: str) -> Window:
    """Days are Mon to Sun, none for every day; an end before its beginning is on the next day. Raises:
    UnreadableWindow.
    """
    spans: list[tuple[int, int]] = []
    for part in filter(None, (" ".join(piece.split()).lower() for piece in text.split(","))):
        found = _PART.fullmatch(part)
        if found is None:
            raise UnreadableWindow(f"“{part}” is not like Mon-Fri 08:00-18:00.")
        first, last, *times = found.groups()
        opens_hour, opens_minute, closes_hour, closes_minute = map(int, times)
        opens, closes = opens_hour * 60 + opens_minute, closes_hour * 60 + closes_minute
        if max(opens_minute, closes_minute) > 59 or opens >= 1440 or closes > 1440 or opens == closes:
            raise UnreadableWindow(f"“{part}” has a time that does not exist, or no time at all.")
        length = (closes - opens) % 1440 or 1440
        spans += [(day * 1440 + opens, day * 1440 + opens + length) for day in _days(first, last, part)]
    return Window(tuple(spans))


def _days(first: str | None, last: str | None, part: str) -> Sequence[int]:
    if first is None:
        return range(7)
    if first not in DAYS or (last or first) not in DAYS:
        raise UnreadableWindow(f"“{part}” has a day that is none of Mon, Tue, Wed, Thu, Fri, Sat, Sun.")
    start = DAYS.index(first)
    return [(start + step) % 7 for step in range((DAYS.index(last or first) - start) % 7 + 1)]


def _minute(local: datetime) -> int:
    return local.weekday() * 1440 + local.hour * 60 + local.minute


def _within(minute: int, span: tuple[int, int]) -> bool:
    return span[0] <= minute < span[1] or span[0] <= minute + _WEEK < span[1]
