"""Writing a campaign, looking at it once more, and starting it."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from contacts.queries import Recipient
from crm.common.access import page
from crm.common.errors import DomainError, InvalidInput, NotFound, WrongState
from crm.common.merge_fields import parse_template
from crm.common.money import format_money, from_micros
from crm.common.sql import database_now
from crm.common.text_units import lay_out
from messaging import queries
from messaging.errors import QuoteChanged
from messaging.forms import CampaignForm, read_id
from messaging.models import Campaign, CampaignState, MessageClass, TemplateLanguage
from messaging.services import campaigns as service
from messaging.services import scheduling
from messaging.services.audience import BUILT_IN, Quote, problems_of, quote_campaign
from messaging.services.hours import OutsideHours
from messaging.services.preview import preview_text
from messaging.views.fragments import render_part
from wallet.pricing import load_prices
from wallet.queries import balance_of
from wallet.topups.queries import can_top_up

MOST_UNITS = 15  # of 480 characters: emoji only
TICK_ABOVE = 1000  # people
TEMPLATES_OFFERED = 50
HOLD_SECONDS = 10  # in which what was confirmed can still be stopped (UX.md §9)


def campaign_or_404(request: HttpRequest, pk: int) -> Campaign:
    try:
        return service.get_campaign(client=request.client, campaign_id=pk)
    except NotFound as error:
        raise Http404(str(error)) from None


# --- compose ----------------------------------------------------------------------------------------------------------


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """/app/campaigns/new; `?group=` ticks a group."""
    return _compose(request, None)


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/campaigns/{id}/edit, for as long as it is a draft."""
    campaign = campaign_or_404(request, pk)
    if campaign.state != CampaignState.DRAFT:
        messages.warning(request, _("This campaign was started already and cannot be changed."))
        return redirect("campaign", pk=pk)
    return _compose(request, campaign)


def _compose(request: HttpRequest, campaign: Campaign | None) -> HttpResponse:
    if request.method == "POST":
        form = CampaignForm(request.POST, client=request.client)
        saved = _save(request, form, campaign)
        if saved and request.POST.get("action") == "review":
            return redirect("campaign_review", pk=saved.pk)
        if saved:
            messages.success(request, _("Draft saved."))
            return redirect("campaign_edit", pk=saved.pk)
    else:
        form = CampaignForm(client=request.client, initial=_initial(request, campaign))
    context = {
        "form": form,
        "campaign": campaign,
        **preview_context(
            request, form["text"].value() or "", form["sender"].value() or "", group_ids=form.known_groups()
        ),
    }
    return render(request, "messaging/campaign_form.html", context, status=422 if form.errors else 200)


def _initial(request: HttpRequest, campaign: Campaign | None) -> dict[str, Any]:
    if campaign is None:
        group = read_id(request.GET.get("group", ""))
        return {"groups": [group] if group else [], "text": template_text(request)}
    return {
        "name": campaign.name,
        "text": campaign.text,
        "groups": list(campaign.groups.values_list("pk", flat=True)),
        "sender": campaign.sender.name if campaign.sender else "",
        "message_class": campaign.message_class,
        "when": "later" if campaign.schedule_at else "now",
        "schedule_at": campaign.schedule_at
        and campaign.schedule_at.astimezone(ZoneInfo(request.client.time_zone)).replace(tzinfo=None),
        "spread_hours": campaign.spread_hours,
    }


def template_text(request: HttpRequest) -> str:
    """The text of the client's template named by `?template=` and `?language=`; "" where there is none."""
    wanted = read_id(request.GET.get("template", ""))
    texts = queries.template_texts(request.client, [wanted]).get(wanted, {}) if wanted else {}
    return texts.get(request.GET.get("language", "")) or next(iter(texts.values()), "")


