"""The signatures of a webhook (GUARANTEES.md W2), over the bytes that are sent.

Two schemes stand side by side: the documented `X-Webhook-Signature`, hexadecimal HMAC-SHA256 of the body keyed with the
secret's text, and Standard Webhooks, which also covers the event's id and the time and so stops replays.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook

PREFIX = "whsec_"


def new_secret() -> str:
    """32 random bytes in the form of Standard Webhooks: `whsec_` and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The key of the Standard Webhooks signature: what stands behind `whsec_`, decoded; else the text's own bytes."""
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True) or secret.encode()
        except binascii.Error:
            return secret.encode()
    return secret.encode()


def headers_for(
    *, event: str, event_id: str, body: str, at: datetime, keys: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """The headers of one attempt. keys: the secret, and while it is being rotated the one before.

    X-Webhook-Signature has room for one value, so the older secret's goes into X-Webhook-Signature-Previous.
    """
    plain = [hmac.new(key.encode(), body.encode(), hashlib.sha256).hexdigest() for key in keys]
    standard = " ".join(Webhook(key_of(key)).sign(event_id, at, body) for key in keys)
    return (
        ("Content-Type", "application/json"),
        ("User-Agent", "Tarishi-Webhooks/1"),
        ("X-Webhook-Event", event),
        ("X-Webhook-Signature", plain[0]),
        *((("X-Webhook-Signature-Previous", plain[1]),) if len(plain) > 1 else ()),
        ("webhook-id", event_id),
        ("webhook-timestamp", str(int(at.timestamp()))),
        ("webhook-signature", standard),
    )
