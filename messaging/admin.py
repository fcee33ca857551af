"""The operator's side: sender IDs to approve, provider accounts and routes; everything that happened is read-only."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from crm.common.errors import InvalidInput
from crm.common.money import from_micros, to_micros
from messaging import wake
from messaging.models import (
    Campaign,
    Channel,
    Message,
    MessageEvent,
    ProviderAccount,
    ProviderCallback,
    Route,
    SenderId,
    SenderState,
    SendingHours,
    SendingRules,
)
from messaging.providers.base import CredentialField
from messaging.providers.registry import all_adapters, get_adapter
from messaging.services.providers import mark_working
from messaging.services.rules import set_limits
from messaging.services.senders import approve_sender, reject_sender_id


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows of every client, to look at. No count over the whole table, no total order but the newest first."""

    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return self.model.objects.unscoped().order_by("-pk")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


# --- sender IDs -------------------------------------------------------------------------------------------------------


class SenderIdForm(forms.ModelForm):
    """A name is checked by the same rule as everywhere; saving an approved one approves it."""

    class Meta:
        model = SenderId
        fields = ("client", "channel", "name", "display_name", "state", "is_default")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "channel" in self.fields:
            self.fields["channel"].required = False

    def clean_channel(self) -> str:
        return self.cleaned_data["channel"] or Channel.SMS

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or self.cleaned_data
        client = fields.get("client") or self.instance.client
        if fields.get("is_default") and fields.get("state") != SenderState.APPROVED:
            self.add_error("is_default", "Only an approved sender ID can be the default.")
        if not self.errors and fields["state"] == SenderState.APPROVED:
            name = fields.get("name") or self.instance.name
            try:
                self.approved = approve_sender(
                    client=client,
                    channel=fields.get("channel") or self.instance.channel,
                    name=name,
                    display_name=fields.get("display_name") or "",
                    default=bool(fields["is_default"]),
                )
            except InvalidInput as error:
                self.add_error(None, str(error))
        return fields

    def _post_clean(self) -> None:
        """The service has written the row; the form's own instance is that one."""
        if hasattr(self, "approved"):
            self.instance = self.approved
        else:
            super()._post_clean()


@admin.register(SendingHours)
class SendingHoursAdmin(admin.ModelAdmin):
    """A change of the law is a new row with its first day; the old one stays, so that one sees what held when."""

    list_display = ("country", "message_class", "opens", "closes", "valid_from", "note")
    list_filter = ("message_class", "country")


@admin.register(SenderId)
class SenderIdAdmin(admin.ModelAdmin):
    """Messages keep the name they were sent with, so a name is not changed: reject it and make another."""

    form = SenderIdForm
    list_display = ("name", "client", "channel", "state", "is_default", "created_at")
    list_filter = ("channel", "state")
    list_select_related = ("client",)
    search_fields = ("name", "client__name")
    autocomplete_fields = ("client",)
    actions = ("approve", "reject")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return SenderId.objects.unscoped().order_by("-pk")

    def get_readonly_fields(self, request: HttpRequest, obj: SenderId | None = None) -> tuple[str, ...]:
        return ("client", "channel", "name") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: SenderId, form: SenderIdForm, change: bool) -> None:
        if not hasattr(form, "approved"):
            super().save_model(request, obj, form, change)

    @admin.action(description="Approve the chosen sender IDs")
    def approve(self, request: HttpRequest, queryset: QuerySet) -> None:
        for sender in queryset.select_related("client"):
            try:
                approve_sender(client=sender.client, channel=sender.channel, name=sender.name)
            except InvalidInput as error:
                messages.error(request, str(error))
            else:
                messages.success(request, f"{sender.name} of {sender.client} is approved.")

    @admin.action(description="Reject the chosen sender IDs")
    def reject(self, request: HttpRequest, queryset: QuerySet) -> None:
        found = sum(reject_sender_id(sender=sender) for sender in queryset)
        messages.success(request, f"{found} rejected: nothing can be sent with them any more.")


# --- providers --------------------------------------------------------------------------------------------------------

KEPT = "Kept as it is, unless you write a new one. It is never shown again."


