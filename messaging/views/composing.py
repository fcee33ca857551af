"""Writing a campaign: to whom, what and when; saved while one writes, looked at as one of its people reads it."""

import secrets
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from contacts.errors import UnreadableFile
from contacts.queries import Recipient
from crm.common.access import page
from crm.common.channels import CAMPAIGN_CHANNELS
from crm.common.errors import DomainError, InvalidInput, NotFound
from crm.common.money import format_money, from_micros
from messaging import queries
from messaging.errors import EditedMeanwhile
from messaging.forms import MAIL_PARTS, CampaignForm, read_id
from messaging.models import Campaign, CampaignRecipient, CampaignState, Channel, MessageClass, TemplateLanguage
from messaging.services import campaigns as service
from messaging.services import direct, repeating, scheduling, testing, uploads
from messaging.services.audience import Renderer, renderer_for, unwritten
from messaging.services.filling import BUILT_IN, OPT_OUT_LINK
from messaging.services.mail_preview import preview_mail
from messaging.services.mail_rendering import PARTS, MailRenderer, read_draft_mail
from messaging.services.preview import preview_text
from messaging.services.reach import measure_reach
from messaging.services.rules import rules_of
from messaging.views.fragments import render_part
from wallet.queries import balance_of

MOST_UNITS = 15  # of 480 characters: emoji only
TEMPLATES_OFFERED = 50
MOST_SHOWN = 2_000  # listed numbers that the box holds; more stay listed unseen


def campaign_or_404(request: HttpRequest, pk: int) -> Campaign:
    try:
        return service.get_campaign(client=request.client, campaign_id=pk)
    except NotFound as error:
        raise Http404(str(error)) from None


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """/app/campaigns/new; `?group=` ticks a group. A form that was saved by itself meanwhile names its draft."""
    draft = read_id(request.POST.get("draft", ""))
    return _compose(request, campaign_or_404(request, draft) if draft else None)


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/campaigns/{id}/edit, for as long as it is a draft."""
    return _compose(request, campaign_or_404(request, pk))


def _compose(request: HttpRequest, campaign: Campaign | None) -> HttpResponse:
    if campaign is not None and campaign.state != CampaignState.DRAFT:
        messages.warning(request, _("This campaign was started already and cannot be changed."))
        return redirect("campaign", pk=campaign.pk)
    action = request.POST.get("action", "")
    if request.method == "GET":
        channel = _channel(request, campaign)
        initial = _initial(request, campaign, channel)
        return _render(request, CampaignForm(client=request.client, channel=channel, initial=initial), campaign)
    form = _typed_form(request, campaign)
    if template := read_id(request.POST.get("use_template", "")):
        initial = form.data.dict() | _lists(form) | _template(request, template, form.channel)
        form = CampaignForm(client=request.client, channel=form.channel, initial=initial)
        return _render(request, form, campaign)
    try:
        saved = _save(request, form, campaign, version=request.POST.get("version", ""))
    except EditedMeanwhile as error:
        return _conflict(request, form, error.facts["campaign"], action)
    if action == "autosave":
        return _autosaved(request, form, saved)
    if saved is None:
        return _render(request, form, campaign, status=422)
    if action == "upload":
        return _upload(request, form, saved)
    if action == "test":
        return _test(request, form, saved)
    if action == "review":
        return redirect("campaign_review", pk=saved.pk)
    messages.success(request, _("Draft saved."))
    return redirect("campaign_edit", pk=saved.pk)


def _channel(request: HttpRequest, campaign: Campaign | None) -> str:
    """The draft's own channel; of a new one the channel asked for, as far as it can be written for here."""
    if campaign is not None:
        return campaign.channel
    asked = request.POST.get("channel", "") or request.GET.get("channel", "")
    return asked if asked in CAMPAIGN_CHANNELS else Channel.SMS


def _typed_form(request: HttpRequest, campaign: Campaign | None) -> CampaignForm:
    return CampaignForm(request.POST, request.FILES, client=request.client, channel=_channel(request, campaign))


