"""Phone numbers: one reading of what people type into E.164, and the ways we show a number again.

A national number is read in the region it is given with (the client's country) and never guessed into another one.
Ranges and lengths come from libphonenumber's metadata; only the old Ivorian numbers are ours to know.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache

import phonenumbers
from django.utils.translation import gettext as _
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, NumberParseException, PhoneMetadata, PhoneNumberType

from crm.common.errors import DomainError


class InvalidPhone(DomainError):
    """What was given cannot be called a mobile number; the message is a sentence for the person who typed it.

    Fact: `reason`, one of empty, letters, characters, excel, too_short, too_long, wrong_length, landline, not_mobile,
    unknown_country, old_number, unreadable. The number itself is not kept in the facts: they may be logged.
    """

    code = "invalid_phone"


@dataclass(frozen=True, slots=True)
class Phone:
    """A mobile number. region: ISO 3166 code of its country; assigned: False if no operator is known for its range."""

    e164: str
    region: str
    assigned: bool


_INVISIBLE = {ord(c): None for c in "\u200b\u200c\u200d\u200e\u200f\u2060\u202a\u202b\u202c\u202d\u202e\ufeff\u00ad"}
_DASHES = {ord(c): "-" for c in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"}
_SHORTENED = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+")
_FOREIGN = re.compile(r"[^0-9+ \-.()/]")
_MOBILE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


def read_phone(raw: object, region: str | None) -> Phone:
    """Read one number as people write it: `0712 345 678`, `712345678`, `00254…`, `tel:+254-…`, spreadsheets' `254….0`.

    region: the country of a number written without its country code; None or "" accepts the international form only.
    A number whose range is assigned to nobody passes (assigned=False) if it has exactly a mobile number's length.
    Raises: InvalidPhone.
    """
    region = (region or "").upper() or None
    text = _upgrade_ivorian(_clean(raw), region)
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException as error:
        raise _parse_refusal(error.error_type) from None
    code = number.country_code or 0
    home = phonenumbers.region_code_for_country_code(code)
    kind = phonenumbers.number_type(number)
    if kind not in _MOBILE:
        if kind != PhoneNumberType.UNKNOWN:
            raise _kind_refusal(kind)
        _check_length(len(phonenumbers.national_significant_number(number)), home, code)
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return Phone(e164, phonenumbers.region_code_for_number(number) or home, kind in _MOBILE)


class PhoneReader:
    """Reads many numbers of one region: the same answers as `read_phone`, about ten times as fast for ordinary ones."""

    def __init__(self, region: str | None) -> None:
        self.region = (region or "").upper()
        fast = _mobile_pattern(self.region)
        self._match = fast[0].fullmatch if fast else None
        self._prefix = fast[1] if fast else ""

    def ordinary(self, raw: str) -> str:
        """The number in E.164 if it is an ordinary mobile number of the region, else "": `read` knows more."""
        if self._match and (found := self._match(raw) or self._match(raw.translate(_SEPARATORS))):
            return self._prefix + found[1]
        return ""

    def read(self, raw: object) -> Phone:
        """Raises: InvalidPhone."""
        if isinstance(raw, str) and (e164 := self.ordinary(raw)):
            return Phone(e164, self.region, True)
        return read_phone(raw, self.region)


# Dots are not here: "254712345678.0" is a spreadsheet's number and must lose its last digit with the dot.
_SEPARATORS = {ord(c): None for c in " -()/"}


def _clean(raw: object) -> str:
    """The number as digits, plus and separators. NFKC turns full-width digits and no-break spaces into plain ones."""
    text = unicodedata.normalize("NFKC", "" if raw is None else str(raw)).translate(_INVISIBLE).translate(_DASHES)
    text = " ".join(text.split()).lstrip("'\u2019` ")
    if text[:4].lower() == "tel:":
        text = text[4:].lstrip()
    if text.endswith(".0"):
        text = text[:-2]
    if not text:
        raise InvalidPhone(_("There is no phone number here."), reason="empty")
    if _SHORTENED.fullmatch(text):
        raise InvalidPhone(_("Excel shortened this number: format the column as text"), reason="excel")
    foreign = _FOREIGN.search(text)
    if foreign and foreign[0].isalpha():
        # The library reads letters as keypad digits, so that 0711XXXYYY would become somebody's number.
        raise InvalidPhone(_("There is a letter in this number: “%(sign)s”.") % {"sign": foreign[0]}, reason="letters")
    if foreign:
        raise InvalidPhone(_("A phone number cannot contain “%(sign)s”.") % {"sign": foreign[0]}, reason="characters")
    # East African dial-out prefixes are 000 and the like; people write 00 all the same. The library knows the rest.
    return "+" + text[2:] if re.match(r"00[1-9]", text) else text


# Côte d'Ivoire went from 8 to 10 digits on 31 January 2021: the operator's two digits came in front.
_IVORIAN_MTN = re.compile(r"[0456789][4-6]\d{6}")
_IVORIAN_ORANGE = re.compile(r"(?!99)[0456789][7-9]\d{6}")
_IVORIAN_MOOV = re.compile(r"(?:0[1-3]|[457][0-3])\d{6}")


def _upgrade_ivorian(text: str, region: str | None) -> str:
    number = re.sub(r"[^0-9+]", "", text)
    if number.startswith("+225"):
        local = number[4:]
    elif region == "CI" and "+" not in number:
        local = number[3:] if len(number) == 11 and number.startswith("225") else number
    else:
        return text
    if len(local) != 8:
        return text
    for operator, pattern in (("05", _IVORIAN_MTN), ("07", _IVORIAN_ORANGE), ("01", _IVORIAN_MOOV)):
        if pattern.fullmatch(local):
            return f"+225{operator}{local}"
    raise InvalidPhone(
        _("This old 8-digit Ivorian number is not a mobile that can be brought up to date: write its 10 digits."),
        reason="old_number",
    )


def _parse_refusal(error_type: int) -> InvalidPhone:
    if error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return InvalidPhone(_("The country code of this number is missing or unknown."), reason="unknown_country")
    if error_type == NumberParseException.TOO_LONG:
        return InvalidPhone(_("This number has too many digits."), reason="too_long")
    if error_type in (NumberParseException.TOO_SHORT_NSN, NumberParseException.TOO_SHORT_AFTER_IDD):
        return InvalidPhone(_("This number has too few digits."), reason="too_short")
    return InvalidPhone(_("This cannot be read as a phone number."), reason="unreadable")


def _kind_refusal(kind: int) -> InvalidPhone:
    if kind == PhoneNumberType.FIXED_LINE:
        return InvalidPhone(_("This is a landline: it cannot receive messages."), reason="landline")
    return InvalidPhone(_("This is a service number, not a mobile number."), reason="not_mobile")


def _check_length(length: int, region: str, country_code: int) -> None:
    lengths = _mobile_lengths(region)
    if length in lengths:
        return
    if not lengths:
        sentence = _("There are no mobile numbers under +%(code)s.") % {"code": country_code}
        raise InvalidPhone(sentence, reason="unknown_country")
    wanted = _(" or ").join(map(str, lengths))
    facts = {"code": country_code, "wanted": wanted, "length": length}
    if length < lengths[0]:
        sentence = _("Too short: after +%(code)s a mobile number has %(wanted)s digits, this one has %(length)s.")
        raise InvalidPhone(sentence % facts, reason="too_short")
    if length > lengths[-1]:
        sentence = _("Too long: after +%(code)s a mobile number has %(wanted)s digits, this one has %(length)s.")
        raise InvalidPhone(sentence % facts, reason="too_long")
    sentence = _("Wrong length: after +%(code)s a mobile number has %(wanted)s digits, this one has %(length)s.")
    raise InvalidPhone(sentence % facts, reason="wrong_length")


@cache
def _mobile_lengths(region: str) -> tuple[int, ...]:
    """National lengths of mobile numbers, ascending. The metadata leaves them out where they equal the general ones."""
    data = PhoneMetadata.metadata_for_region(region)
    if data is None or not data.mobile or not data.general_desc or not data.mobile.national_number_pattern:
        return ()
    return tuple(sorted(data.mobile.possible_length or data.general_desc.possible_length))


_OTHER_KINDS = (
    "premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail",
)  # fmt: skip


@cache
def _mobile_pattern(region: str) -> tuple[re.Pattern[str], str] | None:
    """A pattern whose first group is the national number of what the library calls MOBILE, and the "+254" before it.

    None where the calling code is shared by several regions (+1, +7, +44) or the trunk rules are no plain digits: ask
    the library there. The library tests the other kinds before mobile, hence the look-ahead that excludes them.
    """
    data = PhoneMetadata.metadata_for_region(region)
    if data is None or not _mobile_lengths(region) or len(COUNTRY_CODE_TO_REGION_CODE[data.country_code or 0]) > 1:
        return None
    code, trunk, strip = data.country_code, data.national_prefix, data.national_prefix_for_parsing
    if strip and (not trunk or data.national_prefix_transform_rule or not re.fullmatch(r"[\d|]+", strip)):
        return None
    whole = _plain(data.general_desc)
    others = "|".join(
        _plain(kind)
        for name in _OTHER_KINDS
        if (kind := getattr(data, name)) is not None and kind.national_number_pattern
    )
    starts = ["", rf"\+{code}", f"(?!(?:{whole})$){code}"]
    if strip:
        not_others = "".join(f"(?!{prefix})" for prefix in strip.split("|") if prefix != trunk)
        starts.append(f"(?!(?:{whole})$){not_others}{trunk}")
    lengths = "|".join(rf"\d{{{length}}}" for length in _mobile_lengths(region))
    national = f"(?!0|{strip})" if strip else ""
    excluded = f"(?!(?:{others})$)" if others else ""
    pattern = f"(?:{'|'.join(starts)})(?=(?:{whole})$)(?=(?:{lengths})$){national}{excluded}((?:{_plain(data.mobile)}))"
    return re.compile(pattern, re.ASCII), f"+{code}"


def _plain(kind: phonenumbers.PhoneNumberDesc | None) -> str:
    """The metadata's pattern for a kind of number, without capturing groups."""
    return re.sub(r"\((?!\?)", "(?:", (kind and kind.national_number_pattern) or "")


