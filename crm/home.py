"""Home: is anything wrong, what is running, what happened lately (UX.md §5)."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from accounts import queries as accounts
from accounts.models import Client, Membership
from accounts.services.people import skip_steps
from contacts import queries as contacts
from contacts.models import ImportState
from crm.common.access import page, wants_fragment
from crm.common.charts import stacked
from crm.common.money import to_micros
from crm.common.phones import display_phone
from crm.common.spans import newest_first
from crm.concerns import concerns_of
from messaging import queries as messaging
from messaging.conversations import unread_threads
from messaging.models import Campaign
from messaging.services.going_live import has_own_sender, steps_of
from messaging.services.rules import rules_of
from messaging.statistics import Day, days_of
from wallet import queries as wallets
from wallet.queries import Balance
from wallet.topups.queries import can_top_up

_POLL_SECONDS = 3
_RECENT_MESSAGES = 5
DAYS = 14
WEEK = 7
LONGEST_LEFT = 365  # days: beyond it a forecast says nothing


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first steps of a new client. name: what skipping it keeps."""

    name: str
    label: str
    url: str
    done: bool


@page("home")
@require_GET
@never_cache
@vary_on_headers("HX-Request", "HX-History-Restore-Request")
def home(request: HttpRequest) -> HttpResponse:
    """As a fragment: what is running."""
    client, membership = request.client, request.membership
    context: dict[str, Any] = {"running": _running(client, membership), "poll_seconds": _POLL_SECONDS}
    if wants_fragment(request):
        return render(request, "home/_running.html", context)
    now = timezone.now()
    imports = list(contacts.imports_for(client)[:10]) if membership.may("contacts.read") else []
    campaigns = list(messaging.campaigns_for(client)[:10]) if membership.may("campaigns.read") else []
    balance = wallets.balance_of(client.pk) if membership.may("wallet.read") else None
    has_contacts = membership.may("contacts.read") and contacts.contacts_for(client).exists()
    days = days_of(client, days=DAYS, now=now)
    days_left = _days_left(balance, days)
    trial = steps_of(client) if rules_of(client).trial else []
    context |= {
        "balance": balance,
        "days_left": days_left,
        "concerns": concerns_of(
            membership,
            balance=None if trial else balance,  # its few free units are no news: topping up is among its steps
            days_left=days_left,
            imports=imports,
            campaigns=campaigns,
            now=now,
        ),
        "steps": _first_steps(client, membership, has_contacts, balance),
        "planned": messaging.next_scheduled(client) if membership.may("campaigns.read") else None,
        "trial_steps": trial,
        "trial_done": sum(step.done for step in trial),
        "may_read_campaigns": membership.may("campaigns.read"),
        "may_write_campaigns": membership.may("campaigns.write"),
        "may_send_messages": membership.may("messages.send"),
    }
    if membership.may("messages.read"):
        context |= {"week": _week(days[-WEEK:]), "unread": unread_threads(client), "recent": _recent(client)}
        context |= _chart(days)
    return render(request, "home/home.html", context)


@page("home")
@require_POST
def skip_step(request: HttpRequest) -> HttpResponse:
    """A first step that this member does not want to see again; "all" puts the whole list away."""
    skip_steps(membership=request.membership, steps=[request.POST.get("step", "")[:20]])
    return redirect("home")


def _running(client: Client, membership: Membership) -> list[dict]:
    """Sending campaigns and running imports, each with its bar."""
    rows: list[dict] = []
    if membership.may("campaigns.read"):
        campaigns = messaging.running_campaigns(client)
        progress = messaging.progress_of(campaigns)
        rows += [{"campaign": campaign, "parts": _parts(progress[campaign.pk])} for campaign in campaigns]
    if membership.may("contacts.read"):
        active = contacts.imports_for(client).filter(state__in=[ImportState.READY, ImportState.RUNNING])
        rows += [{"batch": batch} for batch in active[:5]]
    return rows


def _parts(progress: messaging.Progress) -> list[tuple[str, str, int]]:
    return [
        ("delivered", _("Delivered"), progress.delivered),
        ("waiting", pgettext("messages of a campaign", "Sent"), progress.sent),
        ("failed", _("Failed"), progress.failed),
        ("queued", _("Waiting"), progress.queued + progress.unexpanded),
        ("none", _("Not sent"), progress.not_sent),
    ]


def _recent(client: Client) -> list[dict]:
    recent = newest_first(messaging.messages_for(client), _RECENT_MESSAGES)
    names = messaging.names_of(client, recent)
    return [
        {
            "message": message,
            "name": names.get(message.recipient) or display_phone(message.recipient),
            "status": messaging.page_status(message.status),
        }
        for message in recent
    ]


def _days_left(balance: Balance | None, days: list[Day]) -> int | None:
    """How many days the balance lasts at the pace of the last week; None without a pace, or for a year and more."""
    spent = sum(day.cost_micros for day in days[-WEEK:])
    if balance is None or spent <= 0:
        return None
    left = max(to_micros(balance.available), 0) * WEEK // spent
    return left if left < LONGEST_LEFT else None


def _week(days: list[Day]) -> dict[str, int | None]:
    delivered, failed = sum(day.delivered for day in days), sum(day.failed for day in days)
    ended = delivered + failed
    return {"delivered": delivered, "failed": failed, "percent": 100 * delivered // ended if ended else None}


def _chart(days: list[Day]) -> dict[str, Any]:
    """The columns of the last days under a finding; none where nothing was sent."""
    sent = sum(day.delivered + day.waiting + day.failed for day in days)
    if not sent:
        return {"columns": []}
    columns = stacked(
        [(day.day, [("delivered", day.delivered), ("waiting", day.waiting), ("failed", day.failed)]) for day in days]
    )
    ended = sum(day.delivered + day.failed for day in days)
    if ended:
        percent = 100 * sum(day.delivered for day in days) // ended
        finding = _("Delivered {percent} % in 14 days").format(percent=percent)
    else:
        finding = ngettext("{n} message sent in 14 days", "{n} messages sent in 14 days", sent).format(n=sent)
    return {"columns": columns, "finding": finding}


def _first_steps(client: Client, membership: Membership, has_contacts: bool, balance: Balance | None) -> list[Step]:
    """What a new client does first and this member may do; none once all of it is done or put away."""
    skipped = set(membership.skipped_steps)
    if "all" in skipped:
        return []
    steps = []
    if membership.may("contacts.write"):
        steps.append(Step("import", _("Import your contacts"), reverse("contacts:import"), has_contacts))
    if membership.may("campaigns.write"):
        written = Campaign.objects.for_client(client).exists()
        steps.append(Step("campaign", _("Write a campaign"), reverse("campaign_new"), written))
    if membership.may("senders.write"):
        steps.append(
            Step("sender", _("Request a sender ID of your own"), reverse("sender_new"), has_own_sender(client))
        )
    if membership.may("wallet.topup") and balance is not None and can_top_up(client):
        added = wallets.has_added_credit(client)
        steps.append(Step("topup", _("Top up the balance"), reverse("wallet:topup"), added))
    if membership.may("team.write"):
        alone = accounts.members_of(client).count() < 2
        steps.append(Step("team", _("Invite your team"), reverse("team"), not alone))
    if membership.may("keys.read"):
        used = accounts.keys_for(client).filter(last_used_at__isnull=False).exists()
        steps.append(Step("api", _("Connect your software by the API"), reverse("api_keys"), used))
    shown = [step for step in steps if step.done or step.name not in skipped]
    return [] if all(step.done for step in shown) else shown
