"""How long a text is: SMS segments on air, and the units that a price plan bills for them.

Source: 3GPP TS 23.038 section 6.2.1 (alphabet and extension table), TS 23.040 section 9.2.3.24.1 (concatenation).
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from django.utils.translation import gettext as _

from crm.common.errors import DomainError
from crm.common.letter_names import name_to_read

Encoding = Literal["gsm7", "ucs2"]
UnitRule = Literal["per_160", "segments"]

MAX_CHARACTERS = 480  # of one SMS, whichever door it comes through

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_BASIC = _LETTERS + "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà"
_EXTENSION = "^{}\\[~]|€\f"
_GSM7 = re.compile(f"[{re.escape(_BASIC + _EXTENSION)}]*")
_plain = re.compile(f"[{re.escape(_BASIC)}]+").fullmatch
_EXTENDED = re.compile(f"[{re.escape(_EXTENSION)}]")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_FIRST_HALF = "\ud800"  # stands for the first half of a pair when a text is laid out; no stored text contains it
_PAIR = _FIRST_HALF + "_"
_GSM7_CHARACTERS = frozenset(_BASIC + _EXTENSION)


class EmptyText(DomainError):
    """There is no text to send."""

    code = "empty_text"


class UnreadableText(DomainError):
    """The text holds what no phone and no database can: NUL or half of a surrogate pair. Fact: `reason`."""

    code = "invalid_text"


@dataclass(frozen=True, slots=True)
class SegmentCount:
    """used: septets ("gsm7") or UTF-16 code units ("ucs2") of the whole text; characters: Unicode code points."""

    encoding: Encoding
    segments: int
    used: int
    characters: int


@dataclass(frozen=True, slots=True)
class UnitCount:
    """units: what is billed, by the plan's rule; segments: the SMS parts on air."""

    units: int
    segments: int
    encoding: Encoding
    characters: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A text cut where its units end. parts: one string a unit; size: room of a unit; left: room in the last one.

    size and left are in characters, septets or UTF-16 code units, whichever the rule counts.
    """

    encoding: Encoding
    parts: tuple[str, ...]
    size: int
    left: int


@dataclass(frozen=True, slots=True)
class ForcingCharacter:
    """A character that makes the whole message Unicode, with its name in lower-case words and how often it occurs."""

    character: str
    name: str
    count: int

    @property
    def name_to_read(self) -> str:
        """The name in the language of the page."""
        return name_to_read(self.character, self.name)


def count_segments(text: str) -> SegmentCount:
    """Count the SMS segments `text` takes on air: 160/153 septets, or 70/67 UTF-16 code units.

    An extension character costs two septets and a character above U+FFFF two code units; neither pair is ever split
    between segments, so a segment may end one unit early.    Raises: EmptyText.
    """
    if not text:
        raise EmptyText(_("There is no text to send."))
    if _GSM7.fullmatch(text):
        extended = len(_EXTENDED.findall(text))
        used = len(text) + extended
        if used <= 160:
            return SegmentCount("gsm7", 1, used, len(text))
        return SegmentCount("gsm7", _count_parts(_EXTENDED.sub(_PAIR, text), 153), used, len(text))
    used = len(text) + sum(1 for character in text if character > "\uffff")
    if used <= 70:
        return SegmentCount("ucs2", 1, used, len(text))
    return SegmentCount("ucs2", _count_parts(_ASTRAL.sub(_PAIR, text), 67), used, len(text))


def _count_parts(laid_out: str, size: int) -> int:
    """How many parts of `size` hold `laid_out`, in which a pair that must stay together is written as _PAIR."""
    if _FIRST_HALF not in laid_out:
        return -(-len(laid_out) // size)
    parts, start = 0, 0
    while start < len(laid_out):
        end = start + size
        if end < len(laid_out) and laid_out[end - 1] == _FIRST_HALF:
            end -= 1
        parts, start = parts + 1, end
    return parts


def count_units(text: str, rule: UnitRule) -> UnitCount:
    """Count what a plan bills. `segments`: one unit a segment. `per_160`: one unit for every 160 characters started,
    an extension character counting as one; Unicode text by its segments under both.    Raises: EmptyText.
    """
    # Nearly every text is of the plain alphabet, where its length says all: a campaign counts a million of them.
    return _count_plain(len(text), rule) if _plain(text) else _count(text, rule)


@lru_cache(4096)
def _count_plain(length: int, rule: UnitRule) -> UnitCount:
    return _count("A" * length, rule)


def _count(text: str, rule: UnitRule) -> UnitCount:
    counted = count_segments(text)
    units = counted.segments
    if rule == "per_160" and counted.encoding == "gsm7":
        units = -(-counted.characters // 160)
    return UnitCount(units, counted.segments, counted.encoding, counted.characters)


def lay_out(text: str, rule: UnitRule) -> Layout:
    """Cut `text` into its units for people to see: `len(parts)` is what count_units bills. "" has no part.

    static/js/composer.js does the same; tests hold the two to one table of cases.
    """
    encoding: Encoding = "gsm7" if _GSM7.fullmatch(text) else "ucs2"
    if encoding == "gsm7":
        weights = [2 if _EXTENDED.match(character) and rule == "segments" else 1 for character in text]
        single, size = 160, 160 if rule == "per_160" else 153
    else:
        weights = [2 if character > "\uffff" else 1 for character in text]
        single, size = 70, 67
    if sum(weights) <= single:
        return Layout(encoding, (text,) if text else (), single, single - sum(weights))
    starts, used = [0], 0
    for index, weight in enumerate(weights):
        if used + weight > size:
            starts.append(index)
            used = 0
        used += weight
    parts = tuple(text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True))
    return Layout(encoding, parts, size, size - used)


def clean_text(raw: str) -> str:
    """The text as it is stored, counted and sent: LF line ends (browsers post CR LF) and composed letters (NFC).

    Raises: UnreadableText.
    """
    if "\x00" in raw:
        raise UnreadableText(_("The text contains a NUL character."), reason="nul")
    try:
        raw.encode()
    except UnicodeEncodeError:
        raise UnreadableText(
            _("The text contains half of a character (a lone surrogate)."), reason="surrogate"
        ) from None
    return unicodedata.normalize("NFC", raw.replace("\r\n", "\n").replace("\r", "\n"))


def forcing_unicode(text: str) -> list[ForcingCharacter]:
    """The characters outside the standard SMS alphabet, in order of first appearance; empty for GSM-7 text."""
    counts = Counter(character for character in text if character not in _GSM7_CHARACTERS)
    return [ForcingCharacter(character, _name(character), count) for character, count in counts.items()]


_CONTROL_NAMES = {"\t": "tab", "\x1b": "escape", "\x0b": "vertical tab", "\ufeff": "byte order mark"}


def _name(character: str) -> str:
    return _CONTROL_NAMES.get(character) or unicodedata.name(character, f"U+{ord(character):04X}").lower()