_GROUPS = {"SN": (2, 3, 2, 2), "CI": (2, 2, 2, 2, 2)}
_NINE_DIGITS = (3, 3, 3)


def display_phone(e164: str) -> str:
    """For people: `+254 712 345 678`, `+221 77 123 45 67`, `+225 07 12 34 56 78`; elsewhere the country's own way."""
    code = _calling_code(e164)
    if not code:
        return e164
    region = COUNTRY_CODE_TO_REGION_CODE[int(code)][0]
    national = e164[1 + len(code) :]
    groups = _GROUPS.get(region, _NINE_DIGITS)
    if sum(groups) != len(national):
        try:
            number = phonenumbers.parse(e164)
        except NumberParseException:
            return e164
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    parts, start = [f"+{code}"], 0
    for size in groups:
        parts.append(national[start : start + size])
        start += size
    return " ".join(parts)


def region_of(e164: str) -> str:
    """The country of a stored number, "" if its calling code is unknown. Cheap but under +1, +7, +44 and their like."""
    regions = _regions_from(e164[:4])
    if len(regions) == 1:
        return regions[0]
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(e164)) or regions[0]
    except NumberParseException:
        return regions[0]


def shares_its_code(e164: str) -> bool:
    """Whether the calling code of a stored number is that of several countries, so that its beginning tells none."""
    return len(_regions_from(e164[:4])) > 1


@lru_cache(4096)
def _regions_from(beginning: str) -> tuple[str, ...]:
    """The countries that have a calling code within the first four signs of a number; ("",) for an unknown one."""
    code = _calling_code(beginning)
    return COUNTRY_CODE_TO_REGION_CODE[int(code)] if code else ("",)


def digits(e164: str) -> str:
    """`254712345678`: the form that dialects and most providers speak."""
    return e164.removeprefix("+")


def mask_phone(e164: str) -> str:
    """For logs: only the last three digits stay, `***678`."""
    return f"***{e164[-3:]}" if len(e164) > 6 else "***"


_CALLING_CODES = frozenset(map(str, COUNTRY_CODE_TO_REGION_CODE))


def _calling_code(e164: str) -> str:
    """No calling code is the beginning of another, so the first that fits is the one."""
    if e164.startswith("+"):
        for end in (4, 3, 2):
            if e164[1:end] in _CALLING_CODES:
                return e164[1:end]
    return ""
