"""The wallet page: what there is, what is held, and every movement."""

from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from accounts.models import Client
from crm.common.access import page, wants_fragment
from crm.common.errors import DomainError, InvalidInput
from crm.common.phones import display_phone
from wallet import queries
from wallet.causes import causes_of, describe_entries
from wallet.forms import LedgerFilter, MorningForm, ThresholdForm
from wallet.topups.mornings import drop_morning_prompt, morning_prompt_of, set_morning_prompt
from wallet.topups.notices import set_low_balance
from wallet.topups.queries import can_top_up, last_phone

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
    return _render_threshold(request, form, _morning_form(client))


@page("wallet.topup")
@require_POST
def morning(request: HttpRequest) -> HttpResponse:
    """Whether the M-Pesa prompt comes by itself in the morning."""
    client = request.client  # type: ignore[attr-defined]
    form = MorningForm(request.POST, prefix="morning")
    if form.is_valid():
        asked = form.cleaned_data
        try:
            if asked["ask"]:
                amount, phone = asked["amount"] or 0, asked["phone"]
                set_morning_prompt(client=client, amount=amount, phone=phone, by=request.user)  # type: ignore[arg-type]
                messages.success(request, _("The prompt comes at 08:00 while the balance is low."))
            else:
                drop_morning_prompt(client=client)
                messages.success(request, _("No prompt comes by itself."))
            return redirect("wallet:threshold")
        except InvalidInput as error:
            for field, sentences in error.errors.items():
                form.add_error("phone" if field == "phone_number" else field, sentences)
        except DomainError as error:
            form.add_error(None, str(error))
    return _render_threshold(request, ThresholdForm.of(client.low_balance_micros), form)


def _morning_form(client: Client) -> MorningForm:
    chosen = morning_prompt_of(client)
    phone = chosen.phone if chosen else last_phone(client)
    initial = {
        "ask": chosen is not None,
        "amount": chosen.amount if chosen else None,
        "phone": display_phone(phone) if phone else "",
    }
    return MorningForm(initial=initial, prefix="morning")


def _render_threshold(request: HttpRequest, form: ThresholdForm, morning_form: MorningForm) -> HttpResponse:
    client = request.client  # type: ignore[attr-defined]
    context = {
        "form": form,
        "morning": morning_form,
        "chosen": morning_prompt_of(client),
        "can_top_up": can_top_up(client),
    }
    status = 422 if form.errors or morning_form.errors else 200
    return render(request, "wallet/threshold.html", context, status=status)
