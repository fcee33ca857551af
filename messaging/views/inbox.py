"""The inbox: the list of threads, one thread with its answer box, and what colleagues do in it."""

import secrets
import time
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.errors import IdempotencyKeyReused, RequestInProgress
from accounts.queries import members_of
from accounts.services.audit import masked
from crm.common.access import page, wants_fragment
from crm.common.errors import DomainError, InvalidInput, NotFound
from crm.common.money import from_micros
from crm.common.phones import display_phone
from messaging import conversations, queries
from messaging.errors import QuoteChanged, WindowClosed
from messaging.forms import read_id
from messaging.models import Channel, SavedReply, Thread, WhatsAppTemplate
from messaging.providers.whatsapp_words import fill_body, variables_of
from messaging.services import threads as service
from messaging.services.known_templates import sendable_templates
from messaging.views.fragments import go, render_part
from wallet.queries import balance_of

PAGE_SIZE = 30
LINES, MOST_LINES = 60, 600  # of a thread, and as far back as one page goes
INTERVAL = 5  # seconds until an open page asks again
REPLYING = timedelta(seconds=20)  # after the last letter a colleague counts as writing
PATIENCE = 3.0  # seconds that a second click waits for the first one's answer
SHOWS = ("unread", "mine", "unassigned")
CHANNELS = (Channel.SMS, Channel.WHATSAPP)


# --- the list ---------------------------------------------------------------------------------------------------------


@page("messages.read")
@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    """/app/inbox: `?show=`, `?channel=`, `?q=`, `?before=`."""
    given = {name: request.GET.get(name, "").replace("\x00", "")[:100] for name in ("show", "channel", "q")}
    filters = {
        "show": given["show"] if given["show"] in SHOWS else "",
        "channel": given["channel"] if given["channel"] in CHANNELS else "",
        "q": given["q"],
    }
    matching = conversations.threads_for(
        request.client, show=filters["show"], channel=filters["channel"], search=filters["q"], user=request.user
    )
    before = request.GET.get("before", "")
    found = conversations.thread_slice(matching, size=PAGE_SIZE, before=before)
    kept = {name: value for name, value in filters.items() if value}
    shown = filters["show"]
    context = {
        "rows": _rows(request, found.rows),
        "filters": filters,
        "is_filtered": bool(kept),
        "is_later_page": bool(before),
        "tabs": [
            (name, word, f"?{urlencode((kept | {'show': name}) if name else _without(kept, 'show'))}", name == shown)
            for name, word in (
                ("", _("All")),
                ("unread", _("Unread")),
                ("mine", _("Mine")),
                ("unassigned", _("Nobody’s")),
            )
        ],
        "channels": [(channel.value, channel.label) for channel in CHANNELS],
        "here": f"?{urlencode(kept)}",
        "older_url": f"?{urlencode(kept | {'before': found.older})}" if found.older else "",
        "interval": 0 if before else INTERVAL,
        "unread": conversations.unread_threads(request.client),
        "numbers": [] if found.rows or kept else conversations.numbers_to_write_to(request.client),
    }
    return render_part(request, "messaging/inbox.html", "messaging/_threads.html", context)


def _without(values: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if key != name}


def _rows(request: HttpRequest, rows: list[Thread]) -> list[tuple[Thread, str]]:
    """Each thread with the person's name or number."""
    names = conversations.names_of_people(request.client, [row.person for row in rows])
    return [(row, names.get(row.person, (0, ""))[1] or row.name or _number(request, row.person)) for row in rows]


def _number(request: HttpRequest, person: str) -> str:
    """The person's number as this member may see it."""
    return display_phone(person) if request.membership.may("contacts.read") else masked(person)


# --- one thread -------------------------------------------------------------------------------------------------------


