"""While a campaign is written: how many people it comes to, and how one of them reads it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson
from django.forms import BoundField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from contacts.queries import Recipient
from crm.common.access import page
from crm.common.figures import show_money
from crm.common.money import from_micros
from messaging import queries
from messaging.campaign_forms import MESSAGE
from messaging.forms import meter_id, read_id
from messaging.models import Channel, SenderId, TemplateLanguage
from messaging.services.filling import BUILT_IN, OPT_OUT_LINK
from messaging.services.mail_preview import MailPreview, preview_mail
from messaging.services.preview import Preview, people_to_show, preview_text, readers_of
from messaging.services.reach import measure_reach
from messaging.services.whatsapp_preview import TemplatePreview, preview_template
from messaging.views.fragments import render_part
from messaging.views.sketching import Sketch, campaign_or_404, posted_sketch
from wallet.pricing import load_prices
from wallet.queries import balance_of

MOST_UNITS = 15  # of 480 characters: emoji only
TEMPLATES_OFFERED = 50


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def preview(request: HttpRequest) -> HttpResponse:
    """/app/campaigns/preview: the text for one real person and its price. By POST, so that no log keeps the text."""
    if request.method == "GET":
        return redirect("campaign_new")
    sketch = posted_sketch(request)
    answer = "messaging/_mail_preview_answer.html" if sketch.is_mail else "messaging/_preview_answer.html"
    if sketch.is_whatsapp:
        answer = "messaging/_template_preview_answer.html"
    context = preview_of(sketch) | {"may_send": request.membership.may("messages.send")}
    return render_part(request, "messaging/campaign_preview.html", answer, context)


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def mail(request: HttpRequest) -> HttpResponse:
    """/app/campaigns/mail: the HTML of a mail as one person's reader shows it, for the frame of the composer.

    A page of its own that may do nothing: the styles of a mail stand in its tags, which our pages do not allow.
    """
    if request.method == "POST":
        return framed(render(request, "messaging/mail_frame.html", preview_of(posted_sketch(request))))
    draft = read_id(request.GET.get("draft", ""))
    campaign = campaign_or_404(request, draft) if draft else None
    if campaign is None or campaign.channel != Channel.EMAIL:
        return framed(render(request, "messaging/mail_frame.html", {}))
    return framed(render(request, "messaging/mail_frame.html", preview_of(Sketch(request, campaign, MESSAGE))))


def framed(response: HttpResponse) -> HttpResponse:
    """An answer that our own pages may frame, that may do nothing there, and whose tags may have styles and images."""
    response["X-Frame-Options"] = "SAMEORIGIN"
    response._csp_replace = {  # type: ignore[attr-defined]  # what csp_replace sets, whose type fits no view with a key
        "img-src": ["https:", "http:", "data:"],
        "style-src": ["'unsafe-inline'"],
        "script-src": ["'none'"],
        "frame-ancestors": ["'self'"],
        "sandbox": ["allow-popups"],
    }
    return response


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def count(request: HttpRequest) -> HttpResponse:
    """/app/campaigns/audience: how many people the choices come to, and about what it costs."""
    if request.method == "GET":
        return redirect("campaign_new")
    context = audience_of(posted_sketch(request))
    return render_part(request, "messaging/campaign_count.html", "messaging/_audience.html", context)


def audience_of(sketch: Sketch) -> dict[str, Any]:
    """What _audience.html prints."""
    reach = measure_reach(
        client=sketch.client,
        group_ids=sketch.group_ids,
        excluded_ids=sketch.excluded_ids,
        typed=sketch.numbers,
        listed=sketch.kept_listed,
        sender=sketch.message.typed("sender", 254),
        channel=sketch.channel,
        renderer=sketch.renderer(),
    )
    available = balance_of(sketch.client.pk).available
    return {
        "reach": reach,
        "available": available,
        "after": available - reach.cost if reach.cost is not None else None,
        "is_mail": sketch.is_mail,
        "is_whatsapp": sketch.is_whatsapp,
    }


def preview_of(sketch: Sketch) -> dict[str, Any]:
    """What the preview of a text or a mail prints."""
    if sketch.is_mail or sketch.is_whatsapp:
        return _written_preview_of(sketch)
    return _text_preview_of(sketch)


def _text_preview_of(sketch: Sketch) -> dict[str, Any]:
    """What _preview.html, _composed.html, _preview_answer.html and _merge_fields.html print: the language that is asked
    for, else what each person reads; and every language measured as one reads it who prefers it.
    """
    request, form = sketch.request, sketch.message
    sender = form.typed("sender", 20)
    people = _people(sketch, sender)
    texts = {code: form.typed(text_field(code), 10_000) for code in ("", *TemplateLanguage.values)}
    variants = {code: text for code, text in texts.items() if code and text.strip()}
    look = partial(preview_text, client=sketch.client, ending=sketch.ending, prices=load_prices(sketch.client.pk))
    readers = {code: readers_of(people, code, {*variants, code}) for code in texts}
    place = place_asked(request)
    previews = {code: look(text=text, people=readers[code] or people, place=place) for code, text in texts.items()}
    shown = language_asked(request)
    by_preference = look(text=texts[""], people=people, place=place, variants=variants)
    first = by_preference if place == 0 else look(text=texts[""], people=people, variants=variants)
    composed = [one_language(request, form[text_field(code)], code, previews[code]) for code in texts]
    return {
        **printed(request, previews[shown] if shown else by_preference, sender),
        "shown": shown,
        "shown_word": dict(TemplateLanguage.choices).get(shown, ""),
        "is_read_by_nobody": bool(shown and people and not readers[shown]),
        "main": composed[0],
        "written": composed[1:],
        "test_cost": measured(request, first)["cost"],
    }


def text_field(language: str) -> str:
    """The name of the field of a language's text; "" is the one that everybody else reads."""
    return f"text_{language}" if language else "text"


