"""Secrets at rest: digests of what we only compare, and authenticated encryption of what we must
read again, with the keys of ENCRYPTION_KEY (GUARANTEES.md S1).

The first key encrypts and all decrypt, so a key is rotated by putting a new one in front. SECRET_KEY has no part in it.
"""

import hashlib
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Undecryptable(Exception):
    """No key of ENCRYPTION_KEY opens this value: the key it was written with is gone, or the value was altered."""


def encrypt_text(text: str) -> str:
    """`text` as a URL-safe token; encrypting it twice gives two different tokens."""
    return _cipher(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode()).decode()


def decrypt_text(token: str) -> str:
    """What `encrypt_text` was given. Raises: Undecryptable."""
    try:
        return _cipher(tuple(settings.ENCRYPTION_KEYS)).decrypt(token.encode()).decode()
    except InvalidToken:
        raise Undecryptable("no key in ENCRYPTION_KEY opens this value") from None


def renew_token(token: str) -> str | None:
    """`token` encrypted anew with the newest key; None where it is under that key already. Raises: Undecryptable."""
    keys = tuple(settings.ENCRYPTION_KEYS)
    try:
        Fernet(keys[0]).decrypt(token.encode())
    except InvalidToken:
        return encrypt_text(decrypt_text(token))
    return None


def digest(text: str) -> str:
    """SHA-256 in hexadecimal: how a random credential of 160 bits or more is kept (T4). Not for passwords."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
