"""The last API requests of an organisation (UX.md §11): what its programs asked and what they were told."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from accounts import queries
from accounts.forms import RequestFilterForm
from accounts.models import ApiRequest
from accounts.requests.recording import KEPT, LISTED_A_SECOND
from crm.common.access import page, wants_fragment
from crm.common.api.params import read_id

PER_PAGE = 50


@page("keys.read")
@require_safe
@never_cache
@vary_on_headers("HX-Request", "HX-History-Restore-Request")
def api_requests(request: HttpRequest) -> HttpResponse:
    """`?open=` shows one request with what was sent. As a fragment: the list. An unreadable filter: 422."""
    keys = list(queries.keys_for(request.client))
    form = RequestFilterForm(request.GET, keys=keys)
    is_readable = form.is_valid()
    chosen = {name: value for name, value in form.cleaned_data.items() if value} if is_readable else {}
    found = queries.requests_for(request.client, **{"key_id" if n == "key" else n: v for n, v in chosen.items()})
    shown = Paginator(found if is_readable else found.none(), PER_PAGE).get_page(request.GET.get("page"))
    opened = read_id(request.GET.get("open", ""))
    context = {
        "form": form,
        "is_filtered": bool(chosen),
        "page": shown,
        "open_id": opened,
        "opened": _opened(request, opened),
        "kept": KEPT,
        "listed": LISTED_A_SECOND,
    }
    name = "accounts/_request_list.html" if wants_fragment(request) else "accounts/request_list.html"
    return render(request, name, context, status=200 if is_readable else 422)


def _opened(request: HttpRequest, number: int | None) -> ApiRequest | None:
    return queries.requests_for(request.client).filter(pk=number).first() if number else None
