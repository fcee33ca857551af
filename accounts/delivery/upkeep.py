"""What keeps webhooks in order over days: old deliveries are forgotten, owners of failing endpoints are told."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from accounts.models import WebhookDelivery, WebhookEndpoint
from accounts.services.notices import notify
from crm.common.sql import database_now

KEPT_DAYS = 30
TELL_AFTER = timedelta(hours=24)


def forget_old_deliveries(*, limit: int = 5000) -> int:
    """Delete deliveries made KEPT_DAYS ago, with their attempts; returns how many. Looks at the oldest `limit` only."""
    edge = database_now() - timedelta(days=KEPT_DAYS)
    everything = WebhookDelivery.objects.unscoped().order_by("pk")
    oldest = everything.values_list("created_at", flat=True).first()
    if oldest is None or oldest > edge:
        return 0
    ids = list(everything.values_list("pk", flat=True)[:limit])
    return everything.filter(pk__in=ids, created_at__lte=edge).delete()[1].get("accounts.WebhookDelivery", 0)


def tell_owners() -> int:
    """Tell members of endpoints that have failed for a day, or were paused by us; returns of how many.

    The mark and the notices are one transaction, so that two sweeps do not both tell.
    """
    now = database_now()
    endpoints = WebhookEndpoint.objects.unscoped()
    told = 0
    for mark, event, due in (
        ("failure_told_at", "webhook.failing", Q(active=True, failing_since__lte=now - TELL_AFTER)),
        ("disabled_told_at", "webhook.paused", Q(active=False) & ~Q(disabled_reason="")),
    ):
        for endpoint in endpoints.filter(due, **{mark: None}).select_related("client")[:50]:
            address = f"{settings.PUBLIC_URL}/app/settings/api-webhooks/webhooks/{endpoint.pk}"
            with transaction.atomic():
                if endpoints.filter(pk=endpoint.pk, **{mark: None}).update(**{mark: now}):
                    notify(client=endpoint.client, event=event, facts={"endpoint": endpoint, "address": address})
                    told += 1
    return told
