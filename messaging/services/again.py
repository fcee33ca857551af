"""A campaign once more: its copy as a draft, or a draft to those whom a passing cause kept from getting it."""

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Client, User
from accounts.services.access import needs
from contacts import queries as contacts
from crm.common.channels import CAMPAIGN_CHANNELS
from crm.common.errors import DomainError, WrongState
from messaging.models import (
    Campaign,
    CampaignRecipient,
    CampaignState,
    Channel,
    Message,
    MessageStatus,
    Route,
    SenderState,
)
from messaging.providers.failures import FAILURES
from messaging.queries import messages_of
from messaging.services.accept import check_may_send
from messaging.services.audience import CHUNK
from messaging.services.campaigns import get_campaign, list_recipients, save_draft

# What an operator or time may mend; a wrong number or a person who opted out is not tried again.
RETRYABLE = tuple(code for code, failure in FAILURES.items() if failure.retry_helps)
_GONE = (MessageStatus.FAILED, MessageStatus.CANCELLED)


@needs("campaigns.write")
@transaction.atomic
def duplicate_campaign(*, client: Client, campaign_id: int, by: User | None) -> Campaign:
    """A draft with the same people, text, sender and type, without a time. Raises: NotFound."""
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    draft = _copy(campaign, by, name=_("Copy of %(name)s") % {"name": campaign.name}, group_ids=list(_groups(campaign)))
    numbers = CampaignRecipient.objects.for_client(client).filter(campaign=campaign).order_by("pk")
    list_recipients(client=client, campaign_id=draft.pk, recipients=list(numbers.values_list("address", flat=True)))
    return draft


@needs("campaigns.write")
@transaction.atomic
def retry_campaign(*, client: Client, campaign_id: int, by: User | None) -> Campaign:
    """A draft to the people of `retryable`, which is reviewed and paid for like any other.

    Raises: NotFound, WrongState (nobody is left whom trying again may reach).
    """
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    numbers = list(retryable(campaign).order_by("pk").values_list("recipient", flat=True))
    if not numbers:
        raise WrongState(_("Nobody is left whom trying again may reach."))
    draft = _copy(campaign, by, name=_("Retry of %(name)s") % {"name": campaign.name}, group_ids=[])
    list_recipients(client=client, campaign_id=draft.pk, recipients=numbers)
    return draft


def retryable(campaign: Campaign) -> QuerySet[Message]:
    """A campaign's failed messages that may arrive on another try, without those whose text was sent again since."""
    mine = Message.objects.for_client(campaign.client_id)
    since = mine.filter(recipient=OuterRef("recipient"), pk__gt=OuterRef("pk"), text=OuterRef("text"))
    failed = messages_of(campaign).filter(status=MessageStatus.FAILED, error_code__in=RETRYABLE)
    return failed.exclude(Exists(since.exclude(status__in=_GONE)))


def undelivered(campaign: Campaign) -> QuerySet[Message]:
    """A campaign's messages that surely did not arrive, to people who did not opt out."""
    return messages_of(campaign).filter(status=MessageStatus.FAILED).exclude(error_code="opted_out")


def other_channels(campaign: Campaign) -> list[str]:
    """Channels besides its own by which its people may be written to now: those of campaigns that this installation
    sends by, with a provider that carries them."""
    found: list[str] = []
    carried = set(Route.objects.filter(account__is_active=True).values_list("channel", flat=True).distinct())
    for channel in CAMPAIGN_CHANNELS:
        if channel == campaign.channel or channel not in carried:
            continue
        try:
            check_may_send(campaign.client, channel)
        except DomainError:
            continue
        found.append(channel)
    return found


@needs("campaigns.write")
@transaction.atomic
def reach_again(*, client: Client, campaign_id: int, channel: str, by: User | None) -> Campaign:
    """A draft on another channel to those whom a campaign did not reach; it is written, reviewed and paid for as any.

    Raises: NotFound, WrongState (nobody is left, or the channel cannot be used).
    """
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    if channel not in other_channels(campaign):
        raise WrongState(_("This channel cannot be used now."))
    people = list(undelivered(campaign).order_by("pk").values_list("recipient", flat=True))
    if not people:
        raise WrongState(_("Everybody was reached."))
    addresses = _addresses_of(client, people, campaign.channel, channel)
    if not addresses:
        raise WrongState(_("Your contacts hold no address of these people for this channel."))
    draft = _copy(
        campaign, by, name=_("%(name)s: those not reached") % {"name": campaign.name}, group_ids=[], channel=channel
    )
    list_recipients(client=client, campaign_id=draft.pk, recipients=addresses)
    return get_campaign(client=client, campaign_id=draft.pk)


def _addresses_of(client: Client, people: list[str], channel: str, other: str) -> list[str]:
    """Where these people of one channel are reached by another, as far as the client's contacts say."""
    if (channel == Channel.EMAIL) == (other == Channel.EMAIL):
        return people  # both go to the phone
    found: list[str] = []
    for start in range(0, len(people), CHUNK):
        rows = contacts.people_by_address(client.pk, people[start : start + CHUNK], channel=channel)
        found += [address for row in rows if (address := contacts.address_in(row, other))]
    return list(dict.fromkeys(found))


def _groups(campaign: Campaign) -> QuerySet:
    return campaign.groups.filter(client_id=campaign.client_id).values_list("pk", flat=True)


def _copy(
    campaign: Campaign, by: User | None, *, name: str, group_ids: list[int], channel: str | None = None
) -> Campaign:
    """channel: another one than the campaign's; then its text alone goes along, and its default is the sender."""
    same = channel in (None, campaign.channel)
    usable = same and campaign.sender is not None and campaign.sender.state == SenderState.APPROVED
    others = campaign.content.get("variants", {}) if same else {}
    draft = save_draft(
        client=campaign.client,
        by=by,
        name=name[:120],
        text=campaign.text,
        group_ids=group_ids,
        sender=campaign.sender_name if usable else None,
        variants=campaign.variants,
        channel=channel or campaign.channel,
        mail=campaign.content if same else None,
        whatsapp=campaign.content if same else None,
        mail_variants={
            code: {"text": campaign.variants.get(code, ""), **others.get(code, {})}
            for code in {*others, *campaign.variants}
        },
        excluded_ids=list(campaign.excluded.filter(client_id=campaign.client_id).values_list("pk", flat=True)),
    )
    Campaign.objects.for_client(campaign.client).filter(pk=draft.pk, state=CampaignState.DRAFT).update(
        message_class=campaign.message_class, spread_hours=campaign.spread_hours
    )
    return draft
