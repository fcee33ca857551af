"""Statements by month, orders, bills and receipts: as pages, CSV and PDF (UX.md §10)."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from crm.common.access import page
from crm.common.exports import csv_lines
from wallet.models import TopUp, TopUpState
from wallet.statements import Statement, month_of, months_of, statement_of_month, today_of
from wallet.topups.queries import bills_for, paybill_for, top_ups_for

PER_PAGE = 25


def _chosen(request: HttpRequest) -> date:
    """The month asked for. Raises: Http404."""
    month = month_of(request.GET.get("month", ""), today_of(request.client))  # type: ignore[attr-defined]
    if month is None:
        raise Http404
    return month


@page("wallet.read")
@require_GET
@never_cache
def statement(request: HttpRequest) -> HttpResponse:
    """A month of the wallet: `?month=2026-11`, today's without it."""
    client = request.client  # type: ignore[attr-defined]
    month = _chosen(request)
    months = months_of(client)
    later = [other for other in months if other > month]
    earlier = [other for other in months if other < month]
    context = {
        "statement": statement_of_month(client, month),
        "months": months if month in months else [*months, month],
        "later": later[-1] if later else None,
        "earlier": earlier[0] if earlier else None,
        "currency": client.currency,
    }
    return render(request, "wallet/statement.html", context)


@page("wallet.read")
@require_GET
@never_cache
def statement_csv(request: HttpRequest) -> HttpResponse:
    """The same as lines of a file: amounts as plain numbers with the currency beside them."""
    made = statement_of_month(request.client, _chosen(request))  # type: ignore[attr-defined]
    answer = HttpResponse(csv_lines(_rows(made)), content_type="text/csv; charset=utf-8")
    return _named(answer, f"statement-{made.month:%Y-%m}.csv")


def _rows(made: Statement) -> Any:
    currency = made.client.currency
    yield _("Day"), _("What"), _("Kind"), _("Reference"), _("Code"), _("Entries"), _("Amount"), _("Currency")
    yield made.month, _("Opening balance"), "", "", "", "", _plain(made.opening), currency
    for line in made.lines:
        day = line.at.date() if line.at else ""
        yield (
            day, line.title, line.kind_label, line.reference, line.code, line.entries, _plain(line.amount), currency
        )  # fmt: skip
    last = today_of(made.client) if made.until else made.last
    yield (
        last,
        _("Balance so far") if made.until else _("Closing balance"),
        "",
        "",
        "",
        "",
        _plain(made.closing),
        currency,
    )


def _plain(amount: Decimal) -> str:
    return f"{amount:.2f}" if amount == round(amount, 2) else f"{amount:f}"


@page("wallet.read")
@require_GET
@never_cache
def statement_pdf(request: HttpRequest) -> HttpResponse:
    made = statement_of_month(request.client, _chosen(request))  # type: ignore[attr-defined]
    from wallet.printing import documents  # here and below: large, and few processes ever print

    return _pdf(documents.statement_pdf(made), f"statement-{made.month:%Y-%m}.pdf")


@page("wallet.read")
@require_GET
@never_cache
def bills(request: HttpRequest) -> HttpResponse:
    """What was paid, with the operator's code and the papers."""
    found = Paginator(bills_for(request.client), PER_PAGE).get_page(request.GET.get("page"))  # type: ignore[attr-defined]
    may_top_up = request.membership.may("wallet.topup")  # type: ignore[attr-defined]
    return render(request, "wallet/bills.html", {"page": found, "may_top_up": may_top_up})


@page("wallet.read")
@require_GET
@never_cache
def order_pdf(request: HttpRequest, pk: int) -> HttpResponse:
    from wallet.printing import documents

    top_up = _own(request, pk)
    return _pdf(documents.order_pdf(top_up, paybill_for(top_up.client)), f"order-{top_up.transaction_id}.pdf")


@page("wallet.read")
@require_GET
@never_cache
def bill_pdf(request: HttpRequest, pk: int) -> HttpResponse:
    from wallet.printing import documents

    return _of_paid(request, pk, documents.bill_pdf, "bill")


@page("wallet.read")
@require_GET
@never_cache
def receipt_pdf(request: HttpRequest, pk: int) -> HttpResponse:
    from wallet.printing import documents

    return _of_paid(request, pk, documents.receipt_pdf, "receipt")


def _of_paid(request: HttpRequest, pk: int, make: Callable[[TopUp], bytes], name: str) -> HttpResponse:
    """A paper that exists once the money is there. Before: the page of the top-up, which says how far it is."""
    top_up = _own(request, pk)
    if top_up.state != TopUpState.COMPLETED:
        return redirect("wallet:topup_detail", top_up.pk)
    return _pdf(make(top_up), f"{name}-{top_up.transaction_id}.pdf")


def _own(request: HttpRequest, pk: int) -> TopUp:
    rows = top_ups_for(request.client).select_related("client", "started_by")  # type: ignore[attr-defined]
    found = rows.filter(pk=pk).first() if pk < 2**63 else None
    if found is None:
        raise Http404
    return found


def _pdf(body: bytes, name: str) -> HttpResponse:
    return _named(HttpResponse(body, content_type="application/pdf"), name)


def _named(answer: HttpResponse, name: str) -> HttpResponse:
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["X-Content-Type-Options"] = "nosniff"
    return answer
