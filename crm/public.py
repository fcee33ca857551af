"""Pages for people who have no account yet: what it is, what a text costs, what prices are, how sending fares."""

import json
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from crm.common.access import public_page
from crm.common.countries import country_name
from crm.common.figures import show_money
from crm.common.money import from_micros
from crm.common.text_units import MAX_CHARACTERS
from messaging.public_status import public_status
from messaging.services.preview import measure_text
from wallet.price_list import PublicPrice, public_prices

MOST_MESSAGES = 10_000_000
_LONGEST = 4 * MAX_CHARACTERS
_SAMPLE = "Habari Amina, miadi yako ni kesho saa 4:00 asubuhi. Jibu 1 kuthibitisha."


@public_page
@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """The front door: work for members, what this is for everybody else."""
    if request.user.is_authenticated:
        return redirect("home")
    prices = public_prices()
    context = _counter(_SAMPLE, prices) | _calculator(request, prices)
    return render(request, "public/landing.html", context | {"source_url": settings.SOURCE_URL})


@public_page
@require_http_methods(["GET", "HEAD", "POST"])
def sms_counter(request: HttpRequest) -> HttpResponse:
    """What a text costs on air. The text travels by POST: it is nobody's business, a log's least of all."""
    text = request.POST.get("text", "")
    return render(request, "public/sms_counter.html", _counter(text, public_prices()))


@public_page
@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """The default price plans as a table, and what a number of messages costs by them."""
    prices = public_prices()
    currencies: dict[str, list[PriceRow]] = {}
    for row in _rows(prices):
        currencies.setdefault(row.price.currency, []).append(row)
    return render(request, "public/pricing.html", {"currencies": currencies} | _calculator(request, prices))


@public_page
@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Providers, networks, times to delivery and incidents."""
    return render(request, "public/status.html", {"status": public_status()})


@dataclass(frozen=True, slots=True)
class PriceRow:
    """A price with the words for its country and channel. key: what the calculator's form posts."""

    key: str
    country: str
    channel: str
    price: PublicPrice

    @property
    def thousand(self) -> Decimal:
        return 1000 * self.price.price


def category_word(category: str) -> str:
    """What WhatsApp bills a message as, in a word."""
    words = {"utility": _("utility"), "marketing": _("marketing"), "authentication": _("authentication")}
    return words.get(category, _("answers within 24 hours"))


def _rows(prices: list[PublicPrice]) -> list[PriceRow]:
    """A price that stands alone in its currency and channel is that of every country, else that of the others."""
    priced = {(price.currency, price.channel, price.category) for price in prices if price.country}
    channels = {"sms": _("SMS"), "whatsapp": _("WhatsApp"), "email": _("Email")}
    rows = []
    for price in prices:
        rest = _("Other countries") if (price.currency, price.channel, price.category) in priced else _("Every country")
        country = country_name(price.country) if price.country else rest
        key = f"{price.currency}-{price.channel}-{price.country}" + (f"-{price.category}" if price.category else "")
        channel = channels[price.channel]
        if price.category:
            channel = f"{channel} ({category_word(price.category)})"
        rows.append(PriceRow(key, country, channel, price))
    return rows


def _counter(typed: str, prices: list[PublicPrice]) -> dict:
    """What messaging/_meter.html prints: the counter of the composer, by the first price of an SMS there is."""
    sms = next((price for price in prices if price.channel == "sms"), None)
    counted = measure_text(typed[:_LONGEST], sms.unit_rule if sms else "per_160")  # type: ignore[arg-type]
    costs = [_amount(sms.micros * units, sms) for units in range(MAX_CHARACTERS // 67 + 2)] if sms else []
    return {
        "preview": counted,
        "cost": costs[min(counted.units, len(costs) - 1)] if costs else "",
        "costs_json": json.dumps(costs),
        "values_json": "null",
    }


def _amount(micros: int, price: PublicPrice) -> str:
    return show_money(from_micros(micros), price.currency, unit_price=True)


def _calculator(request: HttpRequest, prices: list[PublicPrice]) -> dict:
    """`?price=KES-sms-KE&messages=1000`: what that many messages cost, one unit each."""
    rows = _rows(prices)
    chosen = next((row for row in rows if row.key == request.GET.get("price")), rows[0] if rows else None)
    typed = request.GET.get("messages", "1000").replace(",", "").replace(" ", "")
    amount = int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= 8 else 1000
    amount = min(max(amount, 1), MOST_MESSAGES)
    total: Decimal | None = chosen.price.price * amount if chosen else None
    return {"prices": rows, "chosen": chosen, "messages_wanted": amount, "total": total}
