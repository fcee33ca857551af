"""The wallet page: what there is, what is held, and every movement."""

from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods
from django.views.decorators.vary import vary_on_headers

from accounts.models import Client
from crm.common.access import page, wants_fragment
from wallet import queries
from wallet.causes import causes_of, describe_entries
from wallet.forms import LedgerFilter, ThresholdForm
from wallet.topups.notices import set_low_balance
from wallet.topups.queries import can_top_up

ENTRIES_PER_PAGE = 50


@page("wallet.read")
@require_GET
@never_cache
@vary_on_headers("HX-Request", "HX-History-Restore-Request")
def ledger(request: HttpRequest) -> HttpResponse:
    """Balance, this month and the ledger (UX.md §10). As a fragment: the ledger. An unreadable filter: 422."""
    client = request.client  # type: ignore[attr-defined]
    form = LedgerFilter(request.GET)
    is_readable = form.is_valid()
    chosen = {name: value for name, value in form.cleaned_data.items() if value} if is_readable else {}
    entries = queries.entries_for(client.pk, **chosen, time_zone=client.time_zone)
    found = Paginator(entries if is_readable else entries.none(), ENTRIES_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "is_filtered": bool(chosen),
        "page": found,
        "lines": describe_entries(request.membership, list(found)),  # type: ignore[attr-defined]
        "within_title": _within_title(client, chosen.get("within", "")),
        "currency": client.currency,
    }
    status = 200 if is_readable else 422
    if wants_fragment(request):
        return render(request, "wallet/_ledger.html", context, status=status)
    today = timezone.now().astimezone(ZoneInfo(client.time_zone)).date()
    context |= {
        "balance": queries.balance_of(client.pk),
        "summary": queries.summary_of_month(client.pk, today, client.time_zone),
        "may_top_up": request.membership.may("wallet.topup"),  # type: ignore[attr-defined]
        "can_top_up": can_top_up(client),
    }
    return render(request, "wallet/ledger.html", context, status=status)


def _within_title(client: Client, within: str) -> str:
    """What the ledger is narrowed to; "" where it is not."""
    if within in ("", "-"):
        return _("single movements") if within else ""
    cause = causes_of(client, [within]).get(within)
    return cause.title if cause else within


@page("wallet.topup")
@require_http_methods(["GET", "POST"])
@never_cache
def threshold(request: HttpRequest) -> HttpResponse:
    """Below which balance to warn."""
    client = request.client  # type: ignore[attr-defined]
    form = ThresholdForm(request.POST) if request.method == "POST" else ThresholdForm.of(client.low_balance_micros)
    if form.is_bound and form.is_valid():
        set_low_balance(client=client, amount=form.cleaned_data["amount"])
        messages.success(request, _("The warning is set."))
        return redirect("wallet:ledger")
    return render(request, "wallet/threshold.html", {"form": form}, status=422 if form.errors else 200)