def _credential_fields() -> Iterator[tuple[str, str, CredentialField]]:
    """(name in the form, adapter, field) for every value that some adapter asks for."""
    for adapter in all_adapters():
        for wanted in adapter.credential_fields:
            yield f"{adapter.name}__{wanted.name}", adapter.name, wanted


class ProviderAccountForm(forms.ModelForm):
    """Credentials go in and never come out: a field left empty keeps the stored value."""

    adapter = forms.ChoiceField(choices=lambda: [(adapter.name, adapter.label) for adapter in all_adapters()])

    base_url = forms.URLField(required=False, assume_scheme="https", help_text="Empty: the vendor's own address")

    class Meta:
        model = ProviderAccount
        fields = ("name", "adapter", "base_url", "batch_size", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, adapter, wanted in _credential_fields():
            self.fields[name] = self._field(adapter, wanted)
        if self.instance.pk:  # its callbacks and messages speak that adapter's language
            self.fields["adapter"].disabled = True

    def _field(self, adapter: str, wanted: CredentialField) -> forms.Field:
        label = f"{get_adapter(adapter).label}: {wanted.label}"
        is_kept = wanted.name in self.instance.credentials and self.instance.adapter == adapter
        help_text = f"{wanted.help} {KEPT}" if is_kept else wanted.help
        if wanted.choices:
            choices = [("", "As it is" if is_kept else "Default"), *((value, value) for value in wanted.choices)]
            return forms.ChoiceField(label=label, choices=choices, required=False, help_text=help_text)
        widget = forms.PasswordInput(attrs={"autocomplete": "new-password"}) if wanted.secret else forms.TextInput()
        return forms.CharField(label=label, widget=widget, required=False, max_length=500, help_text=help_text)

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or self.cleaned_data
        chosen = fields.get("adapter")
        kept = dict(self.instance.credentials) if self.instance.adapter == chosen else {}
        for name, adapter, wanted in _credential_fields():
            if adapter != chosen:
                continue
            if fields.get(name):
                kept[wanted.name] = fields[name]
            if wanted.required and not kept.get(wanted.name):
                self.add_error(name, f"{get_adapter(adapter).label} needs this.")
        self.credentials = kept
        return fields


@admin.register(ProviderAccount)
class ProviderAccountAdmin(admin.ModelAdmin):
    form = ProviderAccountForm
    list_display = ("name", "adapter", "is_active", "rest", "created_at")
    list_filter = ("adapter", "is_active")
    readonly_fields = ("callback_addresses", "rest")
    actions = ("wake_now",)

    def get_fieldsets(self, request: HttpRequest, obj: ProviderAccount | None = None) -> list:
        shown = ("name", "adapter", "is_active", "base_url", "batch_size")
        sets: list = [(None, {"fields": (*shown, "rest") if obj else shown})]
        names = tuple(name for name, adapter, _ in _credential_fields() if obj is None or adapter == obj.adapter)
        sets.append(("Credentials", {"fields": names}))
        if obj:
            sets.append(("At the provider", {"fields": ("callback_addresses",)}))
        return sets

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["fields"] = ProviderAccountForm.Meta.fields  # the credential fields are made by the form itself
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: ProviderAccount, form: ProviderAccountForm, change: bool) -> None:
        obj.credentials = form.credentials
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its messages name it; switching it off is enough

    @admin.display(description="Callback addresses to enter there")
    def callback_addresses(self, account: ProviderAccount) -> SafeString:
        rows = (
            (kind, f"{settings.PUBLIC_URL}/callbacks/{account.adapter}/{account.callback_token}/{kind}")
            for kind in get_adapter(account.adapter).callback_kinds
        )
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
            mark_working(account_id=account.pk)
            wake.senders([account.pk])
            messages.success(request, f"{account} is tried again at once.")


@admin.register(Route)
class RouteAdmin(admin.ModelAdmin):
    list_display = ("__str__", "channel", "country", "sender", "account", "preference")
    list_filter = ("channel", "account")
    list_select_related = ("account",)


# --- what happened ----------------------------------------------------------------------------------------------------


