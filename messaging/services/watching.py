"""Campaigns that had better stop: the product pauses them and says why; a person decides how they go on."""

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm.common.figures import figure
from crm.common.sql import database_now
from messaging import open_months
from messaging.models import Campaign, CampaignState, MessageStatus, ProviderAccount
from messaging.providers.failures import failure_of
from messaging.queries import messages_of
from messaging.reasons import in_words
from messaging.services.announcing import tell_paused
from messaging.services.campaigns import hold_messages
from messaging.services.whatsapp_rendering import stopped_template

FAILURES_OF = 200  # the first messages that came to an end
FAILED_SHARE = 0.2
RESTS_IN_A_ROW = 2  # a provider that rested so often without taking one message is down
_OWN_REFUSALS = ("opted_out",)  # ends that say nothing about the provider


@transaction.atomic
def pause_for(campaign: Campaign, *, kind: str, reason: str) -> bool:
    """Pause a running campaign for a `kind` of cause that nobody waived. Returns: whether this call did it."""
    if kind in campaign.waived:
        return False
    running = Campaign.objects.for_client(campaign.client_id).filter(pk=campaign.pk, state=CampaignState.SENDING)
    if not running.update(
        state=CampaignState.PAUSED,
        pause_reason=reason[:200],
        pause_kind=kind,
        lease_owner="",
        lease_until=None,
        updated_at=timezone.now(),
    ):
        return False
    hold_messages(campaign_id=campaign.pk)
    tell_paused(campaign, reason)
    return True


def watch_campaigns() -> int:
    """Look at every campaign that is sending; returns how many were paused. Costs a few index reads per campaign."""
    sending = Campaign.objects.unscoped().filter(state=CampaignState.SENDING, simulated=False)
    paused = 0
    for campaign in sending.select_related("client").order_by("pk")[:1000]:
        with override(campaign.client.language):  # that of its people, who read it
            kind, reason = _trouble(campaign)
        paused += bool(reason) and pause_for(campaign, kind=kind, reason=reason)
    return paused


def _trouble(campaign: Campaign) -> tuple[str, str]:
    if reason := stopped_template(campaign):
        return "template", reason
    if "failures" not in campaign.waived and (reason := _too_many_failures(campaign)):
        return "failures", reason
    if "provider" not in campaign.waived and (reason := _provider_down(campaign)):
        return "provider", reason
    return "", ""


def _too_many_failures(campaign: Campaign) -> str:
    """Why, where more than a fifth of the first FAILURES_OF that ended have failed, or of more that ended since."""
    most = int(FAILURES_OF * FAILED_SHARE)
    failed = _count(campaign, [MessageStatus.FAILED])
    if failed <= most:
        return ""
    ended = failed + _count(campaign, [MessageStatus.DELIVERED, MessageStatus.READ])
    if failed <= max(ended, FAILURES_OF) * FAILED_SHARE:
        return ""
    codes = messages_of(campaign).filter(status=MessageStatus.FAILED)
    reasons: dict[str, int] = {}
    for code in codes.values_list("error_code", flat=True)[:1000]:
        if code in _OWN_REFUSALS:
            failed -= 1
        else:
            reasons[code] = reasons.get(code, 0) + 1
    if failed <= max(ended, FAILURES_OF) * FAILED_SHARE:
        return ""
    words = failure_of(max(reasons, key=lambda code: reasons[code])).words
    facts = {"failed": figure(failed), "n": figure(max(ended, FAILURES_OF)), "words": words}
    return _("%(failed)s of the first %(n)s messages failed, most of them: %(words)s.") % facts


def _count(campaign: Campaign, statuses: list[str]) -> int:
    """Messages in these states, counted no further than a few thousand: an index answers."""
    places, months = ", ".join(["%s"] * len(statuses)), open_months.of_campaigns([campaign]).sql()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM (SELECT 1 FROM messaging_message "
            f"WHERE campaign_id = %s AND status IN ({places}){months} LIMIT 5000) AS few",
            [campaign.pk, *statuses],
        )
        return cursor.fetchone()[0]


def _provider_down(campaign: Campaign) -> str:
    """Why, where what waits has no other road than a provider that is out of use."""
    waiting = messages_of(campaign).filter(status=MessageStatus.QUEUED)
    roads = set(waiting.values_list("provider_account_id", flat=True)[:100])
    accounts = list(ProviderAccount.objects.filter(pk__in=[pk for pk in roads if pk]))
    now = database_now()
    if not accounts or not all(_is_down(account, now) for account in accounts):
        return ""
    first = accounts[0]
    why = in_words(first.rest_reason) if first.is_active else _("it was switched off")
    sentence = _("The provider takes no messages at the moment: %(why)s") % {"why": why}
    return sentence.rstrip(" .:") + "."


def _is_down(account: ProviderAccount, now: object) -> bool:
    resting = account.rest_until is not None and account.rest_until > now  # type: ignore[operator]
    return not account.is_active or (resting and account.rest_level >= RESTS_IN_A_ROW)
