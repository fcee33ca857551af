"""Back office of money: price plans are edited; wallets, entries and reservations are read; a service adjusts."""

from decimal import Decimal
from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from phonenumbers import SUPPORTED_REGIONS

from crm.common.errors import DomainError
from crm.common.money import format_money, from_micros, to_micros
from wallet.models import LedgerEntry, PricePlan, Rate, Reservation, Wallet
from wallet.services import adjust_balance, set_price_plan


class RateForm(forms.ModelForm):
    """The price of a unit as an amount; the column holds millionths."""

    price = forms.DecimalField(min_value=0, max_digits=12, decimal_places=6, help_text="Of one unit")

    class Meta:
        model = Rate
        fields = ("channel", "country")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["price"] = from_micros(self.instance.unit_price_micros)

    def clean_country(self) -> str:
        country = self.cleaned_data["country"].upper()
        if country and country not in SUPPORTED_REGIONS:
            raise forms.ValidationError("Give an ISO 3166 code such as KE, or nothing for any country.")
        return country

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "price" in cleaned:
            self.instance.unit_price_micros = to_micros(cleaned["price"])
        return cleaned


class RateInline(admin.TabularInline):
    model = Rate
    form = RateForm
    fields = ("channel", "country", "price")
    extra = 0


@admin.register(PricePlan)
class PricePlanAdmin(admin.ModelAdmin):
    """A changed price holds for what is accepted from then on."""

    list_display = ("name", "currency", "unit_rule", "is_default")
    inlines = (RateInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("currency",) if obj else ()  # the wallets on it are in this currency


class ReadOnly(admin.ModelAdmin):
    """Rows of every client, to look at."""

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return self.model.objects.unscoped()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def _amount(micros: int, currency: str) -> str:
    return format_money(from_micros(micros), currency)


class AdjustmentForm(forms.Form):
    """token: makes pressing the button twice one adjustment."""

    amount = forms.DecimalField(max_digits=15, decimal_places=2, help_text="Negative to take away")
    reason = forms.CharField(max_length=150, help_text="The client reads it in the ledger")
    token = forms.UUIDField(widget=forms.HiddenInput)

    def clean_amount(self) -> Decimal:
        amount = self.cleaned_data["amount"]
        if not amount:
            raise forms.ValidationError("An adjustment moves something.")
        return amount


@admin.register(Wallet)
class WalletAdmin(ReadOnly):
    """The price plan can be changed; money moves by an adjustment."""

    list_display = ("client", "balance", "reserved", "price_plan")
    list_select_related = ("client", "price_plan")
    search_fields = ("client__name",)
    fields = ("client", "balance", "reserved", "price_plan", "created_at", "adjust")
    readonly_fields = ("client", "balance", "reserved", "created_at", "adjust")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("wallet.change_wallet")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if obj and "price_plan" in form.base_fields:
            form.base_fields["price_plan"].queryset = PricePlan.objects.filter(currency=obj.currency)
        return form

    def save_model(self, request: HttpRequest, obj: Wallet, form: forms.ModelForm, change: bool) -> None:
        set_price_plan(client=obj.client, plan=obj.price_plan)

    @admin.display(ordering="balance_micros")
    def balance(self, wallet: Wallet) -> str:
        return _amount(wallet.balance_micros, wallet.currency)

    @admin.display(ordering="reserved_micros")
    def reserved(self, wallet: Wallet) -> str:
        return _amount(wallet.reserved_micros, wallet.currency)

    @admin.display(description="Adjustment")
    def adjust(self, wallet: Wallet) -> str:
        return format_html('<a href="{}">Adjust the balance…</a>', reverse("admin:wallet_adjust", args=[wallet.pk]))

    def get_urls(self) -> list[URLPattern]:
        adjust = path("<int:pk>/adjust/", self.admin_site.admin_view(self.adjust_view), name="wallet_adjust")
        return [adjust, *super().get_urls()]

    def adjust_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks for amount and reason, then calls the service; its refusals are shown in the form."""
        if not request.user.has_perm("wallet.adjust_balance"):
            raise PermissionDenied
        wallet = get_object_or_404(Wallet.objects.unscoped().select_related("client"), pk=pk)
        form = AdjustmentForm(request.POST or None, initial={"token": uuid4()})
        if form.is_valid() and self._adjust(request, wallet, form):
            return redirect("admin:wallet_wallet_change", pk)
        context = self.admin_site.each_context(request) | {
            "title": f"Adjust the balance of {wallet.client}",
            "opts": self.model._meta,
            "wallet": wallet,
            "balance": self.balance(wallet),
            "form": form,
        }
        return TemplateResponse(request, "admin/wallet/adjust.html", context, status=422 if form.errors else 200)

    def _adjust(self, request: HttpRequest, wallet: Wallet, form: AdjustmentForm) -> bool:
        data = form.cleaned_data
        try:
            with transaction.atomic():
                entry = adjust_balance(
                    client=wallet.client,
                    amount=data["amount"],
                    reason=data["reason"],
                    by=request.user,  # type: ignore[arg-type]
                    reference=f"adjustment:{data['token'].hex}",
                )
        except DomainError as refusal:
            form.add_error(None, str(refusal))
            return False
        except IntegrityError:
            messages.info(request, "This adjustment was made before; nothing was moved again.")
            return True
        messages.success(request, f"The balance is now {_amount(entry.balance_after_micros, wallet.currency)}.")
        return True


class WalletRowAdmin(ReadOnly):
    """What hangs on a wallet, newest first."""

    ordering = ("-pk",)
    list_select_related: ClassVar[tuple[str, ...]] = ("wallet__client",)
    search_fields = ("reference", "wallet__client__name")
    search_help_text = "Reference or client"
    show_full_result_count = False

    @admin.display(ordering="wallet_id")
    def client(self, row: LedgerEntry | Reservation) -> str:
        return str(row.wallet.client)

    @admin.display(ordering="amount_micros")
    def amount(self, row: LedgerEntry | Reservation) -> str:
        return _amount(row.amount_micros, row.wallet.currency)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(WalletRowAdmin):
    list_display = ("id", "client", "kind", "amount", "balance_after", "reference", "description", "by", "created_at")
    list_select_related = ("wallet__client", "by")
    list_filter = ("kind",)
    fields = ("client", "kind", "amount", "balance_after", "reference", "description", "by", "created_at")

    @admin.display(ordering="balance_after_micros")
    def balance_after(self, entry: LedgerEntry) -> str:
        return _amount(entry.balance_after_micros, entry.wallet.currency)


@admin.register(Reservation)
class ReservationAdmin(WalletRowAdmin):
    list_display = ("id", "client", "reference", "amount", "remaining", "created_at")
    fields = ("client", "reference", "amount", "remaining", "created_at")

    @admin.display(ordering="remaining_micros")
    def remaining(self, reservation: Reservation) -> str:
        return _amount(reservation.remaining_micros, reservation.wallet.currency)
