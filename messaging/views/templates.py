"""Templates: the list with the languages of each, and the form with its earlier versions."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from crm.common.access import page
from crm.common.errors import InvalidInput, NotFound
from messaging import queries
from messaging.forms import TemplateForm
from messaging.models import Channel, Template, TemplateLanguage, WhatsAppTemplate
from messaging.services import templates as service
from messaging.services.whatsapp_templates import account_of
from messaging.template_states import Shown, show
from messaging.views.template_writing import asked_channel, initial_of, writing_context

PAGE_SIZE = 25
VERSIONS_SHOWN = 20


@page("campaigns.read")
@require_safe
def template_list(request: HttpRequest) -> HttpResponse:
    """/app/templates: `?channel=`, `?page=`."""
    asked = request.GET.get("channel", "")
    channel = asked if asked in Channel.values else ""
    context: dict[str, Any] = {
        "channel": channel,
        "channels": [("", _("All but WhatsApp")), *Channel.choices] if _writes_whatsapp(request) else [],
        "may_write": request.membership.may("campaigns.write"),
        "may_send": request.membership.may("messages.send"),
    }
    if channel == Channel.WHATSAPP:
        return _whatsapp_list(request, context)
    found = Paginator(queries.templates_for(request.client, channel=channel), PAGE_SIZE).get_page(
        request.GET.get("page")
    )
    words = queries.template_words(request.client, [template.pk for template in found])
    context |= {
        "page": found,
        "rows": [(template, _by_language(words.get(template.pk, {}))) for template in found],
    }
    return render(request, "messaging/template_list.html", context)


def _writes_whatsapp(request: HttpRequest) -> bool:
    """Whether the organisation has a WhatsApp number, or has templates from when it had one."""
    has_number = Channel.WHATSAPP in queries.channels_with_senders(request.client)
    return has_number or WhatsAppTemplate.objects.for_client(request.client).exists()


def _whatsapp_list(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The languages of each name side by side."""
    mine = WhatsAppTemplate.objects.for_client(request.client)
    names = mine.order_by("name").values_list("name", flat=True).distinct()
    found = Paginator(names, PAGE_SIZE).get_page(request.GET.get("page"))
    by_name: dict[str, list[tuple[WhatsAppTemplate, Shown]]] = {name: [] for name in found}
    for template in mine.filter(name__in=list(found)).order_by("name", "language"):
        by_name[template.name].append((template, show(template)))
    context |= {"page": found, "groups": list(by_name.items()), "has_number": account_of(request.client) is not None}
    return render(request, "messaging/whatsapp_template_list.html", context)


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def template_new(request: HttpRequest) -> HttpResponse:
    return _edit(request, None)


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def template_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/templates/{id}: the form, and what the template said before."""
    return _edit(request, _template_or_404(request, pk))


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def template_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """GET asks; POST deletes."""
    template = _template_or_404(request, pk)
    if request.method == "GET":
        return render(request, "messaging/template_delete.html", {"template": template})
    service.delete_template(client=request.client, template_id=pk)
    messages.success(request, _("The template “%(name)s” was deleted.") % {"name": template.name})
    return redirect("template_list")


def _by_language(words: dict[str, dict[str, str]]) -> list[tuple[str, str, dict[str, str]]]:
    """(code, word, words) of each language that a template has, in the order of their codes."""
    names = dict(TemplateLanguage.choices)
    return [(code, str(names.get(code, code)), parts) for code, parts in sorted(words.items())]


def _template_or_404(request: HttpRequest, pk: int) -> Template:
    try:
        return service.get_template(client=request.client, template_id=pk)
    except NotFound as error:
        raise Http404(str(error)) from None


def _edit(request: HttpRequest, template: Template | None) -> HttpResponse:
    channel = template.channel if template else asked_channel(request)
    if request.method == "POST":
        form = TemplateForm(request.POST, channel=channel)
        if form.is_valid() and _save(request, form, template):
            messages.success(request, _("Template saved."))
            return redirect("template_list")
    else:
        form = TemplateForm(initial=initial_of(request, template) if template else {}, channel=channel)
    context = {
        "form": form,
        "template": template,
        "channel": channel,
        "channels": [] if template else [(one, Channel(one).label) for one in (Channel.SMS, Channel.EMAIL)],
        "versions": queries.versions_of(template)[:VERSIONS_SHOWN] if template else [],
        **writing_context(request, form),
    }
    response = render(request, "messaging/template_form.html", context, status=422 if form.errors else 200)
    if channel == Channel.EMAIL:
        response._csp_update = {"frame-src": ["'self'"]}  # type: ignore[attr-defined]  # the mail as it looks
    return response


def _save(request: HttpRequest, form: TemplateForm, template: Template | None) -> bool:
    try:
        service.save_template(
            client=request.client,
            by=request.user,
            name=form.cleaned_data["name"],
            texts=form.texts(),
            contents=form.contents(),
            channel=form.channel,
            template_id=template.pk if template else None,
        )
    except InvalidInput as error:
        for name, sentences in error.errors.items():
            form.add_error(name if name in form.fields else None, sentences)
        return False
    return True
