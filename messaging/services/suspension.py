"""What becomes of a suspended client's messages: none leaves, none is lost."""

from typing import Any

from accounts.models import Client
from messaging import wake
from messaging.models import Campaign, CampaignState, Message, MessageStatus
from messaging.sending.claims import hold_queued


def hold_everything(*, client: Client, **_: Any) -> None:
    """Keep back all that has not been written to a provider; running campaigns are paused."""
    Campaign.objects.for_client(client).filter(state=CampaignState.SENDING).update(
        state=CampaignState.PAUSED, lease_owner="", lease_until=None
    )
    hold_queued(column="client_id", pk=client.pk)


def release_single_messages(*, client: Client, **_: Any) -> None:
    """Queue what was held outside campaigns. A paused campaign waits for a person, who may think it too late."""
    held = Message.objects.for_client(client).filter(status=MessageStatus.HELD, campaign=None)
    accounts = set(held.values_list("provider_account_id", flat=True).order_by().distinct())
    held.update(status=MessageStatus.QUEUED)
    wake.senders(accounts)
