"""Which process delivers to which endpoint: leases on endpoints, taken and given back by conditional updates (D11).

The lease lies on the endpoint and not on each delivery: one process then keeps to "at most 4 at once" by itself, and a
busy endpoint costs no write per event before it is sent. A delivery stays `waiting` until its end is recorded, so a
killed process loses nothing: its leases run out and another one sends what it may have sent already (W1).
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from django.db import connection

from accounts.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from crm.common.sql import DatabaseNow, among_ids, later_sql, listed_ids, now_sql, on_postgres, skip_locked

LEASE_SECONDS = 20
RENEW_EVERY = 3.0

_ENDPOINT = WebhookEndpoint._meta.db_table
_DELIVERY = WebhookDelivery._meta.db_table


class Due(NamedTuple):
    """An endpoint for which something is due. is_failing: its last attempt failed."""

    id: int
    is_failing: bool


def due_endpoints(limit: int = 1000) -> list[Due]:
    """Active endpoints with something due and no live lease, those that work first. Reads only."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT e.id, e.failing_since IS NOT NULL AS failing FROM {_ENDPOINT} e
                WHERE e.active AND (e.lease_until IS NULL OR e.lease_until <= {now_sql()})
                  AND EXISTS (SELECT 1 FROM {_DELIVERY} d WHERE d.endpoint_id = e.id AND d.state = 'waiting'
                              AND d.next_at <= {now_sql()})
                ORDER BY failing, e.id LIMIT %s""",
            [limit],
        )
        return [Due(pk, bool(failing)) for pk, failing in cursor.fetchall()]


def seconds_until_due(within: float) -> float | None:
    """Seconds until the next delivery that falls due in the next `within` seconds; None where there is none."""
    seconds = (
        f"EXTRACT(EPOCH FROM MIN(d.next_at) - {now_sql()})"
        if on_postgres()
        else f"(JULIANDAY(MIN(d.next_at)) - JULIANDAY({now_sql()})) * 86400"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT {seconds} FROM {_ENDPOINT} e JOIN {_DELIVERY} d ON d.endpoint_id = e.id
                WHERE e.active AND d.state = 'waiting' AND d.next_at <= {later_sql(within)}
                  AND (e.lease_until IS NULL OR e.lease_until <= {now_sql()})""",
            [],
        )
        found = cursor.fetchone()[0]
    return None if found is None else max(0.0, float(found))


def take(*, owner: str, ids: Collection[int]) -> list[WebhookEndpoint]:
    """Lease these endpoints, as far as nobody else has them."""
    if not ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE {_ENDPOINT} SET lease_owner = %s, lease_until = {later_sql(LEASE_SECONDS)}
                WHERE id IN (SELECT id FROM {_ENDPOINT} WHERE id {among_ids()} AND active
                             AND (lease_until IS NULL OR lease_until <= {now_sql()}) ORDER BY id {skip_locked()})
                RETURNING id""",
            [owner, listed_ids(ids)],
        )
        taken = [row[0] for row in cursor.fetchall()]
    return _load(owner, taken)


def renew(*, owner: str) -> list[WebhookEndpoint]:
    """Hold on to what `owner` has, freshly read; what was paused or deleted, or taken over, is not among it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE {_ENDPOINT} SET lease_until = {later_sql(LEASE_SECONDS)}
                WHERE id IN (SELECT id FROM {_ENDPOINT} WHERE lease_owner = %s AND active ORDER BY id {skip_locked()})
                RETURNING id""",
            [owner],
        )
        kept = [row[0] for row in cursor.fetchall()]
    return _load(owner, kept)


def give_back(*, owner: str, ids: Iterable[int]) -> None:
    """Let anybody have these endpoints."""
    WebhookEndpoint.objects.unscoped().filter(pk__in=list(ids), lease_owner=owner).update(
        lease_owner="", lease_until=None
    )


def due_deliveries(*, endpoint_id: int, limit: int, besides: Collection[int]) -> list[WebhookDelivery]:
    """What is due for an endpoint in our hands, the longest due first, without those we are at already."""
    due = WebhookDelivery.objects.unscoped().filter(
        endpoint_id=endpoint_id, state=DeliveryState.WAITING, next_at__lte=DatabaseNow()
    )
    return list(due.exclude(pk__in=besides).order_by("next_at", "pk")[:limit])


def _load(owner: str, ids: list[int]) -> list[WebhookEndpoint]:
    return list(WebhookEndpoint.objects.unscoped().filter(pk__in=ids, lease_owner=owner)) if ids else []
