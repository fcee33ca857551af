"""The wallet page: what there is, what is held, and every movement."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods
from django.views.decorators.vary import vary_on_headers

from crm.common.access import page, wants_fragment
from wallet import queries
from wallet.forms import KIND_LABELS, LedgerFilter, ThresholdForm
from wallet.models import EntryKind, LedgerEntry
from wallet.topups.notices import set_low_balance
from wallet.topups.queries import can_top_up

ENTRIES_PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as the ledger prints it; micros."""

    kind: str | Promise
    title: str
    reference: str
    amount_micros: int
    balance_after_micros: int
    created_at: datetime


def _line(entry: LedgerEntry) -> Line:
    return Line(
        kind=KIND_LABELS[EntryKind(entry.kind)],
        title=entry.description or entry.reference.replace(":", " ").capitalize(),
        reference=entry.reference if entry.description else "",
        amount_micros=entry.amount_micros,
        balance_after_micros=entry.balance_after_micros,
        created_at=entry.created_at,
    )


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
        "lines": [_line(entry) for entry in found],
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
