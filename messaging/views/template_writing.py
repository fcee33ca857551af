"""While a template is written: how one person of the book reads the language that is typed, and what it costs.

A template has no audience and no sender yet: the people are the first of the book, the sender is the first approved.
"""

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from contacts import queries as contacts
from crm.common.access import page
from crm.common.errors import InvalidInput
from messaging import queries
from messaging.forms import TemplateForm, read_id
from messaging.models import Campaign, Channel, MessageClass, Template, TemplateLanguage
from messaging.services.mail_preview import preview_mail
from messaging.services.mail_rendering import read_draft_mail
from messaging.services.preview import LOOKED_AT, preview_text
from messaging.services.rules import rules_of
from messaging.views.fragments import render_part
from messaging.views.previewing import (
    framed,
    language_asked,
    mail_printed,
    measured,
    one_language,
    place_asked,
    text_field,
    text_fields,
)
from wallet.pricing import load_prices


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def preview(request: HttpRequest) -> HttpResponse:
    """/app/templates/preview: what is typed for one real person. By POST, so that no log keeps the text."""
    if request.method == "GET":
        return redirect("template_new")
    form = TemplateForm(request.POST, channel=asked_channel(request))
    answer = "messaging/_template_written.html"
    return render_part(request, "messaging/campaign_preview.html", answer, writing_context(request, form))


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def mail(request: HttpRequest) -> HttpResponse:
    """/app/templates/mail: the HTML of a mail for the frame beside the form, as messaging.views.previewing.mail."""
    context: dict[str, Any] = {}
    template = read_id(request.GET.get("template", ""))
    if request.method == "POST":
        context = writing_context(request, TemplateForm(request.POST, channel=Channel.EMAIL))
    elif template and (found := queries.templates_for(request.client, Channel.EMAIL).filter(pk=template).first()):
        form = TemplateForm(initial=initial_of(request, found), channel=Channel.EMAIL)
        context = writing_context(request, form)
    return framed(render(request, "messaging/mail_frame.html", context))


def asked_channel(request: HttpRequest) -> str:
    """The channel of a new template: mail where that is asked for, else SMS."""
    asked = request.POST.get("channel", "") or request.GET.get("channel", "")
    return Channel.EMAIL if asked == Channel.EMAIL else Channel.SMS


def initial_of(request: HttpRequest, template: Template) -> dict[str, Any]:
    """What the form of a kept template begins with."""
    words = queries.template_words(request.client, [template.pk]).get(template.pk, {})
    return {"name": template.name} | {
        f"{part}_{language}": text for language, parts in words.items() for part, text in parts.items()
    }


def writing_context(request: HttpRequest, form: TemplateForm) -> dict[str, Any]:
    """What template_form.html prints beside and under what is typed, whether or not all of it is right."""
    shown = _shown(request, form)
    context = {
        "shown": shown,
        "shown_word": dict(TemplateLanguage.choices)[shown],
        "people_url": reverse("template_preview"),
        "is_fragment": False,
        "has_no_audience": True,
    }
    written = _mail_written if form.channel == Channel.EMAIL else _text_written
    return context | written(request, form, shown, place_asked(request))


def _shown(request: HttpRequest, form: TemplateForm) -> str:
    """The language whose preview is asked for; of a page that opens the reader's own or the first that is written."""
    if asked := language_asked(request):
        return asked
    own = request.LANGUAGE_CODE[:2]
    order = [own, *TemplateLanguage.values] if own in TemplateLanguage.values else TemplateLanguage.values
    return next((code for code in order if form.typed(f"text_{code}").strip()), order[0])


def _text_written(request: HttpRequest, form: TemplateForm, shown: str, place: int) -> dict[str, Any]:
    client = request.client
    sender = queries.approved_senders(client).first()
    people = contacts.first_people(client.pk, limit=LOOKED_AT)
    ending = rules_of(client).ending(MessageClass.INFORMATION)
    look = partial(
        preview_text, client=client, people=people, place=place, ending=ending, prices=load_prices(client.pk)
    )
    previews = {code: look(text=form.typed(text_field(code))) for code in TemplateLanguage.values}
    return {
        **measured(request, previews[shown]),
        "sender": sender.name if sender else "",
        "merge_fields": text_fields(previews[shown]),
        "written": [one_language(request, form[text_field(code)], code, previews[code]) for code in previews],
    }


def _mail_written(request: HttpRequest, form: TemplateForm, shown: str, place: int) -> dict[str, Any]:
    client, problem = request.client, ""
    sender = queries.approved_senders(client, Channel.EMAIL).first()
    campaign = Campaign(client=client, channel=Channel.EMAIL, sender=sender)
    try:
        campaign.text, campaign.variants, campaign.content = read_draft_mail(
            text=form.typed(f"text_{shown}"),
            parts={part: form.typed(f"{part}_{shown}") for part in ("subject", "html")},
        )
    except InvalidInput as error:
        problem = next(sentences[0] for sentences in error.errors.values())
    people = contacts.first_people(client.pk, limit=LOOKED_AT, channel=Channel.EMAIL)
    found = preview_mail(campaign=campaign, people=people, place=place, problem=problem)
    return mail_printed(request, found, sender) | {
        "languages": [
            (code, [form[f"{part}_{code}"] for part in ("subject", "text", "html")]) for code in TemplateLanguage.values
        ],
    }
