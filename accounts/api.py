"""Native API of webhooks (contracts/dialects/native.md, "Webhooks")."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts import queries
from accounts.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from accounts.serializers import (
    DeletedWebhookShape,
    DeliveryShape,
    IssuedWebhookShape,
    OneDeliveryShape,
    RedeliveredShape,
    RedeliverRequest,
    RotateRequest,
    TestRequest,
    WebhookChange,
    WebhookRequest,
    WebhookShape,
    show_attempt,
    show_delivery,
    show_endpoint,
)
from accounts.services import webhooks
from crm.common.api import params
from crm.common.api.describe import PAGES, Param, describe
from crm.common.api.envelope import listing, success
from crm.common.api.pages import rows_of_page
from crm.common.api.views import ApiView
from crm.common.errors import NotFound

_NO_WEBHOOK = {404: "There is no such webhook."}
_NO_DELIVERY = {404: "There is no such webhook or delivery."}
_PAUSED = {409: "The webhook is paused."}
_STATES = {"all": 1} | dict.fromkeys(DeliveryState.values, 1)
_EXAMPLE = {"url": "https://example.com/webhooks", "events": ["message.delivered", "message.failed"]}


class WebhookView(ApiView):
    """What the views below share."""

    required_scope = "webhooks"

    def endpoint(self, endpoint_id: int) -> WebhookEndpoint:
        """Raises: NotFound."""
        return webhooks.get_endpoint(client=self.request.auth.client, endpoint_id=endpoint_id)

    def delivery(self, endpoint_id: int, delivery_id: int) -> WebhookDelivery:
        """Raises: NotFound."""
        found = webhooks.deliveries_of(self.endpoint(endpoint_id)).filter(pk=delivery_id).first()
        if found is None:
            raise NotFound("There is no such delivery.")
        return found


def _issued(issued: webhooks.IssuedEndpoint) -> dict[str, Any]:
    return show_endpoint(issued.endpoint) | {"secret": issued.secret}


class EndpointsView(WebhookView):
    """The client's webhooks."""

    @describe("List webhooks", answers=WebhookShape, paged=True, query=PAGES)
    def get(self, request: Request, client_id: int) -> Response:
        page = params.read_page(request.query_params)
        found = queries.endpoints_for(request.auth.client)
        rows = list(found[page.start : page.stop])
        return Response(listing([show_endpoint(row) for row in rows], page.meta(found.count())))

    @describe(
        "Add a webhook",
        "From now on the address is told of the events. `secret` is shown by this call only: store it, it verifies "
        "the signatures.",
        takes=WebhookRequest,
        answers=IssuedWebhookShape,
        example=_EXAMPLE,
        message="Webhook added",
    )
    def post(self, request: Request, client_id: int) -> Response:
        asked = self.read(WebhookRequest)
        issued = webhooks.create_endpoint(
            client=request.auth.client,
            url=asked["url"],
            events=asked.get("events", ["*"]),
            format=asked.get("format", "envelope"),
            secret=asked.get("secret") or "",
        )
        return Response(success(_issued(issued), message="Webhook added"))


class EndpointView(WebhookView):
    """One webhook."""

    @describe("Read a webhook", answers=WebhookShape, refuses=_NO_WEBHOOK)
    def get(self, request: Request, client_id: int, endpoint_id: int) -> Response:
        return Response(success(show_endpoint(self.endpoint(endpoint_id))))

    @describe(
        "Change a webhook",
        "Only what is given changes. `active` false pauses it: events are then not kept for it; true resumes it.",
        takes=WebhookChange,
        answers=WebhookShape,
        refuses=_NO_WEBHOOK,
        example={"events": ["*"]},
        message="Webhook saved",
    )
    def patch(self, request: Request, client_id: int, endpoint_id: int) -> Response:
        endpoint = self.endpoint(endpoint_id)
        changed = webhooks.update_endpoint(endpoint=endpoint, **self.read(WebhookChange))
        return Response(success(show_endpoint(changed), message="Webhook saved"))

    @describe(
        "Delete a webhook",
        "Its log goes with it; what waited for it is not sent.",
        answers=DeletedWebhookShape,
        refuses=_NO_WEBHOOK,
        message="Webhook deleted",
    )
    def delete(self, request: Request, client_id: int, endpoint_id: int) -> Response:
        webhooks.delete_endpoint(endpoint=self.endpoint(endpoint_id))
        return Response(success({"id": endpoint_id}, message="Webhook deleted"))


