"""The one queue of what waits for staff: sender IDs, going live, held imports, campaigns above a limit."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import Client, User
from contacts.models import ContactImport, ImportState
from contacts.services import refuse_import, release_import
from crm.common.errors import InvalidInput
from messaging.models import (
    Campaign,
    CampaignState,
    GoLiveRequest,
    NetworkState,
    SenderId,
    SenderNetwork,
    SenderState,
)
from messaging.services import going_live, sender_requests
from messaging.services.approval import approve_campaign, return_campaign

MOST = 200  # rows shown of each kind


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the queue. since: when it began to wait."""

    kind: str
    pk: int
    client: Client
    title: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What a member of staff said. networks: of a sender ID; none for every one that waits."""

    reason: str = ""
    fix: str = ""
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing that waits. permission: of Django, to decide. reasons: what is often the matter."""

    name: str
    label: str | Promise
    permission: str
    waiting: Callable[[], Iterable[Item]]
    load: Callable[[int], Any]
    approve: Callable[[Any, User, Decision], object]
    give_back: Callable[[Any, User, Decision], object]
    reasons: tuple[str | Promise, ...] = field(default=())


def _open_senders() -> QuerySet[SenderId]:
    """Those of which at least one network has no answer yet."""
    waiting = SenderNetwork.objects.unscoped().filter(
        sender=OuterRef("pk"), state__in=[NetworkState.CHECKING, NetworkState.NETWORK]
    )
    rows = SenderId.objects.unscoped().filter(Exists(waiting), submitted_at__isnull=False)
    return rows.filter(state__in=[SenderState.PENDING, SenderState.APPROVED])


def _senders() -> Iterable[Item]:
    for row in _open_senders().select_related("client").order_by("submitted_at")[:MOST]:
        yield Item("sender", row.pk, row.client, row.name, row.submitted_at or row.created_at)


def _sender(pk: int) -> SenderId | None:
    return _open_senders().select_related("client", "requested_by").filter(pk=pk).first()


def _trials() -> Iterable[Item]:
    rows = GoLiveRequest.objects.unscoped().filter(state=GoLiveRequest.State.WAITING)
    for row in rows.select_related("client").order_by("asked_at")[:MOST]:
        yield Item("live", row.pk, row.client, row.purpose, row.asked_at)


def _trial(pk: int) -> GoLiveRequest | None:
    rows = GoLiveRequest.objects.unscoped().select_related("client", "asked_by")
    return rows.filter(pk=pk, state=GoLiveRequest.State.WAITING).first()


def _imports() -> Iterable[Item]:
    rows = ContactImport.objects.unscoped().filter(state=ImportState.HELD)
    for row in rows.select_related("client").order_by("created_at")[:MOST]:
        yield Item("import", row.pk, row.client, row.filename, row.created_at)


def _import(pk: int) -> ContactImport | None:
    rows = ContactImport.objects.unscoped().select_related("client", "by")
    return rows.filter(pk=pk, state=ImportState.HELD).first()


def _campaigns() -> Iterable[Item]:
    rows = Campaign.objects.unscoped().filter(state=CampaignState.AWAITING)
    for row in rows.select_related("client").order_by("submitted_at")[:MOST]:
        yield Item("campaign", row.pk, row.client, row.name, row.submitted_at or row.created_at)


def _campaign(pk: int) -> Campaign | None:
    rows = Campaign.objects.unscoped().select_related("client", "sender", "submitted_by")
    return rows.filter(pk=pk, state=CampaignState.AWAITING).first()


def _approve_campaign(campaign: Campaign, by: User, _said: Decision) -> None:
    approve_campaign(
        client=campaign.client,
        campaign_id=campaign.pk,
        by=by,
        expected_recipients=campaign.quoted_recipients,
        expected_cost_micros=campaign.quoted_cost_micros,
    )


def _refuse_import(batch: ContactImport, _by: User, said: Decision) -> None:
    if len(said.reason) < 5:
        raise InvalidInput({"reason": [str(_("Say why: the client reads it."))]})
    refuse_import(contact_import=batch, reason=said.reason)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "sender",
            _("Sender ID"),
            "messaging.change_senderid",
            _senders,
            _sender,
            lambda sender, _by, said: sender_requests.approve_request(sender=sender, networks=said.networks),
            lambda sender, _by, said: sender_requests.reject_request(
                sender=sender, reason=said.reason, fix=said.fix, networks=said.networks
            ),
            (
                _("The letter is not signed or stamped."),
                _("A document cannot be read."),
                _("The registration certificate is of another organisation."),
                _("The name does not belong to the organisation."),
                _("The sample messages are promotions, and information was asked for."),
            ),
        ),
        Kind(
            "live",
            _("Go live"),
            "accounts.change_client",
            _trials,
            _trial,
            lambda asked, _by, _said: going_live.open_account(client=asked.client),
            lambda asked, _by, said: going_live.return_request(client=asked.client, note=said.reason),
            (
                _("Say more precisely what you will send, and to whom."),
                _("We could not reach you under the number you gave."),
                _("Your tax number and your address do not fit together."),
            ),
        ),
        Kind(
            "import",
            _("Held import"),
            "contacts.change_contactimport",
            _imports,
            _import,
            lambda batch, _by, _said: release_import(contact_import=batch),
            _refuse_import,
            (
                _("The numbers follow one another as invented ones do."),
                _("Show us where these people agreed to be written to."),
            ),
        ),
        Kind(
            "campaign",
            _("Campaign"),
            "messaging.change_campaign",
            _campaigns,
            _campaign,
            _approve_campaign,
            lambda campaign, by, said: (
                return_campaign(client=campaign.client, campaign_id=campaign.pk, by=by, note=said.reason) and None
            ),
            (
                _("The text does not say who writes."),
                _("This is a promotion: use a sender ID for promotions, by day."),
            ),
        ),
    )
}


def waiting(may: Callable[[str], bool]) -> list[Item]:
    """Everything that waits for somebody with these permissions, the oldest first."""
    found = [item for kind in KINDS.values() if may(kind.permission) for item in kind.waiting()]
    return sorted(found, key=lambda item: item.since)
