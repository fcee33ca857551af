"""What every page's frame needs: brand, colours, navigation, balance."""

import json
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import Promise, SimpleLazyObject
from django.utils.translation import gettext_lazy, pgettext_lazy

from accounts.models import Membership
from contacts.models import ContactImport
from contacts.queries import import_under_way
from wallet.queries import Balance, balance_of

THEME_COOKIE = "theme"
THEMES = ("light", "dark")
_SECURITY = ("/security/", "/password/change")  # pages of Settings → Security, at addresses that allauth chose


@dataclass(frozen=True, slots=True)
class Page:
    """A place in the navigation. bar: its place, from 1, in the bottom bar of a phone, which has four and the menu.

    key: the letter that leads there after "g". short: the word in that bar, where `label` is too long for it.
    """

    path: str
    label: str | Promise
    permission: str
    icon: str = ""
    bar: int = 0
    below: tuple["Page", ...] = ()
    key: str = ""
    short: str | Promise = ""


NAVIGATION = (
    Page("/app", gettext_lazy("Home"), "home", "house", bar=1, key="h"),
    Page("/app/send", gettext_lazy("Send"), "messages.send", "send", bar=3, key="s"),
    Page(
        "/app/inbox",
        gettext_lazy("Inbox"),
        "messages.read",
        "inbox",
        bar=4,
        key="i",
        short=pgettext_lazy("in the bar of a phone", "Inbox"),
        below=(Page("/app/inbox/replies", gettext_lazy("Saved replies"), "campaigns.write"),),
    ),
    Page(
        "/app/campaigns",
        gettext_lazy("Campaigns"),
        "campaigns.read",
        "megaphone",
        key="c",
        below=(
            Page("/app/scheduled", gettext_lazy("Scheduled"), "campaigns.read"),
            Page("/app/settings/sending", gettext_lazy("Sending rules"), "campaigns.policy"),
        ),
    ),
    Page(
        "/app/contacts",
        gettext_lazy("Contacts"),
        "contacts.read",
        "users",
        bar=2,
        key="p",
        below=(
            Page("/app/contacts/groups", gettext_lazy("Groups"), "contacts.read"),
            Page("/app/contacts/imports", gettext_lazy("Imports"), "contacts.read"),
        ),
    ),
    Page("/app/templates", gettext_lazy("Templates"), "campaigns.read", "copy", key="t"),
    Page("/app/messages", gettext_lazy("Messages"), "messages.read", "messages-square", key="m"),
    Page("/app/wallet", gettext_lazy("Wallet"), "wallet.read", "wallet", key="w"),
    Page("/app/settings/api-webhooks", gettext_lazy("API & Webhooks"), "keys.read", "key-round", key="a"),
    Page(
        "/app/settings/profile",
        gettext_lazy("Settings"),
        "home",
        "settings",
        below=(
            Page("/app/settings/profile", gettext_lazy("Profile"), "home"),
            Page("/app/settings/organisation", gettext_lazy("Organisation"), "organisation.read"),
            Page("/app/settings/senders", gettext_lazy("Sender IDs"), "organisation.read"),
            Page("/app/settings/team", gettext_lazy("Team"), "team.read"),
            Page("/app/settings/notifications", gettext_lazy("Notifications"), "home"),
            Page("/app/settings/simulation", gettext_lazy("Simulation"), "organisation.read"),
            Page("/app/settings/security", gettext_lazy("Security"), "home"),
            Page("/app/settings/audit", gettext_lazy("Audit log"), "audit.read"),
            Page("/app/settings/privacy", gettext_lazy("Data rights"), "privacy.write"),
            Page("/app/settings/data", gettext_lazy("Data and closure"), "client.write"),
            Page("/app/exports", gettext_lazy("Downloads"), "home"),
        ),
    ),
    Page("/docs", gettext_lazy("Docs"), "home", "info"),
)


def frame(request: HttpRequest) -> dict:
    """Lazy, so that a fragment, which prints no frame, pays nothing for it. `balance`: None for roles without it."""
    user = getattr(request, "user", None)
    person = user if user is not None and user.is_authenticated else None
    theme = person.theme if person else request.COOKIES.get(THEME_COOKIE)
    nav = SimpleLazyObject(lambda: navigation(request))
    return {
        "brand": settings.BRAND_NAME,
        "logo": bool(settings.BRAND_LOGO),
        "may_register": settings.REGISTRATION == "open",
        "accent": settings.BRAND_ACCENT.lstrip("#"),
        "theme": theme if theme in THEMES else "",
        "density": person.density if person else "",
        "single_keys": person.single_keys if person else True,
        "nav": nav,
        "go_keys": SimpleLazyObject(lambda: json.dumps({item["key"]: item["path"] for item in nav if item["key"]})),
        "bar": SimpleLazyObject(lambda: sorted((item for item in nav if item["bar"]), key=lambda item: item["bar"])),
        "balance": SimpleLazyObject(lambda: _balance(request)),
        "running_import": SimpleLazyObject(lambda: _running_import(request)),
    }


def navigation(request: HttpRequest) -> list[dict]:
    """The pages this member's role may open, the one that is open marked `current`."""
    membership: Membership | None = getattr(request, "membership", None)
    if membership is None:
        return []
    allowed = [page for page in NAVIGATION if membership.may(page.permission)]
    every = [page.path for top in allowed for page in (top, *top.below)]
    open_path = "/app/settings/security/" if request.path.startswith(_SECURITY) else request.path
    here = [path for path in every if open_path == path or (path != "/app" and open_path.startswith(path + "/"))]
    current = max(here, key=len, default="")
    return [_item(page, current, membership) for page in allowed]


def _item(page: Page, current: str, membership: Membership) -> dict:
    below = [_item(sub, current, membership) for sub in page.below if membership.may(sub.permission)]
    within = any(sub["current"] for sub in below)
    return {
        "path": page.path,
        "label": page.label,
        "short": page.short or page.label,
        "icon": page.icon,
        "bar": page.bar,
        "key": page.key,
        "below": below,
        "current": page.path == current and not within,
        "within": within,
        "open": page.path == current or within,
    }


def _running_import(request: HttpRequest) -> ContactImport | None:
    membership: Membership | None = getattr(request, "membership", None)
    if membership is None or not membership.may("contacts.read"):
        return None
    return import_under_way(membership.client)


def _balance(request: HttpRequest) -> Balance | None:
    membership: Membership | None = getattr(request, "membership", None)
    if membership is None or not membership.may("wallet.read"):
        return None
    return balance_of(membership.client_id)
