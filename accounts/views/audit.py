"""/app/settings/audit: who did what in this organisation, with one entry opened beside the list."""

import json
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from accounts import queries
from accounts.acts import words_of
from accounts.forms import AuditFilter
from accounts.models import AuditEntry
from crm.common.access import page, wants_fragment

PAGE_SIZE = 50
_LARGEST_ID = 2**63 - 1


@page("audit.read")
@require_safe
@vary_on_headers("HX-Request", "HX-History-Restore-Request")
def audit_log(request: HttpRequest) -> HttpResponse:
    """Filters, `?before=` goes on by id, `?open=` shows one entry in a drawer."""
    form = AuditFilter(request.GET)
    valid = form.is_valid()
    found = queries.audit_for(request.client, **form.facts(request.client.time_zone)) if valid else None
    before, opened = _id(request, "before"), _id(request, "open")
    entries = list((found.filter(pk__lt=before) if before else found)[: PAGE_SIZE + 1]) if found is not None else []
    more, entries = len(entries) > PAGE_SIZE, entries[:PAGE_SIZE]
    for entry in entries:
        entry.words = words_of(entry.action)
    context = {
        "form": form,
        "entries": entries,
        "is_filtered": valid and form.is_filtered,
        "newest_url": _address(request) if before else "",
        "older_url": _address(request, before=entries[-1].pk) if more else "",
        "here": _address(request, before=before),
        "open_id": opened,
        "opened": _open(request, opened) if opened else None,
    }
    swap = wants_fragment(request)
    template = "accounts/_audit_log.html" if swap else "accounts/audit_log.html"
    response = render(request, template, context | {"is_fragment": swap}, status=200 if valid else 422)
    response["Cache-Control"] = "no-store"
    return response


def _open(request: HttpRequest, pk: int) -> dict[str, Any] | None:
    entry = AuditEntry.objects.for_client(request.client).filter(pk=pk).first()
    if entry is None:
        return None
    entry.words = words_of(entry.action)
    names = sorted({*(entry.before or {}), *(entry.after or {})})
    changes = [(name, _words(entry.before, name), _words(entry.after, name)) for name in names]
    return {"entry": entry, "changes": changes}


def _words(facts: dict[str, Any] | None, name: str) -> str:
    value = (facts or {}).get(name)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else "" if value is None else str(value)


def _id(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _LARGEST_ID else None


def _address(request: HttpRequest, **places: int | None) -> str:
    kept = {
        name: value
        for name, value in request.GET.items()
        if value and name not in ("before", "open") and "\x00" not in value
    }
    return f"?{urlencode(kept | {name: value for name, value in places.items() if value})}"
