"""One access token for all processes, in the shared cache: encrypted, and fetched by one of them at a time.

Daraja's newest token may end the ones before it, so two processes that fetched at once would spoil each other's.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.cache import cache

from crm.common.crypto import Undecryptable, decrypt_text, digest, encrypt_text

LOCK_SECONDS = 40  # longer than a call can take
STEP_SECONDS = 0.1


class CachedToken:
    """The token of one set of credentials at one address; other credentials have another place."""

    def __init__(self, *identity: str) -> None:
        self._key = f"payment-token:{digest(chr(0).join(identity))[:32]}"

    def get(self) -> str:
        kept = cache.get(self._key)
        try:
            return decrypt_text(kept) if kept else ""
        except Undecryptable:
            return ""

    def put(self, token: str, seconds: int) -> None:
        cache.set(self._key, encrypt_text(token), seconds)

    def drop(self, token: str) -> None:
        if self.get() == token:
            cache.delete(self._key)

    @contextmanager
    def fetching(self) -> Iterator[None]:
        """Waits for whoever fetches; a holder that died lets go by itself."""
        lock, mine = f"{self._key}:lock", secrets.token_hex(8)
        deadline = time.monotonic() + LOCK_SECONDS
        while not (held := cache.add(lock, mine, LOCK_SECONDS)) and time.monotonic() < deadline:
            time.sleep(STEP_SECONDS)
        try:
            yield
        finally:
            if held and cache.get(lock) == mine:
                cache.delete(lock)
