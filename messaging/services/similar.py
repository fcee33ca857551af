"""Whether people are about to get what they just got: the same text to the same numbers again."""

from datetime import datetime, timedelta

from django.db.models import Max
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from contacts.queries import address_in
from crm.common.spans import span_between
from crm.common.sql import database_now
from messaging.models import Campaign, CampaignState, Channel, Message, MessageStatus
from messaging.services.audience import walk_audience
from messaging.services.guards import Repeated, repeated_lately

WITHIN = timedelta(days=1)
_GONE = (MessageStatus.FAILED, MessageStatus.CANCELLED)


def same_text_lately(campaign: Campaign) -> Repeated | None:
    """How many of a draft's people got its text within WITHIN, by a campaign or singly; None: nobody.

    Costs one query where nothing like it was sent; else it walks the draft's people once more.
    """
    mail = campaign.channel == Channel.EMAIL
    if not campaign.text.strip() and not mail:
        return None
    since = database_now() - WITHIN
    earlier = (
        Campaign.objects.for_client(campaign.client_id)
        .filter(channel=campaign.channel, text=campaign.text, confirmed_at__gte=since)
        .exclude(pk=campaign.pk)
        .exclude(state__in=[CampaignState.DRAFT, CampaignState.AWAITING])
    )
    if mail:
        earlier = earlier.filter(content__subject=campaign.content.get("subject", ""))
    ids = list(earlier.values_list("pk", flat=True)[:20])
    plain = "{" not in campaign.text and not mail  # a mail ends differently for each person
    sent = Message.objects.for_client(campaign.client_id).filter(span_between(Message, since).q)
    alike = sent.filter(created_at__gte=since, text=campaign.text) if plain else sent.none()
    if not ids and not (plain and alike.order_by("-pk")[:1].exists()):
        return None
    people, latest = 0, None
    for _place, rows in walk_audience(campaign=campaign, sender=campaign.sender_name):
        if ids:
            addresses = [address_in(row, campaign.channel) for row in rows]
            had = sent.filter(campaign_id__in=ids, recipient__in=addresses).exclude(status__in=_GONE)
            people += had.values("recipient").distinct().count()
            newest = had.aggregate(at=Max("created_at"))["at"]
        else:
            found = repeated_lately(campaign.client, [(row[1], campaign.text) for row in rows])
            people += found.people if found else 0
            newest = found.latest if found else None
        latest = max((moment for moment in (latest, newest) if moment), default=None)
    return Repeated(people, latest) if people and latest else None


def ago(moment: datetime) -> str:
    """`2 h ago`, in words of the active language."""
    minutes = max(0, int((database_now() - moment).total_seconds() // 60))
    if minutes < 1:
        return _("a moment ago")
    if minutes < 60:
        return ngettext("%(n)s minute ago", "%(n)s minutes ago", minutes) % {"n": minutes}
    hours = minutes // 60
    return ngettext("%(n)s hour ago", "%(n)s hours ago", hours) % {"n": hours}
