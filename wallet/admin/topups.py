"""Back office of top-ups: the accounts that take money, every top-up and what M-Pesa said, payments to be matched."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from accounts.models import Client
from crm.common.addresses import normalize_network
from crm.common.errors import DomainError
from crm.common.look_only import LookOnlyAdmin
from crm.common.money import format_money, from_micros
from wallet.models import NEEDS_REVIEW, MpesaEvent, PaybillPayment, PaybillState, PaymentAccount, PaymentClaim, TopUp
from wallet.payments.base import AccountField
from wallet.payments.registry import METHODS, get_method
from wallet.topups.accounts import register_paybill
from wallet.topups.paybill import credit_payment, dismiss_payment
from wallet.topups.reviews import mark_seen


def every_field() -> dict[str, AccountField]:
    """The values that any of the ways to pay asks for, by name; two that ask alike share one."""
    return {field.name: field for method in METHODS.values() for field in method.fields}


class PaymentAccountForm(forms.ModelForm):
    """A field for each value of the method; a secret that is left empty stays as it is, and is never shown."""

    method = forms.ChoiceField()
    allowed = forms.CharField(
        required=False,
        label="Addresses that callbacks must come from",
        help_text="With commas between; empty: any. Needed before the confirmation by query can be switched off.",
    )

    class Meta:
        model = PaymentAccount
        fields = ("name", "method", "base_url", "is_active", "has_statement", "confirm_by_query")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kept = self.instance.credentials or {}
        self.fields["allowed"].initial = ", ".join(self.instance.allowed_addresses or [])
        self.fields["method"].choices = [(name, method.label) for name, method in METHODS.items()]  # type: ignore[attr-defined]
        for field in every_field().values():
            made: forms.Field
            if field.choices:
                made = forms.ChoiceField(choices=[(choice, choice) for choice in field.choices])
            else:
                widget = forms.PasswordInput(attrs={"autocomplete": "off"}) if field.secret else forms.TextInput()
                made = forms.CharField(widget=widget)
            is_kept = field.secret and bool(kept.get(field.name))
            made.required = field.required and not is_kept and len(METHODS) == 1  # else `clean` knows which is meant
            made.label, made.help_text = field.label, "Kept; give it again to change it" if is_kept else field.help
            made.initial = "" if field.secret else kept.get(field.name, "")
            self.fields[f"value_{field.name}"] = made

    def clean_allowed(self) -> list[str]:
        try:
            given = [part for part in self.cleaned_data["allowed"].split(",") if part.strip()]
            return [normalize_network(part) for part in given]
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        kept = dict(self.instance.credentials or {})
        if "method" not in data:
            return data
        method = get_method(data["method"])
        for field in method.fields:
            if value := (data.get(f"value_{field.name}") or "").strip():
                kept[field.name] = value
            elif not field.secret:
                kept.pop(field.name, None)
            if field.required and not kept.get(field.name) and f"value_{field.name}" not in self.errors:
                self.add_error(f"value_{field.name}", f"{method.label} needs this.")
        for name, sentence in method.problems_with(kept).items():
            self.add_error(f"value_{name}", sentence)
        if not data.get("confirm_by_query") and not data.get("allowed"):
            self.add_error("confirm_by_query", "Only with a list of addresses that callbacks must come from.")
        self.instance.credentials = kept
        self.instance.allowed_addresses = data.get("allowed") or []
        return data


@admin.register(PaymentAccount)
class PaymentAccountAdmin(admin.ModelAdmin):
    """The oldest active one takes new top-ups."""

    form = PaymentAccountForm
    list_display = ("name", "method", "shortcode", "is_active", "has_statement", "registered_at")
    actions = ("register_addresses",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        values = [f"value_{name}" for name in every_field()]
        return [
            (None, {"fields": ["name", "method", "base_url", "is_active", *values]}),
            ("Confirmation", {"fields": ["has_statement", "confirm_by_query", "allowed"]}),
            *([("Paybill", {"fields": ["addresses", "registered_at"]})] if obj else []),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("addresses", "registered_at")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return self.form

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its top-ups name it; switch it off instead

    @admin.display(description="Shortcode")
    def shortcode(self, account: PaymentAccount) -> str:
        return account.credentials.get("shortcode", "")

    @admin.display(description="Addresses for payments to the paybill")
    def addresses(self, account: PaymentAccount) -> str:
        base = f"{settings.PUBLIC_URL}/callbacks/pay/{account.path_token}"
        return format_html("Confirmation: {}/confirmation<br>Validation: {}/validation", base, base)

    @admin.action(description="Register the addresses for payments to the paybill")
    def register_addresses(self, request: HttpRequest, accounts: Any) -> None:
        for account in accounts:
            try:
                problem = register_paybill(account=account)
            except DomainError as error:
                problem = str(error)
            if problem:
                messages.error(request, f"{account}: {problem}")
            else:
                messages.success(
                    request, f"{account}: {get_method(account.method).label} tells of payments from now on."
                )


class ReviewFilter(admin.SimpleListFilter):
    """Shows what waits for a person."""

    title = "review"
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Needs a person")]

    def queryset(self, request: HttpRequest, rows: Any) -> Any:
        if self.value() != "yes":
            return rows
        if rows.model is MpesaEvent:
            return rows.filter(verdict__in=NEEDS_REVIEW)
        return rows.exclude(review="").exclude(state="completed")


@admin.register(TopUp)
class TopUpAdmin(LookOnlyAdmin):
    actions = ("mark_as_seen",)
    list_display = ("transaction_id", "client", "amount", "phone_end", "state", "receipt", "review", "created_at")
    list_filter = (ReviewFilter, "state")
    list_select_related = ("client",)
    search_fields = ("transaction_id", "receipt", "client__name", "phone")
    fields = (
        "client", "account", "transaction_id", "amount", "currency", "phone", "state", "asked", "receipt",
        "result_code", "result_text", "queried_code", "queried_at", "checks", "checked_at", "next_check_at", "review",
        "started_by", "created_at", "failed_at", "completed_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return TopUp.objects.unscoped().order_by("-pk")

    @admin.action(description="Mark as seen: what the review says was looked after", permissions=["match"])
    def mark_as_seen(self, request: HttpRequest, top_ups: Any) -> None:
        count = sum(mark_seen(top_up=top_up, by=request.user) for top_up in top_ups.select_related("client"))  # type: ignore[arg-type]
        messages.success(request, f"{count} marked as seen.")

    def has_match_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("wallet.match_payment")

    @admin.display(description="Phone")
    def phone_end(self, top_up: TopUp) -> str:
        return f"…{top_up.phone[-3:]}" if top_up.phone else "paybill"


@admin.register(MpesaEvent)
class MpesaEventAdmin(LookOnlyAdmin):
    """What M-Pesa, or whoever claims to be, said; and what was made of it."""

    list_display = ("id", "kind", "top_up", "result_code", "receipt", "amount", "verdict", "note", "received_at")
    list_filter = (ReviewFilter, "kind", "verdict")
    list_select_related = ("top_up",)
    search_fields = ("receipt",)
    fields = (
        "kind", "account", "top_up", "address", "result_code", "receipt", "amount", "verdict", "note", "said",
        "received_at", "processed_at",
    )  # fmt: skip
    ordering = ("-pk",)

    @admin.display
    def amount(self, event: MpesaEvent) -> str:
        return "" if event.amount_micros is None else str(from_micros(event.amount_micros))

    @admin.display
    def said(self, event: MpesaEvent) -> str:
        return bytes(event.body).decode("utf-8", "replace")[:20_000]


class MatchForm(forms.Form):
    client = forms.ModelChoiceField(queryset=Client.objects.all(), required=False, help_text="Whom to credit")
    reason = forms.CharField(max_length=120, required=False, help_text="To put it aside instead: why")


@admin.register(PaybillPayment)
class PaybillPaymentAdmin(LookOnlyAdmin):
    """Payments to the paybill. One that nobody could match is given to a client here, and credited once."""

    list_display = (
        "receipt",
        "shown_amount",
        "bill_reference",
        "payer",
        "state",
        "claims",
        "note",
        "created_at",
        "match",
    )
    list_filter = ("state",)
    search_fields = ("receipt", "bill_reference", "payer")
    fields = ("receipt", "shown_amount", "bill_reference", "payer", "paid_at", "state", "verified_at", "top_up", "note")
    ordering = ("-pk",)
    allowed_states: ClassVar = (PaybillState.NEW, PaybillState.UNMATCHED)

    @admin.display(description="Amount")
    def shown_amount(self, payment: PaybillPayment) -> str:
        return format_money(from_micros(payment.amount_micros), get_method(payment.account.method).currency)

    @admin.display(description="Claimed by")
    def claims(self, payment: PaybillPayment) -> str:
        claims = PaymentClaim.objects.unscoped().filter(receipt=payment.receipt).select_related("client")
        return ", ".join(str(claim.client) for claim in claims)

    @admin.display(description="")
    def match(self, payment: PaybillPayment) -> str:
        if payment.state not in self.allowed_states:
            return ""
        return format_html('<a href="{}">Match…</a>', reverse("admin:wallet_match", args=[payment.pk]))

    def get_urls(self) -> list[URLPattern]:
        match = path("<int:pk>/match/", self.admin_site.admin_view(self.match_view), name="wallet_match")
        return [match, *super().get_urls()]

    def match_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Give the payment to a client, or put it aside; the service's refusals are shown in the form."""
        if not request.user.has_perm("wallet.match_payment"):
            raise PermissionDenied
        payment = get_object_or_404(PaybillPayment.objects.select_related("account"), pk=pk)
        form = MatchForm(request.POST if request.method == "POST" else None)
        if form.is_valid() and self._match(request, payment, form):
            return redirect("admin:wallet_paybillpayment_changelist")
        context = self.admin_site.each_context(request) | {
            "title": f"Match the payment {payment.receipt}",
            "opts": self.model._meta,
            "payment": payment,
            "amount": self.shown_amount(payment),
            "claims": self.claims(payment),
            "form": form,
        }
        return TemplateResponse(request, "admin/wallet/match.html", context, status=422 if form.errors else 200)

    def _match(self, request: HttpRequest, payment: PaybillPayment, form: MatchForm) -> bool:
        client, reason = form.cleaned_data["client"], form.cleaned_data["reason"]
        if bool(client) == bool(reason):
            form.add_error(None, "Choose a client, or say why it is put aside.")
            return False
        try:
            if client:
                top_up = credit_payment(payment=payment, client=client, by=request.user)
                messages.success(request, f"{top_up.amount:,} {top_up.currency} credited to {client}.")
            else:
                dismiss_payment(payment=payment, reason=reason, by=request.user)
                messages.success(request, "The payment was put aside.")
        except DomainError as refusal:
            form.add_error(None, str(refusal))
            return False
        return True
