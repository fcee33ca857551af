"""What became of messages and campaigns, told to the client's webhooks in the transaction that moved them (W1)."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings

from accounts.models import User
from accounts.services.events import listening_clients, moment, record_events_bulk
from accounts.services.notices import notify
from crm.common.figures import figure
from crm.common.money import format_money, from_micros, json_money
from crm.common.phones import digits
from crm.common.spans import span_of
from messaging import batches, queries
from messaging.models import Campaign, Message, MessageStatus

# The steps of a message that are told; what happens inside the queue is nobody's business.
EVENT_OF = {
    MessageStatus.SENT: "message.sent",
    MessageStatus.DELIVERED: "message.delivered",
    MessageStatus.FAILED: "message.failed",
    MessageStatus.READ: "message.read",
}


def announce_messages(moved: Iterable[tuple[int, int, str]]) -> None:
    """Tell of (message id, client id, status it has now). Costs one query where no client listens, four where one does.

    What is told is read after the move, in the same transaction.
    """
    told = {pk: (client_id, EVENT_OF[MessageStatus(status)]) for pk, client_id, status in moved if status in EVENT_OF}
    if not told:
        return
    listening = listening_clients({client_id for client_id, _ in told.values()}, *EVENT_OF.values())
    wanted = [pk for pk, (client_id, _) in told.items() if client_id in listening]
    if not wanted:
        return
    messages = Message.objects.unscoped().filter(span_of(Message, wanted).q, client_id__in=listening, pk__in=wanted)
    record_events_bulk([(row.client_id, told[row.pk][1], describe(row)) for row in messages.order_by("pk")])


def describe(message: Message) -> dict[str, Any]:
    """A message as events show it (contracts/dialects/native.md, "Webhooks").

    batch_id: what a call with several recipients answered, where its contract has one id for all of them.
    """
    return {
        "message_id": message.message_id,
        "id": message.pk,
        "channel": message.channel,
        "recipient": digits(message.recipient),
        "status": message.status,
        "sent_at": moment(message.sent_at),
        "delivered_at": moment(message.delivered_at),
        "error_code": message.error_code or None,
        "error_message": message.error_message or None,
        "campaign_id": message.campaign_id,
        "reference": message.reference or None,
        "batch_id": batches.public_id(message.batch_id) if message.batch_id else None,
    }


def tell_paused(campaign: Campaign, reason: str) -> None:
    """Tell the members who want to hear of it that the product paused a campaign."""
    facts = {"name": campaign.name, "reason": reason, "address": _page_of(campaign)}
    notify(client=campaign.client, event="campaign.paused", facts=facts)


def tell_awaiting(campaign: Campaign, by: User | None, recipients: int, cost_micros: int) -> None:
    """Tell those who may approve that a campaign waits for it."""
    facts = {
        "name": campaign.name,
        "recipients": f"{recipients:,}",
        "cost": format_money(from_micros(cost_micros), campaign.client.currency, plain=True),
        "by": str(by) if by else "A program",
        "address": _page_of(campaign),
    }
    notify(client=campaign.client, event="campaign.approval", facts=facts)


def _page_of(campaign: Campaign) -> str:
    return f"{settings.PUBLIC_URL}/app/campaigns/{campaign.pk}"


def tell_finished(campaign: Campaign, *, sent: int = 0, failed: int = 0, reason: str = "") -> None:
    """Tell the members who want to hear of it that a campaign is over; reason: why the product ended a series."""
    facts = {"name": campaign.name, "sent": figure(sent), "failed": figure(failed), "reason": reason,
             "address": _page_of(campaign)}  # fmt: skip
    notify(client=campaign.client, event="campaign.finished", facts=facts)


def announce_campaigns(finished: Sequence[tuple[int, int]]) -> None:
    """Tell webhooks and members of (campaign id, client id) that everybody has been written to."""
    listening = listening_clients({client_id for _, client_id in finished}, "campaign.completed")
    rows = []
    for client_id in sorted({client_id for _, client_id in finished}):
        mine = [campaign_id for campaign_id, owner in finished if owner == client_id]
        found = Campaign.objects.for_client(client_id).select_related("client").filter(pk__in=mine)
        campaigns = list(found.order_by("pk"))
        progress = queries.progress_of(campaigns)
        for campaign in campaigns:
            now = progress[campaign.pk]
            tell_finished(campaign, sent=now.sent + now.delivered, failed=now.failed)
            if client_id not in listening:
                continue
            data = {
                "campaign_id": campaign.pk,
                "name": campaign.name,
                "status": campaign.state,
                "recipients": now.audience,
                "sent": now.sent,
                "delivered": now.delivered,
                "failed": now.failed,
                "not_sent": now.not_sent,
                "cost": json_money(now.spent_micros),
                "finished_at": moment(campaign.finished_at),
            }
            rows.append((client_id, "campaign.completed", data))
    record_events_bulk(rows)
