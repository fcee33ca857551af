"""What ledger references of messages and campaigns stand for, for the wallet's pages."""

import re
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import Client
from crm.common.channels import Channel
from messaging.models import Campaign, Message
from wallet.signals import Cause

_REFERENCE = re.compile(r"(message|campaign):(\d{1,18})")
_NAMES = {Channel.SMS: "SMS", Channel.WHATSAPP: "WhatsApp", Channel.EMAIL: "Email"}


def causes_of(*, client: Client, references: list[str], **_facts: Any) -> dict[str, Cause]:
    """Of the references that name this client's messages and campaigns; two queries at most."""
    ids: dict[str, set[int]] = {"message": set(), "campaign": set()}
    for reference in references:
        if found := _REFERENCE.fullmatch(reference):
            ids[found[1]].add(int(found[2]))
    causes: dict[str, Cause] = {}
    if ids["message"]:
        messages = Message.objects.for_client(client).filter(pk__in=ids["message"])
        for pk, channel, recipient, campaign_id in messages.values_list("pk", "channel", "recipient", "campaign_id"):
            part_of = f"campaign:{campaign_id}" if campaign_id else ""
            url = f"{reverse('message_list')}?open={pk}"
            causes[f"message:{pk}"] = Cause(_NAMES[Channel(channel)], recipient, url, "messages.read", part_of)
            if campaign_id:
                ids["campaign"].add(campaign_id)
    if ids["campaign"]:
        campaigns = Campaign.objects.for_client(client).filter(pk__in=ids["campaign"])
        for pk, name in campaigns.values_list("pk", "name"):
            title = _("Campaign “%(name)s”") % {"name": name}
            causes[f"campaign:{pk}"] = Cause(title, url=reverse("campaign", args=[pk]), permission="campaigns.read")
    return causes
