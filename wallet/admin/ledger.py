"""Back office of money: wallets, entries and reservations are read; a service adjusts, with two people if need be."""

from decimal import Decimal
from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from crm.common.errors import DomainError
from crm.common.look_only import EveryClientsAdmin
from crm.common.money import format_money, from_micros
from wallet.adjustments import decide_adjustment, request_adjustment
from wallet.models import AdjustmentRequest, LedgerEntry, PricePlan, RequestState, Reservation, Wallet
from wallet.services import set_price_plan


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
class WalletAdmin(EveryClientsAdmin):
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
                entry = request_adjustment(
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
        if entry is None:
            messages.warning(request, "Nothing was moved yet: this amount waits for a second member of staff.")
        else:
            messages.success(request, f"The balance is now {_amount(entry.balance_after_micros, wallet.currency)}.")
        return True


@admin.register(AdjustmentRequest)
class AdjustmentRequestAdmin(EveryClientsAdmin):
    """Adjustments above the limit: whoever did not ask for one approves or declines it."""

    list_display = ("id", "client", "amount", "reason", "requested_by", "state", "decided_by", "created_at", "decide")
    list_filter = ("state",)
    list_select_related = ("wallet__client", "requested_by", "decided_by")
    fields = ("client", "amount", "reason", "requested_by", "state", "decided_by", "decided_at", "created_at", "decide")
    readonly_fields = ("decide",)

    @admin.display(ordering="wallet_id")
    def client(self, asked: AdjustmentRequest) -> str:
        return str(asked.wallet.client)

    @admin.display(ordering="amount_micros")
    def amount(self, asked: AdjustmentRequest) -> str:
        return _amount(asked.amount_micros, asked.wallet.currency)

    @admin.display(description="")
    def decide(self, asked: AdjustmentRequest) -> str:
        if asked.state != RequestState.WAITING:
            return ""
        return format_html('<a href="{}">Decide…</a>', reverse("admin:wallet_decide", args=[asked.pk]))

    def get_urls(self) -> list[URLPattern]:
        decide = path("<int:pk>/decide/", self.admin_site.admin_view(self.decide_view), name="wallet_decide")
        return [decide, *super().get_urls()]

    def decide_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Approve or decline; the service refuses whoever asked for it."""
        if not request.user.has_perm("wallet.adjust_balance"):
            raise PermissionDenied
        asked = get_object_or_404(AdjustmentRequest.objects.unscoped().select_related("wallet__client"), pk=pk)
        if request.method == "POST":
            try:
                decide_adjustment(request_id=asked.pk, approve="approve" in request.POST, by=request.user)  # type: ignore[arg-type]
            except DomainError as refusal:
                messages.error(request, str(refusal))
            else:
                messages.success(request, "Decided.")
            return redirect("admin:wallet_adjustmentrequest_changelist")
        context = self.admin_site.each_context(request) | {
            "title": f"Adjustment of {asked.wallet.client}",
            "opts": self.model._meta,
            "asked": asked,
            "amount": self.amount(asked),
        }
        return TemplateResponse(request, "admin/wallet/decide.html", context)


class WalletRowAdmin(EveryClientsAdmin):
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
