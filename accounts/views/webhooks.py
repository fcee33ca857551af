"""Pages of webhooks (UX.md §11): endpoints, their health, the delivery log, the test event."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import queries
from accounts.delivery.loop import deliver_now
from accounts.delivery.recording import ATTEMPTS
from accounts.forms import DeliveryFilterForm, WebhookForm, WebhookTestForm
from accounts.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from accounts.services import webhooks
from crm.common.access import page, wants_fragment
from crm.common.api.params import read_id, read_moment
from crm.common.errors import InvalidInput, NotFound, WrongState

T = TypeVar("T")
PAGE_SIZE = 50
SOON = timedelta(seconds=30)  # a page on which a delivery falls due so soon follows it
_USED_TOKENS = "webhook_forms"
_REMEMBERED_TOKENS = 20
# A test waits for its receiver in a thread of the web server, which has few: one waits, others are queued.
_testing = threading.BoundedSemaphore(1)


@dataclass(frozen=True, slots=True)
class Opened:
    """A delivery beside the log."""

    delivery: WebhookDelivery
    attempts: list[WebhookAttempt]


@page("keys.write", recent=True)
@require_http_methods(["GET", "POST"])
@never_cache
def new_webhook(request: HttpRequest) -> HttpResponse:
    """Add an endpoint and show its secret, in this one answer and never again."""
    if request.method == "GET":
        form = WebhookForm(initial={"token": uuid.uuid4(), "format": "envelope", "url": "https://"})
        return _form_page(request, form)
    form = WebhookForm(request.POST)
    used = request.session.get(_USED_TOKENS, [])
    if request.POST.get("token", "") in used:
        messages.warning(request, _("This form had added its webhook already. A secret is shown only once."))
        return redirect("api_keys")
    if form.is_valid():
        fields = {name: form.cleaned_data[name] for name in ("url", "events", "format")}
        issued = _try(form, lambda: webhooks.create_endpoint(client=request.client, **fields))
        if issued:
            request.session[_USED_TOKENS] = [*used, request.POST["token"]][-_REMEMBERED_TOKENS:]
            return render(request, "accounts/webhook_secret.html", {"issued": issued, "is_new": True})
    return _form_page(request, form, status=422)


@page("keys.write", recent=True)
@require_http_methods(["GET", "POST"])
@never_cache
def edit_webhook(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    endpoint = _endpoint(request, endpoint_id)
    if request.method == "GET":
        shown = {"url": endpoint.url, "events": endpoint.events, "format": endpoint.format}
        return _form_page(request, WebhookForm(initial={"token": uuid.uuid4(), **shown}), endpoint)
    form = WebhookForm(request.POST)
    if form.is_valid():
        fields = {name: form.cleaned_data[name] for name in ("url", "events", "format")}
        if _try(form, lambda: webhooks.update_endpoint(endpoint=endpoint, **fields)):
            messages.success(request, _("The webhook is saved."))
            return redirect("webhook", endpoint.pk)
    return _form_page(request, form, endpoint, status=422)


@page("keys.write", recent=True)
@require_http_methods(["GET", "POST"])
@never_cache
def rotate(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    """Ask first; then show the new secret, in this one answer and never again."""
    endpoint = _endpoint(request, endpoint_id)
    if request.method == "GET":
        return render(request, "accounts/webhook_confirm.html", {"endpoint": endpoint, "act": "rotate"})
    issued = webhooks.rotate_secret(endpoint=endpoint)
    return render(request, "accounts/webhook_secret.html", {"issued": issued, "is_new": False})


@page("keys.write", recent=True)
@require_http_methods(["GET", "POST"])
@never_cache
def delete(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    endpoint = _endpoint(request, endpoint_id)
    if request.method == "GET":
        return render(request, "accounts/webhook_confirm.html", {"endpoint": endpoint, "act": "delete"})
    webhooks.delete_endpoint(endpoint=endpoint)
    messages.success(request, _("The webhook and its log are deleted."))
    return redirect("api_keys")


@page("keys.write")
@require_POST
def pause(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    webhooks.pause_endpoint(endpoint=_endpoint(request, endpoint_id))
    messages.success(request, _("The webhook is paused: it gets no events until you resume it."))
    return redirect("webhook", endpoint_id)


@page("keys.write")
@require_POST
def resume(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    webhooks.resume_endpoint(endpoint=_endpoint(request, endpoint_id))
    messages.success(request, _("The webhook is active again. What still waited for it is on its way."))
    return redirect("webhook", endpoint_id)


@page("keys.read")
@require_safe
@never_cache
def webhook(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    """One endpoint: health, test, log. `?before=` pages by id, `?open=` shows a delivery, `?tested=` a test."""
    endpoint = _endpoint(request, endpoint_id)
    context = _log(request, endpoint)
    if wants_fragment(request):
        return _varied(render(request, "accounts/_webhook_log.html", context))
    context |= {"test_form": WebhookTestForm(), "tested": _open(endpoint, read_id(request.GET.get("tested", "")))}
    return _varied(render(request, "accounts/webhook_detail.html", context))


@page("keys.write")
@require_POST
def test(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    """Send a sample now and show what the receiver answered."""
    endpoint = _endpoint(request, endpoint_id)
    form = WebhookTestForm(request.POST)
    if not form.is_valid():
        raise Http404("no such event")
    if _testing.acquire(blocking=False):
        try:
            delivery = webhooks.record_test(endpoint=endpoint, event=form.cleaned_data["event"], by_asker=True)
            deliver_now(endpoint=endpoint, delivery=delivery)
        finally:
            _testing.release()
    else:
        try:
            delivery = webhooks.record_test(endpoint=endpoint, event=form.cleaned_data["event"])
        except WrongState as refusal:
            messages.warning(request, str(refusal))
            return redirect("webhook", endpoint.pk)
    if wants_fragment(request):
        context = {"tested": _open(endpoint, delivery.pk), "endpoint": endpoint}
        answer = render(request, "accounts/_webhook_test.html", context)
        answer["HX-Trigger"] = "webhook-tested"  # the log loads itself anew, as it is filtered now
        return _varied(answer)
    return redirect(f"{reverse('webhook', args=[endpoint.pk])}?tested={delivery.pk}")


@page("keys.write")
@require_POST
def redeliver(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    """Send again: those chosen (`delivery`, repeated), or with `since` all that failed from then on."""
    endpoint = _endpoint(request, endpoint_id)
    try:
        if "since" in request.POST:
            since = read_moment(request.POST, "since", request.client.time_zone)
            if since is None:
                raise InvalidInput({"since": [_("Say since when.")]})
            count = webhooks.redeliver_failed(endpoint=endpoint, since=since)
        else:
            chosen = [pk for text in request.POST.getlist("delivery")[:1000] if (pk := read_id(text))]
            count = webhooks.redeliver(endpoint=endpoint, delivery_ids=chosen)
    except (InvalidInput, WrongState) as refusal:
        told, level = str(refusal), messages.WARNING
    else:
        told = ngettext("%(n)s event is sent again.", "%(n)s events are sent again.", count) % {"n": count}
        level = messages.SUCCESS if count else messages.WARNING
    if wants_fragment(request):
        return _varied(render(request, "accounts/_webhook_log.html", _log(request, endpoint) | {"told": told}))
    messages.add_message(request, level, told)
    return redirect(f"{reverse('webhook', args=[endpoint.pk])}?{_kept(request)}")


def _endpoint(request: HttpRequest, endpoint_id: int) -> WebhookEndpoint:
    try:
        return webhooks.get_endpoint(client=request.client, endpoint_id=endpoint_id)
    except NotFound as error:
        raise Http404(str(error)) from None


def _form_page(
    request: HttpRequest, form: WebhookForm, endpoint: WebhookEndpoint | None = None, status: int = 200
) -> HttpResponse:
    return render(request, "accounts/webhook_form.html", {"form": form, "endpoint": endpoint}, status=status)


def _try(form: WebhookForm, act: Callable[[], T]) -> T | None:
    """What `act` gives; None where the service refused, and then the form says why."""
    try:
        return act()
    except InvalidInput as refusal:
        for name, sentences in refusal.errors.items():
            form.add_error(name if name in form.fields else None, sentences)
        return None


def _log(request: HttpRequest, endpoint: WebhookEndpoint) -> dict:
    form = DeliveryFilterForm(request.GET)
    found = webhooks.deliveries_of(endpoint).none()
    if form.is_valid():
        since, before = form.span(request.client.time_zone)
        fields = form.cleaned_data
        found = queries.deliveries_for(
            endpoint, state=fields["state"], event=fields["event"], since=since, before=before
        )
    before_id = read_id(request.GET.get("before", ""))
    rows = list((found.filter(pk__lt=before_id) if before_id else found)[: PAGE_SIZE + 1])
    opened = read_id(request.GET.get("open", ""))
    now = timezone.now()
    kept = _kept(request)
    return {
        "endpoint": endpoint,
        "form": form,
        "rows": [(row, row.shown_state) for row in rows[:PAGE_SIZE]],
        "most_attempts": ATTEMPTS,
        "older_url": f"?{_kept(request, before=rows[PAGE_SIZE - 1].pk)}" if len(rows) > PAGE_SIZE else "",
        "here": f"{reverse('webhook', args=[endpoint.pk])}?{kept}",
        "kept": kept,
        "is_filtered": any(request.GET.get(name) for name in form.fields),
        "is_later_page": bool(before_id),
        "open_id": opened,
        "opened": _open(endpoint, opened),
        "follow": endpoint.active and any(row.next_at and row.next_at < now + SOON for row in rows),
        "may_write": request.membership.may("keys.write"),
        "since_default": _default_since(request, endpoint),
    }


def _default_since(request: HttpRequest, endpoint: WebhookEndpoint) -> str:
    """Since when to offer sending again, as the field wants it: since it fails, else a day."""
    since = endpoint.failing_since or timezone.now() - timedelta(days=1)
    return since.astimezone(ZoneInfo(request.client.time_zone)).strftime("%Y-%m-%dT%H:%M")


def _open(endpoint: WebhookEndpoint, delivery_id: int | None) -> Opened | None:
    """None for a delivery of another endpoint as for none."""
    found = webhooks.deliveries_of(endpoint).filter(pk=delivery_id).first() if delivery_id else None
    return Opened(found, queries.attempts_of(found)) if found else None


def _kept(request: HttpRequest, **places: int) -> str:
    """The query of this list: its filters, and where it is unless `places` says otherwise; never empty."""
    names = [*DeliveryFilterForm.base_fields, *([] if places else ["before"])]
    kept = {name: value for name in names if (value := request.GET.get(name, "")) and "\x00" not in value}
    return urlencode(kept | places) or "page=1"


def _varied(response: HttpResponse) -> HttpResponse:
    patch_vary_headers(response, ["HX-Request", "HX-History-Restore-Request"])
    return response
