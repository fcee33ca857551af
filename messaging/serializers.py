"""Shapes of what the native API of messaging takes and gives (contracts/dialects/native.md).

Only shape is checked here; what a number, a sender or a text may be, the services decide.
"""

from typing import Any

from rest_framework import serializers

from crm.common.channels import Channel
from crm.common.money import json_money
from crm.common.phones import digits
from messaging.models import ASKED_FOR, Message, MessageEvent
from messaging.queries import api_status
from messaging.services.accept import Accepted

MOST_RECIPIENTS = 1000
_LONGEST_ADDRESS = 254
ENCODINGS = {"gsm7": "GSM-7", "ucs2": "UCS-2", "utf8": "UTF-8"}


class MediaRequest(serializers.Serializer):
    """A file that WhatsApp fetches."""

    kind = serializers.ChoiceField(choices=["image", "video", "audio", "document", "sticker"])
    url = serializers.CharField(max_length=2000, help_text="Its https address.")
    filename = serializers.CharField(required=False, max_length=240, help_text="Of a document: the name shown.")


class MessageRequest(serializers.Serializer):
    """POST messages/send."""

    channel = serializers.ChoiceField(
        choices=Channel.choices, help_text="`sms`, `email` or `whatsapp`; `sms` is open on every account."
    )
    recipient = serializers.CharField(
        max_length=_LONGEST_ADDRESS,
        help_text="Phone number: `254712345678`, `+254712345678`, or `0712345678` read in your country. By email: the "
        "address.",
    )
    sender = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="An approved sender ID of at most 11 characters, or From address; left out: your default.",
    )
    body = serializers.CharField(
        trim_whitespace=False,
        required=False,
        help_text="The text, at most 480 characters. By email: the plain text; left out: made from `html`.",
    )
    subject = serializers.CharField(required=False, help_text="Email only, and needed there: at most 200 characters.")
    html = serializers.CharField(
        required=False, trim_whitespace=False, help_text="Email only. Scripts, forms and frames are left out."
    )
    preheader = serializers.CharField(
        required=False, allow_blank=True, help_text="Email only: what an inbox shows behind the subject."
    )
    reply_to = serializers.CharField(
        required=False, allow_blank=True, help_text="Email only: the address that answers go to."
    )
    headers = serializers.DictField(
        child=serializers.CharField(max_length=500),
        required=False,
        help_text="Email only: up to 10 headers of your own, whose names begin with `X-`.",
    )
    unsubscribe = serializers.BooleanField(
        default=True,
        help_text="Email only: whether it carries a link to unsubscribe. False for receipts and passwords.",
    )
    template = serializers.CharField(
        required=False,
        max_length=512,
        help_text="WhatsApp only: the name of an approved template, which may be sent at any time. Text and files are "
        "taken within 24 hours of the person's last message.",
    )
    language = serializers.CharField(
        required=False,
        max_length=6,
        help_text="WhatsApp only: the template's language, such as `en_US`; left out: `en`.",
    )
    variables = serializers.DictField(
        child=serializers.CharField(max_length=1024),
        required=False,
        help_text="WhatsApp only: the template's variables by name, or by `1`, `2` and on where it counts them.",
    )
    media = MediaRequest(required=False, help_text="WhatsApp only: a file; `body` is then its caption.")
    schedule_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Send it then: a moment within the next year."
    )
    reference = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=100,
        help_text="Your own id; returned with the message, and a filter of the history.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        mail, whatsapp = attrs["channel"] == Channel.EMAIL, attrs["channel"] == Channel.WHATSAPP
        needed = (
            {"subject": [attrs.get("subject")], "body": [attrs.get("body"), attrs.get("html")]}
            if mail
            else {"body": [attrs.get(name) for name in ("body", *(("template", "media") if whatsapp else ()))]}
        )
        missing = [name for name, given in needed.items() if not any(value is not None for value in given)]
        if missing:
            raise serializers.ValidationError({name: ["This field is required."] for name in missing})
        if not mail and (odd := sorted(_MAIL_ONLY & attrs.keys())):
            raise serializers.ValidationError({name: ["Only for the channel email."] for name in odd})
        if not whatsapp and (odd := sorted(_WHATSAPP_ONLY & attrs.keys())):
            raise serializers.ValidationError({name: ["Only for the channel whatsapp."] for name in odd})
        return attrs


_WHATSAPP_ONLY = {"template", "language", "variables", "media"}
_MAIL_ONLY = {"subject", "html", "preheader", "reply_to", "headers"}


class NumbersField(serializers.ListField):
    """Many short texts. What plainly is one is not led through a field's validators: they took a quarter of the time of
    a call with a thousand."""

    def run_child_validation(self, data: list[Any]) -> list[str]:
        if all(map(self._is_plain, data)):
            return [text.strip() for text in data]
        return super().run_child_validation(data)

    @staticmethod
    def _is_plain(value: Any) -> bool:
        return isinstance(value, str) and len(value) <= _LONGEST_ADDRESS and value.isascii() and "\x00" not in value


