"""What a member is told of, by which channel, and a test of it (UX.md §14)."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Membership, Notice, NoticeSettings, NoticeState
from accounts.notices import NOTICES, NoticeKind
from accounts.queries import latest_notices
from accounts.services import notices
from crm.common.access import page, wants_fragment
from crm.common.errors import InvalidInput
from crm.common.phones import display_phone

_STATES = {
    NoticeState.WAITING: "queued",
    NoticeState.SENT: "sent",
    NoticeState.FAILED: "failed",
    NoticeState.SKIPPED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One event of the grid."""

    kind: NoticeKind
    email: bool
    sms: bool


@page("home")
@require_http_methods(["GET", "POST"])
@never_cache
def notifications(request: HttpRequest) -> HttpResponse:
    """The grid of events and channels. As a fragment: the latest notices, while one of them waits."""
    membership: Membership = request.membership  # type: ignore[attr-defined]
    if request.method == "POST":
        return _save(request, membership)
    if wants_fragment(request):
        return render(request, "accounts/_notices.html", _latest(membership))
    chosen = notices.settings_of(membership)
    phone = display_phone(chosen.phone) if chosen.phone else ""
    return _render(request, membership, _rows(membership, chosen), phone)


def _save(request: HttpRequest, membership: Membership) -> HttpResponse:
    phone, ticked = request.POST.get("phone", "")[:30], _ticked(request.POST)
    kinds = notices.kinds_for(membership)
    choices = {kind.name: ticked.get(kind.name, []) for kind in kinds}
    try:
        notices.save_settings(membership=membership, phone=phone, choices=choices)
    except InvalidInput as error:
        rows = [Row(kind, "email" in choices[kind.name], "sms" in choices[kind.name]) for kind in kinds]
        return _render(request, membership, rows, phone, errors=error.errors.get("phone", []))
    messages.success(request, _("Your choices are kept."))
    return redirect("notifications")


def _ticked(posted: QueryDict) -> dict[str, list[str]]:
    """Boxes are named by their channel, and their values are events."""
    found: dict[str, list[str]] = {}
    for channel in notices.CHANNELS:
        for event in posted.getlist(channel):
            if event in NOTICES:
                found.setdefault(event, []).append(channel)
    return found


def _rows(membership: Membership, chosen: NoticeSettings) -> list[Row]:
    rows = []
    for kind in notices.kinds_for(membership):
        channels = notices.channels_of(kind, membership.role, chosen)
        rows.append(Row(kind, "email" in channels, "sms" in channels))
    return rows


def _render(
    request: HttpRequest, membership: Membership, rows: list[Row], phone: str, errors: list[str] | None = None
) -> HttpResponse:
    groups: dict[str | Promise, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.kind.group, []).append(row)
    context = {
        "groups": list(groups.items()),
        "phone": phone,
        "phone_errors": errors or [],
        "system_sender": notices.system_sender(),
        **_latest(membership),
    }
    return render(request, "accounts/notifications.html", context, status=422 if errors else 200)


def _latest(membership: Membership) -> dict[str, Any]:
    found = latest_notices(membership)
    return {
        "latest": [_shown(notice) for notice in found],
        "is_waiting": any(notice.state == NoticeState.WAITING and notice.attempts == 0 for notice in found),
    }


def _shown(notice: Notice) -> dict[str, Any]:
    kind = NOTICES.get(notice.event)
    return {
        "label": kind.label if kind else _("Test"),
        "channel": _("Email") if notice.channel == "email" else _("SMS"),
        "chip": _STATES[NoticeState(notice.state)],
        "word": _("Not sent") if notice.state == NoticeState.SKIPPED else "",
        "problem": notice.problem,
        "at": notice.created_at,
    }


@page("home")
@require_POST
def test_notifications(request: HttpRequest) -> HttpResponse:
    """Send this member a test by email, and by SMS where a phone is given."""
    try:
        notices.send_test(membership=request.membership)  # type: ignore[attr-defined]
    except notices.TestedJustNow as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("A test is on its way; what became of it is listed below."))
    return redirect("notifications")
