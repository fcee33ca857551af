"""What people type on the pages of messaging. Forms check shape; services check meaning."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.models import Client
from accounts.queries import keys_for
from contacts.queries import groups_with_counts
from crm.common.phones import InvalidPhone, read_phone
from messaging import queries
from messaging.models import Campaign, CampaignState, Channel, Message, SenderId, TemplateLanguage
from messaging.providers.failures import FAILURES
from messaging.queries import LARGEST_ID
from wallet.queries import start_of_day

MAIL_PARTS = ("subject", "text", "html")


def meter_id(language: str) -> str:
    """The id of what measures the text of a language; "" is the one that everybody else reads."""
    return f"meter_{language}" if language else "meter"


def language_fields(language: str, word: str, parts: Sequence[str]) -> dict[str, forms.CharField]:
    """The fields of one language: its text, measured by a meter of its own, or of a mail its subject, text and HTML."""
    labels: dict[str, Any] = {
        "subject": _("%(language)s: subject"),
        "text": "%(language)s",
        "html": _("%(language)s: HTML"),
    }
    found = {}
    attrs: dict[str, Any] = {"rows": 4, "lang": language}
    if tuple(parts) == ("text",):
        meter = meter_id(language)
        attrs |= {"data-composer": True, "data-meter": meter, "aria-describedby": meter}
    for part in parts:
        widget: forms.Widget = forms.Textarea(attrs=dict(attrs))
        if part == "subject":
            widget = forms.TextInput(attrs={"lang": language, "maxlength": 200})
        label = labels[part] % {"language": word}
        found[f"{part}_{language}"] = forms.CharField(label=label, required=False, strip=False, widget=widget)
    return found


class SendingPolicyForm(forms.Form):
    """What ends an organisation's messages, and which campaigns a second person approves."""

    signature = forms.CharField(
        label=_("Signature"), required=False, max_length=60,
        help_text=_("Ends every message that is written on these pages. It counts as text."),
    )  # fmt: skip
    opt_out_text = forms.CharField(
        label=_("How to opt out"), required=False, max_length=80,
        help_text=_("Ends every promotion, such as: STOP to 20880. It counts as text."),
    )  # fmt: skip
    above_people = forms.IntegerField(
        label=_("A second person approves campaigns to more than so many people"), required=False, min_value=0,
        max_value=10_000_000, help_text=_("Empty: nobody has to."),
    )  # fmt: skip
    above_money = forms.DecimalField(
        label=_("Or campaigns that cost more than"), required=False, min_value=0, max_digits=12, decimal_places=2,
    )  # fmt: skip


