"""Compatibility: the values that programs written after another system's guide need, and a call that proves them."""

import json
import re
from dataclasses import dataclass
from typing import cast

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import Client
from accounts.queries import find_key
from crm.common.access import page
from crm.common.api import inner
from messaging import queries
from messaging.dialects.guides import GUIDES, OURS, Call, Guide, guide_named

_LONGEST_SHOWN = 1024  # characters of an answer
_TOKEN = re.compile(r'("access_token":\s*")[^"]+')


class KeysForm(forms.Form):
    """The values to try. They are used for the one call and kept nowhere; the fields never print them again."""

    def __init__(self, guide: Guide, *args: object) -> None:
        super().__init__(*args)
        for name in guide.needs:
            widget = forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"})
            self.fields[name] = forms.CharField(label=OURS[name], max_length=200, widget=widget)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the dialect answered. text: the body, laid out, at most 1 KB, without a token."""

    works: bool
    status: int
    text: str


@page("keys.read")
@require_http_methods(["GET", "POST"])
@never_cache
def compatibility(request: HttpRequest) -> HttpResponse:
    """Which guide do you follow? The values to paste, where, and a test that reads the balance or logs in."""
    guide = guide_named(request.POST.get("guide") or request.GET.get("guide", ""))
    form, answer, status = KeysForm(guide), None, 200
    if request.method == "POST":
        form = KeysForm(guide, request.POST)
        if form.is_valid() and _belongs_here(form, request.client):
            values = {"client": str(request.client.pk)} | form.cleaned_data
            answer = _ask(guide.test(values), request)
        else:
            status = 422
    sender = queries.approved_senders(request.client).first()
    context = {
        "guides": GUIDES,
        "guide": guide,
        "address": settings.PUBLIC_URL + guide.address.format(client=request.client.pk),
        "rows": [_row(name, ours, request.client, sender.name if sender else "") for name, ours in guide.pastes],
        "form": form,
        "answer": answer,
    }
    return render(request, "messaging/compatibility.html", context, status=status)


def _row(name: object, ours: str, client: Client, sender: str) -> dict[str, object]:
    """value: what to paste; "" for a secret, which only its owner has."""
    values = {"client": str(client.pk), "sender": sender}
    return {"name": name, "ours": OURS[ours], "value": values.get(ours, ""), "is_secret": ours not in values}


def _belongs_here(form: KeysForm, client: Client) -> bool:
    """A key of somebody else's would show their balance here. An unknown key is the dialect's to refuse."""
    key = find_key(form.cleaned_data["api_key"])
    if key is None or key.client_id == client.pk:
        return True
    form.add_error("api_key", _("This key belongs to another organisation."))
    return False


def _ask(call: Call, asked: HttpRequest) -> Answer:
    """Make the call through the dialect's own view, in this process."""
    made = inner.make_request(
        asked,
        method=call.method,
        path=call.path,
        raw=call.body.encode(),
        content_type=call.content_type,
        headers=call.headers,
    )
    response = cast(HttpResponse, inner.answer(made))
    body = json.loads(response.content)
    refused = isinstance(body, dict) and (body.get("success") is False or body.get("status", 0) not in (0, "success"))
    text = _TOKEN.sub(r"\1…", json.dumps(body, indent=2, ensure_ascii=False))
    return Answer(response.status_code == 200 and not refused, response.status_code, text[:_LONGEST_SHOWN])
