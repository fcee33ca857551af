"""The events that webhooks tell of (contracts/dialects/native.md, "Webhooks"): a line of meaning and a sample each."""

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class EventType:
    """meaning: one line for a person. sample: the `data` of a test event, with every field of the real one."""

    name: str
    meaning: Promise
    sample: dict[str, Any]


_MESSAGE = {
    "message_id": "MSG-000123",
    "id": 123,
    "channel": "sms",
    "recipient": "254712345678",
    "status": "sent",
    "sent_at": "2025-10-09T14:30:00Z",
    "delivered_at": None,
    "error_code": None,
    "error_message": None,
    "campaign_id": None,
    "reference": None,
    "batch_id": None,
}
_TOPUP = {
    "transaction_id": "TXN-20251009-001",
    "amount": 1000,
    "status": "completed",
    "mpesa_receipt": "PGH7X8Y9Z0",
    "reason": None,
}

EVENTS: dict[str, EventType] = {
    event.name: event
    for event in (
        EventType("message.sent", _("A message was handed to the network."), _MESSAGE),
        EventType(
            "message.delivered",
            _("A message arrived on the phone."),
            _MESSAGE | {"status": "delivered", "delivered_at": "2025-10-09T14:30:15Z"},
        ),
        EventType(
            "message.failed",
            _("A message could not be delivered; its cost was given back."),
            _MESSAGE
            | {"status": "failed", "error_code": "unknown_subscriber", "error_message": "Number does not exist"},
        ),
        EventType(
            "message.read",
            _("A message was opened, where the channel tells."),
            _MESSAGE | {"channel": "whatsapp", "status": "read", "delivered_at": "2025-10-09T14:30:15Z"},
        ),
        EventType(
            "message.received",
            _("Somebody wrote to one of your numbers."),
            {
                "id": 7,
                "channel": "sms",
                "sender": "254712345678",
                "recipient": "22345",
                "text": "Asante",
                "name": None,
                "media": [],
                "received_at": "2025-10-09T14:31:00Z",
            },
        ),
        EventType("topup.completed", _("A top-up was paid and credited."), _TOPUP),
        EventType(
            "topup.failed",
            _("A top-up was cancelled, refused or not answered."),
            _TOPUP | {"status": "failed", "mpesa_receipt": None, "reason": "Request cancelled by user"},
        ),
        EventType(
            "balance.updated",
            _("Credit was added to the wallet."),
            {"old_balance": 50, "new_balance": 1050, "amount_added": 1000, "transaction_id": "TXN-20251009-001"},
        ),
        EventType(
            "balance.low",
            _("The balance fell below your threshold; at most once a day."),
            {"balance": 42.5, "threshold": 100, "currency": "KES"},
        ),
        EventType(
            "campaign.completed",
            _("Everybody of a campaign has been written to."),
            {
                "campaign_id": 81,
                "name": "October news",
                "status": "done",
                "recipients": 1240,
                "sent": 40,
                "delivered": 1190,
                "failed": 8,
                "not_sent": 2,
                "cost": 1452,
                "finished_at": "2025-10-09T14:35:00Z",
            },
        ),
        EventType(
            "contact.opted_out",
            _("Somebody does not want messages any more."),
            {
                "channel": "sms",
                "recipient": "254712345678",
                "sender": None,
                "source": "stop",
                "opted_out_at": "2025-10-09T14:35:00Z",
            },
        ),
        EventType(
            "import.completed",
            _("An import of contacts ended."),
            {
                "import_id": 7,
                "filename": "customers.csv",
                "status": "done",
                "total": 2,
                "imported": 2,
                "updated": 0,
                "skipped": 0,
                "failed": 0,
            },
        ),
    )
}
