"""The whole campaign on one screen, and the step from there: started, submitted, approved, returned."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from crm.common.access import page, wants_fragment
from crm.common.errors import DomainError, InvalidInput, WrongState
from crm.common.figures import figure, show_money
from crm.common.merge_fields import parse_template
from crm.common.money import from_micros
from crm.common.sql import database_now
from crm.common.text_units import lay_out
from messaging.campaign_forms import AUDIENCE, REVIEW, WHEN
from messaging.errors import QuoteChanged
from messaging.forms import read_id
from messaging.models import Campaign, CampaignState, Channel, TemplateLanguage
from messaging.services import approval, quoting, repeating, scheduling, similar, uploads
from messaging.services import campaigns as service
from messaging.services.audience import Problem, Quote, problems_of
from messaging.services.guards import Guard, Repeated
from messaging.services.hours import OutsideHours
from messaging.services.whatsapp_rendering import template_of
from messaging.views.fragments import go, render_part
from messaging.views.sketching import campaign_or_404, step_words, steps_bar
from wallet.pricing import load_prices
from wallet.queries import balance_of
from wallet.topups.queries import can_top_up

TICK_ABOVE = 1000  # people
HOLD_SECONDS = 10  # in which what was confirmed can still be stopped (UX.md §9)
OPEN = (CampaignState.DRAFT, CampaignState.AWAITING)


@page("campaigns.read")
@require_http_methods(["GET"])
def review(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/campaigns/{id}/review: the whole campaign on one screen, priced for every person."""
    campaign = campaign_or_404(request, pk)
    if campaign.state not in OPEN:
        return redirect("campaign", pk=pk)
    return _render_review(request, campaign)


