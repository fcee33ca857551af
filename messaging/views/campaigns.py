"""Campaigns: the list, the live page, and what can be done to one that runs."""

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from django.views.decorators.http import require_http_methods, require_safe

from crm.common.access import page
from crm.common.errors import DomainError
from crm.common.replica import from_replica
from messaging import queries, results
from messaging.models import Campaign, CampaignState, Channel
from messaging.queries import Progress
from messaging.services import again, repeating
from messaging.services import campaigns as service
from messaging.services.scheduling import withdraw_campaign
from messaging.views.fragments import render_part
from messaging.views.sketching import campaign_or_404
from wallet.queries import reservation_remaining

PAGE_SIZE = 25
STATE_WORDS = (
    ("", gettext_lazy("All")),
    (CampaignState.DRAFT, gettext_lazy("Drafts")),
    (CampaignState.AWAITING, gettext_lazy("Awaiting approval")),
    (CampaignState.SCHEDULED, gettext_lazy("Scheduled")),
    (CampaignState.REPEATING, gettext_lazy("Repeating")),
    (CampaignState.SENDING, gettext_lazy("Sending")),
    (CampaignState.PAUSED, gettext_lazy("Paused")),
    (CampaignState.DONE, gettext_lazy("Done")),
    (CampaignState.CANCELLED, gettext_lazy("Cancelled")),
    (CampaignState.STOPPED, gettext_lazy("Stopped")),
)
RUNNING = (CampaignState.SENDING, CampaignState.PAUSED)
OVER = (CampaignState.DONE, CampaignState.CANCELLED, CampaignState.STOPPED)
# Live pages ask again after so many seconds; reports of a finished campaign are waited for on an open page this long.
FASTEST, SLOWEST = 2, 5
REPORTS_AWAITED = timedelta(hours=1)
SOON = timedelta(minutes=5)  # until then nobody sits before the page of a scheduled campaign


@page("campaigns.read")
@require_safe
def campaign_list(request: HttpRequest) -> HttpResponse:
    """/app/campaigns, `?state=` and `?page=`."""
    state = request.GET.get("state", "")
    if state not in CampaignState.values:
        state = ""
    found = Paginator(queries.campaigns_for(request.client, state=state), PAGE_SIZE).get_page(request.GET.get("page"))
    progress = queries.progress_of([campaign for campaign in found if campaign.state != CampaignState.DRAFT])
    context = {
        "page": found,
        "rows": [_row(campaign, progress.get(campaign.pk)) for campaign in found],
        "states": STATE_WORDS,
        "state": state,
        "state_word": dict(STATE_WORDS)[state],
        "may_write": request.membership.may("campaigns.write"),
    }
    return render_part(request, "messaging/campaign_list.html", "messaging/_campaign_table.html", context)


def _row(campaign: Campaign, progress: Progress | None) -> tuple[Campaign, Progress | None, list]:
    return campaign, progress, _parts(progress) if progress else []


