"""Writing a campaign on four pages: to whom, what and when, then the review; saved while one writes."""

import secrets
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from contacts.errors import UnreadableFile
from crm.common.access import page
from crm.common.channels import CAMPAIGN_CHANNELS
from crm.common.errors import DomainError, InvalidInput
from messaging import queries
from messaging.campaign_forms import AUDIENCE, MESSAGE, STEPS, WHEN, StepForm
from messaging.errors import EditedMeanwhile
from messaging.forms import read_id
from messaging.models import Campaign, CampaignState, Channel, WhatsAppTemplate
from messaging.services import campaigns as service
from messaging.services import direct, repeating, scheduling, testing, uploads
from messaging.services.known_templates import sendable_templates
from messaging.views.previewing import TEMPLATES_OFFERED, audience_of, preview_of
from messaging.views.sketching import Sketch, campaign_or_404, missing_in, posted_step, step_words, steps_bar
from messaging.whatsapp_campaign_forms import TemplateMessageForm


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """/app/campaigns/new; `?group=` ticks a group, `?template=` begins with its words, `?step=` on another page.

    A form that was saved by itself meanwhile names its draft.
    """
    if request.method == "GET":
        step = request.GET.get("step") or (MESSAGE if request.GET.get("template") else AUDIENCE)
        return _render(Sketch(request, None, step if step in (AUDIENCE, MESSAGE, WHEN) else AUDIENCE))
    draft = read_id(request.POST.get("draft", ""))
    return _save_step(request, campaign_or_404(request, draft) if draft else None, posted_step(request))