@page("messages.read")
@require_safe
def thread(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/inbox/{thread}: `?lines=` shows more of it; looking at it marks it read. As a fragment: what was said."""
    found = _thread_or_404(request, pk)
    service.mark_read(thread=found)
    context = _talk(request, found)
    has_changed = context["window"] != request.GET.get("window", context["window"])
    if not wants_fragment(request):
        context |= _aside(request, found) | _answer(request, found, "", secrets.token_urlsafe(18))
    elif has_changed:
        context |= {"swap_reply": True} | _answer(request, found, "", secrets.token_urlsafe(18))
    return render_part(request, "messaging/thread.html", "messaging/_talk.html", context)


@page("messages.send")
@require_http_methods(["GET", "POST"])
def reply(request: HttpRequest, pk: int) -> HttpResponse:
    """POST: an answer. Without the price that was shown it only asks for it; `insert` puts a saved reply in the box."""
    if request.method == "GET":
        return redirect("thread", pk)
    found = _thread_or_404(request, pk)
    text, token = request.POST.get("text", "")[:10_000], request.POST.get("token", "")[:100]
    token = token or secrets.token_urlsafe(18)
    if insert := read_id(request.POST.get("insert", "")):
        saved = SavedReply.objects.for_client(request.client).filter(pk=insert).first()
        text = f"{text.rstrip()} {saved.text}".strip() if saved else text
        return _page(request, found, text, token)
    if not text.strip():
        return _page(request, found, text, token, error=_("Write the text first."), status=422)
    expected = request.POST.get("expected_cost_micros", "")
    if not expected.isascii() or not expected.isdigit() or len(expected) > 15:
        return _page(request, found, text, token, price_first=True)
    try:
        done = _reply_once(request, found, token, text, int(expected))
    except QuoteChanged:
        error = _("Nothing was sent: the price changed. Look at the new one, then send.")
        return _page(request, found, text, token, error=error, status=409)
    except IdempotencyKeyReused:
        error = _("You sent another answer from this page already. To send this one too, press the button again.")
        return _page(request, found, text, secrets.token_urlsafe(18), error=error, status=409)
    except DomainError as error:
        return _page(request, found, text, token, error=_words(error), status=422)
    if done.is_repeat:
        messages.info(request, _("This was sent already. Nothing was sent a second time."))
    return go(request, reverse("thread", args=[pk]))


def _words(error: DomainError) -> str:
    if isinstance(error, WindowClosed):
        return _("The person wrote more than 24 hours ago: WhatsApp now takes a template only.")
    return str(error)


def _reply_once(request: HttpRequest, found: Thread, token: str, text: str, cost: int) -> service.Replied:
    """A second click while the first one is at work waits for its answer instead of being refused."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return service.reply(
                thread=found, client=request.client, by=request.user, token=token, text=text, expected_cost_micros=cost
            )
        except RequestInProgress:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


@page("messages.send")
@require_http_methods(["GET", "POST"])
def reply_by_template(request: HttpRequest, pk: int) -> HttpResponse:
    """POST `template`: shows its variables and price, with the price that was shown it sends. A window that is closed
    leaves this way alone, and none is needed while it is open.
    """
    if request.method == "GET":
        return redirect("thread", pk)
    found = _thread_or_404(request, pk)
    token = request.POST.get("token", "")[:100] or secrets.token_urlsafe(18)
    template_id = read_id(request.POST.get("template", ""))
    picked = next((row for row in sendable_templates(request.client) if row.pk == template_id), None)
    if found.channel != Channel.WHATSAPP or picked is None:
        return _page(request, found, "", token, error=_("Choose an approved template."), status=422)
    values = {name: request.POST.get(f"variable_{name}", "")[:1100] for name in variables_of(picked.body)}
    expected = request.POST.get("expected_cost_micros", "")
    if not expected.isascii() or not expected.isdigit() or len(expected) > 15:
        return _page(request, found, "", token, picked=picked, values=values)
    try:
        done = service.reply_by_template(
            thread=found, client=request.client, by=request.user, token=token, template_id=picked.pk,
            variables=values, expected_cost_micros=int(expected),
        )  # fmt: skip
    except QuoteChanged:
        error = _("Nothing was sent: the price changed. Look at the new one, then send.")
        return _page(request, found, "", token, picked=picked, values=values, error=error, status=409)
    except IdempotencyKeyReused:
        error = _("You sent another answer from this page already. To send this one too, press the button again.")
        token = secrets.token_urlsafe(18)
        return _page(request, found, "", token, picked=picked, values=values, error=error, status=409)
    except DomainError as error:
        return _page(request, found, "", token, picked=picked, values=values, error=str(error), status=422)
    if done.is_repeat:
        messages.info(request, _("This was sent already. Nothing was sent a second time."))
    return go(request, reverse("thread", args=[pk]))