def _channels(request: HttpRequest, form: CampaignForm) -> list[tuple[str, str]]:
    """The channels to choose from for a new campaign: SMS, and those the organisation has senders for."""
    owned = queries.channels_with_senders(request.client) | {Channel.SMS, form.channel}
    return [(channel, str(Channel(channel).label)) for channel in CAMPAIGN_CHANNELS if channel in owned]


def _render(request: HttpRequest, form: CampaignForm, campaign: Campaign | None, **more: Any) -> HttpResponse:
    status = more.pop("status", 200)
    context = {
        "form": form,
        "campaign": campaign,
        "draft": campaign,
        "version": service.version_of(campaign) if campaign else "",
        "listed": _listed(campaign),
        "many_listed": len(_listed(campaign)) > MOST_SHOWN,
        "uploads": uploads.running_uploads(campaign) if campaign else [],
        "templates": queries.templates_for(request.client, form.channel)[:TEMPLATES_OFFERED],
        "channels": _channels(request, form),
        "test_to": form.data.get("test_to") or _own_address(request, form),
        "test_token": secrets.token_urlsafe(18),
        "saved_at": campaign.updated_at if campaign else None,
        "may_send": request.membership.may("messages.send"),
        **_audience_context(request, form, campaign),
        **_preview_of(request, form),
        **more,
    }
    response = render(request, "messaging/campaign_form.html", context, status=status)
    response._csp_update = {"frame-src": ["'self'"]}  # type: ignore[attr-defined]  # the mail as it looks
    return response


def _own_address(request: HttpRequest, form: CampaignForm) -> str:
    return request.user.email if form.is_mail else direct.own_number(client=request.client, user=request.user)


def _initial(request: HttpRequest, campaign: Campaign | None, channel: str) -> dict[str, Any]:
    zone = ZoneInfo(request.client.time_zone)
    if campaign is None:
        group = read_id(request.GET.get("group", ""))
        now = date_format(timezone.localtime(timezone=zone), "j M Y, H:i")
        template = read_id(request.GET.get("template", ""))
        found: dict[str, Any] = {
            "name": _("Campaign of %(day)s") % {"day": now}, "groups": [group] if group else [],
        }  # fmt: skip
        return found | (_template(request, template, channel) if template else {}) | _asked_language(request)
    when = "repeat" if campaign.repeat else "later" if campaign.schedule_at else "now"
    listed = _listed(campaign)
    return {
        "name": campaign.name,
        "text": campaign.text,
        **{f"text_{language}": text for language, text in campaign.variants.items()},
        **{name: campaign.content.get(name, "") for name in PARTS},
        **{
            f"{part}_{language}": words
            for language, parts in campaign.content.get("variants", {}).items()
            for part, words in parts.items()
        },
        "groups": list(campaign.groups.values_list("pk", flat=True)),
        "excluded": list(campaign.excluded.values_list("pk", flat=True)),
        "numbers": "" if len(listed) > MOST_SHOWN else "\n".join(listed),
        "keep_list": True,
        "sender": campaign.sender.name if campaign.sender else "",
        "message_class": campaign.message_class,
        "when": when,
        "schedule_at": campaign.schedule_at and campaign.schedule_at.astimezone(zone).replace(tzinfo=None),
        "repeat": campaign.repeat or None,
        "repeat_until": campaign.repeat_until,
        "repeat_times": campaign.repeat_times,
        "spread_hours": campaign.spread_hours,
    }


def _lists(form: CampaignForm) -> dict[str, Any]:
    return {"groups": form.known_groups(), "excluded": form.known_groups("excluded")}


def _listed(campaign: Campaign | None) -> list[str]:
    if campaign is None:
        return []
    numbers = CampaignRecipient.objects.for_client(campaign.client_id).filter(campaign=campaign).order_by("pk")
    return list(numbers.values_list("address", flat=True))