class SmsRequest(serializers.Serializer):
    """POST sms/send, with both published names of the recipients and of the sender."""

    recipients = NumbersField(
        child=serializers.CharField(allow_blank=True, max_length=_LONGEST_ADDRESS),
        min_length=1,
        max_length=MOST_RECIPIENTS,
        required=False,
        help_text="Phone numbers, 1 to 1000.",
    )
    recipient = serializers.CharField(
        required=False, max_length=_LONGEST_ADDRESS, help_text="One number, instead of `recipients`."
    )
    message = serializers.CharField(trim_whitespace=False, help_text="The text, at most 480 characters.")
    sender_id = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, help_text="An approved sender ID; left out: your default."
    )
    sender = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, help_text="Another name of `sender_id`."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "recipients" not in attrs:
            if "recipient" not in attrs:
                raise serializers.ValidationError({"recipients": ["This field is required."]})
            attrs["recipients"] = [attrs["recipient"]]
        attrs["sender_id"] = attrs.get("sender_id") or attrs.get("sender")
        return attrs


_SHOWN = ["queued", "sent", "delivered", "failed", "scheduled", "cancelled", "read"]


class AcceptedShape(serializers.Serializer):
    """What messages/send answers."""

    id = serializers.IntegerField()
    message_id = serializers.CharField()
    provider_message_id = serializers.CharField(allow_null=True, help_text="Known once it has left.")
    channel = serializers.CharField()
    recipient = serializers.CharField(help_text="International, digits only.")
    sender = serializers.CharField()
    status = serializers.ChoiceField(choices=_SHOWN)
    units = serializers.IntegerField(help_text="What is billed.")
    cost = serializers.FloatField()
    encoding = serializers.ChoiceField(choices=list(ENCODINGS.values()))
    segments = serializers.IntegerField(help_text="Parts on air.")
    reference = serializers.CharField(allow_null=True)


class RecipientShape(serializers.Serializer):
    """One line of what sms/send answers."""

    recipient = serializers.CharField(help_text="As you wrote it.")
    status = serializers.ChoiceField(choices=["queued", "failed"])
    message_id = serializers.CharField(allow_null=True)
    error = serializers.CharField(required=False, help_text="Why it was refused.")


class SmsShape(serializers.Serializer):
    sent = serializers.IntegerField(help_text="How many were accepted.")
    failed = serializers.IntegerField(help_text="How many were refused; they cost nothing.")
    total_cost = serializers.FloatField()
    results = RecipientShape(many=True, help_text="In the order of the request.")


class StoredShape(serializers.Serializer):
    """What every reading of a message has in common."""

    id = serializers.IntegerField()
    message_id = serializers.CharField()
    provider_message_id = serializers.CharField(allow_null=True)
    channel = serializers.CharField()
    recipient = serializers.CharField(help_text="International, digits only.")
    sender = serializers.CharField()
    status = serializers.ChoiceField(choices=_SHOWN)
    units = serializers.IntegerField()
    cost = serializers.FloatField()
    campaign_id = serializers.IntegerField(allow_null=True)
    reference = serializers.CharField(allow_null=True)
    schedule_at = serializers.DateTimeField(allow_null=True)
    queued_at = serializers.DateTimeField(allow_null=True)
    sent_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    failed_at = serializers.DateTimeField(allow_null=True)
    error_code = serializers.CharField(allow_null=True)
    error_message = serializers.CharField(allow_null=True)


class HistoryShape(StoredShape):
    message = serializers.CharField(help_text="The text.")


class EventShape(serializers.Serializer):
    event = serializers.CharField()
    code = serializers.CharField(allow_null=True)
    detail = serializers.CharField(allow_null=True, help_text="The network's own words.")
    at = serializers.DateTimeField()


class StatusShape(StoredShape):
    events = EventShape(many=True, help_text="Everything that happened to it, oldest first.")


class FaredShape(serializers.Serializer):
    sent = serializers.IntegerField(help_text="All that left the queue, whatever became of them since.")
    delivered = serializers.IntegerField()
    failed = serializers.IntegerField()
    cost = serializers.FloatField(help_text="Net of refunds.")


class StatisticsShape(serializers.Serializer):
    total_sent = serializers.IntegerField(help_text="All that left the queue, whatever became of them since.")
    total_delivered = serializers.IntegerField()
    total_failed = serializers.IntegerField()
    total_cost = serializers.FloatField(help_text="Net of refunds.")
    today = FaredShape(help_text="Accepted today, by your time zone.")
    this_month = FaredShape(help_text="Accepted this month, by your time zone.")


class TransactionShape(serializers.Serializer):
    id = serializers.IntegerField()
    type = serializers.ChoiceField(choices=["credit", "debit", "refund"])
    amount = serializers.FloatField(help_text="Never negative: the type says which way it went.")
    balance_after = serializers.FloatField()
    description = serializers.CharField()
    payment_method = serializers.CharField(allow_null=True, help_text="Of a top-up.")
    mpesa_receipt = serializers.CharField(allow_null=True, help_text="Of a top-up.")
    status = serializers.ChoiceField(choices=["completed"])
    message_id = serializers.CharField(allow_null=True)
    campaign_id = serializers.IntegerField(allow_null=True)
    reference = serializers.CharField(help_text="What caused it.")
    created_at = serializers.DateTimeField()


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
    detail = None if event.kind in ASKED_FOR else event.detail or None
    return {"event": event.kind, "code": event.code or None, "detail": detail, "at": event.at}