@page("messages.send")
@require_http_methods(["GET", "POST"])
def check(request: HttpRequest, pk: int) -> HttpResponse:
    """The price of what is being typed, by POST so that no log keeps it; colleagues see that one is replying."""
    if request.method == "GET":
        return redirect("thread", pk)
    found = _thread_or_404(request, pk)
    text = request.POST.get("text", "")[:10_000]
    if text.strip():
        service.say_replying(thread=found, by=request.user)
    context = {"thread": found} | _price(request, found, text)
    return render_part(request, "messaging/thread.html", "messaging/_reply_price.html", context)


@page("messages.send")
@require_POST
def act(request: HttpRequest, pk: int) -> HttpResponse:
    """POST `action`: assign (`to`: a colleague's id, "" for nobody), take, note (`note`), unread."""
    found = _thread_or_404(request, pk)
    action = request.POST.get("action", "")
    try:
        if action == "take":
            service.assign_thread(thread=found, to_id=request.user.pk, by=request.user)
        elif action == "assign":
            typed = request.POST.get("to", "")
            to = read_id(typed)
            if typed and to is None:
                raise InvalidInput({"to": [_("Choose somebody of your organisation.")]})
            service.assign_thread(thread=found, to_id=to, by=request.user)
        elif action == "note":
            service.add_note(thread=found, text=request.POST.get("note", "")[:10_000], by=request.user)
        elif action == "unread":
            service.mark_unread(thread=found)
            return redirect("inbox")
        else:
            raise Http404("There is no such action.")
    except InvalidInput as error:
        return _page(
            request, found, "", secrets.token_urlsafe(18), status=422, aside_errors=error.errors,
            note=request.POST.get("note", "")[:10_000],
        )  # fmt: skip
    return redirect("thread", pk)


def _thread_or_404(request: HttpRequest, pk: int) -> Thread:
    try:
        return service.get_thread(client=request.client, thread_id=pk)
    except NotFound as error:
        raise Http404(str(error)) from None


def _page(
    request: HttpRequest, found: Thread, text: str, token: str, *, status: int = 200, error: str = "",
    price_first: bool = False, picked: WhatsAppTemplate | None = None, values: dict[str, str] | None = None,
    **more: Any,
) -> HttpResponse:  # fmt: skip
    """The whole thread with what was typed, or with the template that was picked."""
    context = _talk(request, found) | _aside(request, found) | _answer(request, found, text, token)
    if picked is not None:
        context |= _picked(request, found, picked, values or {})
    context |= {"error": error, "price_first": price_first and not error, **more}
    if price_first and context["problem"]:
        status = 422
    return render(request, "messaging/thread.html", context, status=status)


def _talk(request: HttpRequest, found: Thread) -> dict[str, Any]:
    typed = read_id(request.GET.get("lines", "")) or LINES
    size = max(LINES, min(typed, MOST_LINES))
    talk = conversations.talk_of(found, size=size)
    ends = service.window_end(found)
    now = timezone.now()
    replying = found.replying_by if found.replying_at and found.replying_at > now - REPLYING else None
    return {
        "thread": found,
        "title": _title(request, found),
        "lines": [(line, queries.page_status(line.message.status) if line.message else "") for line in talk.lines],
        "more_lines": min(size + LINES * 2, MOST_LINES) if talk.more and size < MOST_LINES else 0,
        "size": size,
        "window": "" if ends is None else "open" if ends > now else "closed",
        "window_ends": ends,
        "window_left": _left(ends, now) if ends and ends > now else "",
        "replying": replying if replying and replying.pk != request.user.pk else None,
        "interval": INTERVAL,
        "unread": conversations.unread_threads(request.client),
    }