def _template(request: HttpRequest, template_id: int, channel: str) -> dict[str, str]:
    """A template's words as the fields of the form: one language as the message, the others for who prefers them."""
    ids = queries.templates_for(request.client, channel).filter(pk=template_id).values_list("pk", flat=True)
    words = queries.template_words(request.client, list(ids)).get(template_id, {})
    if not words:
        return {}
    first = next((code for code in (request.LANGUAGE_CODE[:2], "en", "sw", "fr") if code in words), "")
    suffixes = ("", *(f"_{code}" for code in TemplateLanguage.values))
    found = {f"{part}{suffix}": "" for part in MAIL_PARTS for suffix in suffixes} | words[first]
    return found | {
        f"{part}_{code}": text for code, parts in words.items() if code != first for part, text in parts.items()
    }


def _asked_language(request: HttpRequest) -> dict[str, str]:
    text = template_text(request) if request.GET.get("language") else ""
    return {"text": text} if text else {}


def template_text(request: HttpRequest) -> str:
    """The text of the client's template named by `?template=` and `?language=`; "" where there is none."""
    wanted = read_id(request.GET.get("template", ""))
    texts = queries.template_texts(request.client, [wanted]).get(wanted, {}) if wanted else {}
    return texts.get(request.GET.get("language", "")) or next(iter(texts.values()), "")


# --- save -------------------------------------------------------------------------------------------------------------


def _save(request: HttpRequest, form: CampaignForm, campaign: Campaign | None, *, version: str) -> Campaign | None:
    """The saved draft; None where the form now says what is wrong. Raises: EditedMeanwhile."""
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
                excluded_ids=fields["excluded"],
                variants=form.variants(),
                version=version if campaign else "",
                channel=form.channel,
                mail=form.mail_parts() if form.is_mail else None,
                mail_variants=form.mail_variants() if form.is_mail else None,
            )
            _save_list(request, draft, form.listed(fields["numbers"]), keep=fields["keep_list"])
            scheduling.set_timing(
                client=request.client,
                campaign_id=draft.pk,
                message_class=fields["message_class"] or MessageClass.INFORMATION,
                schedule_at=fields["schedule_at"],
                spread_hours=fields["spread_hours"] or 0,
            )
            return repeating.set_repeat(
                client=request.client,
                campaign_id=draft.pk,
                repeat=fields["repeat"],
                until=fields["repeat_until"],
                times=fields["repeat_times"],
            )
    except EditedMeanwhile:
        raise
    except InvalidInput as error:
        for name, sentences in error.errors.items():
            form.add_error(name if name in form.fields else None, sentences)
    except DomainError as error:
        form.add_error(None, str(error))
    return None


def _save_list(request: HttpRequest, draft: Campaign, numbers: list[str], *, keep: bool) -> None:
    """The numbers of the box become the list; a list too long for the box stays beside them where `keep` says so."""
    present = _listed(draft)
    if keep and len(present) > MOST_SHOWN:
        numbers = [*present, *numbers]
    if set(numbers) != set(present):
        service.list_recipients(client=request.client, campaign_id=draft.pk, recipients=numbers)


def _autosaved(request: HttpRequest, form: CampaignForm, saved: Campaign | None) -> HttpResponse:
    """What stands beside the form after it was saved by itself, with the version that the next save is held against."""
    context = {
        "draft": saved,
        "version": service.version_of(saved) if saved else request.POST.get("version", ""),
        "saved_at": saved.updated_at if saved else None,
        "first_error": next((sentences[0] for sentences in form.errors.values()), ""),
        "kept_draft": request.POST.get("draft", ""),
    }
    response = render(request, "messaging/_autosave.html", context)
    if saved:
        response["HX-Replace-Url"] = reverse("campaign_edit", args=[saved.pk])
    return response


def _conflict(request: HttpRequest, form: CampaignForm, newer: Campaign, action: str) -> HttpResponse:
    """409: a colleague saved a newer version. Both texts are shown; pressing Save again takes one's own."""
    context = {"newer": newer, "mine": form.typed("text", 10_000), "version": service.version_of(newer), "draft": newer}
    if action == "autosave":
        return render(request, "messaging/_autosave.html", context, status=409)
    return _render(request, form, newer, status=409, newer=newer, mine=context["mine"])