def _written_preview_of(sketch: Sketch) -> dict[str, Any]:
    """What _mail_preview.html and mail_frame.html, or _template_preview.html print."""
    written, problem = sketch.written()
    people = _people(sketch, written.sender_name)
    place = place_asked(sketch.request)
    common = {"is_fragment": False, "people_url": reverse("campaign_preview")}
    if sketch.is_mail:
        mail = preview_mail(campaign=written, people=people, place=place, problem=problem)
        return common | mail_printed(sketch.request, mail, written.sender)
    shown = preview_template(campaign=written, people=people, place=place, problem=problem)
    return common | {
        "preview": shown,
        "sender": written.sender_name,
        "cost": _cost(sketch.request, shown),
        "merge_fields": [*BUILT_IN[:3], "phone", "department", *shown.titles],
        "is_whatsapp": True,
    }


def _people(sketch: Sketch, sender: str) -> list[Recipient]:
    """Who may be looked at."""
    return people_to_show(
        sketch.client,
        sender=sender,
        group_ids=sketch.group_ids,
        excluded_ids=sketch.excluded_ids,
        addresses=sketch.addresses_in(sketch.numbers[:4000])[:50],
        channel=sketch.channel,
    )


def place_asked(request: HttpRequest) -> int:
    """Which of the people who can be looked at the form names."""
    return read_id(request.POST.get("person", "")) or 0


def language_asked(request: HttpRequest) -> str:
    """The language of the text whose preview a form asks for, or goes on showing; "" where it names none."""
    asked = request.POST.get("show", request.POST.get("shown", ""))
    return asked if asked in TemplateLanguage.values else ""


def mail_printed(request: HttpRequest, shown: MailPreview, sender: SenderId | None) -> dict[str, Any]:
    """What _mail_preview.html and _merge_fields.html print of a mail."""
    return {
        "preview": shown,
        "sender": sender,
        "cost": _cost(request, shown),
        "merge_fields": [*BUILT_IN[:3], "email", "department", OPT_OUT_LINK, *shown.titles],
        "is_mail": True,
    }


def _cost(request: HttpRequest, shown: MailPreview | TemplatePreview) -> str:
    price = shown.price_micros
    return _amount(request, price) if price is not None else ""


def _amount(request: HttpRequest, micros: int) -> str:
    return show_money(from_micros(micros), request.client.currency)


def preview_context(
    request: HttpRequest,
    text: str,
    sender: str,
    *,
    people: Sequence[Recipient],
    ending: str = "",
) -> dict[str, Any]:
    """What _preview.html, _meter.html, _merge_fields.html and _insert_template.html print: `text` for one of these
    people, the one whose place the form names in `person`."""
    place = place_asked(request)
    shown = preview_text(client=request.client, text=text, people=people, place=place, ending=ending)
    return printed(request, shown, sender) | {"insertable": _insertable(request)}


def printed(request: HttpRequest, shown: Preview, sender: str) -> dict[str, Any]:
    """What _preview.html, _meter.html and _merge_fields.html print of a text."""
    return {
        **measured(request, shown),
        "sender": sender,
        "merge_fields": text_fields(shown),
        "is_fragment": False,
        "people_url": reverse("campaign_preview"),
    }


def one_language(request: HttpRequest, field: BoundField, language: str, shown: Preview) -> dict[str, Any]:
    """What _composed.html prints: the box of a language with its meter."""
    return {"code": language, "field": field, "meter_id": meter_id(language), **measured(request, shown)}


def measured(request: HttpRequest, shown: Preview) -> dict[str, Any]:
    """What _meter.html prints: the text of a preview, its size and its price."""
    costs = []
    if shown.price_micros is not None:
        costs = [_amount(request, shown.price_micros * units) for units in range(MOST_UNITS + 1)]
    return {
        "preview": shown,
        "cost": costs[min(shown.units, MOST_UNITS)] if costs else "",
        "costs_json": orjson.dumps(costs).decode(),
        "values_json": orjson.dumps(shown.values).decode(),
    }


def text_fields(shown: Preview) -> list[str]:
    """The merge fields that are offered for a text."""
    return [*BUILT_IN[:3], "phone", "department", OPT_OUT_LINK, *shown.titles]


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
