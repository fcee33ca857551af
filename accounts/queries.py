"""Reads of accounts that several doors share."""

import hmac

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from accounts.models import ApiKey, Client
from crm.common.crypto import digest


def find_key(api_key: str) -> ApiKey | None:
    """The live key that a caller presents, with its client; None for one that is unknown, revoked or expired.

    Found by the index on its digest, which tells nothing about the key; expiry goes by the database's clock (D11).
    """
    wanted = digest(api_key)
    live = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=Now()))
    found = ApiKey.objects.unscoped().select_related("client").filter(live, key_hash=wanted).first()
    return found if found and hmac.compare_digest(found.key_hash, wanted) else None


def has_secret(key: ApiKey, secret: str) -> bool:
    """Whether `secret` is the one issued with `key`."""
    return hmac.compare_digest(key.secret_hash, digest(secret))


def has_app_key(key: ApiKey, app_key: str) -> bool:
    """Whether `app_key` is the application key issued with `key`."""
    return hmac.compare_digest(key.app_key_hash, digest(app_key))


def keys_for(client: Client) -> QuerySet[ApiKey]:
    """Every key of `client`, newest first, revoked ones included."""
    return ApiKey.objects.for_client(client).select_related("created_by")