def _save(request: HttpRequest, form: CampaignForm, campaign: Campaign | None) -> Campaign | None:
    """The saved draft; None where the form now says what is wrong."""
    if not form.is_valid():
        return None
    fields = form.cleaned_data
    try:
        with transaction.atomic():
            draft = service.save_draft(
                client=request.client,
                by=request.user,
                name=fields["name"],
                text=fields["text"],
                group_ids=fields["groups"],
                sender=fields["sender"],
                campaign_id=campaign.pk if campaign else None,
            )
            return scheduling.set_timing(
                client=request.client,
                campaign_id=draft.pk,
                message_class=fields["message_class"] or MessageClass.INFORMATION,
                schedule_at=fields["schedule_at"],
                spread_hours=fields["spread_hours"] or 0,
            )
    except InvalidInput as error:
        for name, sentences in error.errors.items():
            form.add_error(name, sentences)
    except DomainError as error:
        form.add_error(None, str(error))
    return None


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def preview(request: HttpRequest) -> HttpResponse:
    """/app/campaigns/preview: the text for one real person and its price. By POST, so that no log keeps the text."""
    if request.method == "GET":
        return redirect("campaign_new")
    form = CampaignForm(request.POST, client=request.client)
    sender = request.POST.get("sender", "")[:20].replace("\x00", "")
    context = preview_context(request, request.POST.get("text", "")[:10_000], sender, group_ids=form.known_groups())
    return render_part(request, "messaging/campaign_preview.html", "messaging/_preview_answer.html", context)


def preview_context(
    request: HttpRequest,
    text: str,
    sender: str,
    *,
    group_ids: Sequence[int] = (),
    people: Sequence[Recipient] | None = None,
) -> dict[str, Any]:
    """What _preview.html, _meter.html and _merge_fields.html print: `text` for the first of these people or groups."""
    shown = preview_text(client=request.client, text=text, group_ids=group_ids, sender=sender, people=people)
    costs = []
    if shown.price_micros is not None:
        costs = [
            format_money(from_micros(shown.price_micros * units), request.client.currency)
            for units in range(MOST_UNITS + 1)
        ]
    return {
        "preview": shown,
        "sender": sender,
        "cost": costs[min(shown.units, MOST_UNITS)] if costs else "",
        "costs_json": orjson.dumps(costs).decode(),
        "values_json": orjson.dumps(shown.values).decode(),
        "merge_fields": [*BUILT_IN[:3], "phone", "department", *shown.titles],
        "is_fragment": False,
        "insertable": _insertable(request),
    }


def _insertable(request: HttpRequest) -> list[tuple[str, str, str]]:
    """(name, language, text) of the first templates, for the composer to put in."""
    offered = list(queries.templates_for(request.client)[:TEMPLATES_OFFERED])
    texts = queries.template_texts(request.client, [template.pk for template in offered])
    words = dict(TemplateLanguage.choices)
    return [
        (template.name, words[language], text)
        for template in offered
        for language, text in sorted(texts.get(template.pk, {}).items())
    ]


# --- review and start -------------------------------------------------------------------------------------------------


