"""Send one message now, to whom one types, picks or groups: priced while one writes, sent once per page opened."""

import secrets
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from accounts.errors import IdempotencyKeyReused, RequestInProgress
from accounts.models import Client
from contacts import queries as contacts
from crm.common.access import page
from crm.common.errors import DomainError, InvalidInput
from crm.common.money import from_micros
from messaging import queries
from messaging.errors import QuoteChanged
from messaging.forms import SendForm, read_id
from messaging.models import MessageClass, MessageStatus
from messaging.services import campaigns, direct
from messaging.services.accept import check_text
from messaging.services.audience import Quote
from messaging.services.rules import rules_of
from messaging.services.similar import ago
from messaging.views.fragments import go, render_part
from messaging.views.previewing import preview_context
from messaging.views.sketching import template_text
from wallet.queries import balance_of

SHOWN = 50  # chips, refused numbers, messages of the result page
FOUND = 8  # contacts that one search offers
PATIENCE = 3.0  # seconds that a second click waits for the first one's answer
OVER = (MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.FAILED, MessageStatus.CANCELLED)
INTERVAL = 2  # seconds until the result page asks again, for as long as WATCHED
WATCHED = timedelta(minutes=10)


@page("messages.send")
@require_http_methods(["GET", "POST"])
def send(request: HttpRequest) -> HttpResponse:
    """/app/send; `?to=` fills numbers in, `?contact=` and `?group=` pick, `?test=1` is a test to one's own phone."""
    if request.method == "GET":
        form = SendForm(client=request.client, initial=_initial(request))
        return _render(request, form, secrets.token_urlsafe(18), is_test=bool(request.GET.get("test")))
    form = SendForm(request.POST, client=request.client)
    token = request.POST.get("token", "")
    if not 1 <= len(token) <= 100:
        form.add_error(None, _("This page was incomplete. Look at the price, then send again."))
    if not form.is_valid():
        return _render(request, form, token or secrets.token_urlsafe(18), status=422)
    if request.POST.get("action") == "campaign":
        return _to_campaign(request, form)
    people, micros = read_id(request.POST.get("expected_recipients", "")), request.POST.get("expected_cost_micros", "")
    cost = 0 if micros == "0" else read_id(micros)
    if people is None or cost is None:  # without JavaScript the first press asks for the price
        return _render(request, form, token, status=200 if "expected_recipients" not in request.POST else 422)
    try:
        run = _send_once(request, form, token, people, cost)
    except QuoteChanged:
        form.add_error(None, _("Nothing was sent: the people or the price changed. Check the new figures, then send."))
        return _render(request, form, token, status=409)
    except IdempotencyKeyReused:
        form.add_error(
            None,
            _("You sent another message from this page already. To send this one too, press the button again."),
        )
        return _render(request, form, secrets.token_urlsafe(18), status=409)
    except InvalidInput as error:
        for name, sentences in error.errors.items():
            form.add_error(name if name in form.fields else None, sentences)
    except DomainError as error:
        form.add_error(None, str(error))
    else:
        if run.is_repeat:
            messages.info(request, _("This was sent already. Nothing was sent a second time."))
        return go(request, reverse("sent", args=[run.first_id]))
    return _render(request, form, token, status=422)


