"""WhatsApp templates: written, submitted, looked at with their history, changed and taken away."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from crm.common.access import page
from crm.common.errors import DomainError, InvalidInput, NotFound
from crm.common.money import from_micros
from messaging.errors import TemplateUnclear
from messaging.models import TemplateState, WhatsAppTemplate, WhatsAppTemplateEvent
from messaging.services import whatsapp_templates as service
from messaging.services.template_checks import LANGUAGES
from messaging.services.template_news import price_at_home
from messaging.template_states import reason_in_words, show
from messaging.whatsapp_forms import WhatsAppTemplateForm, initial_of

EVENTS_SHOWN = 50


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """/app/templates/whatsapp/new."""
    if request.method == "GET":
        language = request.LANGUAGE_CODE[:2]
        return _form(request, WhatsAppTemplateForm(initial={"language": language}), None)
    return _written(request, None)


@page("campaigns.read")
@require_http_methods(["GET", "POST"])
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/templates/whatsapp/{id}: a draft as its form, else what it says and what became of it; `?edit=1`."""
    template = _template_or_404(request, pk)
    may_write = request.membership.may("campaigns.write")
    if request.method == "POST":
        if not may_write:
            return redirect("whatsapp_template", pk)
        return _written(request, template)
    is_draft = template.state == TemplateState.DRAFT
    if may_write and (is_draft or ("edit" in request.GET and template.state in service.CHANGEABLE)):
        return _form(request, WhatsAppTemplateForm(initial=initial_of(template), template=template), template)
    events = WhatsAppTemplateEvent.objects.for_client(request.client).filter(template=template).select_related("by")
    price = price_at_home(request.client, template.category)
    taken = WhatsAppTemplate.objects.for_client(request.client).filter(name=template.name)
    have = set(taken.values_list("language", flat=True))
    context = {
        "template": template,
        "shown": show(template),
        "price": None if price is None else from_micros(price),
        "events": [_event(event) for event in events[:EVENTS_SHOWN]],
        "languages": [(code, word) for code, word in LANGUAGES.items() if code not in have],
        "may_write": may_write,
    }
    return render(request, "messaging/whatsapp_template.html", context)


@page("campaigns.write")
@require_POST
def duplicate(request: HttpRequest, pk: int) -> HttpResponse:
    """POST: a copy as a draft; `language`: the same template in one more language."""
    _template_or_404(request, pk)
    try:
        fresh = service.duplicate_template(
            client=request.client, template_id=pk, by=request.user, language=request.POST.get("language", "")[:15]
        )
    except InvalidInput as error:
        messages.warning(request, str(error))
        return redirect("whatsapp_template", pk)
    messages.success(request, _("This is the copy. Nothing was submitted yet."))
    return redirect("whatsapp_template", fresh.pk)


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """GET asks; POST takes it away, at WhatsApp too."""
    template = _template_or_404(request, pk)
    error = ""
    if request.method == "POST":
        try:
            service.remove_template(client=request.client, template_id=pk, by=request.user)
        except DomainError as refused:
            error = str(refused)
        else:
            messages.success(request, _("The template “%(name)s” was deleted.") % {"name": template.name})
            return _to_list()
    context = {"template": template, "error": error}
    return render(request, "messaging/whatsapp_template_remove.html", context, status=422 if error else 200)


def _to_list() -> HttpResponse:
    response = redirect("template_list")
    response["Location"] += "?channel=whatsapp"
    return response


def _template_or_404(request: HttpRequest, pk: int) -> WhatsAppTemplate:
    try:
        return service.get_template(client=request.client, template_id=pk)
    except NotFound as error:
        raise Http404(str(error)) from None


def _event(event: WhatsAppTemplateEvent) -> dict[str, Any]:
    """What happened, in words."""
    state = dict(TemplateState.choices)
    words = {
        "submitted": _("Submitted"),
        "state": str(state.get(TemplateState(event.after), "")) if event.kind == "state" else "",
        "quality": _("Quality: %(before)s, then %(after)s") % {"before": event.before, "after": event.after},
        "category": _("WhatsApp changed the category from %(before)s to %(after)s.")
        % {"before": event.before, "after": event.after},
    }
    price = None if event.price_micros is None else from_micros(event.price_micros)
    return {
        "event": event, "words": words.get(event.kind, event.kind), "price": price,
        "reason": reason_in_words(event.detail) if event.kind == "state" else "",
    }  # fmt: skip


def _form(
    request: HttpRequest, form: WhatsAppTemplateForm, template: WhatsAppTemplate | None, **more: Any
) -> HttpResponse:
    status = more.pop("status", 422 if form.errors else 200)
    context = {
        "form": form,
        "template": template,
        "shown": show(template) if template else None,
        "is_known": bool(template and template.provider_id),
        "doubts": [],
        **more,
    }
    return render(request, "messaging/whatsapp_template_form.html", context, status=status)


def _written(request: HttpRequest, template: WhatsAppTemplate | None) -> HttpResponse:
    """A form that was sent: kept as a draft, or handed in."""
    form = WhatsAppTemplateForm(request.POST, template=template)
    action = request.POST.get("action", "")
    if not form.is_valid():
        return _form(request, form, template)
    is_known = bool(template and template.provider_id)
    try:
        if not is_known:
            template = service.save_draft(
                client=request.client,
                by=request.user,
                name=form.cleaned_data["name"],
                language=form.cleaned_data["language"],
                category=form.cleaned_data["category"],
                words=form.words(),
                template_id=template.pk if template else None,
            )
            if action != "submit":
                messages.success(request, _("Draft saved."))
                return redirect("whatsapp_template", template.pk)
        assert template is not None
        service.submit_template(
            client=request.client,
            template_id=template.pk,
            by=request.user,
            words=form.words() if is_known else None,
            category=form.cleaned_data.get("category", ""),
            despite_doubts=request.POST.get("despite_doubts") == "yes",
        )
    except InvalidInput as error:
        doubts = error.errors.pop("doubts", [])
        for name, sentences in error.errors.items():
            form.add_error(name if name in form.fields else None, sentences)
        return _form(request, form, template, doubts=doubts, status=422)
    except TemplateUnclear as error:
        words = _("WhatsApp gave no clear answer (%(words)s). It is asked again within minutes.")
        messages.warning(request, words % {"words": error})
    except DomainError as error:
        form.add_error(None, str(error))
        return _form(request, form, template, status=422)
    else:
        messages.success(request, _("Submitted. WhatsApp mostly decides within minutes; this page says what it says."))
    return redirect("whatsapp_template", template.pk)
