"""What accounts itself holds of people: bodies of webhooks, log lines of the API, remembered answers, and files."""

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import (
    ApiKey,
    ApiRequest,
    AuditEntry,
    Client,
    DeliveryState,
    Export,
    IdempotencyRecord,
    Membership,
    Notice,
    NoticeState,
    PersonRequest,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from accounts.personal_data import CHUNK, Limits, Part, Person, delete_some, facts_of, register

_ERASED = json.dumps({"erased": True})


def register_part() -> None:
    register(Part("accounts", _collect, _erase, _purge, _tables))


def _collect(client_id: int, person: Person) -> Iterator[tuple[str, dict[str, Any]]]:
    bodies = WebhookDelivery.objects.for_client(client_id).filter(person.mentioned("body"))
    for row in bodies.order_by("pk").iterator(CHUNK):
        yield "webhook", facts_of(row, "event", "created_at", "body")


def _erase(client_id: int, person: Person) -> tuple[int, bool]:
    """An event that still waits is sent without what it said of the person."""
    changed = 0
    bodies = WebhookDelivery.objects.for_client(client_id).filter(person.mentioned("body"))
    while ids := list(bodies.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        changed += WebhookDelivery.objects.for_client(client_id).filter(pk__in=ids).update(body=_ERASED)
    answers = WebhookAttempt.objects.for_client(client_id).filter(person.mentioned("answer"))
    while ids := list(answers.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        changed += WebhookAttempt.objects.for_client(client_id).filter(pk__in=ids).update(answer="")
    for lines in (
        ApiRequest.objects.for_client(client_id).filter(person.mentioned("path", "query", "body")),
        IdempotencyRecord.objects.for_client(client_id).filter(person.mentioned("body", "endpoint")),
    ):
        while found := delete_some(lines, CHUNK):
            changed += found
    return changed, True


def _purge(client_id: int, limits: Limits, cursors: dict[str, Any], most: int, dry_run: bool) -> int:
    deliveries = WebhookDelivery.objects.for_client(client_id).filter(created_at__lt=limits.logs)
    if not limits.everything:
        deliveries = deliveries.exclude(state=DeliveryState.WAITING)
    made = Export.objects.for_client(client_id).filter(created_at__lt=limits.exports)
    lists: list[QuerySet] = [
        deliveries,
        ApiRequest.objects.for_client(client_id).filter(at__lt=limits.logs),
        Notice.objects.for_client(client_id).filter(created_at__lt=limits.logs).exclude(state=NoticeState.WAITING),
        made if limits.everything else made.filter(state__in=["gone", "failed"]),
    ]
    if limits.everything:
        lists += [
            WebhookEndpoint.objects.for_client(client_id),
            IdempotencyRecord.objects.for_client(client_id),
            PersonRequest.objects.for_client(client_id).filter(Q(state="done") | Q(kind="export")),
            Membership.objects.filter(client_id=client_id),
        ]
    return sum(delete_some(found, most, dry_run) for found in lists)


def _tables(client_id: int) -> dict[str, QuerySet]:
    return {
        "organisation": Client.objects.filter(pk=client_id),
        "members": Membership.objects.filter(client_id=client_id),
        "api-keys": ApiKey.objects.for_client(client_id),
        "webhooks": WebhookEndpoint.objects.for_client(client_id),
        "audit-log": AuditEntry.objects.for_client(client_id),
    }
