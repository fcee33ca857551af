"""Forms of accounts: shape here, meaning in the services."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.events import EVENTS
from accounts.models import ApiKey, DeliveryState, WebhookFormat
from accounts.scopes import SCOPES


class ApiKeyForm(forms.Form):
    """What a new API key may do. `token` makes a repeated submit (reload, double click) harmless."""

    token = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("Where the key will be used, for example “Web shop”.")
    )
    mode = forms.ChoiceField(
        label=_("Mode"),
        choices=[
            ("live", _("Live: messages are sent and charged")),
            (
                "simulation",
                _("Simulation: messages are accepted and reported, but nothing leaves and nothing is charged"),
            ),
        ],
        initial="live",
        widget=forms.RadioSelect,
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"),
        choices=[(scope, _(label)) for scope, label in SCOPES.items()],
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


class RotateKeyForm(forms.Form):
    """How long the old key works beside the new one; the names are those of services.keys.OVERLAPS."""

    overlap = forms.ChoiceField(
        label=_("The old key works"),
        choices=[
            ("now", _("no longer: it ends now")),
            ("1h", _("for 1 hour more")),
            ("24h", _("for 24 hours more")),
            ("7d", _("for 7 days more")),
        ],
        initial="24h",
        widget=forms.RadioSelect,
    )


class RevokeKeyForm(forms.Form):
    """`key_name` is the name of the key, typed: for one that some program used in the last 24 hours."""

    name = forms.CharField(
        label=_("Name of the key"),
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, key_name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._key_name = key_name

    def clean_name(self) -> str:
        if self.cleaned_data["name"].strip() != self._key_name:
            raise forms.ValidationError(_("This is not the name of the key."))
        return self._key_name


class KeyValuesForm(forms.Form):
    """The three values of a new key, as its page posts them back for the file; nothing else fits."""

    api_key = forms.RegexField(r"^tk_(live|test)_[0-9a-f]{8}_[0-9A-Za-z]{32}$")
    api_secret = forms.RegexField(r"^ts_(live|test)_[0-9A-Za-z]{32}$")
    app_key = forms.RegexField(r"^ta_(live|test)_[0-9A-Za-z]{32}$")


class RequestFilterForm(forms.Form):
    """Filters of the last API requests; days in the client's time zone."""

    outcome = forms.ChoiceField(
        label=_("Result"),
        required=False,
        choices=[
            ("", _("All")),
            ("ok", _("Answered (2xx)")),
            ("refused", _("Refused (4xx)")),
            ("broken", _("Our error (5xx)")),
        ],
    )
    error_code = forms.CharField(label=_("Error code"), required=False, max_length=40)
    key = forms.TypedChoiceField(label=_("Key"), required=False, coerce=int, empty_value=None)
    method = forms.ChoiceField(
        label=_("Method"),
        required=False,
        choices=[("", _("All")), *((name, name) for name in ("GET", "POST", "PUT", "PATCH", "DELETE"))],
    )
    q = forms.CharField(label=_("Path or request ID"), required=False, max_length=100)

    def __init__(self, *args: Any, keys: Iterable[ApiKey], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = cast(forms.TypedChoiceField, self.fields["key"])
        field.choices = [("", _("All")), *((key.pk, f"{key.name} ({key.hint})") for key in keys)]


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


AUDIT_NOUNS = (
    ("person", _("Signing in")),
    ("member", _("Members and roles")),
    ("key", _("API keys")),
    ("webhook", _("Webhooks")),
    ("wallet", _("Money")),
    ("campaign", _("Sends")),
    ("sender", _("Sender IDs")),
    ("import", _("Imports")),
    ("opt_out", _("Opt-outs")),
    ("export", _("Exports")),
    ("privacy", _("Data rights")),
    ("client", _("Organisation")),
    ("staff", _("Changes by our staff")),
)


class AuditFilter(forms.Form):
    """The filters of the audit log. Days are those of the client's time zone."""

    about = forms.ChoiceField(
        label=_("About"),
        required=False,
        choices=[("", _("Everything")), *AUDIT_NOUNS],
        error_messages={"invalid_choice": _("Choose one of the list.")},
    )
    who = forms.CharField(label=_("Who"), required=False, max_length=100)
    start = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    end = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def add_prefix(self, field_name: str) -> str:
        return {"start": "from", "end": "to"}.get(field_name, field_name)

    def clean(self) -> dict:
        found = super().clean() or self.cleaned_data
        start, end = found.get("start"), found.get("end")
        if start and end and start > end:
            self.add_error("end", _("This day lies before the first one."))
        return found

    @property
    def is_filtered(self) -> bool:
        return any(self.cleaned_data.values())

    def facts(self, time_zone: str) -> dict:
        """The arguments of accounts.queries.audit_for."""
        fields, zone = self.cleaned_data, ZoneInfo(time_zone)
        since = fields["start"] and datetime.combine(fields["start"], time.min, zone)
        before = None
        if fields["end"] and fields["end"] < date.max:
            before = datetime.combine(fields["end"] + timedelta(days=1), time.min, zone)
        return {"noun": fields["about"], "who": fields["who"], "since": since or None, "before": before}


class PersonForm(forms.Form):
    """Which person, and why; the service checks what is required for which act."""

    address = forms.CharField(
        label=_("Phone number or email address"),
        max_length=254,
        error_messages={"required": _("Say whose data is meant.")},
    )
    reason = forms.CharField(
        label=_("Why"),
        required=False,
        max_length=200,
        help_text=_("For example: asked for it by letter on 3 March. Needed to erase and to lift; it is kept."),
    )


def _days(label: object, help_text: object) -> forms.IntegerField:
    return forms.IntegerField(label=label, help_text=help_text, min_value=7, max_value=365)


class RetentionForm(forms.Form):
    text_days = _days(
        _("Texts of messages, in days"),
        _("After that the history still says who was written to and what became of it, but no longer what it said."),
    )
    number_days = _days(
        _("Numbers and addresses of recipients, in days"),
        _("After that a message can no longer be found by its number. Counts, costs and delivery rates stay."),
    )
    log_days = _days(
        _("Logs, in days"),
        _("Webhook deliveries, API requests, notices and rejected rows of imports are deleted."),
    )
    export_days = _days(
        _("List of downloads, in days"),
        _("Files themselves are deleted after 7 days, or earlier if somebody is erased."),
    )