@admin.register(Campaign)
class CampaignAdmin(ReadOnlyAdmin):
    list_display = ("id", "client", "name", "state", "quoted_recipients", "confirmed_at", "finished_at")
    list_filter = ("state", "simulated")
    list_select_related = ("client",)
    search_fields = ("=id", "name")
    exclude = ("groups",)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("message_id", "client", "recipient", "sender", "status", "unconfirmed", "error_code", "created_at")
    list_filter = ("status", "unconfirmed")
    list_select_related = ("client",)
    search_fields = ("=id", "=recipient", "=provider_message_id")


@admin.register(MessageEvent)
class MessageEventAdmin(ReadOnlyAdmin):
    list_display = ("id", "message", "kind", "code", "detail", "at")
    list_select_related = ("message",)
    search_fields = ("=message__id",)


@admin.register(ProviderCallback)
class ProviderCallbackAdmin(ReadOnlyAdmin):
    list_display = ("id", "account", "kind", "received_at", "attempts", "processed_at", "note")
    list_filter = ("kind", "account")
    list_select_related = ("account",)
    exclude = ("body",)
    readonly_fields = ("text",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return ProviderCallback.objects.order_by("-pk")

    @admin.display(description="Body")
    def text(self, callback: ProviderCallback) -> str:
        return bytes(callback.body).decode("utf-8", "replace")


# --- limits of clients ------------------------------------------------------------------------------------------------


class SendingRulesForm(forms.ModelForm):
    """Amounts in whole money; countries as codes between commas."""

    country_codes = forms.CharField(
        label="Open countries",
        required=False,
        help_text="Beside its own: ISO 3166 codes such as TZ, UG. * opens every country.",
    )
    spend_per_day = forms.DecimalField(
        required=False, min_value=0, max_digits=15, decimal_places=2, help_text="In its currency; empty: no limit"
    )

    class Meta:
        model = SendingRules
        fields = (
            "client", "trial", "equal_per_hour", "any_per_hour", "any_per_day", "messages_per_day", "foreign_per_day",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rules = self.instance
        self.fields["country_codes"].initial = "*" if rules.countries is None else ", ".join(rules.countries)
        if rules.spend_per_day_micros is not None:
            self.fields["spend_per_day"].initial = from_micros(rules.spend_per_day_micros)

    def clean_country_codes(self) -> list[str] | None:
        typed = self.cleaned_data["country_codes"].upper().replace(",", " ").split()
        if typed == ["*"]:
            return None
        unknown = [code for code in typed if not (len(code) == 2 and code.isascii() and code.isalpha())]
        if unknown:
            raise forms.ValidationError(f"No country code: {', '.join(unknown)[:60]}")
        return sorted(set(typed))


@admin.register(SendingRules)
class SendingRulesAdmin(admin.ModelAdmin):
    """What a client may send; a client that is not listed has the installation's defaults."""

    form = SendingRulesForm
    list_display = ("client", "trial", "equal_per_hour", "any_per_hour", "messages_per_day", "foreign_per_day", "where")
    list_select_related = ("client",)
    search_fields = ("client__name",)
    autocomplete_fields = ("client",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SendingRules]:
        return SendingRules.objects.unscoped().order_by("client_id")

    def get_readonly_fields(self, request: HttpRequest, obj: SendingRules | None = None) -> tuple[str, ...]:
        return ("client",) if obj else ()

    @admin.display(description="Countries")
    def where(self, rules: SendingRules) -> str:
        return "Every country" if rules.countries is None else ", ".join([rules.client.country, *rules.countries])

    def save_model(self, request: HttpRequest, obj: SendingRules, form: forms.ModelForm, change: bool) -> None:
        spend = form.cleaned_data["spend_per_day"]
        set_limits(
            client=obj.client,
            trial=obj.trial,
            equal_per_hour=obj.equal_per_hour,
            any_per_hour=obj.any_per_hour,
            any_per_day=obj.any_per_day,
            messages_per_day=obj.messages_per_day,
            foreign_per_day=obj.foreign_per_day,
            spend_per_day_micros=None if spend is None else to_micros(spend),
            countries=form.cleaned_data["country_codes"],
        )
        obj.pk = SendingRules.objects.for_client(obj.client).get().pk
