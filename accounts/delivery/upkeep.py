"""What keeps webhooks in order over days: old deliveries are forgotten, owners of failing endpoints are told."""

import logging
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Q
from django.template.loader import render_to_string

from accounts.models import Membership, Role, WebhookDelivery, WebhookEndpoint
from crm.common.sql import database_now

log = logging.getLogger(__name__)

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
    """Write to the owners of clients whose endpoint has failed for a day, or was paused by us; returns how many.

    Each is marked before the mail leaves, so that two sweeps do not both write; one whose mail fails is unmarked again.
    """
    now = database_now()
    endpoints = WebhookEndpoint.objects.unscoped()
    told = 0
    for mark, template, due in (
        ("failure_told_at", "webhook_failing", Q(active=True, failing_since__lte=now - TELL_AFTER)),
        ("disabled_told_at", "webhook_paused", Q(active=False) & ~Q(disabled_reason="")),
    ):
        for endpoint in endpoints.filter(due, **{mark: None}).select_related("client")[:50]:
            mine = endpoints.filter(pk=endpoint.pk, **{mark: None})
            if mine.update(**{mark: now}) and not _write(endpoint, template):
                endpoints.filter(pk=endpoint.pk, **{mark: now}).update(**{mark: None})
                return told  # the mail server is away: the next sweep tries again
            told += 1
    return told


def _write(endpoint: WebhookEndpoint, template: str) -> bool:
    roles = [Role.OWNER, Role.DEVELOPER]
    people = Membership.objects.filter(client=endpoint.client_id, role__in=roles, user__is_active=True)
    addresses = list(people.order_by("pk").values_list("user__email", flat=True))
    address = f"{settings.PUBLIC_URL}/app/settings/api-webhooks/webhooks/{endpoint.pk}"
    context = {"endpoint": endpoint, "client": endpoint.client, "address": address, "brand": settings.BRAND_NAME}
    subject, _, text = render_to_string(f"emails/{template}.txt", context).partition("\n")
    try:
        send_mail(subject.strip(), text.strip() + "\n", None, addresses)
    except OSError as error:
        log.warning("the mail about a failing webhook could not be sent (%s)", type(error).__name__)
        return False
    return True
