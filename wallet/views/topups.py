"""Topping up: ask for money, watch it arrive, and every way on when it does not (UX.md §10)."""

from decimal import Decimal
from math import ceil
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm.common.access import page, wants_fragment
from crm.common.errors import DomainError, InvalidInput
from crm.common.phones import display_phone
from crm.common.sql import database_now
from wallet import queries
from wallet.errors import SameAmountAgain
from wallet.forms import ClaimForm, TopUpForm
from wallet.models import Asked, TopUp, TopUpState
from wallet.topups.outcomes import UNKNOWN, words_of
from wallet.topups.paybill import STAFF_ANSWER, claim_payment
from wallet.topups.queries import can_top_up, last_phone, paybill_for, top_ups_for
from wallet.topups.starting import ask_for_prompt, limits, start_top_up
from wallet.topups.sweeping import check_now

CHIPS = (500, 1_000, 2_500, 5_000)
PER_PAGE = 25
POLL_SECONDS = 3
COUNTDOWN_SECONDS = 60  # how long a prompt waits for the PIN
CHECKING_SECONDS = 120  # until which the page speaks of checking; then nobody knows yet
WATCH_SECONDS = 30 * 60  # after which an open page asks less often
SLOW_POLL_SECONDS = 30


@page("wallet.topup")
@require_http_methods(["GET", "POST"])
@never_cache
def topup(request: HttpRequest) -> HttpResponse:
    """Choose an amount and a phone; posting asks for the prompt and leads to the waiting page."""
    client = request.client
    least, most = limits()
    if request.method == "GET":
        initial = {
            "amount": _whole(request.GET.get("amount", ""), least),
            "phone": _local(request.GET["phone"][:30] if "phone" in request.GET else last_phone(client)),
            "next": request.GET.get("next", "")[:200],
        }
        return _render_form(request, TopUpForm(initial=initial, least=least, most=most))
    form = TopUpForm(request.POST, least=least, most=most)
    if not form.is_valid():
        return _render_form(request, form, status=422)
    asked = form.cleaned_data
    try:
        started = start_top_up(
            client=client,
            amount=asked["amount"],
            phone=asked["phone"],
            started_by=request.user,
            return_to=asked["next"] if _is_own(request, asked["next"]) else "",
            sure=asked["sure"],
        )
    except InvalidInput as error:
        for field, sentences in error.errors.items():
            form.add_error("phone" if field == "phone_number" else field, sentences)
        return _render_form(request, form, status=422)
    except SameAmountAgain as error:
        first = top_ups_for(client).get(transaction_id=error.facts["transaction_id"])
        return _render_form(request, form, status=409, first=first)
    except DomainError as error:
        form.add_error(None, str(error))
        return _render_form(request, form, status=422)
    ask_for_prompt(started=started)
    return redirect("wallet:topup_detail", started.top_up.pk)


def _render_form(
    request: HttpRequest, form: TopUpForm, *, status: int = 200, first: TopUp | None = None
) -> HttpResponse:
    client = request.client
    balance = queries.balance_of(client.pk)
    least, most = limits()
    amount = form["amount"].value()
    shown = int(amount) if str(amount or "").isascii() and str(amount or "").isdigit() else None
    context = {
        "form": form,
        "balance": balance,
        "chips": [
            {"amount": chip, "units": _units(chip, balance), "chosen": chip == shown}
            for chip in CHIPS
            if least <= chip <= most
        ],
        "least": least,
        "most": most,
        "units": _units(shown, balance) if shown and shown <= most else None,
        "price": balance.unit_price,
        "first": first,
        "can_top_up": can_top_up(client),
        "paybill": paybill_for(client),
        "claim": ClaimForm(),
    }
    return render(request, "wallet/topup.html", context, status=status)


def _units(amount: int, balance: queries.Balance) -> int | None:
    """Whole SMS that an amount buys at the price of today; None without a price."""
    return int(Decimal(amount) / balance.unit_price) if balance.unit_price else None


def _whole(text: str, least: int) -> int | None:
    """`?amount=412.00` as 412, cents upwards and at least the least that can be paid; None for anything else."""
    try:
        amount = Decimal(text)
    except ArithmeticError:
        return None
    if not amount.is_finite() or not 0 < amount < 10**9:
        return None
    return max(least, ceil(amount))


def _local(phone: str) -> str:
    return display_phone(phone) if phone.startswith("+") else phone


def _is_own(request: HttpRequest, address: str) -> bool:
    return address.startswith("/app") and url_has_allowed_host_and_scheme(address, None)


@page("wallet.read")
@require_GET
@never_cache
def topup_list(request: HttpRequest) -> HttpResponse:
    """Orders: every request to buy credit, the newest first, paid or not."""
    found = Paginator(top_ups_for(request.client), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": found,
        "may_top_up": request.membership.may("wallet.topup"),
        "claim": ClaimForm(),
        "paybill": paybill_for(request.client),
    }
    return render(request, "wallet/topup_list.html", context)