def _left(ends: datetime, now: datetime) -> str:
    """`3 h 12 min`, rounded down."""
    minutes = int((ends - now).total_seconds()) // 60
    return _("%(hours)s h %(minutes)s min") % {"hours": minutes // 60, "minutes": minutes % 60}


def _title(request: HttpRequest, found: Thread) -> str:
    names = conversations.names_of_people(request.client, [found.person])
    return names.get(found.person, (0, ""))[1] or found.name or _number(request, found.person)


def _aside(request: HttpRequest, found: Thread) -> dict[str, Any]:
    contact = conversations.names_of_people(request.client, [found.person]).get(found.person)
    may_see = request.membership.may("contacts.read")
    return {
        "contact_id": contact[0] if contact and may_see else None,
        "number": _number(request, found.person),
        "may_send": request.membership.may("messages.send"),
        "colleagues": [member.user for member in members_of(request.client)],
        "aside_errors": {},
        "note": "",
    }


def _answer(request: HttpRequest, found: Thread, text: str, token: str) -> dict[str, Any]:
    """The answer box: its price, the number it goes from, and whether the person can write back to that."""
    senders = list(queries.approved_senders(request.client, found.channel))
    default = next((sender.name for sender in senders if sender.is_default), "")
    sender = found.sender or (found.own if found.channel == Channel.WHATSAPP else default)
    return {
        "text": text,
        "token": token,
        "sender": sender,
        "one_way": bool(sender) and found.channel == Channel.SMS and not conversations.can_be_answered(sender),
        "may_send": request.membership.may("messages.send"),
        "saved_replies": list(conversations.saved_replies_for(request.client)),
        "templates": sendable_templates(request.client) if found.channel == Channel.WHATSAPP else [],
        "picked": None,
        "error": "",
    } | _price(request, found, text)


def _picked(request: HttpRequest, found: Thread, template: WhatsAppTemplate, values: dict[str, str]) -> dict[str, Any]:
    """What _reply_templates.html prints of the template that was picked: its variables, its words as far as they are
    filled, what it costs and what is left.
    """
    name = _title(request, found)
    suggested = {"1": name} if not name.startswith("+") and template.samples.get("1") else {}
    filled = values if any(values.values()) else suggested
    problem, cost, micros = "", None, 0
    try:
        micros = service.price_of_template(client=request.client, thread=found, template_id=template.pk)
        cost = from_micros(micros)
    except DomainError as error:
        problem = str(error)
    money = balance_of(request.client.pk)
    return {
        "picked": template,
        "variables": [
            (
                name,
                _("What {{%(name)s}} stands for") % {"name": name},
                filled.get(name, ""),
                template.samples.get(name, ""),
            )
            for name in variables_of(template.body)
        ],
        "filled": fill_body(template.body, {name: value for name, value in filled.items() if value}),
        "template_problem": problem,
        "template_cost": cost,
        "template_micros": micros,
        "template_after": money.available - cost if cost is not None else None,
    }


def _price(request: HttpRequest, found: Thread, text: str) -> dict[str, Any]:
    """What the text costs and what is left; `problem`: why it cannot be sent so, "" also where nothing is typed."""
    quote, problem = None, ""
    if text.strip():
        try:
            quote = service.quote_reply(client=request.client, thread=found, text=text)
        except DomainError as error:
            problem = str(error)
    money = balance_of(request.client.pk)
    cost = from_micros(quote.cost_micros) if quote else None
    return {
        "quote": quote,
        "problem": problem,
        "cost": cost,
        "after": money.available - cost if cost is not None else None,
        "shortage": max(cost - money.available, 0) if cost is not None else 0,
    }