def _upload(request: HttpRequest, form: CampaignForm, campaign: Campaign) -> HttpResponse:
    upload = form.cleaned_data["upload"]
    if not upload:
        form.add_error("upload", _("Choose a file first."))
        return _render(request, form, campaign, status=422)
    try:
        uploaded = uploads.upload_list(client=request.client, by=request.user, campaign_id=campaign.pk, upload=upload)
    except UnreadableFile as error:
        form.add_error("upload", str(error))
        return _render(request, form, service.get_campaign(client=request.client, campaign_id=campaign.pk), status=422)
    if not uploaded.started:
        messages.warning(request, _("Say which column holds the phone numbers, then start the import."))
        return redirect("contacts:import_detail", pk=uploaded.batch.pk)
    messages.success(request, _("The list is being read. Its people are counted here as they come in."))
    return redirect("campaign_edit", pk=campaign.pk)


def _test(request: HttpRequest, form: CampaignForm, campaign: Campaign) -> HttpResponse:
    """The message as its first person reads it, to one's own phone; charged like any other."""
    try:
        run = testing.send_test(
            client=request.client,
            by=request.user,
            campaign_id=campaign.pk,
            to=request.POST.get("test_to", "")[:254],
            token=request.POST.get("test_token", ""),
        )
    except DomainError as error:
        form.add_error(None, _("The test was not sent: %(why)s") % {"why": error})
        return _render(request, form, service.get_campaign(client=request.client, campaign_id=campaign.pk), status=422)
    on_its_way = _("The test is on its way to you.") if form.is_mail else _("The test is on its way to your phone.")
    messages.success(request, on_its_way)
    return redirect("sent", pk=run.first_id)


# --- previews ---------------------------------------------------------------------------------------------------------


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def preview(request: HttpRequest) -> HttpResponse:
    """/app/campaigns/preview: the text for one real person and its price. By POST, so that no log keeps the text."""
    if request.method == "GET":
        return redirect("campaign_new")
    form = _typed_form(request, None)
    answer = "messaging/_mail_preview_answer.html" if form.is_mail else "messaging/_preview_answer.html"
    return render_part(request, "messaging/campaign_preview.html", answer, _preview_of(request, form))


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def mail(request: HttpRequest) -> HttpResponse:
    """/app/campaigns/mail: the HTML of a mail as one person's reader shows it, for the frame of the composer.

    A page of its own that may do nothing: the styles of a mail stand in its tags, which our pages do not allow.
    """
    if request.method == "GET":
        draft = read_id(request.GET.get("draft", ""))
        campaign = campaign_or_404(request, draft) if draft else None
        if campaign is None or campaign.channel != Channel.EMAIL:
            return _framed(render(request, "messaging/mail_frame.html", {}))
        form = CampaignForm(
            client=request.client, channel=campaign.channel, initial=_initial(request, campaign, campaign.channel)
        )
    else:
        form = CampaignForm(request.POST, client=request.client, channel=Channel.EMAIL)
    return _framed(render(request, "messaging/mail_frame.html", _preview_of(request, form)))


def _framed(response: HttpResponse) -> HttpResponse:
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
def audience(request: HttpRequest) -> HttpResponse:
    """/app/campaigns/audience: how many people the choices come to, and about what it costs."""
    if request.method == "GET":
        return redirect("campaign_new")
    draft = read_id(request.POST.get("draft", ""))
    campaign = campaign_or_404(request, draft) if draft else None
    form = _typed_form(request, campaign)
    context = _audience_context(request, form, campaign)
    return render_part(request, "messaging/campaign_audience.html", "messaging/_audience.html", context)


