"""Texts as SMPP carries them: the SMS alphabet in octets, UCS-2, and long texts in parts.

Source: 3GPP TS 23.038 section 6.2.1 (alphabet, one octet a septet), TS 23.040 section 9.2.3.24.1 (concatenation).
"""

import struct
from typing import Final, Literal

from messaging.providers.smpp.pdus import SAR_REFERENCE, SAR_SEQUENCE, SAR_TOTAL, Part, tlv

Alphabet = Literal["gsm7", "latin1"]
LongTexts = Literal["udh", "sar", "payload"]

_ALPHABET: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
_OCTETS: Final = {character: bytes((code,)) for code, character in enumerate(_ALPHABET) if character != "\x1b"} | {
    character: bytes((0x1B, code)) for character, code in _EXTENSION.items()
}
_EXTENDED: Final = {code: character for character, code in _EXTENSION.items()}

GSM7: Final = 0  # data_coding
LATIN1: Final = 3
UCS2: Final = 8


def encode(text: str, alphabet: Alphabet = "gsm7") -> tuple[int, list[bytes]]:
    """(data_coding, the octets of each character): those of one character are never split between parts."""
    try:
        return GSM7 if alphabet == "gsm7" else LATIN1, _characters(text, alphabet)
    except (KeyError, UnicodeEncodeError):
        return UCS2, [character.encode("utf-16-be") for character in text]


def _characters(text: str, alphabet: Alphabet) -> list[bytes]:
    if alphabet == "latin1":
        return [character.encode("latin-1") for character in text]
    return [_OCTETS[character] for character in text]


def parts_of(text: str, *, reference: int, how: LongTexts = "udh", alphabet: Alphabet = "gsm7") -> list[Part]:
    """The parts that carry `text`, one where it fits. reference: 0 to 65535, differs between messages to one number.

    Raises: ValueError for a text of more than 255 parts.
    """
    coding, characters = encode(text, alphabet)
    whole = b"".join(characters)
    if len(whole) <= (140 if coding == UCS2 else 160):
        return [Part(whole, coding)]
    if how == "payload":
        return [Part(whole, coding, in_payload=True)]
    size = 134 if coding == UCS2 else 153
    cut: list[bytes] = [b""]
    for octets in characters:
        if len(cut[-1]) + len(octets) > size:
            cut.append(b"")
        cut[-1] += octets
    total = len(cut)
    if total > 255:
        raise ValueError("a text of more than 255 parts")
    if how == "sar":
        common = tlv(SAR_REFERENCE, struct.pack(">H", reference)) + tlv(SAR_TOTAL, bytes((total,)))
        return [Part(octets, coding, tlvs=common + tlv(SAR_SEQUENCE, bytes((n,)))) for n, octets in enumerate(cut, 1)]
    header = bytes((5, 0, 3, reference & 0xFF, total))
    return [Part(header + bytes((n,)) + octets, coding, has_header=True) for n, octets in enumerate(cut, 1)]


def decode(octets: bytes, data_coding: int, alphabet: Alphabet = "gsm7") -> str:
    """A text that came in. What cannot be read is replaced, never an error."""
    group = data_coding & 0x0F if data_coding < 0x10 else {0x18: UCS2}.get(data_coding & 0xFC, GSM7)
    if group == UCS2:
        return octets.decode("utf-16-be", "replace")
    if group in (1, LATIN1) or (group == GSM7 and alphabet == "latin1"):
        return octets.decode("latin-1")
    found, escaped = [], False
    for octet in octets:
        if escaped:
            found.append(_EXTENDED.get(octet, " "))
            escaped = False
        elif octet == 0x1B:
            escaped = True
        else:
            found.append(_ALPHABET[octet] if octet < 128 else "\ufffd")
    return "".join(found)


def without_header(octets: bytes) -> tuple[bytes, tuple[int, int, int] | None]:
    """The octets after the user data header, and (reference, total, sequence) where it says that this is a part."""
    if not octets or len(octets) <= octets[0]:
        return octets, None
    header, text = octets[1 : octets[0] + 1], octets[octets[0] + 1 :]
    at = 0
    while at + 2 <= len(header):
        kind, length = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + length]
        if kind == 0 and len(value) == 3:
            return text, (value[0], value[1], value[2])
        if kind == 8 and len(value) == 4:
            return text, (value[0] << 8 | value[1], value[2], value[3])
        at += 2 + length
    return text, None
