"""Templates: the list with the languages of each, and the form with its earlier versions."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from crm.common.access import page
from crm.common.channels import CAMPAIGN_CHANNELS
from crm.common.errors import InvalidInput, NotFound
from messaging import queries
from messaging.forms import TemplateForm
from messaging.models import Channel, Template
from messaging.services import templates as service

PAGE_SIZE = 25
VERSIONS_SHOWN = 20


@page("campaigns.read")
@require_safe
def template_list(request: HttpRequest) -> HttpResponse:
    """/app/templates, `?page=`."""
    found = Paginator(queries.templates_for(request.client, channel=""), PAGE_SIZE).get_page(request.GET.get("page"))
    words = queries.template_words(request.client, [template.pk for template in found])
    context = {
        "page": found,
        "rows": [(template, sorted(words.get(template.pk, {}).items())) for template in found],
        "may_write": request.membership.may("campaigns.write"),
        "may_send": request.membership.may("messages.send"),
    }
    return render(request, "messaging/template_list.html", context)


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


def _template_or_404(request: HttpRequest, pk: int) -> Template:
    try:
        return service.get_template(client=request.client, template_id=pk)
    except NotFound as error:
        raise Http404(str(error)) from None


def _edit(request: HttpRequest, template: Template | None) -> HttpResponse:
    asked = request.POST.get("channel", "") or request.GET.get("channel", "")
    channel = template.channel if template else Channel.EMAIL if asked == Channel.EMAIL else Channel.SMS
    if request.method == "POST":
        form = TemplateForm(request.POST, channel=channel)
        if form.is_valid() and _save(request, form, template):
            messages.success(request, _("Template saved."))
            return redirect("template_list")
    else:
        form = TemplateForm(initial=_initial(request, template), channel=channel)
    context = {
        "form": form,
        "template": template,
        "channel": channel,
        "channels": [] if template else [(one, Channel(one).label) for one in CAMPAIGN_CHANNELS],
        "versions": queries.versions_of(template)[:VERSIONS_SHOWN] if template else [],
    }
    return render(request, "messaging/template_form.html", context, status=422 if form.errors else 200)


def _initial(request: HttpRequest, template: Template | None) -> dict[str, Any]:
    if template is None:
        return {}
    words = queries.template_words(request.client, [template.pk]).get(template.pk, {})
    return {"name": template.name} | {
        f"{part}_{language}": text for language, parts in words.items() for part, text in parts.items()
    }


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
