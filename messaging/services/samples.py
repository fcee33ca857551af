"""One real message by one provider account, whatever the routes say: how an operator sees that a road works."""

from django.db import transaction

from accounts.models import Client
from messaging import wake
from messaging.models import Message, MessageStatus, ProviderAccount
from messaging.services.accept import Accepted, Draft, Refused, accept_messages

TEXT = "This is a test message."


@transaction.atomic
def send_sample(
    *, account: ProviderAccount, client: Client, to: str, text: str = TEXT, sender: str | None = None
) -> Accepted:
    """Send `text` to `to` for `client`, at its price, by `account`.

    Raises, and then nothing was sent: what accept_messages raises, and the error of a number that was refused.
    """
    (result,) = accept_messages(
        client=client, drafts=[Draft(to, text)], sender=sender or None, source="dashboard", channel="sms"
    )
    if isinstance(result, Refused):
        raise result.error
    moved = (
        Message.objects.for_client(client)
        .filter(pk=result.id, status=MessageStatus.QUEUED, simulated=False)
        .update(provider_account_id=account.pk)
    )
    if moved:  # nobody has seen it before this transaction ends
        wake.senders([account.pk])
    return result