@page("campaigns.read")
@require_safe
def campaign_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/campaigns/{id}: live while it runs. A draft is edited, or reviewed by who may not edit."""
    campaign = campaign_or_404(request, pk)
    if campaign.state == CampaignState.DRAFT:
        return redirect("campaign_edit" if request.membership.may("campaigns.write") else "campaign_review", pk=pk)
    if campaign.state == CampaignState.AWAITING:
        return redirect("campaign_review", pk=pk)
    started = time.monotonic()
    progress = queries.progress_of([campaign])[pk]
    slow = math.ceil(10 * (time.monotonic() - started))
    context = {
        "campaign": campaign,
        "results_query": f"campaign={pk}",
        "progress": progress,
        "parts": _parts(progress),
        "reserved": reservation_remaining(request.client.pk, campaign.reservation),
        "failures": queries.failures_of(campaign) if progress.failed else [],
        "retryable": again.retryable(campaign).count() if progress.failed else 0,
        "may_write": request.membership.may("campaigns.write"),
        "milestone": _milestone(campaign, progress),
        "interval": _interval(campaign, progress, slow),
        "may_send": request.membership.may("campaigns.send"),
        "may_read_messages": request.membership.may("messages.read"),
        "is_running": campaign.state in RUNNING,
        "is_scheduled": campaign.state == CampaignState.SCHEDULED,
        "spread_until": _spread_until(campaign),
        "is_repeating": campaign.state == CampaignState.REPEATING,
        "next_runs": repeating.next_runs(campaign) if campaign.state == CampaignState.REPEATING else [],
        "runs": list(queries.runs_of(campaign)[:12]) if campaign.repeat else [],
        **_results_of(campaign, progress),
        "waiting": progress.queued + progress.unexpanded,
        **_pace(campaign, progress),
    }
    return render_part(request, "messaging/campaign_detail.html", "messaging/_campaign_live.html", context)


@from_replica
def _results_of(campaign: Campaign, progress: Progress) -> dict[str, Any]:
    """What came of it, once messages have left."""
    left = progress.sent + progress.delivered + progress.failed
    if not left or campaign.state not in (*RUNNING, *OVER):
        return {}
    bars = results.over_time(campaign)
    found: dict[str, Any] = {
        "networks": results.by_network(campaign),
        "bars": bars,
        "delivered_percent": 100 * progress.delivered // max(progress.delivered + progress.failed, 1),
    }
    if campaign.state in OVER:
        others = again.other_channels(campaign) if progress.failed else []
        found |= {
            "opt_outs": results.opt_outs_after(campaign),
            "replies": results.replies_to(campaign),
            "undelivered": again.undelivered(campaign).count() if progress.failed else 0,
            "other_channels": [(channel, _in_a_sentence(channel)) for channel in others],
        }
    return found


def _in_a_sentence(channel: str) -> str:
    """The word of a channel between others: names keep their capitals, "email" is none."""
    word = str(Channel(channel).label)
    return word.lower() if channel == Channel.EMAIL else word


def _parts(progress: Progress) -> list[tuple[str, str, int]]:
    """The five figures, which add up to the audience at every moment."""
    return [
        ("delivered", _("Delivered"), progress.delivered),
        ("waiting", pgettext("messages of a campaign", "Sent"), progress.sent),
        ("failed", _("Failed"), progress.failed),
        ("queued", _("Queued"), progress.queued + progress.unexpanded),
        ("none", _("Not sent"), progress.not_sent),
    ]


def _interval(campaign: Campaign, progress: Progress, slow: int) -> int:
    """Seconds until the page asks again, more where the count takes long; 0 when nothing will change any more."""
    if campaign.state == CampaignState.SCHEDULED and not _starts_soon(campaign):
        return 0
    if campaign.state in (CampaignState.SENDING, CampaignState.SCHEDULED):
        return max(FASTEST, min(slow, SLOWEST))
    if campaign.state == CampaignState.PAUSED or progress.queued:
        return SLOWEST
    recently = campaign.finished_at is None or timezone.now() - campaign.finished_at < REPORTS_AWAITED
    return SLOWEST if progress.sent and recently else 0


def _starts_soon(campaign: Campaign) -> bool:
    return campaign.starts_at is not None and campaign.starts_at - timezone.now() < SOON


def _milestone(campaign: Campaign, progress: Progress) -> str:
    """What a screen reader is told: it changes at quarters and at turns, not at every tick."""
    if campaign.state != CampaignState.SENDING:
        return _("The campaign is %(state)s.") % {"state": campaign.get_state_display().lower()}
    quarter = progress.percent // 25 * 25
    words = _("%(percent)s percent of the messages have left.") % {"percent": quarter} if quarter else ""
    return f"{words} {_('Some messages failed.')}".strip() if progress.failed else words


def _spread_until(campaign: Campaign) -> datetime | None:
    """When the last message of a campaign that is spread over hours leaves; None where it is not, or not now."""
    if not campaign.spread_hours or campaign.state != CampaignState.SENDING or campaign.starts_at is None:
        return None
    return campaign.starts_at + timedelta(hours=campaign.spread_hours)


def _pace(campaign: Campaign, progress: Progress) -> dict[str, Any]:
    """Messages a second and when the last will have left; empty where nothing moves."""
    waiting = progress.queued + progress.unexpanded
    if campaign.state != CampaignState.SENDING or not waiting:
        return {}
    rate = queries.rate_of(campaign)
    if not rate:
        return {}
    done_at: datetime = timezone.now() + timedelta(seconds=min(waiting / rate, 10 * 86400))
    return {"rate": rate, "done_at": done_at, "minutes_left": math.ceil(waiting / rate / 60)}


# --- steps ------------------------------------------------------------------------------------------------------------


@page("campaigns.send")
@require_http_methods(["GET", "POST"])
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    return _step(request, pk, service.pause_campaign, _("Paused. Messages already with the networks still arrive."))


@page("campaigns.send")
@require_http_methods(["GET", "POST"])
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    return _step(request, pk, service.resume_campaign, _("Resumed: the rest is sent, and nobody receives it twice."))


@page("campaigns.send")
@require_http_methods(["GET", "POST"])
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """POST /app/campaigns/{id}/stop: what has not begun is a draft again, and its money is free; a series ends."""
    if campaign_or_404(request, pk).state == CampaignState.REPEATING:
        return _step(request, pk, service.cancel_campaign, _("Stopped: there is no further run."))
    return _step(request, pk, withdraw_campaign, _("Stopped: nothing was sent, and the money is free again."))


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def duplicate(request: HttpRequest, pk: int) -> HttpResponse:
    """POST /app/campaigns/{id}/duplicate makes a draft of the same, to be changed."""
    campaign_or_404(request, pk)
    if request.method == "GET":
        return redirect("campaign", pk=pk)
    draft = again.duplicate_campaign(client=request.client, campaign_id=pk, by=request.user)
    return redirect("campaign_edit", pk=draft.pk)


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """POST /app/campaigns/{id}/retry makes a draft to those not reached for a passing cause; its price comes first."""
    campaign_or_404(request, pk)
    if request.method == "GET":
        return redirect("campaign", pk=pk)
    try:
        draft = again.retry_campaign(client=request.client, campaign_id=pk, by=request.user)
    except DomainError as error:
        messages.warning(request, str(error))
        return redirect("campaign", pk=pk)
    return redirect("campaign_review", pk=draft.pk)


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def reach_again(request: HttpRequest, pk: int) -> HttpResponse:
    """POST /app/campaigns/{id}/reach-again: a draft by another channel to those whom it did not reach."""
    campaign_or_404(request, pk)
    if request.method == "GET":
        return redirect("campaign", pk=pk)
    channel = request.POST.get("channel", "")
    try:
        draft = again.reach_again(client=request.client, campaign_id=pk, channel=channel, by=request.user)
    except DomainError as error:
        messages.warning(request, str(error))
        return redirect("campaign", pk=pk)
    return redirect("campaign_edit", pk=draft.pk)


@page("campaigns.read")
@require_safe
def scheduled(request: HttpRequest) -> HttpResponse:
    """/app/scheduled: everything that leaves later, the next first: campaigns, and messages that programs gave."""
    waiting = [CampaignState.SCHEDULED, CampaignState.REPEATING]
    campaigns = queries.campaigns_for(request.client).filter(state__in=waiting).order_by("starts_at", "pk")
    singles = []
    if request.membership.may("messages.read"):
        found = queries.messages_for(request.client, status="scheduled").filter(campaign=None).order_by("schedule_at")
        singles = list(found[: PAGE_SIZE + 1])
    context = {
        "campaigns": list(campaigns[:PAGE_SIZE]),
        "singles": singles[:PAGE_SIZE],
        "more": len(singles) > PAGE_SIZE,
        "may_send": request.membership.may("campaigns.send"),
        "may_write": request.membership.may("campaigns.write"),
    }
    return render(request, "messaging/scheduled.html", context)


@page("campaigns.send")
@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """GET asks, with the figures; POST cancels."""
    campaign = campaign_or_404(request, pk)
    if request.method == "POST":
        done = _("Cancelled. What had not left is not sent, and its money comes back.")
        return _step(request, pk, service.cancel_campaign, done)
    if campaign.state not in RUNNING:
        return redirect("campaign", pk=pk)
    progress = queries.progress_of([campaign])[pk]
    context = {"campaign": campaign, "progress": progress, "waiting": progress.queued + progress.unexpanded}
    return render(request, "messaging/campaign_cancel.html", context)


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """GET asks; POST deletes a draft. What was started is history and stays."""
    campaign = campaign_or_404(request, pk)
    if request.method == "POST":
        try:
            service.delete_draft(client=request.client, campaign_id=pk)
        except DomainError as error:
            messages.warning(request, str(error))
            return redirect("campaign", pk=pk)
        messages.success(request, _("The draft “%(name)s” was deleted.") % {"name": campaign.name})
        return redirect("campaign_list")
    if campaign.state != CampaignState.DRAFT:
        return redirect("campaign", pk=pk)
    return render(request, "messaging/campaign_delete.html", {"campaign": campaign})


def _step(request: HttpRequest, pk: int, act: Callable[..., Campaign], done: str) -> HttpResponse:
    campaign_or_404(request, pk)
    if request.method == "POST":
        try:
            act(client=request.client, campaign_id=pk)
            messages.success(request, done)
        except DomainError as error:  # somebody else was quicker, or the account was suspended
            messages.warning(request, str(error))
    return redirect("campaign", pk=pk)
