"""Shapes of what the native API of messaging takes and gives (contracts/dialects/native.md).

Only shape is checked here; what a number, a sender or a text may be, the services decide.
"""

from typing import Any

from rest_framework import serializers

from crm.common.channels import Channel
from crm.common.money import json_money
from crm.common.phones import digits
from messaging.models import Message, MessageEvent
from messaging.queries import api_status
from messaging.services.accept import Accepted

MOST_RECIPIENTS = 1000
_LONGEST_ADDRESS = 254
ENCODINGS = {"gsm7": "GSM-7", "ucs2": "UCS-2"}


class MessageRequest(serializers.Serializer):
    """POST messages/send."""

    channel = serializers.ChoiceField(choices=Channel.choices)
    recipient = serializers.CharField(max_length=_LONGEST_ADDRESS)
    sender = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    body = serializers.CharField(trim_whitespace=False)
    schedule_at = serializers.DateTimeField(required=False, allow_null=True)
    reference = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=100)


class SmsRequest(serializers.Serializer):
    """POST sms/send, with both published names of the recipients and of the sender."""

    recipients = serializers.ListField(
        child=serializers.CharField(allow_blank=True, max_length=_LONGEST_ADDRESS),
        min_length=1,
        max_length=MOST_RECIPIENTS,
        required=False,
    )
    recipient = serializers.CharField(required=False, max_length=_LONGEST_ADDRESS)
    message = serializers.CharField(trim_whitespace=False)
    sender_id = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    sender = serializers.CharField(required=False, allow_null=True, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "recipients" not in attrs:
            if "recipient" not in attrs:
                raise serializers.ValidationError({"recipients": ["This field is required."]})
            attrs["recipients"] = [attrs["recipient"]]
        attrs["sender_id"] = attrs.get("sender_id") or attrs.get("sender")
        return attrs


def show_accepted(accepted: Accepted, *, channel: str, reference: str) -> dict[str, Any]:
    """A message just taken, as messages/send answers; no provider has seen it yet."""
    return {
        "id": accepted.id,
        "message_id": accepted.message_id,
        "provider_message_id": None,
        "channel": channel,
        "recipient": digits(accepted.recipient),
        "sender": accepted.sender,
        "status": api_status(accepted.status),
        "units": accepted.units,
        "cost": json_money(accepted.cost_micros),
        "encoding": ENCODINGS[accepted.encoding],
        "segments": accepted.segments,
        "reference": reference or None,
    }


def show_message(message: Message) -> dict[str, Any]:
    """What every reading of a message has in common."""
    return {
        "id": message.pk,
        "message_id": message.message_id,
        "provider_message_id": message.provider_message_id or None,
        "channel": message.channel,
        "recipient": digits(message.recipient),
        "sender": message.sender,
        "status": api_status(message.status),
        "units": message.units,
        "cost": json_money(message.cost_micros),
        "campaign_id": message.campaign_id,
        "reference": message.reference or None,
        "schedule_at": message.schedule_at,
        "queued_at": message.queued_at,
        "sent_at": message.sent_at,
        "delivered_at": message.delivered_at,
        "failed_at": message.failed_at,
        "error_code": message.error_code or None,
        "error_message": message.error_message or None,
    }


def show_event(event: MessageEvent) -> dict[str, Any]:
    return {"event": event.kind, "code": event.code or None, "detail": event.detail or None, "at": event.at}
