"""Back office of prices: plans, their rates with the day from which each holds, and a worked example."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from phonenumbers import SUPPORTED_REGIONS

from crm.common.channels import Channel
from crm.common.countries import COUNTRIES
from crm.common.errors import DomainError
from crm.common.money import format_money, from_micros, to_micros
from wallet.models import SINCE_EVER, PricePlan, Rate, UnitRule
from wallet.pricing import prices_of


def zone_of(currency: str) -> ZoneInfo:
    """Whose days the rates of a plan begin with: those of a country that pays in its currency, else UTC."""
    return ZoneInfo(next((own.time_zone for own in COUNTRIES.values() if own.currency == currency), "UTC"))


def start_of(day: date, currency: str) -> datetime:
    """The first moment of a plan's day; of today: now, since what was accepted this morning keeps its price."""
    zone, now = zone_of(currency), timezone.now()
    return now if day == now.astimezone(zone).date() else datetime.combine(day, time.min, zone).astimezone(UTC)


class RateForm(forms.ModelForm):
    """The price of a unit as an amount; the column holds millionths. A rate that holds is not changed any more."""

    price = forms.DecimalField(min_value=0, max_digits=12, decimal_places=6, help_text="Of one unit")
    cost = forms.DecimalField(
        min_value=0, max_digits=12, decimal_places=6, required=False, help_text="What it costs you; empty: unknown"
    )
    from_day = forms.DateField(
        label="Holds from",
        required=False,
        widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"),
        help_text="Empty: at once",
    )

    class Meta:
        model = Rate
        fields = ("channel", "country", "category")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rate = self.instance
        if rate.pk:
            self.initial["price"] = from_micros(rate.unit_price_micros)
            self.initial["cost"] = None if rate.unit_cost_micros is None else from_micros(rate.unit_cost_micros)
            if rate.valid_from != SINCE_EVER:
                self.initial["from_day"] = rate.valid_from.astimezone(zone_of(rate.plan.currency)).date()

    def clean_country(self) -> str:
        country = self.cleaned_data["country"].upper()
        if country and country not in SUPPORTED_REGIONS:
            raise forms.ValidationError("Give an ISO 3166 code such as KE, or nothing for any country.")
        return country

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        rate = self.instance
        if rate.pk and rate.valid_from <= timezone.now() and set(self.changed_data) - {"cost"}:
            raise forms.ValidationError("This rate holds already. Add a row with the new price and its first day.")
        if cleaned.get("category") and cleaned.get("channel") != Channel.WHATSAPP:
            self.add_error("category", "Only WhatsApp bills by category.")
        if "price" in cleaned:
            rate.unit_price_micros = to_micros(cleaned["price"])
        cost = cleaned.get("cost")
        rate.unit_cost_micros = None if cost is None else to_micros(cost)
        return cleaned


class RateFormSet(BaseInlineFormSet):
    """Sets the moment from which each new rate holds, in the plan's own days."""

    def clean(self) -> None:
        super().clean()
        currency, now, seen = self.instance.currency, timezone.now(), set()
        for form in self.forms:
            data = getattr(form, "cleaned_data", None)
            if not data:
                continue
            rate = form.instance
            if data.get("DELETE"):
                if rate.pk and rate.valid_from <= now:
                    raise forms.ValidationError("A rate that holds cannot be removed: add the one that follows it.")
                continue
            if not form.has_changed() or form.errors:
                continue
            if not rate.pk or "from_day" in form.changed_data:
                day = data.get("from_day")
                if day and day < now.astimezone(zone_of(currency)).date():
                    form.add_error("from_day", "This day is over: what was accepted then keeps its price.")
                    continue
                is_new_plan = not self.instance.pk
                rate.valid_from = SINCE_EVER if is_new_plan and not day else start_of(day, currency) if day else now
            key = (data.get("channel"), data.get("country"), data.get("category"), rate.valid_from)
            if key in seen:
                raise forms.ValidationError(
                    "Two rates for the same channel, country and category begin at the same moment."
                )
            seen.add(key)