class RotateView(WebhookView):
    """A new secret."""

    @describe(
        "Rotate the secret",
        "The new secret is shown by this call only. For 24 hours the old one signs beside it.",
        takes=RotateRequest,
        answers=IssuedWebhookShape,
        refuses=_NO_WEBHOOK,
        example={},
        message="Secret rotated",
    )
    def post(self, request: Request, client_id: int, endpoint_id: int) -> Response:
        endpoint = self.endpoint(endpoint_id)
        issued = webhooks.rotate_secret(endpoint=endpoint, secret=self.read(RotateRequest).get("secret") or "")
        return Response(success(_issued(issued), message="Secret rotated"))


class TestView(WebhookView):
    """A sample event."""

    @describe(
        "Send a test event",
        'A sample, marked `"test":true`. It joins the queue; read its delivery for the result.',
        takes=TestRequest,
        answers=DeliveryShape,
        refuses=_NO_WEBHOOK | _PAUSED,
        example={"event": "message.delivered"},
        message="Test event queued",
    )
    def post(self, request: Request, client_id: int, endpoint_id: int) -> Response:
        endpoint = self.endpoint(endpoint_id)
        event = self.read(TestRequest).get("event", "message.delivered")
        delivery = webhooks.record_test(endpoint=endpoint, event=event)
        return Response(success(show_delivery(delivery), message="Test event queued"))


class DeliveriesView(WebhookView):
    """The log of a webhook."""

    @describe(
        "List deliveries",
        "Newest first; kept for 30 days.",
        answers=DeliveryShape,
        paged=True,
        query=(
            *PAGES,
            Param("status", "What became of them.", choices=tuple(_STATES), default="all"),
            Param("event", "Of this event only.", example="message.failed"),
        ),
        refuses=_NO_WEBHOOK,
    )
    def get(self, request: Request, client_id: int, endpoint_id: int) -> Response:
        asked = request.query_params
        page = params.read_page(asked)
        state = params.read_choice(asked, "status", _STATES, default="all")
        found = queries.deliveries_for(
            self.endpoint(endpoint_id),
            state="" if state == "all" else state,
            event=params.read_word(asked, "event", longest=40),
        )
        total = found.count()
        rows = rows_of_page(found, page, total)
        return Response(listing([show_delivery(row) for row in rows], page.meta(total)))


class DeliveryView(WebhookView):
    """One delivery with every attempt."""

    @describe("Read a delivery", "With its body and every attempt.", answers=OneDeliveryShape, refuses=_NO_DELIVERY)
    def get(self, request: Request, client_id: int, endpoint_id: int, delivery_id: int) -> Response:
        found = self.delivery(endpoint_id, delivery_id)
        log = [show_attempt(attempt) for attempt in queries.attempts_of(found)]
        data = show_delivery(found) | {"body": found.body, "attempt_log": log}
        return Response(success(data))


class RedeliverView(WebhookView):
    """One delivery again."""

    @describe(
        "Redeliver",
        "Send a delivery again now, whatever became of it, with the whole schedule before it.",
        answers=DeliveryShape,
        refuses=_NO_DELIVERY | _PAUSED,
        message="Delivery queued",
    )
    def post(self, request: Request, client_id: int, endpoint_id: int, delivery_id: int) -> Response:
        found = self.delivery(endpoint_id, delivery_id)
        webhooks.redeliver(endpoint=self.endpoint(endpoint_id), delivery_ids=[found.pk])
        return Response(success(show_delivery(self.delivery(endpoint_id, delivery_id)), message="Delivery queued"))


class RedeliverFailedView(WebhookView):
    """All that failed since a time, again."""

    @describe(
        "Redeliver all that failed",
        "Send again now whatever failed since then and was not delivered after.",
        takes=RedeliverRequest,
        answers=RedeliveredShape,
        refuses=_NO_WEBHOOK | _PAUSED,
        example={"since": "2025-10-09T14:00:00Z"},
        message="Deliveries queued",
    )
    def post(self, request: Request, client_id: int, endpoint_id: int) -> Response:
        endpoint = self.endpoint(endpoint_id)
        count = webhooks.redeliver_failed(endpoint=endpoint, since=self.read(RedeliverRequest)["since"])
        return Response(success({"redelivered": count}, message="Deliveries queued"))
