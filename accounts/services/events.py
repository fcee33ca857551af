"""Events written down for webhooks, in the transaction that caused them (GUARANTEES.md W1), and delivered after it.

The apps above call these beside what they change. A client without an endpoint costs one query a batch and no row.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django.db import transaction

from accounts import wake
from accounts.events import EVENTS
from accounts.models import WebhookDelivery, WebhookEndpoint, WebhookFormat
from crm.common.js_json import js_json
from crm.common.reading import Part, json_column, read_part
from crm.common.sql import among_ids, database_now, insert_rows, listed_ids

Event = tuple[str, Mapping[str, Any]]  # name, data
_COLUMNS = (
    "client_id", "endpoint_id", "event", "event_id", "body", "state", "attempts", "tries", "next_at", "last_problem",
    "created_at", "about",
)  # fmt: skip
# What the flat format keeps of a message's data (contracts/dialects/mifumo.md, "Webhooks").
_FLAT_MESSAGE = ("message_id", "recipient", "status", "delivered_at", "error_message")
_MESSAGE_STATES = ("message.sent", "message.delivered", "message.failed", "message.read")


def listening_clients(client_ids: Iterable[int], *events: str) -> set[int]:
    """Which of the clients have an endpoint that wants one of `events`. One query; a caller asks before it builds data.

    A client's own endpoints only: events of others never reach them (T2).
    """
    if not (ids := set(client_ids)):
        return set()
    part = Part(
        ("client_id", json_column("events")),
        f"accounts_webhookendpoint WHERE active AND client_id {among_ids()}",
        [listed_ids(sorted(ids))],
    )
    return _wanting(read_part(part), events)


def every_listening_client(event: str) -> set[int]:
    """All clients that have an endpoint for `event`. One query."""
    active = WebhookEndpoint.objects.unscoped().filter(active=True)
    return _wanting(active.values_list("client_id", "events"), (event,))


def _wanting(rows: Iterable[Sequence[Any]], events: Collection[str]) -> set[int]:
    return {client_id for client_id, wanted in rows if "*" in wanted or any(event in wanted for event in events)}


def record_events(client_id: int, events: Sequence[Event]) -> int:
    """Write `events` of one client down for its endpoints. See record_events_bulk."""
    return record_events_bulk([(client_id, event, data) for event, data in events])


def record_events_bulk(rows: Sequence[tuple[int, str, Mapping[str, Any]]]) -> int:
    """Write (client id, event, data) down for every endpoint that wants them; returns how many deliveries that makes.

    Runs in the caller's transaction and wakes the deliverer after it. The number of statements does not depend on how
    many rows there are. data: what js_json writes; times as text, see `moment`. Raises: KeyError for an unknown event.
    """
    if unknown := {event for _, event, _ in rows} - EVENTS.keys():
        raise KeyError(f"there is no event {unknown.pop()}")
    if not rows:
        return 0
    endpoints: dict[int, list[WebhookEndpoint]] = defaultdict(list)
    listening = WebhookEndpoint.objects.unscoped().filter(client_id__in={row[0] for row in rows}, active=True)
    for endpoint in listening.only("client_id", "events", "format"):
        endpoints[endpoint.client_id].append(endpoint)
    if not endpoints:
        return 0
    now = database_now()
    deliveries = []
    for client_id, event, data in rows:
        event_id, bodies = "", {}
        for endpoint in endpoints.get(client_id, ()):
            if endpoint.listens_to(event):
                event_id = event_id or new_event_id()
                if endpoint.format not in bodies:
                    bodies[endpoint.format] = body_of(endpoint.format, event, client_id, data, now)
                row = (client_id, endpoint.pk, event, event_id, bodies[endpoint.format], "waiting", 0, 0, now, "", now)
                deliveries.append((*row, str(data.get("message_id") or "")))
    with transaction.atomic():
        insert_rows(WebhookDelivery, _COLUMNS, deliveries)
        if deliveries:
            wake.deliverer()
    return len(deliveries)


def new_event_id() -> str:
    return f"evt_{uuid4().hex}"


def moment(at: datetime | None) -> str | None:
    """A time as events write it: ISO 8601, UTC, whole seconds, `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def body_of(
    form: str, event: str, client_id: int, data: Mapping[str, Any], at: datetime, *, is_test: bool = False
) -> str:
    """The body to send, in the shape that the endpoint chose. A test event says `"test":true`."""
    marked = {"test": True} if is_test else {}
    if form == WebhookFormat.FLAT:
        return js_json({"event": event, **marked, **_flattened(event, data), "timestamp": moment(at)})
    return js_json({"event": event, **marked, "client_id": client_id, "timestamp": moment(at), "data": data})


def _flattened(event: str, data: Mapping[str, Any]) -> dict[str, Any]:
    if event not in _MESSAGE_STATES:
        return dict(data)
    flat = {name: data[name] for name in _FLAT_MESSAGE}
    flat["message_id"] = data.get("batch_id") or flat["message_id"]
    if str(flat["recipient"]).isdigit():
        flat["recipient"] = f"+{flat['recipient']}"
    return flat