class TemplateForm(forms.Form):
    """A template with a text for each language."""

    name = forms.CharField(label=_("Name"), max_length=80, help_text=_("Only your team sees it."))

    def __init__(self, *args: Any, channel: str = Channel.SMS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.channel = channel
        self._parts = MAIL_PARTS if channel == Channel.EMAIL else ("text",)
        for language, word in TemplateLanguage.choices:
            self.fields |= language_fields(language, word, self._parts)
            if channel == Channel.EMAIL:
                for part in self._parts:
                    self.fields[f"{part}_{language}"].widget.attrs["data-field"] = True

    def typed(self, name: str) -> str:
        """What stands in a field now, whether or not the form is right."""
        return str(self[name].value() or "")[:400_000].replace("\x00", "")

    def contents(self) -> dict[str, dict[str, str]]:
        """What a template for mails holds besides the text, by language code."""
        names = [part for part in self._parts if part != "text"]
        return {code: {part: self.cleaned_data[f"{part}_{code}"] for part in names} for code in TemplateLanguage.values}

    def texts(self) -> dict[str, str]:
        """What was typed, by language code."""
        return {language: self.cleaned_data[f"text_{language}"] for language in TemplateLanguage.values}


class SendForm(forms.Form):
    """One message now. `to` holds numbers in any spelling; contacts and groups are ticked beside it."""

    to = forms.CharField(
        label=_("To"),
        required=False,
        max_length=400_000,
        help_text=_("Numbers, one beside the other or pasted as a column."),
        widget=forms.Textarea(attrs={"rows": 2, "inputmode": "tel", "autocomplete": "off"}),
    )
    contact = forms.TypedMultipleChoiceField(coerce=int, required=False)
    groups = forms.TypedMultipleChoiceField(
        label=_("Groups"), coerce=int, required=False, widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": _("One of these groups does not exist any more.")},
    )  # fmt: skip
    find = forms.CharField(label=_("Somebody from your contacts"), required=False, max_length=100)
    sender = forms.ChoiceField(
        label=_("Sender ID"),
        required=False,
        error_messages={"invalid_choice": _("This sender ID is not approved for your account.")},
    )
    text = forms.CharField(
        label=_("Text"),
        strip=False,
        error_messages={"required": _("Write the text of the message.")},
        widget=forms.Textarea(attrs={"rows": 5, "data-composer": True, "aria-describedby": "meter"}),
    )
    own = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, client: Client, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups = list(groups_with_counts(client))
        self.fields["groups"].choices = [(group.pk, f"{group.name}: {group.size:,}") for group in groups]  # type: ignore[attr-defined]
        senders = [sender.name for sender in queries.approved_senders(client)]
        self.fields["sender"].choices = [(name, name) for name in senders]  # type: ignore[attr-defined]
        self.default_sender = senders[0] if senders else ""
        # Any id may be asked for: the service looks only into the client's own book.
        self.fields["contact"].choices = [(pk, pk) for pk in self.picked_contacts()]  # type: ignore[attr-defined]

    def typed(self, name: str, longest: int = 400_000) -> str:
        """What stands in a field now, whether or not the form is right."""
        return str(self[name].value() or "")[:longest].replace("\x00", "")

    def known_groups(self) -> list[int]:
        """The groups ticked that exist."""
        known = {str(pk): pk for pk, _label in self.fields["groups"].choices}  # type: ignore[attr-defined]
        return [known[str(value)] for value in self["groups"].value() or [] if str(value) in known]

    def picked_contacts(self) -> list[int]:
        """Ids of contacts ticked, at most 100."""
        return [pk for pk in (read_id(str(value)) for value in self["contact"].value() or []) if pk][:100]


STATUS_WORDS = (
    ("queued", _("Queued")),
    ("sent", _("Sent")),
    ("delivered", _("Delivered")),
    ("failed", _("Failed")),
    ("paused", _("Paused")),
    ("scheduled", _("Scheduled")),
    ("cancelled", _("Cancelled")),
)
CAMPAIGNS_OFFERED = 50


class HistoryForm(forms.Form):
    """The filters of the message history. Days are those of the client's time zone; a number may be written anyhow."""

    status = forms.ChoiceField(
        label=_("Status"),
        required=False,
        choices=[("", _("Any")), *STATUS_WORDS],
        error_messages={"invalid_choice": _("Choose one of the list.")},
    )
    number = forms.CharField(
        label=_("Number"), required=False, max_length=40, widget=forms.TextInput(attrs={"inputmode": "tel"})
    )
    start = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    end = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    campaign = forms.TypedChoiceField(
        label=_("Campaign"),
        required=False,
        coerce=int,
        empty_value=None,
        error_messages={"invalid_choice": _("There is no such campaign.")},
    )
    sender = forms.ChoiceField(
        label=_("Sender ID"), required=False, error_messages={"invalid_choice": _("There is no such sender ID.")}
    )
    reference = forms.CharField(label=_("Your reference"), required=False, max_length=100)
    channel = forms.ChoiceField(label=_("Channel"), required=False, choices=[("", _("Any")), *Channel.choices])
    cause = forms.ChoiceField(label=_("Why it failed"), required=False)
    key = forms.TypedChoiceField(label=_("API key"), required=False, coerce=int, empty_value=None)
    simulated = forms.ChoiceField(
        label=_("Simulated"),
        required=False,
        choices=[("", _("Both")), ("no", _("Only real ones")), ("yes", _("Only simulated ones"))],
    )

    def __init__(self, data: Any, *, client: Client) -> None:
        super().__init__(data)
        self.client = client
        keys = keys_for(client).order_by("-pk").values_list("pk", "name")[:CAMPAIGNS_OFFERED]
        self.fields["key"].choices = [("", _("Any")), *keys]  # type: ignore[attr-defined]
        self.fields["cause"].choices = [("", _("Any")), *_causes()]  # type: ignore[attr-defined]
        senders = list(SenderId.objects.for_client(client).filter(channel="sms").values_list("name", flat=True))
        self.fields["sender"].choices = [("", _("Any")), *((name, name) for name in senders)]  # type: ignore[attr-defined]
        self.fields["campaign"].choices = [("", _("Any")), *self._campaigns(data.get("campaign", ""))]  # type: ignore[attr-defined]

    def add_prefix(self, field_name: str) -> str:
        """`from` and `to` in addresses; both are awkward as Python names."""
        return {"start": "from", "end": "to"}.get(field_name, field_name)

    def _campaigns(self, chosen: str) -> list[tuple[int, str]]:
        """The latest campaigns that were started, and the chosen one however old it is."""
        started = Campaign.objects.for_client(self.client).exclude(state=CampaignState.DRAFT).order_by("-pk")
        found = list(started.values_list("pk", "name")[:CAMPAIGNS_OFFERED])
        wanted = read_id(chosen)
        if wanted and wanted not in dict(found):
            found += started.filter(Q(pk=wanted)).values_list("pk", "name")
        return found

    def clean_number(self) -> str:
        """E.164; or the beginning of it, where what was typed begins with a plus."""
        typed = self.cleaned_data["number"].strip()
        if not typed:
            return ""
        try:
            return read_phone(typed, self.client.country).e164
        except InvalidPhone as error:
            start = "".join(typed.split())
            if start.startswith("+") and start[1:].isascii() and start[1:].isdigit():
                return start
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        start: date | None = found.get("start")
        end: date | None = found.get("end")
        if start and end and start > end:
            self.add_error("end", _("This day lies before the first one."))
        return found

    def matching(self) -> QuerySet[Message]:
        """The messages that a valid form finds, newest first."""
        fields, zone = self.cleaned_data, self.client.time_zone
        try:
            until = start_of_day(fields["end"] + timedelta(days=1), zone) if fields["end"] else None
        except OverflowError:
            until = None  # the last day of the calendar
        return queries.messages_for(
            self.client,
            status=fields["status"],
            recipient=fields["number"],
            sender=fields["sender"],
            campaign_id=fields["campaign"],
            reference=fields["reference"],
            since=start_of_day(fields["start"], zone) if fields["start"] else None,
            before=until,
            channel=fields["channel"],
            api_key_id=fields["key"],
            causes=_alike(fields["cause"]),
            simulated={"yes": True, "no": False}.get(fields["simulated"]),
        )

    @property
    def main_filters(self) -> list[forms.BoundField]:
        return [self[name] for name in ("status", "number", "campaign")]

    @property
    def more_filters(self) -> list[forms.BoundField]:
        return [self[name] for name in ("start", "end", "channel", "sender", "cause", "key", "simulated", "reference")]

    @property
    def is_filtered(self) -> bool:
        return self._is_set(self.fields)

    @property
    def has_more(self) -> bool:
        """Whether a filter is set that is folded away otherwise."""
        return self._is_set(field.name for field in self.more_filters)

    def _is_set(self, names: Iterable[str]) -> bool:
        return any(self.data.get(self.add_prefix(name), "").strip() for name in names)


def _causes() -> list[tuple[str, str]]:
    """Each cause once by its words, under the first code that has them."""
    found: dict[str, str] = {}
    for failure in FAILURES.values():
        found.setdefault(str(failure.words), failure.code)
    return sorted(((code, words) for words, code in found.items()), key=lambda pair: pair[1])


def _alike(code: str) -> list[str]:
    """The codes that people read the same words for."""
    if code not in FAILURES:
        return []
    words = str(FAILURES[code].words)
    return [each.code for each in FAILURES.values() if str(each.words) == words]


def read_id(typed: str) -> int | None:
    """A row's id as an address holds it; None for what is no id."""
    if typed.isascii() and typed.isdigit() and len(typed) <= 19 and 0 < int(typed) <= LARGEST_ID:
        return int(typed)
    return None
