"""Forms of accounts: shape here, meaning in the services."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.events import EVENTS
from accounts.models import DeliveryState, WebhookFormat
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


class WebhookForm(forms.Form):
    """Where events go, which ones, and in what shape. `token` makes a repeated submit harmless."""

    token = forms.UUIDField(widget=forms.HiddenInput)
    url = forms.CharField(
        label=_("Address"),
        max_length=500,
        help_text=_("The address of your program that receives the events. It begins with https://."),
        widget=forms.TextInput(attrs={"inputmode": "url", "spellcheck": "false", "autocapitalize": "none"}),
    )
    events = forms.MultipleChoiceField(
        label=_("Events"),
        choices=[
            ("*", _("Every event, also those that are added later")),
            *(
                (event.name, format_lazy("{name}: {meaning}", name=event.name, meaning=event.meaning))
                for event in EVENTS.values()
            ),
        ],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one event.")},
    )
    format = forms.ChoiceField(
        label=_("Format"),
        choices=[
            (WebhookFormat.ENVELOPE, _("Envelope: the fields of the event stand under “data”")),
            (WebhookFormat.FLAT, _("Flat: all fields side by side")),
        ],
        widget=forms.RadioSelect,
        help_text=_("Keep the envelope unless your program follows a guide with flat events."),
    )


class WebhookTestForm(forms.Form):
    """Which sample to send."""

    event = forms.ChoiceField(label=_("Sample"), choices=[(name, name) for name in EVENTS], initial="message.delivered")


class DeliveryFilterForm(forms.Form):
    """Filters of the delivery log; days in the client's time zone."""

    state = forms.ChoiceField(
        label=_("State"),
        required=False,
        choices=[
            ("", _("All")),
            (DeliveryState.DELIVERED, _("Delivered")),
            (DeliveryState.WAITING, _("Waiting")),
            ("retrying", _("Failed, will be tried again")),
            (DeliveryState.FAILED, _("Failed")),
        ],
    )
    event = forms.ChoiceField(
        label=_("Event"), required=False, choices=[("", _("All")), *((name, name) for name in EVENTS)]
    )
    since = forms.DateField(label=_("From day"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To day"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def span(self, time_zone: str) -> tuple[datetime | None, datetime | None]:
        """The first moment of the first day and the one after the last day, in UTC; None where a side is open."""
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        return _start(since, 0, time_zone), _start(until, 1, time_zone)


def _start(day: date | None, days_later: int, time_zone: str) -> datetime | None:
    """The beginning of a day; None also for one at the ends of the calendar, which leaves nothing out."""
    try:
        moved = day + timedelta(days=days_later) if day else None
        return datetime.combine(moved, time.min, tzinfo=ZoneInfo(time_zone)).astimezone(UTC) if moved else None
    except OverflowError:
        return None
