"""The roads out: accounts at providers with their credentials, routes, the board, and what may be done about each."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Client
from crm.common.channels import Channel
from crm.common.countries import time_zones
from crm.common.errors import DomainError, InvalidInput
from crm.common.money import from_micros, to_micros
from messaging import provider_board, wake
from messaging.models import ProviderAccount, Route
from messaging.providers.base import CredentialField
from messaging.providers.registry import all_adapters, get_adapter
from messaging.services.provider_access import callback_base
from messaging.services.providers import mark_working, pause_account, resume_account, set_weight
from messaging.services.queues import divert_queue, move_queue
from messaging.services.samples import TEXT, send_sample
from messaging.services.trials import keep_balance, try_account
from messaging.windows import UnreadableWindow, read_window

KEPT = "Kept as it is, unless you write a new one. It is never shown again."


def _credential_fields() -> Iterator[tuple[str, str, CredentialField]]:
    """(name in the form, adapter, field) for every value that some adapter asks for."""
    for adapter in all_adapters():
        for wanted in adapter.credential_fields:
            yield f"{adapter.name}__{wanted.name}", adapter.name, wanted


class ProviderAccountForm(forms.ModelForm):
    """Credentials go in and never come out: a field left empty keeps the stored value."""

    adapter = forms.ChoiceField(choices=lambda: [(adapter.name, adapter.label) for adapter in all_adapters()])
    balance_alarm = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=15,
        decimal_places=2,
        label="Tell staff when the balance is below",
        help_text="In the provider's currency or units; empty: never",
    )

    class Meta:
        model = ProviderAccount
        fields = (
            "name", "adapter", "base_url", "batch_size", "is_active", "rate_per_second", "most_at_once",
            "refund_unconfirmed",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, adapter, wanted in _credential_fields():
            self.fields[name] = self._field(adapter, wanted)
        if self.instance.pk:  # its callbacks and messages speak that adapter's language
            self.fields["adapter"].disabled = True
        if self.instance.balance_alarm_micros is not None:
            self.fields["balance_alarm"].initial = from_micros(self.instance.balance_alarm_micros)

    def _field(self, adapter: str, wanted: CredentialField) -> forms.Field:
        label = f"{get_adapter(adapter).label}: {wanted.label}"
        is_kept = wanted.name in self.instance.credentials and self.instance.adapter == adapter
        default = f"Empty: {wanted.default}" if wanted.default and not is_kept else ""
        help_text = " ".join(filter(None, (str(wanted.help), KEPT if is_kept else default)))
        if wanted.choices:
            choices = [("", "As it is" if is_kept else "Default"), *((value, value) for value in wanted.choices)]
            return forms.ChoiceField(label=label, choices=choices, required=False, help_text=help_text)
        widget: forms.Widget = forms.TextInput()
        if wanted.lines:
            widget = forms.Textarea(attrs={"rows": 6, "autocomplete": "off"})
        elif wanted.secret:
            widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
        return forms.CharField(
            label=label, widget=widget, required=False, max_length=20_000 if wanted.lines else 500, help_text=help_text
        )

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or self.cleaned_data
        chosen = fields.get("adapter")
        kept = dict(self.instance.credentials) if self.instance.adapter == chosen else {}
        names = {}
        for name, adapter, wanted in _credential_fields():
            if adapter == chosen:
                names[wanted.name] = name
                if fields.get(name):
                    kept[wanted.name] = fields[name]
        if chosen:
            for wanted_name, sentence in get_adapter(chosen).problems_with(kept).items():
                self.add_error(names.get(wanted_name), sentence)
        self.credentials = kept
        return fields


class SampleForm(forms.Form):
    client = forms.ModelChoiceField(Client.objects.order_by("name"), help_text="Who pays for it, at its price")
    to = forms.CharField(max_length=30, label="Number", help_text="As people write it")
    sender = forms.CharField(max_length=15, required=False, help_text="Empty: the client's default sender ID")
    text = forms.CharField(max_length=160, initial=TEXT)


@admin.register(ProviderAccount)
class ProviderAccountAdmin(admin.ModelAdmin):
    form = ProviderAccountForm
    list_display = ("name", "adapter", "is_active", "rest", "created_at")
    list_filter = ("adapter", "is_active")
    readonly_fields = ("callback_addresses", "rest")
    actions = ("wake_now",)

    def get_fieldsets(self, request: HttpRequest, obj: ProviderAccount | None = None) -> list:
        shown = ("name", "adapter", "is_active", "base_url")
        limits = ("batch_size", "rate_per_second", "most_at_once", "balance_alarm", "refund_unconfirmed")
        sets: list = [(None, {"fields": (*shown, "rest") if obj else shown})]
        names = tuple(name for name, adapter, _field in _credential_fields() if obj is None or adapter == obj.adapter)
        sets.append(("Credentials", {"fields": names}))
        sets.append(("Limits", {"fields": limits}))
        if obj:
            sets.append(("At the provider", {"fields": ("callback_addresses",)}))
        return sets

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["fields"] = ProviderAccountForm.Meta.fields  # the credential fields are made by the form itself
        return super().get_form(request, obj, change, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("board/", guard(self.board), name="messaging_provider_board"),
            path("<int:pk>/road/", guard(self.road), name="messaging_provider_road"),
            *super().get_urls(),
        ]

    def save_model(self, request: HttpRequest, obj: ProviderAccount, form: ProviderAccountForm, change: bool) -> None:
        """Switching it off or on is a decision like the one on the board, so it goes by the same services."""
        obj.credentials = form.credentials
        alarm = form.cleaned_data.get("balance_alarm")
        obj.balance_alarm_micros = None if alarm is None else to_micros(alarm)
        wanted = obj.is_active
        if change and "is_active" in form.changed_data:
            obj.is_active = not wanted
        super().save_model(request, obj, form, change)
        if change and "is_active" in form.changed_data:
            (resume_account if wanted else pause_account)(account_id=obj.pk, by=request.user)
            obj.is_active = wanted

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its messages name it; switching it off is enough

    @admin.display(description="Callback addresses to enter there")
    def callback_addresses(self, account: ProviderAccount) -> SafeString:
        rows = ((kind, f"{callback_base(account)}/{kind}") for kind in get_adapter(account.adapter).callback_kinds)
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}: <code>{}</code></li>", rows))

    @admin.display(description="Rest")
    def rest(self, account: ProviderAccount) -> str:
        if not account.is_active:
            return "Switched off"
        if account.rest_until and account.rest_until > timezone.now():
            return f"Resting until {account.rest_until:%H:%M:%S} UTC: {account.rest_reason}"
        return "Working" if not account.rest_level else f"Trying again after: {account.rest_reason}"

    @admin.action(description="Wake now: end the rest of the chosen accounts")
    def wake_now(self, request: HttpRequest, queryset: QuerySet) -> None:
        for account in queryset:
            mark_working(account_id=account.pk, by=request.user)
            wake.senders([account.pk])
            messages.success(request, f"{account} is tried again at once.")

    # --- the board and one road ---------------------------------------------------------------------------------------

    def board(self, request: HttpRequest) -> HttpResponseBase:
        """Every account with its figures over an hour, a day or a week, and the newest decisions."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        period = request.GET.get("period", "24h")
        if period not in provider_board.PERIODS:
            period = "24h"
        context = {
            **self.admin_site.each_context(request),
            "title": _("How providers fare"),
            "lines": provider_board.board(period),
            "decisions": provider_board.decisions(),
            "period": period,
            "periods": list(provider_board.PERIODS),
        }
        return TemplateResponse(request, "admin/messaging/provideraccount/board.html", context)

    def road(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """One account: its state, its queue and where it would go, its routes' shares, trials, its decisions."""
        account = get_object_or_404(ProviderAccount, pk=pk)
        if not self.has_view_permission(request, account):
            raise PermissionDenied
        sample = SampleForm()
        trial = None
        if request.method == "POST":
            if not self.has_change_permission(request, account):
                raise PermissionDenied
            act = request.POST.get("act", "")
            if act == "try":
                trial = try_account(account)
                keep_balance(account=account, trial=trial)
                account.refresh_from_db()
            elif act == "sample":
                sample = SampleForm(request.POST)
                if sample.is_valid() and self._send_sample(request, account, sample):
                    return redirect("admin:messaging_provider_road", pk)
            else:
                self._act(request, account, act)
                return redirect("admin:messaging_provider_road", pk)
        others = list(ProviderAccount.objects.filter(is_active=True).exclude(pk=pk))
        target = next((other for other in others if str(other.pk) == request.GET.get("to", "")), None)
        (line,) = provider_board.board("24h", [account])
        context = {
            **self.admin_site.each_context(request),
            "title": account.name,
            "account": account,
            "line": line,
            "others": others,
            "target": target,
            "effects": provider_board.preview(account, to=target),
            "routes": list(account.routes.all()),
            "decisions": provider_board.decisions(account_id=pk),
            "sample": sample,
            "trial": trial,
            "may_change": self.has_change_permission(request, account),
        }
        status = 422 if sample.errors else 200
        return TemplateResponse(request, "admin/messaging/provideraccount/road.html", context, status=status)

    def _act(self, request: HttpRequest, account: ProviderAccount, act: str) -> None:
        by, reason = request.user, request.POST.get("reason", "")[:300]
        try:
            if act == "pause":
                pause_account(account_id=account.pk, by=by, reason=reason)
                divert_queue(account_id=account.pk, by=by, reason=reason or _("Paused"))
                messages.success(request, _("%(account)s is paused.") % {"account": account})
            elif act == "resume":
                resume_account(account_id=account.pk, by=by, reason=reason)
                messages.success(request, _("%(account)s is in use again.") % {"account": account})
            elif act == "wake":
                mark_working(account_id=account.pk, by=by)
                wake.senders([account.pk])
                messages.success(request, _("%(account)s is tried again at once.") % {"account": account})
            elif act == "move":
                count = move_queue(account_id=account.pk, to=_number(request, "to"), by=by, reason=reason)
                words = ngettext("%(count)d message was moved.", "%(count)d messages were moved.", count)
                messages.success(request, words % {"count": count})
            elif act == "weight":
                route = set_weight(route_id=_number(request, "route"), weight=_number(request, "weight"), by=by)
                messages.success(
                    request, _("%(route)s has the share %(weight)d.") % {"route": route, "weight": route.weight}
                )
            else:
                messages.error(request, _("Nothing was done: this page does not know what was asked."))
        except InvalidInput as error:
            messages.error(request, str(error))

    def _send_sample(self, request: HttpRequest, account: ProviderAccount, form: SampleForm) -> HttpResponse | bool:
        try:
            sent = send_sample(account=account, **form.cleaned_data)
        except DomainError as error:
            form.add_error(None, str(error))
            return False
        link = reverse("admin:messaging_message_change", args=[sent.id])
        messages.success(request, format_html(_('Sent as <a href="{}">{}</a>.'), link, sent.message_id))
        return True


def _number(request: HttpRequest, name: str) -> int:
    value = request.POST.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else -1


class RouteForm(forms.ModelForm):
    """What no message could match is refused: an adapter without the channel, a window or a zone nobody can read."""

    channel = forms.ChoiceField(choices=Channel.choices)
    weight = forms.IntegerField(
        required=False, min_value=0, max_value=1000, initial=100, help_text=Route._meta.get_field("weight").help_text
    )

    class Meta:
        model = Route
        fields = (
            "channel", "country", "network", "prefix", "sender", "account", "preference", "weight", "window",
            "time_zone",
        )  # fmt: skip

    def clean_country(self) -> str:
        return self.cleaned_data["country"].strip().upper()

    def clean_prefix(self) -> str:
        prefix = self.cleaned_data["prefix"].replace(" ", "")
        if prefix and not prefix.removeprefix("+").isdecimal():
            raise forms.ValidationError(_("Digits with the country code, such as +25471."))
        return f"+{prefix.removeprefix('+')}" if prefix else ""

    def clean_window(self) -> str:
        window = " ".join(self.cleaned_data["window"].split())
        try:
            read_window(window)
        except UnreadableWindow as error:
            raise forms.ValidationError(str(error)) from None
        return window

    def clean_time_zone(self) -> str:
        zone = self.cleaned_data["time_zone"].strip()
        if zone and zone not in time_zones():
            raise forms.ValidationError(_("A time zone such as Africa/Nairobi."))
        return zone

    def clean_weight(self) -> int:
        weight = self.cleaned_data["weight"]
        return 100 if weight is None else weight

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or self.cleaned_data
        account, channel = fields.get("account"), fields.get("channel")
        if account and channel and channel not in get_adapter(account.adapter).channels:
            label = get_adapter(account.adapter).label
            self.add_error("channel", _("%(provider)s does not carry this channel.") % {"provider": label})
        return fields


@admin.register(Route)
class RouteAdmin(admin.ModelAdmin):
    form = RouteForm
    list_display = (
        "__str__", "channel", "country", "network", "prefix", "sender", "account", "preference", "weight", "window",
    )  # fmt: skip
    list_filter = ("channel", "account", "country")
    list_select_related = ("account",)

    def save_model(self, request: HttpRequest, obj: Route, form: RouteForm, change: bool) -> None:
        """A changed share is a decision with its row, as from the board."""
        weight = obj.weight
        if change and "weight" in form.changed_data:
            obj.weight = form.initial["weight"]
        super().save_model(request, obj, form, change)
        if change and "weight" in form.changed_data:
            set_weight(route_id=obj.pk, weight=weight, by=request.user)