@page("campaigns.write")
@require_safe
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/campaigns/{id}/edit leads to the first page on which something is missing."""
    campaign = campaign_or_404(request, pk)
    return redirect(f"campaign_{next(iter(missing_in(campaign)), AUDIENCE)}", pk=pk)


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def step(request: HttpRequest, pk: int, step: str) -> HttpResponse:
    """/app/campaigns/{id}/audience, /message and /when, for as long as it is a draft."""
    campaign = campaign_or_404(request, pk)
    if request.method == "POST":
        return _save_step(request, campaign, step)
    return _started(request, campaign) or _render(Sketch(request, campaign, step))


def _started(request: HttpRequest, campaign: Campaign | None) -> HttpResponse | None:
    if campaign is None or campaign.state == CampaignState.DRAFT:
        return None
    messages.warning(request, _("This campaign was started already and cannot be changed."))
    return redirect("campaign", pk=campaign.pk)


def _save_step(request: HttpRequest, campaign: Campaign | None, step: str) -> HttpResponse:
    if answer := _started(request, campaign):
        return answer
    action = request.POST.get("action", "")
    sketch = Sketch(request, campaign, step)
    if template := read_id(request.POST.get("use_template", "")):
        sketch.use_template(template)
        sketch.step = MESSAGE
        return _render(sketch)
    try:
        saved = _save(sketch, version=_seen(request, campaign, action))
    except EditedMeanwhile as error:
        return _conflict(sketch, error.facts["campaign"], action)
    if action == "autosave":
        return _autosaved(sketch, saved)
    if saved is None:
        sketch.step = next((form.step for form in sketch.posted() if form.errors), step)
        return _render(sketch, status=422)
    if action == "upload":
        return _upload(sketch, saved)
    if action == "test":
        return _test(sketch, saved)
    if action in STEPS:
        return redirect(f"campaign_{action}", pk=saved.pk)
    messages.success(request, _("Draft saved."))
    return redirect(f"campaign_{step}", pk=saved.pk)


def _seen(request: HttpRequest, campaign: Campaign | None, action: str) -> str:
    """The version that the person looked at. Who pressed a button after having saved from another window means it."""
    if campaign is None or (action != "autosave" and campaign.updated_by_id == request.user.pk):
        return ""
    return request.POST.get("version", "")


def _render(sketch: Sketch, **more: Any) -> HttpResponse:
    status = more.pop("status", 200)
    request, campaign, form = sketch.request, sketch.campaign, sketch.form
    context = {
        "form": form,
        "step": sketch.step,
        "campaign": campaign,
        "draft": campaign,
        "action": reverse(f"campaign_{sketch.step}", args=[campaign.pk]) if campaign else reverse("campaign_new"),
        "steps": steps_bar(sketch.step, sketch.missing()),
        "carried": sketch.carried(),
        "version": service.version_of(campaign) if campaign else "",
        "saved_at": campaign.updated_at if campaign else None,
        "is_mail": sketch.is_mail,
        "is_whatsapp": sketch.is_whatsapp,
        **_PARTS[sketch.step](sketch),
        **more,
    }
    response = render(request, f"messaging/campaign_step_{sketch.step}.html", context, status=status)
    response._csp_update = {"frame-src": ["'self'"]}  # type: ignore[attr-defined]  # the mail as it looks
    return response


def _audience_page(sketch: Sketch) -> dict[str, Any]:
    return {
        "listed": sketch.listed,
        "many_listed": sketch.many_listed,
        "uploads": uploads.running_uploads(sketch.campaign) if sketch.campaign else [],
        "channels": _channels(sketch),
        **audience_of(sketch),
    }


def _message_page(sketch: Sketch) -> dict[str, Any]:
    return {
        "templates": _templates(sketch)[:TEMPLATES_OFFERED],
        "test_to": sketch.request.POST.get("test_to") or _own_address(sketch),
        "test_token": secrets.token_urlsafe(18),
        "may_send": sketch.request.membership.may("messages.send"),
        **audience_of(sketch),
        **preview_of(sketch),
    }


def _templates(sketch: Sketch) -> QuerySet[Any] | Sequence[Any]:
    """What may be put in: by WhatsApp what is approved; a simulation tries any."""
    if not sketch.is_whatsapp:
        return queries.templates_for(sketch.client, sketch.channel)
    if sketch.client.simulation:
        return WhatsAppTemplate.objects.for_client(sketch.client).filter(needs="")
    return sendable_templates(sketch.client)


def _when_page(sketch: Sketch) -> dict[str, Any]:
    return {}


_PARTS = {AUDIENCE: _audience_page, MESSAGE: _message_page, WHEN: _when_page}


def _channels(sketch: Sketch) -> list[tuple[str, str]]:
    """The channels to choose from for a new campaign: SMS, and those the organisation has senders for."""
    owned = queries.channels_with_senders(sketch.client) | {Channel.SMS, sketch.channel}
    return [(channel, str(Channel(channel).label)) for channel in CAMPAIGN_CHANNELS if channel in owned]


def _own_address(sketch: Sketch) -> str:
    user = sketch.request.user
    return user.email if sketch.is_mail else direct.own_number(client=sketch.client, user=user)


# --- save -------------------------------------------------------------------------------------------------------------


def _save(sketch: Sketch, *, version: str) -> Campaign | None:
    """The saved draft; None where a form now says what is wrong. Raises: EditedMeanwhile."""
    posted = {form.step: form for form in sketch.posted()}
    valid = [form.is_valid() for form in posted.values()]  # every one, so that each says what is wrong
    if not all(valid):
        return None
    try:
        with transaction.atomic():
            draft = service.save_draft(
                client=sketch.client,
                by=sketch.request.user,
                campaign_id=sketch.campaign.pk if sketch.campaign else None,
                version=version,
                channel=sketch.channel,
                **(_audience_fields(sketch) if AUDIENCE in posted else {}),
                **(_message_fields(sketch) if MESSAGE in posted else {}),
            )
            if AUDIENCE in posted:
                _save_list(sketch, draft)
            if WHEN in posted:
                draft = _save_when(draft, sketch.when.cleaned_data)
            return service.get_campaign(client=sketch.client, campaign_id=draft.pk)
    except EditedMeanwhile:
        raise
    except InvalidInput as error:
        for field, sentences in error.errors.items():
            name = _FIELDS.get(field, field) if sketch.is_whatsapp else field
            form = next((one for one in posted.values() if name in one.fields), sketch.form)
            form.add_error(name if name in form.fields else None, sentences)
    except DomainError as error:
        sketch.form.add_error(None, str(error))
    return None


_FIELDS = {"template": "", "language": "", "variables": ""}  # hidden, or several: said of the whole page


def _audience_fields(sketch: Sketch) -> dict[str, Any]:
    fields = sketch.audience.cleaned_data
    return {"name": fields["name"], "group_ids": fields["groups"], "excluded_ids": fields["excluded"]}


def _message_fields(sketch: Sketch) -> dict[str, Any]:
    form = sketch.message
    return {
        "text": form.cleaned_data.get("text"),
        "sender": form.cleaned_data["sender"],
        "variants": form.variants(),
        "whatsapp": form.whatsapp_parts() if isinstance(form, TemplateMessageForm) else None,
        "mail": form.mail_parts() if sketch.is_mail else None,
        "mail_variants": form.mail_variants() if sketch.is_mail else None,
        "message_class": form.cleaned_data["message_class"] or None,
    }


def _save_list(sketch: Sketch, draft: Campaign) -> None:
    """The numbers of the box become the list; a list too long for the box stays beside them where that is ticked."""
    wanted = [*sketch.kept_listed, *sketch.addresses_in(sketch.audience.cleaned_data["numbers"])]
    if set(wanted) != set(sketch.listed):
        service.list_recipients(client=sketch.client, campaign_id=draft.pk, recipients=wanted)


def _save_when(draft: Campaign, fields: dict[str, Any]) -> Campaign:
    scheduling.set_timing(
        client=draft.client,
        campaign_id=draft.pk,
        schedule_at=fields["schedule_at"],
        spread_hours=fields["spread_hours"] or 0,
    )
    return repeating.set_repeat(
        client=draft.client,
        campaign_id=draft.pk,
        repeat=fields["repeat"],
        until=fields["repeat_until"],
        times=fields["repeat_times"],
    )


def _autosaved(sketch: Sketch, saved: Campaign | None) -> HttpResponse:
    """What stands beside the form after it was saved by itself, with the version that the next save is held against."""
    request = sketch.request
    errors = [sentences[0] for form in sketch.posted() for sentences in form.errors.values()]
    context = {
        "draft": saved,
        "version": service.version_of(saved) if saved else request.POST.get("version", ""),
        "saved_at": saved.updated_at if saved else None,
        "first_error": next(iter(errors), ""),
        "kept_draft": request.POST.get("draft", ""),
        "moved_steps": steps_bar(sketch.step, missing_in(saved)) if saved else None,
    }
    response = render(request, "messaging/_autosave.html", context)
    if saved:
        response["HX-Replace-Url"] = reverse(f"campaign_{sketch.step}", args=[saved.pk])
    return response


def _conflict(sketch: Sketch, newer: Campaign, action: str) -> HttpResponse:
    """409: a colleague saved a newer version. Both are shown; pressing Save again takes one's own."""
    theirs: StepForm = type(sketch.form)(
        client=sketch.client, channel=sketch.channel, initial=Sketch(sketch.request, newer, sketch.step).kept
    )
    context = {
        "newer": newer, "draft": newer, "version": service.version_of(newer), "step_word": step_words()[sketch.step],
        "mine": sketch.form.in_short(), "theirs": theirs.in_short(), "theirs_at": f"campaign_{sketch.step}",
    }  # fmt: skip
    if action == "autosave":
        return render(sketch.request, "messaging/_autosave.html", context, status=409)
    return _render(sketch, status=409, **context)