@page("campaigns.read")
@require_http_methods(["GET"])
def review(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/campaigns/{id}/review: the whole campaign on one screen, priced for every person."""
    campaign = campaign_or_404(request, pk)
    if campaign.state != CampaignState.DRAFT:
        return redirect("campaign", pk=pk)
    return _render_review(request, campaign)


@page("campaigns.send")
@require_http_methods(["GET", "POST"])
def send(request: HttpRequest, pk: int) -> HttpResponse:
    """POST /app/campaigns/{id}/send starts it for exactly the figures that the form names; a repeat starts nothing."""
    campaign = campaign_or_404(request, pk)
    if request.method == "GET":
        return redirect("campaign_review", pk=pk)
    if campaign.state != CampaignState.DRAFT:
        return _already_started(request, pk)
    people, micros = read_id(request.POST.get("expected_recipients", "")), request.POST.get("expected_cost_micros", "")
    cost = 0 if micros == "0" else read_id(micros)
    if people is None or cost is None:
        return _render_review(request, campaign, refusal=_("Look at the figures once more, then confirm."), status=422)
    if request.POST.get("sure") != "yes" and _needs_tick(request, people, cost):
        refusal = _("Tick the box to say that you have checked the figures.")
        return _render_review(request, campaign, refusal=refusal, status=422)
    try:
        service.confirm_campaign(
            client=request.client,
            campaign_id=pk,
            by=request.user,
            expected_recipients=people,
            expected_cost_micros=cost,
            hold_seconds=HOLD_SECONDS,
        )
    except QuoteChanged as error:
        return _render_review(request, campaign, refusal=_changed(request, error, people, cost), status=409)
    except WrongState as error:
        campaign = campaign_or_404(request, pk)
        if campaign.state != CampaignState.DRAFT:
            return _already_started(request, pk)
        return _render_review(request, campaign, refusal=str(error), status=409)
    except DomainError as error:
        return _render_review(request, campaign, refusal=str(error), status=422)
    return redirect("campaign", pk=pk)


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def move(request: HttpRequest, pk: int) -> HttpResponse:
    """POST /app/campaigns/{id}/move puts a draft at the next time at which everybody may be written to."""
    campaign = campaign_or_404(request, pk)
    if request.method == "POST" and campaign.state == CampaignState.DRAFT:
        try:
            slot = service.next_slot(campaign)
            if slot is None:
                raise InvalidInput({"schedule_at": [_("The hours leave no room for it: spread it over fewer hours.")]})
            scheduling.set_timing(
                client=request.client,
                campaign_id=pk,
                message_class=campaign.message_class,
                schedule_at=slot,
                spread_hours=campaign.spread_hours,
            )
        except DomainError as error:
            messages.warning(request, str(error))
    return redirect("campaign_review", pk=pk)


def _already_started(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    messages.info(request, _("This campaign was started already. Nothing was sent a second time."))
    return redirect("campaign", pk=pk)


def _changed(request: HttpRequest, error: QuoteChanged, people: int, cost: int) -> str:
    currency, quote = request.client.currency, error.facts["quote"]
    return _(
        "Nothing was sent: the recipients or the price changed since you looked. Then %(people)s people for %(cost)s, "
        "now %(new_people)s for %(new_cost)s. Check the new figures and confirm again."
    ) % {
        "people": f"{people:,}",
        "cost": format_money(from_micros(cost), currency),
        "new_people": f"{quote.recipients:,}",
        "new_cost": format_money(from_micros(quote.cost_micros), currency),
    }


def _needs_tick(request: HttpRequest, people: int, cost_micros: int) -> bool:
    """More than TICK_ABOVE people, or more than half of what may be spent (UX.md §9)."""
    return people > TICK_ABOVE or from_micros(cost_micros) * 2 > balance_of(request.client.pk).available


def _render_review(request: HttpRequest, campaign: Campaign, *, refusal: str = "", status: int = 200) -> HttpResponse:
    quote = quote_campaign(campaign)
    reach = queries.reach_of(campaign)
    money = balance_of(request.client.pk)
    cost = from_micros(quote.cost_micros)
    problems = problems_of(campaign, quote)
    if not quote.recipients and not problems:
        problems = [_("Nobody in these groups can be sent to.")]
    outside = False
    try:
        service.check_time(campaign, quote, database_now())
    except OutsideHours:
        outside = True
    except InvalidInput as error:
        problems += error.errors["campaign"]
    may_send = request.membership.may("campaigns.send")
    rule = load_prices(request.client.pk).unit_rule
    shortage = max(cost - money.available, 0)
    context = {
        "campaign": campaign,
        "quote": quote,
        "samples": [(*sample, lay_out(sample[2], rule)) for sample in quote.samples],
        "refusal": refusal,
        "outside": outside,
        "slot": service.next_slot(campaign) if outside else None,
        "problems": problems,
        "groups": list(campaign.groups.order_by("name").values_list("name", flat=True)),
        "reach": reach,
        "opted_out": reach.people - reach.without_phone - quote.recipients - sum(quote.left_out.values()),
        "unpriced": quote.left_out["no_price"],
        "unrouted": quote.left_out["no_route"],
        "by_units": sorted(quote.by_units.items()),
        "why_more": _why_more(campaign, quote),
        "cost": cost,
        "money": money,
        "after": money.available - cost,
        "shortage": shortage,
        "may_top_up": bool(shortage) and request.membership.may("wallet.topup") and can_top_up(request.client),
        "needs_tick": _needs_tick(request, quote.recipients, quote.cost_micros),
        "may_send": may_send,
        "may_write": request.membership.may("campaigns.write"),
        "can_confirm": not problems and not outside and not shortage and may_send and request.client.is_active,
    }
    return render(request, "messaging/campaign_review.html", context, status=status)


def _why_more(campaign: Campaign, quote: Quote) -> list[str]:
    """Why some people take more units, in sentences."""
    found = []
    if quote.unicode_recipients and quote.unicode_recipients < quote.recipients:
        found.append(
            _("For %(people)s of them the filled-in text has letters outside the standard SMS alphabet, which fill an "
              "SMS sooner.") % {"people": f"{quote.unicode_recipients:,}"}
        )  # fmt: skip
    elif quote.unicode_recipients:
        found.append(_("The text has letters outside the standard SMS alphabet: an SMS then holds 70, not 160."))
    if len(quote.by_units) > 1 and parse_template(campaign.text).fields:
        found.append(_("The length depends on what is filled in for each person."))
    return found
