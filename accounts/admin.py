"""Back office of accounts: people, who belongs where, and API keys. Clients are opened in crm/admin.py."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import BaseUserCreationForm
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.events import EVENTS
from accounts.models import ApiKey, AuditEntry, Membership, User, WebhookEndpoint
from accounts.scopes import SCOPES
from accounts.services import webhooks
from accounts.services.audit import record_audit_of_person
from accounts.services.keys import create_api_key, read_key_fields, revoke_api_key
from accounts.services.people import end_other_sessions
from crm.common.errors import InvalidInput
from crm.common.look_only import EveryClientsAdmin


class NewUserForm(BaseUserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name")

    def clean_email(self) -> str:
        """Addresses are kept in lower case, so that signing in ignores letter case."""
        email = self.cleaned_data["email"].lower()
        if User.objects.filter(email=email).exists():
            raise forms.ValidationError("There is already a person with this email address.")
        return email


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    ordering = ("email",)
    list_display = ("email", "name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name")
    readonly_fields = ("last_login", "date_joined")
    actions = ("sign_out",)
    add_form = NewUserForm
    add_fieldsets = ((None, {"fields": ("email", "name", "password1", "password2")}),)
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )

    @admin.action(description="Sign the selected people out everywhere", permissions=["change"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            end_other_sessions(user=user)
            record_audit_of_person(user=user, action="person.signed_out_by_staff")
        self.message_user(request, f"Signed out: {len(queryset)}.")


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    list_display = ("user", "client", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "client")
    search_fields = ("user__email", "client__name")
    autocomplete_fields = ("user", "client")


class NewKeyForm(forms.ModelForm):
    """Checks what the service will check, so that a refusal appears beside its field."""

    scopes = forms.MultipleChoiceField(
        choices=[(name, f"{name}: {meaning}") for name, meaning in SCOPES.items()],
        initial=list(SCOPES),
        widget=forms.CheckboxSelectMultiple,
    )
    addresses = forms.CharField(
        label="Allowed addresses",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="IP addresses or networks, one on a line; empty: any",
    )

    class Meta:
        model = ApiKey
        fields = ("client", "name", "simulation", "scopes", "expires_at")

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or self.cleaned_data
        try:
            read_key_fields(
                name=fields.get("name", ""),
                scopes=fields.get("scopes", []),
                allowed_addresses=fields.get("addresses", "").splitlines(),
                expires_at=fields.get("expires_at"),
            )
        except InvalidInput as refusal:
            for field, sentences in refusal.errors.items():
                name = "addresses" if field == "allowed_addresses" else field
                if name not in self.errors:
                    self.add_error(name, sentences)
        return fields


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """Keys are issued and revoked, never edited or deleted; no digest is shown."""

    list_display = ("name", "hint", "client", "simulation", "expires_at", "revoked_at", "last_used_at")
    list_select_related = ("client",)
    search_fields = ("name", "prefix", "client__name")
    autocomplete_fields = ("client",)
    actions = ("revoke",)
    shown = (
        "client", "name", "hint", "simulation", "scopes", "allowed_addresses", "expires_at", "replaced_by",
        "revoked_at", "last_used_at", "last_used_address", "last_used_for", "created_by", "created_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return ApiKey.objects.unscoped().order_by("-pk")

    def get_form(self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **({} if obj else {"form": NewKeyForm}), **kwargs)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return self.shown if obj else ("client", "name", "simulation", "scopes", "addresses", "expires_at")

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return self.shown if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        if change:
            return
        issued = create_api_key(
            client=obj.client,
            name=obj.name,
            scopes=form.cleaned_data["scopes"],
            allowed_addresses=form.cleaned_data["addresses"].splitlines(),
            expires_at=obj.expires_at,
            simulation=form.cleaned_data["simulation"],
            by=request.user,
        )
        obj.pk = issued.key.pk
        obj.prefix, obj.last_four = issued.key.prefix, issued.key.last_four
        messages.warning(
            request,
            f"Copy these now, they are not shown again. API key: {issued.api_key} · API secret: {issued.api_secret} · "
            f"Application key: {issued.app_key}",
        )

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        ended = sum(revoke_api_key(key=key) for key in queryset)
        self.message_user(request, f"Revoked {ended} of {len(queryset)} keys.")


class WebhookForm(forms.ModelForm):
    """Writes by the services while it is being checked, in the admin's transaction: refusals find their field."""

    events = forms.MultipleChoiceField(
        choices=[("*", "Every event, also those that are added later"), *((name, name) for name in EVENTS)],
        initial=["*"],
        widget=forms.CheckboxSelectMultiple,
    )
    issued: webhooks.IssuedEndpoint | None = None

    class Meta:
        model = WebhookEndpoint
        fields = ("client", "url", "events", "format", "active")

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or self.cleaned_data
        if self.errors:
            return fields
        chosen = {name: fields[name] for name in ("url", "events", "format")}
        try:
            if self.instance.pk:
                self.saved = webhooks.update_endpoint(
                    endpoint=self.instance, active=_changed(self.instance.active, fields.get("active")), **chosen
                )
            else:
                self.issued = webhooks.create_endpoint(client=fields["client"], **chosen)
                self.saved = self.issued.endpoint
        except InvalidInput as refusal:
            for field, sentences in refusal.errors.items():
                self.add_error(field, sentences)
        return fields

    def _post_clean(self) -> None:
        """The service has written the row; the form's own instance is that one."""
        if hasattr(self, "saved"):
            self.instance = self.saved


def _changed(before: bool, after: bool | None) -> bool | None:
    """What to tell the service: None where nothing changes, so that saving another field resumes nothing."""
    return None if after is None or after == before else after


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(admin.ModelAdmin):
    """Set up for a client by its account manager. A secret is shown once; the log is the client's own page."""

    form = WebhookForm
    list_display = ("url", "client", "format", "active", "failing_since", "last_success_at")
    list_filter = ("active", "format")
    list_select_related = ("client",)
    search_fields = ("url", "client__name")
    autocomplete_fields = ("client",)
    actions = ("rotate",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        return WebhookEndpoint.objects.unscoped().order_by("-pk")

    def get_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> tuple[str, ...]:
        shown = ("client", "url", "events", "format")
        return (*shown, "active", "disabled_reason", "failing_since", "last_success_at", "created_at") if obj else shown

    def get_readonly_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> tuple[str, ...]:
        return ("client", "disabled_reason", "failing_since", "last_success_at", "created_at") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: WebhookForm, change: bool) -> None:
        if form.issued:
            messages.warning(request, _secret_of(form.issued))

    @admin.action(description="Give the selected webhooks a new secret", permissions=["change"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        for endpoint in queryset:
            messages.warning(request, _secret_of(webhooks.rotate_secret(endpoint=endpoint)))


def _secret_of(issued: webhooks.IssuedEndpoint) -> str:
    return f"Copy this now, it is not shown again. Signing secret of {issued.endpoint.url}: {issued.secret}"


@admin.register(AuditEntry)
class AuditEntryAdmin(EveryClientsAdmin):
    """The log of every client and of the installation, to look at; nobody adds, changes or deletes here."""

    list_display = ("at", "client", "action", "target", "actor_name", "address", "request_id")
    list_filter = ("actor_kind", "action")
    list_select_related = ("client",)
    search_fields = ("action", "target", "actor_name", "=address", "=request_id", "client__name")
