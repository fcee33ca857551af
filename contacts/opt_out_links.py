"""The short address of an opt-out page, such as /o/k7-Qb3xVw91LpY: a row's number and a keyed hash, no phone number.

The row (OptOutLink) says whose address and which sender; the hash makes tokens of other rows unguessable.
"""

import hmac

from django.utils.crypto import salted_hmac

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MAC_LENGTH = 11  # of 62 characters each: 65 bits
# All links of an installation are equally long, so that a text with one is counted before the link is made.
_NUMBER_LENGTH = 5
SAMPLE_TOKEN = "0" * _NUMBER_LENGTH + "-" + "0" * _MAC_LENGTH  # leads to nobody


def _base62(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = _ALPHABET[rest] + digits
    return digits or "0"


def make_token(link_id: int) -> str:
    """The token of a row: 17 characters, letters of the GSM alphabet."""
    return f"{_padded(link_id)}-{_mac(link_id)}"


def _padded(link_id: int) -> str:
    return _base62(link_id).rjust(_NUMBER_LENGTH, "0")


def read_token(token: str) -> int | None:
    """The row's id; None for anything we did not make."""
    number, dash, mac = token.partition("-")
    if not dash or not 0 < len(number) <= 11 or any(char not in _ALPHABET for char in number):
        return None
    link_id = 0
    for char in number:
        link_id = link_id * 62 + _ALPHABET.index(char)
    genuine = hmac.compare_digest(mac.encode(), _mac(link_id).encode()) and number in (
        _padded(link_id),
        _base62(link_id),
    )
    return link_id if genuine and link_id < 2**63 else None


def _mac(link_id: int) -> str:
    digest = salted_hmac("contacts.opt_out_link", str(link_id), algorithm="sha256").digest()
    return _base62(int.from_bytes(digest[:12], "big"))[-_MAC_LENGTH:].rjust(_MAC_LENGTH, "0")
