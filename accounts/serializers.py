"""Shapes of what the native API of webhooks takes and gives (contracts/dialects/native.md, "Webhooks").

Only shape is checked here; which addresses and events are allowed, the services decide.
"""

from typing import Any

from rest_framework import serializers

from accounts.events import EVENTS
from accounts.models import DeliveryState, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookFormat


def _events(**options: Any) -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(max_length=40),
        min_length=1,
        max_length=50,
        help_text=f'["*"] for every event, or some of: {", ".join(EVENTS)}.',
        **options,
    )


class WebhookRequest(serializers.Serializer):
    """POST webhooks."""

    url = serializers.CharField(max_length=2000, help_text="Begins with https://; at most 500 characters.")
    events = _events(required=False)
    format = serializers.ChoiceField(
        choices=WebhookFormat.values,
        required=False,
        help_text="envelope: the fields under `data`; flat: all side by side.",
    )
    secret = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        trim_whitespace=False,
        max_length=1000,
        help_text="16 to 128 characters; made for you when left out.",
    )


class WebhookChange(serializers.Serializer):
    """PATCH webhooks/{id}: only what is given changes."""

    url = serializers.CharField(max_length=2000, required=False, help_text="Begins with https://.")
    events = _events(required=False)
    format = serializers.ChoiceField(choices=WebhookFormat.values, required=False)
    active = serializers.BooleanField(required=False, help_text="false pauses it, true resumes it.")


class RotateRequest(serializers.Serializer):
    """POST webhooks/{id}/rotate."""

    secret = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, trim_whitespace=False, max_length=1000
    )


class TestRequest(serializers.Serializer):
    """POST webhooks/{id}/test."""

    event = serializers.CharField(
        required=False, max_length=40, help_text="Which sample; message.delivered by default."
    )


class RedeliverRequest(serializers.Serializer):
    """POST webhooks/{id}/deliveries/redeliver."""

    since = serializers.DateTimeField(help_text="What failed at this moment or later is sent again.")


class WebhookShape(serializers.Serializer):
    id = serializers.IntegerField()
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    format = serializers.ChoiceField(choices=WebhookFormat.values)
    active = serializers.BooleanField()
    disabled_reason = serializers.CharField(allow_null=True, help_text="Why we paused it; null where you did.")
    failing_since = serializers.DateTimeField(allow_null=True)
    last_success_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class IssuedWebhookShape(WebhookShape):
    secret = serializers.CharField(help_text="Shown by this call only.")


class DeletedWebhookShape(serializers.Serializer):
    id = serializers.IntegerField()


class DeliveryShape(serializers.Serializer):
    id = serializers.IntegerField()
    event = serializers.CharField()
    event_id = serializers.CharField(help_text="The header webhook-id: the same at every attempt.")
    status = serializers.ChoiceField(choices=DeliveryState.values)
    attempts = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    last_attempt_at = serializers.DateTimeField(allow_null=True)
    response_status = serializers.IntegerField(allow_null=True)
    error_message = serializers.CharField(allow_null=True)
    milliseconds = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class AttemptShape(serializers.Serializer):
    number = serializers.IntegerField()
    url = serializers.CharField()
    response_status = serializers.IntegerField(allow_null=True)
    error_message = serializers.CharField(allow_null=True)
    response = serializers.CharField(help_text="The first 1 KB of the answer.")
    milliseconds = serializers.IntegerField()
    at = serializers.DateTimeField()


class OneDeliveryShape(DeliveryShape):
    body = serializers.CharField(help_text="Byte for byte what is sent.")
    attempt_log = AttemptShape(many=True)


class RedeliveredShape(serializers.Serializer):
    redelivered = serializers.IntegerField(help_text="How many are sent again.")


def show_endpoint(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.pk,
        "url": endpoint.url,
        "events": endpoint.events,
        "format": endpoint.format,
        "active": endpoint.active,
        "disabled_reason": endpoint.disabled_reason or None,
        "failing_since": endpoint.failing_since,
        "last_success_at": endpoint.last_success_at,
        "created_at": endpoint.created_at,
    }


def show_delivery(delivery: WebhookDelivery) -> dict[str, Any]:
    return {
        "id": delivery.pk,
        "event": delivery.event,
        "event_id": delivery.event_id,
        "status": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": delivery.next_at,
        "last_attempt_at": delivery.last_at,
        "response_status": delivery.last_status,
        "error_message": delivery.last_problem or None,
        "milliseconds": delivery.last_milliseconds,
        "created_at": delivery.created_at,
    }


def show_attempt(attempt: WebhookAttempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "url": attempt.url,
        "response_status": attempt.status,
        "error_message": attempt.problem or None,
        "response": attempt.answer,
        "milliseconds": attempt.milliseconds,
        "at": attempt.at,
    }
