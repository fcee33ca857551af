"""Pages that belong to no app: the front door, home, and the choice of colours."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from accounts import queries as accounts
from accounts.models import Client, Membership
from accounts.services.people import choose_language, choose_theme
from contacts import queries as contacts
from contacts.models import ContactImport, ImportState
from crm.common.access import page, public_page, wants_fragment
from crm.common.phones import display_phone
from crm.context_processors import THEME_COOKIE, THEMES
from messaging import queries as messaging
from messaging.conversations import unread_threads
from messaging.models import Campaign, CampaignState
from wallet import queries as wallets
from wallet.queries import Balance
from wallet.topups.queries import can_top_up

_THEME_SECONDS = 365 * 24 * 3600
_POLL_SECONDS = 3
_RECENT_MESSAGES = 5


@public_page
@require_GET
def front(request: HttpRequest) -> HttpResponse:
    """The root address leads to work, or to the door."""
    return redirect("home" if request.user.is_authenticated else "account_login")


@public_page
@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keeps the colours in a cookie, which the server reads, so that the first paint is right. Empty: the device's."""
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        target = "/"
    response = redirect(target)
    theme = request.POST.get("theme", "")
    if request.user.is_authenticated:
        choose_theme(user=request.user, theme=theme if theme in THEMES else "")
    if theme in THEMES:
        response.set_cookie(
            THEME_COOKIE, theme, _THEME_SECONDS, secure=request.is_secure(), httponly=True, samesite="Lax"
        )
    else:
        response.delete_cookie(THEME_COOKIE, samesite="Lax")
    return response


@public_page
@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Keeps the language in a cookie, and with the person who signed in, so that mails and other devices know it."""
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        target = "/"
    response = redirect(target)
    language = request.POST.get("language", "")
    if language in dict(settings.LANGUAGES):
        if request.user.is_authenticated:
            choose_language(user=request.user, language=language)
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            language,
            settings.LANGUAGE_COOKIE_AGE,
            secure=settings.LANGUAGE_COOKIE_SECURE,
            httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
            samesite=settings.LANGUAGE_COOKIE_SAMESITE,
        )
    return response


@page("home")
@require_GET
def welcome(request: HttpRequest) -> HttpResponse:
    """Where registering ends: straight at a first message to one's own phone, where the role may send."""
    return redirect(f"{reverse('send')}?test=1" if request.membership.may("messages.send") else "home")


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first steps of a new client."""

    label: str
    url: str
    done: bool


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that waits for a person, with the one thing to do about it."""

    title: str
    text: str
    url: str
    action: str


@page("home")
@require_GET
@never_cache
@vary_on_headers("HX-Request", "HX-History-Restore-Request")
def home(request: HttpRequest) -> HttpResponse:
    """Is anything wrong, what is running, what happened last (UX.md §5). As a fragment: what is running."""
    client, membership = request.client, request.membership
    running = _running(client, membership)
    context = {"running": running, "poll_seconds": _POLL_SECONDS}
    if wants_fragment(request):
        return render(request, "home/_running.html", context)
    imports = list(contacts.imports_for(client)[:10]) if membership.may("contacts.read") else []
    campaigns = list(messaging.campaigns_for(client)[:10]) if membership.may("campaigns.read") else []
    balance = wallets.balance_of(client.pk) if membership.may("wallet.read") else None
    contact_count = contacts.contacts_for(client).count() if membership.may("contacts.read") else None
    context |= {
        "balance": balance,
        "concerns": _concerns(balance, imports, campaigns, membership),
        "steps": _first_steps(client, membership, bool(contact_count), campaigns),
        "contact_count": contact_count,
        "may_write_campaigns": membership.may("campaigns.write"),
        "may_send_messages": membership.may("messages.send"),
    }
    if membership.may("messages.read"):
        recent = list(messaging.messages_for(client)[:_RECENT_MESSAGES])
        names = messaging.names_of(client, recent)
        context["unread"] = unread_threads(client)
        context["delivery"] = messaging.delivery_of_days(client, days=7)
        context["recent"] = [
            {
                "message": message,
                "name": names.get(message.recipient) or display_phone(message.recipient),
                "status": messaging.page_status(message.status),
            }
            for message in recent
        ]
    return render(request, "home/home.html", context)


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
        ("waiting", _("Sent"), progress.sent),
        ("failed", _("Failed"), progress.failed),
        ("queued", _("Waiting"), progress.queued + progress.unexpanded),
        ("none", _("Not sent"), progress.not_sent),
    ]


def _concerns(
    balance: Balance | None, imports: list[ContactImport], campaigns: list[Campaign], membership: Membership
) -> list[Concern]:
    found = []
    if balance and balance.low:
        may_top_up = membership.may("wallet.topup") and can_top_up(membership.client)
        found.append(
            Concern(
                _("The balance is low"),
                _("What costs more than the balance is refused.")
                if may_top_up
                else _("What costs more than the balance is refused. Ask your account manager to add credit."),
                reverse("wallet:topup" if may_top_up else "wallet:ledger"),
                _("Top up") if may_top_up else _("See the wallet"),
            )
        )
    for campaign in campaigns:
        if campaign.state == CampaignState.PAUSED:
            found.append(
                Concern(
                    _("The campaign “{name}” is paused").format(name=campaign.name),
                    _("The people who wait get their message when you resume it."),
                    reverse("campaign", args=[campaign.pk]),
                    _("Resume or cancel"),
                )
            )
        elif campaign.state == CampaignState.STOPPED:
            found.append(
                Concern(
                    _("The campaign “{name}” was stopped").format(name=campaign.name),
                    campaign.stop_reason,
                    reverse("campaign", args=[campaign.pk]),
                    _("See what was sent"),
                )
            )
    # Only the newest import: an old failure that was tried again since needs nobody.
    if imports and imports[0].state == ImportState.FAILED:
        found.append(
            Concern(
                _("The import of {file} failed").format(file=imports[0].filename),
                imports[0].error,
                reverse("contacts:import_detail", args=[imports[0].pk]),
                _("See the import"),
            )
        )
    return found


def _first_steps(client: Client, membership: Membership, has_contacts: bool, campaigns: list[Campaign]) -> list[Step]:
    """What a new client does first and this member may do; none once all of it is done."""
    steps = []
    if membership.may("contacts.write"):
        steps.append(Step(_("Import your contacts"), reverse("contacts:import"), has_contacts))
    if membership.may("campaigns.write"):
        steps.append(Step(_("Write a campaign"), reverse("campaign_new"), bool(campaigns)))
    if membership.may("keys.read"):
        used = accounts.keys_for(client).filter(last_used_at__isnull=False).exists()
        steps.append(Step(_("Connect your software by the API"), reverse("api_keys"), used))
    return [] if all(step.done for step in steps) else steps
