"""A second person looks at what is above the limits of the organisation's policy: yes, or back with a note."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Client, User
from accounts.services.access import needs
from accounts.services.audit import record_audit
from crm.common.errors import InvalidInput, WrongState
from messaging.errors import OwnCampaign
from messaging.models import Campaign, CampaignState
from messaging.services.campaigns import confirm_campaign, get_campaign

LONGEST_NOTE = 500


def may_approve(campaign: Campaign, by: User) -> bool:
    """Whether this person is the second one: neither the last to write it nor who asked for the approval."""
    return by.pk not in (campaign.submitted_by_id, campaign.updated_by_id)


@needs("campaigns.send")
def approve_campaign(
    *,
    client: Client,
    campaign_id: int,
    by: User,
    expected_recipients: int,
    expected_cost_micros: int,
    hold_seconds: float = 0,
) -> Campaign:
    """Confirm a submitted campaign for exactly the figures that the second person saw; its money is reserved now.

    Raises: OwnCampaign, and what confirm_campaign raises; then nothing moved.
    """
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    if campaign.state != CampaignState.AWAITING:
        raise WrongState(_("This campaign does not wait for an approval any more."))
    if not may_approve(campaign, by):
        raise OwnCampaign()
    return confirm_campaign(
        client=client,
        campaign_id=campaign_id,
        by=by,
        expected_recipients=expected_recipients,
        expected_cost_micros=expected_cost_micros,
        hold_seconds=hold_seconds,
        approving=True,
    )


@needs("campaigns.send", "campaigns.write")
@transaction.atomic
def return_campaign(*, client: Client, campaign_id: int, by: User, note: str = "") -> Campaign:
    """Make a submitted campaign a draft again. The second person says why; who submitted it takes it back without.

    Raises: NotFound, WrongState, InvalidInput (note).
    """
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    note = " ".join(note.replace("\x00", "").split())[:LONGEST_NOTE]
    if not note and may_approve(campaign, by):
        raise InvalidInput({"note": [_("Say what should be changed.")]})
    waiting = Campaign.objects.for_client(client).filter(pk=campaign_id, state=CampaignState.AWAITING)
    if not waiting.update(
        state=CampaignState.DRAFT,
        returned_note=note,
        quoted_recipients=0,
        quoted_units=0,
        quoted_cost_micros=0,
        updated_at=timezone.now(),
    ):
        raise WrongState(_("This campaign does not wait for an approval any more."))
    record_audit(client=client, action="campaign.returned", target=f"campaign:{campaign_id}", after={"note": note})
    return get_campaign(client=client, campaign_id=campaign_id)
