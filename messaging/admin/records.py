"""The operator's side: sender IDs to approve, rules of sending; everything that happened is read-only."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path

from crm.common.countries import is_country
from crm.common.errors import InvalidInput
from crm.common.look_only import EveryClientsAdmin
from crm.common.money import from_micros, to_micros
from crm.common.networks import read_ranges
from messaging.models import (
    Campaign,
    Channel,
    CountryRules,
    DocumentKind,
    Message,
    MessageEvent,
    ProviderCallback,
    SenderDocument,
    SenderId,
    SenderState,
    SendingHours,
    SendingRules,
)
from messaging.services.rules import set_limits
from messaging.services.senders import approve_sender, reject_sender_id
from messaging.views.paper_files import paper_file

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


class CountryRulesForm(forms.ModelForm):
    documents = forms.MultipleChoiceField(
        choices=DocumentKind.choices, required=False, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = CountryRules
        fields = (
            "country", "valid_from", "opt_out_text", "documents", "separate_classes", "network_ranges", "note",
        )  # fmt: skip

    def clean_network_ranges(self) -> str:
        try:
            found = read_ranges(self.cleaned_data["network_ranges"])
        except ValueError as error:
            raise forms.ValidationError(f"Cannot read “{error}”. Write: Safaricom: 700-729 740") from None
        return "\n".join(f"{network}: {ranges}" for network, ranges in found)

    def clean_country(self) -> str:
        country = self.cleaned_data["country"].upper()
        if not is_country(country):
            raise forms.ValidationError("Give a country code such as KE.")
        return country

    def clean_opt_out_text(self) -> str:
        text = " ".join(self.cleaned_data["opt_out_text"].split())
        if "{" in text or "}" in text:
            raise forms.ValidationError("Merge fields belong into the text.")
        return text


@admin.register(CountryRules)
class CountryRulesAdmin(admin.ModelAdmin):
    """A change is a new row with its first day; the old one stays."""

    form = CountryRulesForm
    list_display = ("country", "valid_from", "opt_out_text", "separate_classes", "note")
    list_filter = ("country",)


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

    def get_urls(self) -> list[URLPattern]:
        paper = path("paper/<int:pk>/", self.admin_site.admin_view(self.paper_view), name="messaging_paper")
        return [paper, *super().get_urls()]

    def paper_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """A paper of a request, for staff who may see sender IDs."""
        if not request.user.has_perm("messaging.view_senderid"):
            raise PermissionDenied
        return paper_file(SenderDocument.objects.unscoped().filter(pk=pk).first() if pk < 2**63 else None)

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


# --- what happened ----------------------------------------------------------------------------------------------------


@admin.register(Campaign)
class CampaignAdmin(EveryClientsAdmin):
    list_display = ("id", "client", "name", "state", "quoted_recipients", "confirmed_at", "finished_at")
    list_filter = ("state", "simulated")
    list_select_related = ("client",)
    search_fields = ("=id", "name")
    exclude = ("groups",)


@admin.register(Message)
class MessageAdmin(EveryClientsAdmin):
    list_display = ("message_id", "client", "recipient", "sender", "status", "unconfirmed", "error_code", "created_at")
    list_filter = ("status", "unconfirmed")
    list_select_related = ("client",)
    search_fields = ("=id", "=recipient", "=provider_message_id")


@admin.register(MessageEvent)
class MessageEventAdmin(EveryClientsAdmin):
    list_display = ("id", "message", "kind", "code", "detail", "at")
    list_select_related = ("message",)
    search_fields = ("=message__id",)


@admin.register(ProviderCallback)
class ProviderCallbackAdmin(EveryClientsAdmin):
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
