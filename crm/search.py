"""One search over pages, actions, contacts, campaigns and messages: the palette, and a plain page without scripts."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from accounts.models import Membership
from contacts import queries as contacts
from crm.common.access import page, wants_fragment
from crm.common.phones import display_phone
from crm.context_processors import NAVIGATION
from messaging import queries as messaging

EACH = 6
SHORTEST = 2  # letters from which people and campaigns are looked through
LONGEST = 100


@dataclass(frozen=True, slots=True)
class Hit:
    icon: str
    label: str | Promise
    note: str | Promise
    url: str


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    hits: list[Hit]


# What one may want to do from anywhere: words, route, permission, icon.
ACTIONS = (
    (gettext_lazy("Send a message"), "send", "messages.send", "send"),
    (gettext_lazy("New campaign"), "campaign_new", "campaigns.write", "megaphone"),
    (gettext_lazy("New template"), "template_new", "campaigns.write", "copy"),
    (gettext_lazy("Add contact"), "contacts:new", "contacts.write", "user-plus"),
    (gettext_lazy("Import contacts"), "contacts:import", "contacts.write", "upload"),
    (gettext_lazy("Top up"), "wallet:topup", "wallet.topup", "wallet"),
    (gettext_lazy("Create New Key"), "new_api_key", "keys.write", "key-round"),
    (gettext_lazy("Invite a colleague"), "team", "team.write", "user-plus"),
    (gettext_lazy("Change password"), "account_change_password", "home", "key-round"),
)


@page("home")
@require_safe
@vary_on_headers("HX-Request", "HX-History-Restore-Request")
def search(request: HttpRequest) -> HttpResponse:
    """/app/search?q=: what the member's role may see, at most EACH of a kind. As a fragment: the palette's list."""
    asked = request.GET.get("q", "").replace("\x00", "").strip()[:LONGEST]
    context = {"asked": asked, "sections": [section for section in _sections(request, asked) if section.hits]}
    if wants_fragment(request):
        response = render(request, "home/_search_results.html", context)
        response["Cache-Control"] = "no-store"
        return response
    return render(request, "home/search.html", context)


def _sections(request: HttpRequest, asked: str) -> list[Section]:
    membership, client = request.membership, request.client
    sections = [Section(_("Actions"), _actions(membership, asked)), Section(_("Pages"), _pages(membership, asked))]
    if len(asked) < SHORTEST:
        return sections
    found = []
    if membership.may("contacts.read"):
        people = contacts.contacts_for(client, search=asked)[:EACH]
        found.append(Section(_("Contacts"), [_person(person) for person in people]))
    if membership.may("campaigns.read"):
        campaigns = messaging.campaigns_for(client).filter(name__icontains=asked)[:EACH]
        hits = [
            Hit("megaphone", one.name, one.get_state_display(), reverse("campaign", args=[one.pk])) for one in campaigns
        ]
        found.append(Section(_("Campaigns"), hits))
    if membership.may("messages.read") and (message := messaging.find_message(client, asked)):
        url = f"{reverse('message_list')}?open={message.pk}"
        found.append(Section(_("Messages"), [Hit("messages-square", message.message_id, message.text[:60], url)]))
    return sections + found if asked else found + sections


def _person(person) -> Hit:  # type: ignore[no-untyped-def]
    shown = display_phone(person.phone) if person.phone else person.email or ""
    return Hit(
        "users", person.name or shown, shown if person.name else "", reverse("contacts:detail", args=[person.pk])
    )


def _actions(membership: Membership, asked: str) -> list[Hit]:
    return [
        Hit(icon, label, "", reverse(route))
        for label, route, permission, icon in ACTIONS
        if membership.may(permission) and asked.lower() in str(label).lower()
    ][:EACH]


def _pages(membership: Membership, asked: str) -> list[Hit]:
    wanted = asked.lower()
    hits = [
        Hit(top.icon, place.label, "" if place is top else top.label, place.path)
        for top in NAVIGATION
        for place in (top, *top.below)
        if membership.may(place.permission) and wanted in str(place.label).lower()
    ]
    return hits[: 2 * EACH]
