"""What waits for a person: each trouble in a sentence, with the one thing to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import queries as accounts
from accounts.models import Client, Membership
from contacts.models import ContactImport, ImportState
from crm.common.figures import show_money
from crm.common.money import from_micros
from messaging.models import Campaign, CampaignState, SenderId, SenderState, TemplateState, WhatsAppTemplate
from messaging.template_states import reason_in_words
from wallet.models import TopUpState
from wallet.queries import Balance
from wallet.topups.queries import can_top_up, top_ups_for

FEW_DAYS = 3  # the balance lasts no longer at the pace of the last week
PAYMENT_LATE = timedelta(minutes=10)
KEY_ENDS_SOON = timedelta(days=7)
LOOKED_BACK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Concern:
    title: str
    text: str
    url: str
    action: str


def concerns_of(
    membership: Membership,
    *,
    balance: Balance | None,
    days_left: int | None,
    imports: list[ContactImport],
    campaigns: list[Campaign],
    now: datetime,
) -> list[Concern]:
    """Money first, then what stands still, then what was refused. Reads only what the member's role may see."""
    found: list[Concern] = []
    client = membership.client
    if balance:
        found += _of_money(membership, balance, days_left)
    if membership.may("wallet.topup"):
        found += _of_payments(client, now)
    for campaign in campaigns:
        found += _of_campaign(membership, campaign)
    # Only the newest import: an old failure that was tried again since needs nobody.
    if imports and imports[0].state == ImportState.FAILED:
        title = _("The import of {file} failed").format(file=imports[0].filename)
        url = reverse("contacts:import_detail", args=[imports[0].pk])
        found.append(Concern(title, imports[0].error, url, _("See the import")))
    if membership.may("campaigns.write"):
        found += _of_senders(client)
        found += _of_templates(client)
    if membership.may("keys.read"):
        found += _of_software(client, now)
    return found


def _of_money(membership: Membership, balance: Balance, days_left: int | None) -> Iterator[Concern]:
    soon = days_left is not None and days_left < FEW_DAYS
    if not balance.low and not soon:
        return
    may_top_up = membership.may("wallet.topup") and can_top_up(membership.client)
    title = _("The balance is low")
    if not balance.low and days_left is not None:
        title = ngettext(
            "The balance lasts {days} more day at this pace",
            "The balance lasts {days} more days at this pace",
            days_left,
        ).format(days=days_left)
    yield Concern(
        title,
        _("What costs more than the balance is refused.")
        if may_top_up
        else _("What costs more than the balance is refused. Ask your account manager to add credit."),
        reverse("wallet:topup" if may_top_up else "wallet:ledger"),
        _("Top up") if may_top_up else _("See the wallet"),
    )


def _of_payments(client: Client, now: datetime) -> Iterator[Concern]:
    open_ones = top_ups_for(client).filter(
        state=TopUpState.PROCESSING, created_at__lt=now - PAYMENT_LATE, created_at__gte=now - LOOKED_BACK
    )
    for top_up in open_ones[:3]:
        amount = show_money(from_micros(top_up.amount_micros), top_up.currency)
        yield Concern(
            _("A payment of {amount} is not confirmed yet").format(amount=amount),
            _("M-Pesa has not told us its receipt. Nothing is lost: it is asked again by itself."),
            reverse("wallet:topup_detail", args=[top_up.pk]),
            _("Check payment"),
        )


def _of_campaign(membership: Membership, campaign: Campaign) -> Iterator[Concern]:
    page = reverse("campaign", args=[campaign.pk])
    if campaign.state == CampaignState.PAUSED:
        title = _("The campaign “{name}” is paused").format(name=campaign.name)
        text = campaign.stop_reason or _("The people who wait get their message when you resume it.")
        yield Concern(title, text, page, _("Resume or cancel"))
    elif campaign.state == CampaignState.STOPPED:
        title = _("The campaign “{name}” was stopped").format(name=campaign.name)
        yield Concern(title, campaign.stop_reason, page, _("See what was sent"))
    elif campaign.state == CampaignState.AWAITING and membership.may("campaigns.send"):
        title = _("The campaign “{name}” waits for approval").format(name=campaign.name)
        text = _("A second person looks at it before it is sent.")
        yield Concern(title, text, reverse("campaign_review", args=[campaign.pk]), _("Look at it"))


def _of_senders(client: Client) -> Iterator[Concern]:
    states = SenderId.objects.for_client(client).filter(channel="sms").values_list("name", "state")
    approved = [name for name, state in states if state == SenderState.APPROVED]
    for name, state in states:
        if state == SenderState.REJECTED and not approved:
            yield Concern(
                _("The sender ID {name} was rejected").format(name=name),
                _("Nothing can be sent until another one is approved. The page says what to mend."),
                reverse("senders"),
                _("See the sender IDs"),
            )


def _of_templates(client: Client) -> Iterator[Concern]:
    """WhatsApp templates that WhatsApp does not take, the latest first."""
    stopped = WhatsAppTemplate.objects.for_client(client).filter(
        state__in=[TemplateState.PAUSED, TemplateState.REJECTED]
    )
    for template in stopped.order_by("-updated_at")[:3]:
        title = _("WhatsApp rejected the template “{name}”")
        if template.state == TemplateState.PAUSED:
            title = _("WhatsApp paused the template “{name}”")
        yield Concern(
            title.format(name=template),
            reason_in_words(template.reason) or _("It cannot be sent. Its page says what can be done."),
            reverse("whatsapp_template", args=[template.pk]),
            _("See the template"),
        )


def _of_software(client: Client, now: datetime) -> Iterator[Concern]:
    for endpoint in accounts.endpoints_for(client):
        page = reverse("webhook", args=[endpoint.pk])
        if not endpoint.active and endpoint.disabled_reason:
            title = _("The webhook {url} was paused").format(url=endpoint.url[:80])
            yield Concern(title, endpoint.disabled_reason, page, _("Look at it and resume"))
        elif endpoint.active and endpoint.failing_since:
            title = _("The webhook {url} is failing").format(url=endpoint.url[:80])
            yield Concern(title, _("Your software does not hear of events now."), page, _("See why"))
    for key in accounts.keys_for(client).filter(revoked_at=None, expires_at__range=(now, now + KEY_ENDS_SOON))[:3]:
        title = _("The API key “{name}” ends soon").format(name=key.name)
        text = _("What still uses it will be refused from then on. Rotate it in time.")
        yield Concern(title, text, reverse("api_keys"), _("See the keys"))