@page("campaigns.send")
@require_http_methods(["GET", "POST"])
def send(request: HttpRequest, pk: int) -> HttpResponse:
    """POST /app/campaigns/{id}/send starts it for exactly the figures that the form names, or submits or approves it;
    a repeat starts nothing."""
    campaign = campaign_or_404(request, pk)
    if request.method == "GET":
        return redirect("campaign_review", pk=pk)
    if campaign.state not in OPEN:
        return _already_started(request, pk)
    people, micros = read_id(request.POST.get("expected_recipients", "")), request.POST.get("expected_cost_micros", "")
    cost = 0 if micros == "0" else read_id(micros)
    if people is None or cost is None:
        return _render_review(request, campaign, refusal=_("Look at the figures once more, then confirm."), status=422)
    if request.POST.get("sure") != "yes" and _needs_tick(request, people, cost):
        refusal = _("Tick the box to say that you have checked the figures.")
        return _render_review(request, campaign, refusal=refusal, status=422)
    if not quoting.is_counted(campaign):  # the figures are from so long ago that they are counted anew
        refusal = _("Look at the figures once more, then confirm.")
        return _render_review(request, campaign, refusal=refusal, status=409)
    act = service.confirm_campaign if campaign.state == CampaignState.DRAFT else approval.approve_campaign
    try:
        act(
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
        if campaign.state not in OPEN:
            return _already_started(request, pk)
        return _render_review(request, campaign, refusal=str(error), status=409)
    except DomainError as error:
        return _render_review(request, campaign, refusal=str(error), status=422)
    return go(request, reverse("campaign", args=[pk]))


@page("campaigns.read")
@require_http_methods(["GET", "POST"])
def return_to_author(request: HttpRequest, pk: int) -> HttpResponse:
    """POST /app/campaigns/{id}/return: a draft again, with a note; who submitted it takes it back without one."""
    campaign = campaign_or_404(request, pk)
    if request.method == "GET":
        return redirect("campaign_review", pk=pk)
    mine = not approval.may_approve(campaign, request.user)
    if not request.membership.may("campaigns.write" if mine else "campaigns.send"):
        return _render_review(request, campaign, refusal=_("Your role cannot do that."), status=403)
    try:
        approval.return_campaign(
            client=request.client, campaign_id=pk, by=request.user, note=request.POST.get("note", "")
        )
    except DomainError as error:
        return _render_review(request, campaign_or_404(request, pk), refusal=str(error), status=422)
    messages.success(request, _("It is a draft again.") if mine else _("Returned with your note."))
    return redirect("campaign_review", pk=pk) if mine else redirect("campaign_list")


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def move(request: HttpRequest, pk: int) -> HttpResponse:
    """POST /app/campaigns/{id}/move puts a draft at the next time at which everybody may be written to."""
    campaign = campaign_or_404(request, pk)
    if request.method == "POST" and campaign.state == CampaignState.DRAFT and quoting.is_counted(campaign):
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


def _already_started(request: HttpRequest, pk: int) -> HttpResponse:
    messages.info(request, _("This campaign was started already. Nothing was sent a second time."))
    return go(request, reverse("campaign", args=[pk]))


def _changed(request: HttpRequest, error: QuoteChanged, people: int, cost: int) -> str:
    currency, quote = request.client.currency, error.facts["quote"]
    return _(
        "Nothing was sent: the recipients or the price changed since you looked. Then %(people)s people for %(cost)s, "
        "now %(new_people)s for %(new_cost)s. Check the new figures and confirm again."
    ) % {
        "people": f"{people:,}",
        "cost": show_money(from_micros(cost), currency),
        "new_people": f"{quote.recipients:,}",
        "new_cost": show_money(from_micros(quote.cost_micros), currency),
    }


def _needs_tick(request: HttpRequest, people: int, cost_micros: int) -> bool:
    """More than TICK_ABOVE people, or more than half of what may be spent (UX.md §9)."""
    return people > TICK_ABOVE or from_micros(cost_micros) * 2 > balance_of(request.client.pk).available


def _render_review(request: HttpRequest, campaign: Campaign, *, refusal: str = "", status: int = 200) -> HttpResponse:
    figures = quoting.figures_of(campaign)
    if isinstance(figures, quoting.Counting):
        context = {
            "campaign": campaign,
            "counting": figures,
            "refusal": refusal,
            "steps": steps_bar(REVIEW, {}, campaign),
            "may_edit": request.membership.may("campaigns.write") and campaign.state == CampaignState.DRAFT,
        }
        page, fragment = "messaging/campaign_counting.html", "messaging/_campaign_counting.html"
        return render_part(request, page, fragment, context, status=status)
    if wants_fragment(request) and request.method == "GET":  # it was counted while one watched
        return go(request, reverse("campaign_review", args=[campaign.pk]))
    quote, reach = figures.quote, figures.reach
    money = balance_of(request.client.pk)
    cost = from_micros(quote.cost_micros)
    problems = problems_of(campaign, quote)
    if not quote.recipients and not problems:
        problems = [Problem(AUDIENCE, _("Nobody in these groups can be sent to."))]
    problems += [
        Problem(
            AUDIENCE,
            _("The list %(file)s is still being read: %(done)s rows so far.")
            % {"file": one.filename, "done": figure(one.rows_done)},
        )
        for one in uploads.running_uploads(campaign)
    ]
    outside = False
    try:
        service.check_time(campaign, quote, database_now())
    except OutsideHours:
        outside = True
    except InvalidInput as error:
        problems += [Problem(WHEN, sentence) for sentence in error.errors["campaign"]]
    may_send = request.membership.may("campaigns.send")
    mail, whatsapp = campaign.channel == Channel.EMAIL, campaign.channel == Channel.WHATSAPP
    rule = load_prices(request.client.pk).unit_rule
    shortage = max(cost - money.available, 0)
    guard = Guard(request.client)
    awaiting = campaign.state == CampaignState.AWAITING
    is_second = approval.may_approve(campaign, request.user)
    doubt = "" if "burst" in campaign.waived else guard.suspicion(quote.by_country, quote.foreign_run)
    try:
        guard.check_day(database_now(), more=quote.recipients, more_micros=quote.cost_micros)
    except DomainError as error:
        problems.append(Problem(WHEN, str(error)))
    words = step_words()
    context = {
        "campaign": campaign,
        "quote": quote,
        "is_mail": mail,
        "is_whatsapp": whatsapp,
        "template": template_of(campaign) if whatsapp else None,
        "samples": [] if mail or whatsapp else [(*sample, lay_out(sample[2], rule)) for sample in quote.samples],
        "filled": quote.samples if whatsapp else [],
        "mails": [(*sample[:3], content) for sample, content in zip(quote.samples, quote.contents, strict=True)]
        if mail
        else [],
        "refusal": refusal,
        "outside": outside,
        "slot": service.next_slot(campaign) if outside else None,
        "problems": [(problem.sentence, words[problem.step], f"campaign_{problem.step}") for problem in problems],
        "steps": steps_bar(REVIEW, {problem.step: _("Needs a look") for problem in problems}, campaign),
        "may_edit": request.membership.may("campaigns.write") and not awaiting,
        "groups": list(campaign.groups.order_by("name").values_list("name", flat=True)),
        "reach": reach,
        "excluded": list(campaign.excluded.order_by("name").values_list("name", flat=True)),
        "opted_out": reach.people
        - reach.without_phone
        - reach.excluded
        - quote.recipients
        - sum(quote.left_out.values()),
        "duplicates": max(reach.given - reach.people, 0),
        "left_out": [(words, quote.left_out[code]) for code, words in _left_out_words() if quote.left_out[code]],
        "languages": _languages(campaign, quote),
        "warnings": _warnings(quote, figures.again, doubt),
        "awaiting": awaiting,
        "is_second": is_second,
        "submits": not awaiting and service.needs_approval(guard.rules, quote, simulated=request.client.simulation),
        "next_runs": repeating.next_runs(campaign) if campaign.repeat else [],
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
        "can_confirm": not problems
        and not outside
        and not shortage
        and may_send
        and request.client.is_active
        and (is_second or not awaiting),
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


def _left_out_words() -> tuple[tuple[str, str], ...]:
    return (
        ("no_price", _("No price for their country")),
        ("no_route", _("No provider for their country")),
        ("country_closed", _("Your account is not opened for their country")),
        ("trial_number", _("Not a number of your own people (trial)")),
    )


def _languages(campaign: Campaign, quote: Quote) -> list[tuple[str, int]]:
    """How many people read which language; nothing where there is one text only."""
    if not campaign.variants:
        return []
    words = dict(TemplateLanguage.choices)
    return [(str(words.get(code, _("The main text"))), n) for code, n in quote.by_language.most_common()]


def _warnings(quote: Quote, again: Repeated | None, doubt: str) -> list[str]:
    """What does not keep the campaign back, but had better be seen."""
    found = []
    if again:
        found.append(
            ngettext(
                "The same text was sent to %(n)s of them %(ago)s.",
                "The same text was sent to %(n)s of them %(ago)s.",
                again.people,
            )
            % {"n": f"{again.people:,}", "ago": similar.ago(again.latest)}
        )
    for (name, words), people in sorted(quote.fallbacks.items()):
        found.append(
            ngettext(
                "%(n)s person has no value for {%(name)s} and reads “%(words)s”.",
                "%(n)s people have no value for {%(name)s} and read “%(words)s”.",
                people,
            )
            % {"n": f"{people:,}", "name": name, "words": words}
        )
    if doubt:
        found.append(_("%(why)s It waits until somebody of you resumes it.") % {"why": doubt})
    return found