def _send_once(request: HttpRequest, form: SendForm, token: str, people: int, cost: int) -> direct.Run:
    """A second click while the first one is at work waits for its answer instead of being refused."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return direct.send_direct(
                client=request.client,
                by=request.user,
                token=token,
                text=form.cleaned_data["text"],
                sender=form.cleaned_data["sender"] or None,
                typed=form.cleaned_data["to"],
                group_ids=form.cleaned_data["groups"],
                contact_ids=form.cleaned_data["contact"],
                expected_recipients=people,
                expected_cost_micros=cost,
                to_oneself=form.cleaned_data["own"],
            )
        except RequestInProgress:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _to_campaign(request: HttpRequest, form: SendForm) -> HttpResponse:
    """The same people and text as the draft of a campaign, which goes to as many as one likes; nothing is sent yet."""
    fields = form.cleaned_data
    day = date_format(timezone.localtime(timezone=ZoneInfo(request.client.time_zone)), "j M Y, H:i")
    with transaction.atomic():
        draft = campaigns.save_draft(
            client=request.client,
            by=request.user,
            name=_("Message of %(day)s") % {"day": day},
            text=fields["text"],
            group_ids=fields["groups"],
            sender=fields["sender"],
        )
        numbers = direct.read_numbers(fields["to"], request.client.country).numbers
        contact_ids = list(
            contacts.contacts_for(request.client)
            .filter(pk__in=fields["contact"], phone__isnull=False)
            .values_list("pk", flat=True)
        )
        campaigns.list_recipients(
            client=request.client, campaign_id=draft.pk, recipients=numbers, contact_ids=contact_ids
        )
    messages.info(request, _("More than 1,000 people: this is a campaign now. Check it, then send it."))
    return go(request, reverse("campaign_review", args=[draft.pk]))


@page("messages.send")
@require_http_methods(["GET", "POST"])
def check(request: HttpRequest) -> HttpResponse:
    """/app/send/check: who it reaches and what it costs, while one types. By POST, so that no log keeps the text."""
    if request.method == "GET":
        return redirect("send")
    form = SendForm(request.POST, client=request.client)
    context = _context(request, form, request.POST.get("token", "")[:100] or secrets.token_urlsafe(18))
    return render_part(request, "messaging/send_form.html", "messaging/_send_answer.html", context)


def _initial(request: HttpRequest) -> dict[str, Any]:
    picked = [pk for pk in map(read_id, request.GET.getlist("contact")) if pk]
    groups = [pk for pk in map(read_id, request.GET.getlist("group")) if pk]
    initial: dict[str, Any] = {"to": request.GET.get("to", "")[:2000], "contact": picked, "groups": groups}
    initial["text"] = template_text(request)
    if request.GET.get("test"):
        initial |= {
            "own": True,
            "to": direct.own_number(client=request.client, user=request.user),
            "text": _("Hello! This is a test from %(name)s.") % {"name": request.client.name},
        }
    return initial


def _render(
    request: HttpRequest, form: SendForm, token: str, *, status: int = 200, is_test: bool = False
) -> HttpResponse:
    """is_test: all is filled in, so that what sends it comes first."""
    context = _context(request, form, token) | {"is_test": is_test}
    return render(request, "messaging/send_form.html", context, status=status)


def _context(request: HttpRequest, form: SendForm, token: str) -> dict[str, Any]:
    """Everything on the page is measured from what the form holds now, whether or not all of it is right."""
    client, text = request.client, form.typed("text", 10_000)
    sender = form.typed("sender", 20) or form.default_sender
    group_ids, contact_ids = form.known_groups(), form.picked_contacts()
    found = direct.gather_recipients(
        client=client, typed=form.typed("to"), group_ids=group_ids, contact_ids=contact_ids, sender=sender
    )
    quote = None
    if not found.too_many:
        with suppress(DomainError):  # no price without a text; the preview names what is wrong with one
            quote = direct.quote_direct(client=client, text=check_text(text), sender=sender, people=found.people)
    money = balance_of(client.pk)
    cost = from_micros(quote.cost_micros) if quote else None
    return {
        "form": form,
        "token": token,
        "found": found,
        "chips": found.people[:SHOWN],
        "more_chips": max(found.size - SHOWN, 0),
        "refused": found.typed.invalid[:SHOWN],
        "quote": quote,
        "by_units": sorted(quote.by_units.items()) if quote else [],
        "quoted_cost": cost,
        "available": money.available,
        "after": money.available - cost if cost is not None else None,
        "shortage": max(cost - money.available, 0) if cost is not None else 0,
        "gap": direct.gap_sentence(quote) if quote and quote.missing else "",
        "left_out": sum(quote.left_out.values()) if quote else 0,
        "again": _again(client, text, sender, found, quote),
        "picked": _picked(request, contact_ids, form.typed("find", 100)),
        **preview_context(
            request, text, sender, people=found.people, ending=rules_of(client).ending(MessageClass.INFORMATION)
        ),
        "people_url": reverse("send_check"),
        "people_target": "#send-answer",
    }


def _again(client: Client, text: str, sender: str, found: direct.Recipients, quote: Quote | None) -> str:
    """A warning where some of them got just this text lately; "" otherwise."""
    if quote is None or not quote.recipients:
        return ""
    repeated = direct.repeats_among(client=client, text=text, sender=sender, people=found.people)
    if repeated is None:
        return ""
    return ngettext(
        "The same text was sent to %(n)s of them %(ago)s.",
        "The same text was sent to %(n)s of them %(ago)s.",
        repeated.people,
    ) % {"n": f"{repeated.people:,}", "ago": ago(repeated.latest)}


def _picked(request: HttpRequest, contact_ids: list[int], search: str) -> list[tuple[Any, bool]]:
    """Contacts to tick: those ticked already, then what the search finds."""
    book = contacts.contacts_for(request.client).filter(phone__isnull=False)
    ticked = list(book.filter(pk__in=contact_ids)) if contact_ids else []
    offered = []
    if search.strip():
        matching = contacts.contacts_for(request.client, search=search).filter(phone__isnull=False)
        offered = list(matching.exclude(pk__in=contact_ids)[:FOUND])
    return [(contact, True) for contact in ticked] + [(contact, False) for contact in offered]


@page("messages.read")
@require_safe
def sent(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/send/{first message}: what became of everything that one press of the button sent, live."""
    batch = list(queries.messages_for(request.client).filter(batch_id=pk).order_by("pk"))
    if not batch:
        raise Http404("There is no such message.")
    names = queries.names_of(request.client, batch)
    tally: dict[str, int] = {}
    for message in batch:
        status = queries.page_status(message.status)
        tally[status] = tally.get(status, 0) + 1
    moving = any(message.status not in OVER for message in batch)
    young = timezone.now() - batch[0].created_at < WATCHED
    context = {
        "first": pk,
        "messages_sent": batch,
        "rows": [(row, names.get(row.recipient, ""), queries.page_status(row.status)) for row in batch[:SHOWN]],
        "more": max(len(batch) - SHOWN, 0),
        "tally": sorted(tally.items()),
        "units": sum(row.units for row in batch),
        "spent": sum(row.cost_micros for row in batch if row.status != "failed"),
        "interval": INTERVAL if moving and young else 0,
        "title": ngettext("%(n)s message", "%(n)s messages", len(batch)) % {"n": f"{len(batch):,}"},
        "all_delivered": set(tally) <= {"delivered", "read"},
    }
    return render_part(request, "messaging/sent.html", "messaging/_sent.html", context)
