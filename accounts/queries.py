"""Reads of accounts that several doors share."""

import hmac
from datetime import datetime

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from accounts.models import (
    ApiKey,
    Client,
    DeliveryState,
    Membership,
    Notice,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
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


def endpoints_for(client: Client) -> QuerySet[WebhookEndpoint]:
    """A client's webhooks, oldest first."""
    return WebhookEndpoint.objects.for_client(client).order_by("pk")


def deliveries_for(
    endpoint: WebhookEndpoint,
    *,
    state: str = "",
    event: str = "",
    since: datetime | None = None,
    before: datetime | None = None,
) -> QuerySet[WebhookDelivery]:
    """What was written down for an endpoint, newest first. state: one of DeliveryState, or "retrying": it failed and
    will be tried again. since, before: when the event happened.
    """
    found = WebhookDelivery.objects.for_client(endpoint.client_id).filter(endpoint=endpoint).order_by("-pk")
    if state == "retrying":
        found = found.filter(state=DeliveryState.WAITING, tries__gt=0)
    elif state:
        found = found.filter(state=state)
    if event:
        found = found.filter(event=event)
    if since:
        found = found.filter(created_at__gte=since)
    if before:
        found = found.filter(created_at__lt=before)
    return found


def attempts_of(delivery: WebhookDelivery) -> list[WebhookAttempt]:
    """Every attempt of a delivery, oldest first."""
    return list(WebhookAttempt.objects.for_client(delivery.client_id).filter(delivery=delivery).order_by("pk"))


def latest_notices(membership: Membership, limit: int = 10) -> list[Notice]:
    """What a member was told of last, newest first."""
    mine = Notice.objects.for_client(membership.client_id).filter(user_id=membership.user_id)
    return list(mine.order_by("-pk")[:limit])
