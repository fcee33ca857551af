"""A file of people as part of writing a campaign: imported into a group of its own, which the campaign goes to."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Client, User
from accounts.services.access import needs
from contacts.models import ContactImport, Group, ImportState
from contacts.services import create_group
from contacts.services.imports import begin_import, configure_import, start_import
from crm.common.errors import InvalidInput, WrongState
from messaging.models import Campaign, CampaignState
from messaging.services.campaigns import get_campaign

_UNFINISHED = (ImportState.UPLOADED, ImportState.READY, ImportState.RUNNING, ImportState.HELD)


@dataclass(frozen=True, slots=True)
class Upload:
    """started: it is being read; else a person must first say which column is which."""

    batch: ContactImport
    started: bool


@needs("campaigns.write")
def upload_list(*, client: Client, by: User | None, campaign_id: int, upload: Any) -> Upload:
    """Read a file into a new group and add that to a draft. upload: `name` and `chunks()`.

    Raises: NotFound, WrongState (no draft any more), contacts.errors.UnreadableFile.
    """
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    if campaign.state != CampaignState.DRAFT:
        raise WrongState(_("This campaign was started already and cannot be changed."))
    batch = start_import(client=client, by=by, upload=upload)
    with transaction.atomic():
        group = _group_for(client, batch.filename)
        configure_import(contact_import=batch, group=group)
        campaign.groups.add(group)
    try:
        begin_import(contact_import=batch)
    except InvalidInput:
        return Upload(batch, started=False)
    return Upload(batch, started=True)


def _group_for(client: Client, filename: str) -> Group:
    stem = filename.rsplit(".", 1)[0][:60] or _("List")
    taken = {name.casefold() for name in Group.objects.for_client(client).values_list("name", flat=True)}
    names = (stem if number == 1 else f"{stem} ({number})" for number in range(1, 10_000))
    return create_group(client=client, name=next(name for name in names if name.casefold() not in taken))


def running_uploads(campaign: Campaign) -> list[ContactImport]:
    """Imports into the campaign's groups that are not at their end, so that not all of its people are known yet."""
    groups = campaign.groups.filter(client_id=campaign.client_id)
    found = ContactImport.objects.for_client(campaign.client_id).filter(group__in=groups, state__in=_UNFINISHED)
    return list(found.order_by("pk"))