class RateInline(admin.TabularInline):
    model = Rate
    form = RateForm
    formset = RateFormSet
    fields = ("channel", "country", "category", "from_day", "price", "cost")
    extra = 0


class ExampleForm(forms.Form):
    """A message to price. day: a further moment beside now, the beginning of that day."""

    text = forms.CharField(
        widget=forms.Textarea({"rows": 4}), max_length=1600, initial="Habari Amina, your balance is KES 1,049."
    )
    channel = forms.ChoiceField(choices=Channel.choices)
    country = forms.CharField(max_length=2, initial="KE", help_text="ISO 3166")
    day = forms.DateField(required=False, label="And on", widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))

    def clean_country(self) -> str:
        return self.cleaned_data["country"].upper()


@admin.register(PricePlan)
class PricePlanAdmin(admin.ModelAdmin):
    """A new price holds for what is accepted from its day on."""

    list_display = ("name", "currency", "unit_rule", "is_default", "example")
    inlines = (RateInline,)
    _readonly: ClassVar[tuple[str, ...]] = ("currency", "example")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self._readonly if obj else ()  # the wallets on it are in this currency

    @admin.display(description="Worked example")
    def example(self, plan: PricePlan) -> str:
        return format_html('<a href="{}">Price a message…</a>', reverse("admin:wallet_example", args=[plan.pk]))

    def get_urls(self) -> list[URLPattern]:
        example = path("<int:pk>/example/", self.admin_site.admin_view(self.example_view), name="wallet_example")
        return [example, *super().get_urls()]

    def example_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What a text costs under this plan, now and on a day, by the function that charges."""
        plan = get_object_or_404(PricePlan, pk=pk)
        form = ExampleForm(request.GET or None)
        rows, problem = [], ""
        if form.is_valid():
            try:
                rows = _worked(plan, form.cleaned_data)
            except DomainError as error:
                problem = str(error)
        context = self.admin_site.each_context(request) | {
            "title": f"Worked example: {plan}",
            "opts": self.model._meta,
            "plan": plan,
            "form": form,
            "rows": rows,
            "problem": problem,
        }
        return TemplateResponse(request, "admin/wallet/example.html", context)


def _worked(plan: PricePlan, asked: dict[str, Any]) -> list[dict[str, Any]]:
    moments: list[tuple[str, datetime | None]] = [("Now", None)]
    if day := asked["day"]:
        moments.append((f"{day:%d %b %Y}", datetime.combine(day, time.min, zone_of(plan.currency))))
    return [
        _row(plan, asked, label, at, rule) for label, at in moments for rule in (UnitRule.PER_160, UnitRule.SEGMENTS)
    ]


def _row(plan: PricePlan, asked: dict[str, Any], label: str, at: datetime | None, rule: UnitRule) -> dict[str, Any]:
    prices = prices_of(plan, at)
    quote = prices.quote(asked["text"], asked["channel"], asked["country"], rule.value)  # type: ignore[arg-type]
    unit_cost = prices.unit_cost_micros(asked["channel"], asked["country"])
    margin = None if unit_cost is None else quote.cost_micros - quote.segments * unit_cost
    return {
        "when": label,
        "rule": rule.label,
        "own": rule == plan.unit_rule,
        "characters": quote.characters,
        "encoding": quote.encoding,
        "segments": quote.segments,
        "units": quote.units,
        "unit_price": format_money(from_micros(quote.unit_price_micros), plan.currency, unit_price=True),
        "price": format_money(from_micros(quote.cost_micros), plan.currency, unit_price=True),
        "margin": _margin(margin, quote.cost_micros, plan.currency),
    }


def _margin(margin: int | None, price: int, currency: str) -> str:
    """`KES 0.40 (40 %)`; the provider is paid by the segment, whatever the client's units are."""
    if margin is None:
        return "unknown"
    shown = format_money(from_micros(margin), currency, unit_price=True)
    return f"{shown} ({(Decimal(margin) * 100 / price).quantize(Decimal(1))} %)" if price else shown