@page("wallet.read")
@require_GET
def old_list(request: HttpRequest) -> HttpResponse:
    """The address above a top-up's own leads to the list of them."""
    return redirect("wallet:topup_list")


@page("wallet.read")
@require_GET
@never_cache
def topup_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """The waiting page; as a fragment what changes on it. It can be left and opened again."""
    context = _watch(request, _own(request, pk))
    name = "wallet/_topup.html" if wants_fragment(request) else "wallet/topup_detail.html"
    response = render(request, name, context)
    patch_vary_headers(response, ["HX-Request", "HX-History-Restore-Request"])
    return response


@page("wallet.topup")
@require_POST
def check(request: HttpRequest, pk: int) -> HttpResponse:
    """“I have paid, check now”: M-Pesa is asked, and the page goes on watching."""
    top_up = _own(request, pk)
    told = _("M-Pesa is being asked.")
    try:
        check_now(top_up=top_up)
    except DomainError as error:
        told = str(error)
    if wants_fragment(request):
        return render(request, "wallet/_topup.html", _watch(request, _own(request, pk)) | {"told": told})
    messages.info(request, told)
    return redirect("wallet:topup_detail", pk)


@page("wallet.topup")
@require_POST
def claim(request: HttpRequest) -> HttpResponse:
    """“Paste the M-Pesa code” of a payment that is not here."""
    form = ClaimForm(request.POST)
    try:
        if not form.is_valid():
            raise InvalidInput({"code": [_("Give the code of the M-Pesa message.")]})
        made = claim_payment(client=request.client, code=form.cleaned_data["code"], by=request.user)
    except InvalidInput as error:
        messages.error(request, str(error))
        return redirect("wallet:topup_list")
    if known := top_ups_for(request.client).filter(receipt=made.receipt).first():
        messages.success(request, _("This payment is in your wallet."))
        return redirect("wallet:topup_detail", known.pk)
    messages.info(
        request,
        _("Thank you. The payment %(code)s is looked for; if it is not in your wallet in a few minutes, our staff find "
          "it within %(time)s.") % {"code": made.receipt, "time": STAFF_ANSWER},
    )  # fmt: skip
    return redirect("wallet:topup_list")


def _own(request: HttpRequest, pk: int) -> TopUp:
    found = top_ups_for(request.client).select_related("account").filter(pk=pk).first() if pk < 2**63 else None
    if found is None:
        raise Http404
    return found


def _watch(request: HttpRequest, top_up: TopUp) -> dict[str, Any]:
    """What the waiting page shows now: one of `asking`, `checking`, `unknown`, `processing`, `paid`, `failed`."""
    now = database_now()
    age = max(0, int((now - top_up.created_at).total_seconds()))
    shows = _shows(top_up, age)
    words = words_of(top_up) if shows == "failed" else UNKNOWN if shows == "unknown" else None
    since_failure = int((now - top_up.failed_at).total_seconds()) if top_up.failed_at else 0
    wait = max(0, words.wait_seconds - since_failure) if words else 0
    waiting = top_up.state != TopUpState.COMPLETED and (shows != "failed" or top_up.next_check_at is not None or wait)
    balance = queries.balance_of(top_up.client_id)
    back = top_up.return_to if _is_own(request, top_up.return_to) else ""
    again = {"amount": top_up.amount, "phone": top_up.phone} | ({"next": back} if back else {})
    return {
        "top_up": top_up,
        "shows": shows,
        "words": words,
        "wait": wait,
        "left": max(0, COUNTDOWN_SECONDS - age),
        "countdown": COUNTDOWN_SECONDS,
        "interval": (POLL_SECONDS if age < WATCH_SECONDS else SLOW_POLL_SECONDS) if waiting else 0,
        "balance": balance,
        "back": back,
        "again": reverse("wallet:topup") + "?" + urlencode(again),
        "other": reverse("wallet:topup") + "?" + urlencode(again | {"phone": ""}),
        "lower": reverse("wallet:topup") + "?" + urlencode(again | {"amount": ""}),
        "paybill": paybill_for(request.client),
        "may_top_up": request.membership.may("wallet.topup"),
        "claim": ClaimForm(),
        "payer": display_phone(top_up.phone) if top_up.phone else "",
        "brand": settings.BRAND_NAME,
        "is_fragment": wants_fragment(request),
        "is_late": bool(top_up.failed_at and top_up.completed_at),
    }


def _shows(top_up: TopUp, age: int) -> str:
    if top_up.state == TopUpState.COMPLETED:
        return "paid"
    if top_up.state == TopUpState.FAILED:
        return "failed"
    if top_up.state == TopUpState.PROCESSING:
        return "processing" if age < WATCH_SECONDS else "unknown"
    if top_up.asked == Asked.UNKNOWN or age >= CHECKING_SECONDS:
        return "unknown"
    return "asking" if age < COUNTDOWN_SECONDS else "checking"
