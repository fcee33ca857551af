"""Back office of clients. Opening one takes every app: owner, wallet, sender IDs, first key (crm/opening.py)."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Client, ClientState, StaffNote
from accounts.services.audit import record_audit
from accounts.services.clients import resume_client, suspend_client
from crm.common.errors import InvalidInput
from crm.common.look_only import LookOnlyAdmin
from crm.common.money import format_money, from_micros
from crm.leases import holder_of
from crm.models import Lease
from crm.office.clients import facts_of_client, failed_share, with_figures
from crm.opening import open_ready_client
from crm.watching.facts import all_figures

admin.site.index_title = gettext_lazy("Back office")  # type: ignore[assignment]

_DETAILS = ("name", "contact_email", "country", "currency", "time_zone", "simulation", "rate_limit")


class NewClientForm(forms.ModelForm):
    """Opens the client while it is being checked, inside the admin's transaction, so that refusals find their field."""

    email = forms.EmailField(label="Owner's email", help_text="Somebody who signs in here already may be the owner")
    password = forms.CharField(
        required=False, widget=forms.PasswordInput, help_text="For a new person only", validators=[validate_password]
    )
    country = forms.CharField(max_length=2, initial="KE", help_text="ISO 3166 code; local numbers are read in it")
    currency = forms.CharField(max_length=3, required=False, help_text="Empty: the country's own")
    time_zone = forms.CharField(max_length=64, required=False, help_text="Empty: the country's own")
    sender_ids = forms.CharField(required=False, help_text="Approved at once; several separated by commas")

    class Meta:
        model = Client
        fields = ("name", "country", "currency", "time_zone", "simulation", "rate_limit")

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or self.cleaned_data
        if self.errors:
            return fields
        try:
            self.opened = open_ready_client(
                name=fields["name"],
                email=fields["email"],
                password=fields["password"] or None,
                country=fields["country"],
                currency=fields["currency"],
                time_zone=fields["time_zone"],
                simulation=fields["simulation"],
                rate_limit=fields["rate_limit"],
                sender_ids=[name.strip() for name in fields["sender_ids"].split(",") if name.strip()],
            )
        except InvalidInput as refusal:
            for field, sentences in refusal.errors.items():
                self.add_error("sender_ids" if field == "sender" else field, sentences)
        return fields

    def _post_clean(self) -> None:
        """The service has written the row; the form's own instance is that one."""
        if hasattr(self, "opened"):
            self.instance = self.opened.client


class ClientForm(forms.ModelForm):
    suspend = forms.BooleanField(required=False, label="Suspended", help_text="Refuses every API call and every send")
    suspended_reason = forms.CharField(max_length=200, required=False, help_text="The client reads it")
    note = forms.CharField(
        max_length=2000, required=False, label="New note", widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For staff; the client never sees it",
    )  # fmt: skip

    class Meta:
        model = Client
        fields = ("name", "contact_email", "simulation", "rate_limit")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("suspend", self.instance.state == ClientState.SUSPENDED)
        self.initial.setdefault("suspended_reason", self.instance.suspended_reason)

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or self.cleaned_data
        if fields.get("suspend") and not fields.get("suspended_reason", "").strip():
            self.add_error("suspended_reason", "Say why: the client reads it.")
        return fields


@admin.register(Client)
class ClientAdmin(admin.ModelAdmin):
    """Country, currency and time zone are fixed once opened: numbers, money and days were read by them."""

    list_display = (
        "id", "name", "contact_email", "country", "balance", "volume", "failures", "state", "simulation", "created_at",
    )  # fmt: skip
    list_display_links = ("id", "name")
    list_filter = ("state", "simulation", "country")
    search_fields = ("name", "contact_email")
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        return with_figures(super().get_queryset(request))

    @admin.display(description="Balance", ordering="figure_balance")
    def balance(self, client: Any) -> str:
        return (
            "–" if client.figure_balance is None else format_money(from_micros(client.figure_balance), client.currency)
        )

    @admin.display(description="Messages, 30 days", ordering="figure_volume")
    def volume(self, client: Any) -> str:
        return f"{client.figure_volume or 0:,}"

    @admin.display(description="Failed", ordering="figure_failed")
    def failures(self, client: Any) -> str:
        share = failed_share(client)
        return "–" if share is None else f"{share:.1f} %"

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        extra = dict(kwargs.pop("extra_context", None) or {})
        client = self.get_object(request, object_id)
        if client is not None:
            extra |= facts_of_client(client)
        return super().change_view(request, object_id, *args, extra_context=extra, **kwargs)

    def get_form(self, request: HttpRequest, obj: Client | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=ClientForm if obj else NewClientForm, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Client | None = None) -> tuple[str, ...]:
        if obj:
            return (*_DETAILS, "suspend", "suspended_reason", "note")
        return (
            "name",
            "email",
            "password",
            "country",
            "currency",
            "time_zone",
            "sender_ids",
            "simulation",
            "rate_limit",
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Client | None = None) -> tuple[str, ...]:
        return ("country", "currency", "time_zone") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Client | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Client, form: forms.ModelForm, change: bool) -> None:
        if not change:
            issued = form.opened.issued
            messages.warning(
                request,
                f"Copy these now, they are not shown again. API key: {issued.api_key} · API secret: "
                f"{issued.api_secret} · Application key: {issued.app_key}",
            )
            return
        changed = [name for name in form.changed_data if name in ClientForm.Meta.fields]
        before = Client.objects.filter(pk=obj.pk).values(*changed).first() if changed else None
        super().save_model(request, obj, form, change)
        if form.cleaned_data["note"].strip():
            StaffNote.objects.create(client=obj, text=form.cleaned_data["note"].strip(), by=request.user)
        if changed:
            after = {name: getattr(obj, name) for name in changed}
            record_audit(client=obj, action="client.changed", target=f"client:{obj.pk}", before=before, after=after)
        if form.cleaned_data["suspend"] and not self._is_suspended_so(obj, form):
            suspend_client(client=obj, reason=form.cleaned_data["suspended_reason"])
        elif obj.state == ClientState.SUSPENDED and not form.cleaned_data["suspend"]:
            resume_client(client=obj)

    def _is_suspended_so(self, client: Client, form: forms.ModelForm) -> bool:
        return (
            client.state == ClientState.SUSPENDED
            and client.suspended_reason == form.cleaned_data["suspended_reason"].strip()
        )


@admin.register(Lease)
class RunningAdmin(LookOnlyAdmin):
    """How the installation runs: the figures that Prometheus reads at /metrics, as a page."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": _("How it runs"),
            "opts": self.opts,
            "figures": [figure for figure in all_figures() if figure.values],
            "schedule": holder_of("schedule"),
        }
        return TemplateResponse(request, "admin/crm/running.html", context)