def _upload(sketch: Sketch, saved: Campaign) -> HttpResponse:
    request, upload = sketch.request, sketch.audience.cleaned_data["upload"]
    sketch.campaign = saved
    if not upload:
        sketch.audience.add_error("upload", _("Choose a file first."))
        return _render(sketch, status=422)
    try:
        uploaded = uploads.upload_list(client=sketch.client, by=request.user, campaign_id=saved.pk, upload=upload)
    except UnreadableFile as error:
        sketch.audience.add_error("upload", str(error))
        return _render(sketch, status=422)
    if not uploaded.started:
        messages.warning(request, _("Say which column holds the phone numbers, then start the import."))
        return redirect("contacts:import_detail", pk=uploaded.batch.pk)
    messages.success(request, _("The list is being read. Its people are counted here as they come in."))
    return redirect("campaign_audience", pk=saved.pk)


def _test(sketch: Sketch, saved: Campaign) -> HttpResponse:
    """The message as its first person reads it, to one's own phone; charged like any other."""
    request = sketch.request
    try:
        run = testing.send_test(
            client=sketch.client,
            by=request.user,
            campaign_id=saved.pk,
            to=request.POST.get("test_to", "")[:254],
            token=request.POST.get("test_token", ""),
        )
    except DomainError as error:
        sketch.message.add_error(None, _("The test was not sent: %(why)s") % {"why": error})
        sketch.campaign, sketch.step = saved, MESSAGE
        return _render(sketch, status=422)
    on_its_way = _("The test is on its way to you.") if sketch.is_mail else _("The test is on its way to your phone.")
    messages.success(request, on_its_way)
    return redirect("sent", pk=run.first_id)
