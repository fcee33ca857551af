"""Access tokens: an hour's stand-in for a key and its secret. JWT (RFC 7519), HS256; they carry no secret."""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

import jwt
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from accounts.errors import TokenEnded, TokenExpired, TokenInvalid, TokenMissing
from accounts.models import ApiKey, EndedToken
from accounts.queries import find_live_key
from crm.common.sql import database_now

SECONDS = 3600
_ALGORITHM = "HS256"
_LONGEST = 2000  # characters; ours have about 250


def issue_token(*, key: ApiKey) -> str:
    """A token that acts for `key` for SECONDS, or until the key ends or the token is logged out."""
    now = database_now()
    claims = {
        "sub": str(key.pk),
        "jti": secrets.token_hex(16),
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(seconds=SECONDS)).timestamp()),
    }
    return jwt.encode(claims, _signing_key(), algorithm=_ALGORITHM)


def read_token(token: str) -> ApiKey:
    """The key that `token` acts for, with its client. Raises: TokenMissing, TokenInvalid, TokenExpired, TokenEnded."""
    claims = _read_claims(token)
    if claims["exp"] <= database_now().timestamp():
        raise TokenExpired
    key = find_live_key(int(claims["sub"]))
    if key is None:
        raise TokenInvalid
    if EndedToken.objects.for_client(key.client_id).filter(token_id=claims["jti"]).exists():
        raise TokenEnded
    return key


def end_token(*, token: str) -> None:
    """Log `token` out. Raises: as read_token, TokenEnded for one that was logged out before."""
    key = read_token(token)
    claims = _read_claims(token)
    try:
        with transaction.atomic():
            EndedToken.objects.create(
                client_id=key.client_id,
                token_id=claims["jti"],
                expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            )
    except IntegrityError:  # another call was first
        raise TokenEnded from None


def forget_expired_tokens() -> int:
    """Delete the marks of logged-out tokens that have expired meanwhile; returns how many."""
    return EndedToken.objects.unscoped().filter(expires_at__lte=Now()).delete()[0]


def _read_claims(token: str) -> dict:
    if not token:
        raise TokenMissing
    if len(token) > _LONGEST:
        raise TokenInvalid
    try:
        # Expiry is judged by the database's clock (GUARANTEES.md D11), so it is not checked here.
        options = {"verify_exp": False, "verify_iat": False, "require": ["sub", "jti", "iat", "exp"]}
        return jwt.decode(token, _signing_key(), algorithms=[_ALGORITHM], options=options)  # type: ignore[arg-type]
    except (jwt.InvalidTokenError, ValueError):  # ValueError: characters that base64 or JSON cannot hold
        raise TokenInvalid from None


def _signing_key() -> bytes:
    """Derived from SECRET_KEY for this one purpose, so that nothing else signed with it passes for a token."""
    return hmac.new(settings.SECRET_KEY.encode(), b"accounts.tokens", hashlib.sha256).digest()
