"""The history: what became of every message, found by filters, with one opened beside the list."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from accounts.models import WebhookDelivery
from accounts.queries import deliveries_about, saved_views_for, view_query
from crm.common import replica
from crm.common.access import page
from crm.common.text_units import Layout, lay_out
from messaging import queries
from messaging.conversations import thread_of
from messaging.forms import HistoryForm, read_id
from messaging.models import ASKED_FOR, Campaign, EventKind, Message, MessageEvent, MessageStatus, Thread
from messaging.providers.failures import FAILURES, Failure, failure_of
from messaging.services.timeline import charge_reference
from messaging.views.fragments import render_part
from wallet.queries import Moved, movements_of

PAGE_SIZE = 50


@page("messages.read")
@require_safe
def message_list(request: HttpRequest) -> HttpResponse:
    """/app/messages: filters, `?before=` and `?after=` page by id, `?open=` shows one message in a drawer."""
    form = HistoryForm(request.GET, client=request.client)
    valid = form.is_valid()
    before, after = read_id(request.GET.get("before", "")), read_id(request.GET.get("after", ""))
    matching = form.matching() if valid else Message.objects.for_client(request.client).none()
    found = replica.read(lambda: queries.slice_of(matching, size=PAGE_SIZE, before=before, after=after))
    opened = read_id(request.GET.get("open", ""))
    context = {
        "form": form,
        "slice": found,
        "rows": _rows(request, found.rows),
        "newer_url": _address(request, after=found.rows[0].pk) if found.newer and found.rows else "",
        "older_url": _address(request, before=found.rows[-1].pk) if found.older and found.rows else "",
        "here": _address(request, before=before, after=after),
        "is_filtered": form.is_filtered,
        "saved_views": saved_views_for(request.client, request.user, "messages"),
        "view_query": view_query(request.GET.urlencode()),
        "is_later_page": bool(before or after),
        "open_id": opened,
        "opened": _open(request, opened) if opened else None,
    }
    status = 200 if valid else 422
    return render_part(request, "messaging/message_list.html", "messaging/_history.html", context, status=status)


def _address(request: HttpRequest, **places: int | None) -> str:
    """This list with its filters at another place, always with something after the `?` for a place to be added."""
    kept = {
        name: value
        for name, value in request.GET.items()
        if value and name not in ("before", "after", "open") and "\x00" not in value
    }
    return f"?{urlencode(kept | {name: value for name, value in places.items() if value})}"


def _rows(request: HttpRequest, messages: list[Message]) -> list[tuple[Message, str, str]]:
    """Each message with the name of its contact and its status in words."""
    names = queries.names_of(request.client, messages)
    return [(message, names.get(message.recipient, ""), queries.page_status(message.status)) for message in messages]


# --- one message ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the timeline. gap: the time since the line before, in words. detail: the provider's own words."""

    words: str | Promise
    at: datetime
    gap: str
    failure: Failure | None
    detail: str


@dataclass(frozen=True, slots=True)
class Opened:
    """All that is known of one message. charged, refunded: what the ledger says, in micros.

    request_id: of the call or form that asked for it, "" for a campaign's. thread: where the person's answers are, None
    where there are none. told: what webhooks were told of it, for roles
    that may see them.
    """

    message: Message
    status: str
    name: str
    campaign: Campaign | None
    layout: Layout
    timeline: list[Step]
    failure: Failure | None
    charged: int
    refunded: int
    thread: Thread | None
    told: list[WebhookDelivery]
    request_id: str


EVENT_WORDS = {
    EventKind.ACCEPTED: gettext_lazy("Accepted"),
    EventKind.SCHEDULED: gettext_lazy("Scheduled"),
    EventKind.HELD: gettext_lazy("Held back: its campaign was paused"),
    EventKind.QUEUED: gettext_lazy("Accepted and queued"),
    EventKind.RETRY: gettext_lazy("Not taken yet, tried again later"),
    EventKind.SENT: gettext_lazy("With the network"),
    EventKind.UNCONFIRMED: gettext_lazy("Given to the provider, whose answer was lost"),
    EventKind.CONFIRMED: gettext_lazy("The provider has it after all"),
    EventKind.REPORT: gettext_lazy("Report from the network"),
    EventKind.DELIVERED: gettext_lazy("Delivered"),
    EventKind.READ: gettext_lazy("Read"),
    EventKind.FAILED: gettext_lazy("Failed"),
    EventKind.CANCELLED: gettext_lazy("Cancelled before it left"),
    EventKind.UNREPORTED: gettext_lazy("No report in 72 hours: sent is its last word"),
}


def _open(request: HttpRequest, message_id: int) -> Opened | None:
    """None for a message of another client as for none: the drawer then says that there is none."""
    found = Message.objects.for_client(request.client).select_related("campaign").filter(pk=message_id).first()
    if found is None:
        return None
    reference = charge_reference(found.pk)
    moved = movements_of(request.client.pk, [reference]).get(reference) or Moved()
    layout = lay_out(found.text, "segments")
    events = queries.events_for(found)
    return Opened(
        message=found,
        status=queries.page_status(found.status),
        name=queries.names_of(request.client, [found]).get(found.recipient, ""),
        campaign=found.campaign,
        layout=layout,
        timeline=_timeline(events),
        failure=_failure(found),
        charged=-(moved.debit or 0),
        refunded=moved.refund or 0,
        thread=thread_of(found),
        request_id=next((event.detail for event in events if event.kind in ASKED_FOR), ""),
        told=deliveries_about(request.client, found.message_id) if request.membership.may("keys.read") else [],
    )


def _failure(message: Message) -> Failure | None:
    """What went wrong, or keeps us from knowing; None where all is well."""
    if message.unconfirmed:
        return failure_of("no_clear_answer")
    return failure_of(message.error_code) if message.status == MessageStatus.FAILED else None


def _timeline(events: list[MessageEvent]) -> list[Step]:
    steps, earlier = [], None
    for event in events:
        gap = _gap((event.at - earlier).total_seconds()) if earlier else ""
        words = EVENT_WORDS[EventKind(event.kind)]
        detail = "" if event.kind in ASKED_FOR else event.detail
        steps.append(Step(words, event.at, gap, FAILURES.get(event.code), detail))
        earlier = event.at
    return steps


def _gap(seconds: float) -> str:
    """`less than a second later`, `14 seconds later`, `3 minutes later`, `2 hours later`, `4 days later`."""
    whole = int(max(seconds, 0))
    if whole < 1:
        return _("less than a second later")
    if whole < 120:
        return ngettext("%(n)s second later", "%(n)s seconds later", whole) % {"n": whole}
    if whole < 7200:
        return _("%(n)s minutes later") % {"n": whole // 60}
    if whole < 172_800:
        return _("%(n)s hours later") % {"n": whole // 3600}
    return _("%(n)s days later") % {"n": whole // 86_400}