def _audience_context(request: HttpRequest, form: CampaignForm, campaign: Campaign | None) -> dict[str, Any]:
    listed = _listed(campaign)
    reach = measure_reach(
        client=request.client,
        group_ids=form.known_groups(),
        excluded_ids=form.known_groups("excluded"),
        typed=form.typed("numbers"),
        listed=listed if len(listed) > MOST_SHOWN and form["keep_list"].value() else (),
        sender=form.typed("sender", 254),
        channel=form.channel,
        renderer=_renderer_of(request, form),
    )
    available = balance_of(request.client.pk).available
    return {
        "reach": reach,
        "available": available,
        "after": available - reach.cost if reach.cost is not None else None,
        "form": form,
    }


def _renderer_of(request: HttpRequest, form: CampaignForm) -> Renderer | MailRenderer | None:
    """What turns people into the message that is being written; None while there is none."""
    written, problem = _unsaved(request, form)
    if problem or unwritten(written):
        return None
    ending = rules_of(request.client).ending(form.typed("message_class", 20))
    return renderer_for(written, simulated=request.client.simulation, ending=ending)


def _unsaved(request: HttpRequest, form: CampaignForm) -> tuple[Campaign, str]:
    """What stands in the form as a campaign that is not saved, and what is wrong with it or ""."""
    sender = queries.approved_senders(request.client, form.channel).filter(name=form.typed("sender", 254)).first()
    campaign = Campaign(client=request.client, channel=form.channel, sender=sender, text=form.typed("text"))
    if not form.is_mail:
        return campaign, ""
    try:
        written = read_draft_mail(text=campaign.text, parts=form.mail_parts(), variants=form.mail_variants())
    except InvalidInput as error:
        campaign.text = ""
        return campaign, next(sentences[0] for sentences in error.errors.values())
    campaign.text, campaign.variants, campaign.content = written
    return campaign, ""


def _preview_of(request: HttpRequest, form: CampaignForm) -> dict[str, Any]:
    typed = form.listed(form.typed("numbers", 4000))[:50]
    if form.is_mail:
        return _mail_preview_of(request, form, typed)
    return preview_context(
        request,
        form.typed("text", 10_000),
        form.typed("sender", 20),
        group_ids=form.known_groups(),
        excluded_ids=form.known_groups("excluded"),
        numbers=typed,
        variants={code: form.typed(f"text_{code}", 10_000) for code in TemplateLanguage.values},
        ending=rules_of(request.client).ending(form.typed("message_class", 20)),
    )


def _mail_preview_of(request: HttpRequest, form: CampaignForm, addresses: list[str]) -> dict[str, Any]:
    """What _mail_preview.html and mail_frame.html print."""
    written, problem = _unsaved(request, form)
    shown = preview_mail(
        campaign=written,
        group_ids=form.known_groups(),
        excluded_ids=form.known_groups("excluded"),
        addresses=addresses,
        place=read_id(request.POST.get("person", "")) or 0,
        problem=problem,
    )
    price = shown.price_micros
    return {
        "preview": shown,
        "sender": written.sender,
        "cost": format_money(from_micros(price), request.client.currency) if price is not None else "",
        "merge_fields": [*BUILT_IN[:3], "email", "department", OPT_OUT_LINK, *shown.titles],
        "is_mail": True,
        "is_fragment": False,
    }


def preview_context(
    request: HttpRequest,
    text: str,
    sender: str,
    *,
    group_ids: Sequence[int] = (),
    excluded_ids: Sequence[int] = (),
    numbers: Sequence[str] = (),
    people: Sequence[Recipient] | None = None,
    variants: dict[str, str] | None = None,
    ending: str = "",
) -> dict[str, Any]:
    """What _preview.html, _meter.html and _merge_fields.html print: `text` for one of these people or groups, the one
    whose place the form names in `person`."""
    shown = preview_text(
        client=request.client,
        text=text,
        group_ids=group_ids,
        excluded_ids=excluded_ids,
        numbers=numbers,
        sender=sender,
        people=people,
        place=read_id(request.POST.get("person", "")) or 0,
        variants=variants,
        ending=ending,
    )
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
        "merge_fields": [*BUILT_IN[:3], "phone", "department", OPT_OUT_LINK, *shown.titles],
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
