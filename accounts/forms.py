"""Forms of accounts: shape here, meaning in the services."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.scopes import SCOPES


class ApiKeyForm(forms.Form):
    """What a new API key may do. `token` makes a repeated submit (reload, double click) harmless."""

    token = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("Where the key will be used, for example “Web shop”.")
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"),
        choices=[(scope, label) for scope, label in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one thing that the key may do.")},
    )
    expires_on = forms.DateField(
        label=_("Last day"),
        required=False,
        help_text=_("The key stops working after this day. Leave it empty for a key without an end."),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": _("Write the day as 2026-12-31.")},
    )
    allowed_addresses = forms.CharField(
        label=_("Allowed addresses"),
        required=False,
        help_text=_("IP addresses or networks that may use the key, one per line. Leave it empty to allow any."),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
    )

    def clean_allowed_addresses(self) -> list[str]:
        return self.cleaned_data["allowed_addresses"].replace(",", " ").split()

    def expires_at(self, time_zone: str) -> datetime | None:
        """The end of the last day in `time_zone`, in UTC; None for a key without an end."""
        last: date | None = self.cleaned_data.get("expires_on")
        if last is None:
            return None
        if last.year >= 9999:
            return datetime.max.replace(tzinfo=UTC)
        return datetime.combine(last + timedelta(days=1), time.min, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)
