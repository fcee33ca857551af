"""A client that registered by itself: it tries everything with its own people until staff let it go live."""

from django.db import transaction

from accounts.models import Client
from messaging.models import SenderId, SenderState
from messaging.services.notices import system_sender
from messaging.services.rules import rules_of, set_limits
from messaging.services.senders import approve_sender_id


@transaction.atomic
def start_trial(*, client: Client) -> None:
    """Let `client` write to the confirmed numbers of its members only, as the installation's own sender."""
    set_limits(client=client, trial=True, countries=[])  # its own country only, until staff open others
    if name := system_sender():
        approve_sender_id(client=client, name=name)


@transaction.atomic
def go_live(*, client: Client) -> None:
    """End the trial: any number may be written to, and no longer under the installation's own name."""
    rules = rules_of(client)
    set_limits(
        client=client,
        trial=False,
        equal_per_hour=rules.equal_per_hour,
        any_per_hour=rules.any_per_hour,
        any_per_day=rules.any_per_day,
        messages_per_day=rules.messages_per_day,
        spend_per_day_micros=rules.spend_per_day_micros,
        foreign_per_day=rules.foreign_per_day,
        countries=rules.countries,
    )
    borrowed = SenderId.objects.for_client(client).filter(name=system_sender(), channel="sms")
    borrowed.update(state=SenderState.REJECTED, is_default=False)
    first = SenderId.objects.for_client(client).filter(state=SenderState.APPROVED, channel="sms").order_by("pk").first()
    if first and not SenderId.objects.for_client(client).filter(is_default=True, channel="sms").exists():
        SenderId.objects.for_client(client).filter(pk=first.pk).update(is_default=True)
