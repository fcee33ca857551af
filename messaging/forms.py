"""What people type on the pages of messaging. Forms check shape; services check meaning."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.models import Client
from accounts.queries import keys_for
from contacts.queries import groups_with_counts
from crm.common.phones import InvalidPhone, read_phone
from messaging import queries
from messaging.models import Campaign, CampaignState, Channel, Message, MessageClass, Repeat, SenderId, TemplateLanguage
from messaging.providers.failures import FAILURES
from messaging.queries import LARGEST_ID
from messaging.services.direct import read_emails, read_numbers
from wallet.queries import start_of_day

MAIL_PARTS = ("subject", "text", "html")


def _language_fields(language: str, word: str, parts: Iterable[str]) -> dict[str, forms.CharField]:
    """The fields of one language: its text, and of a mail its subject and HTML."""
    labels: dict[str, Any] = {
        "subject": _("%(language)s: subject"),
        "text": "%(language)s",
        "html": _("%(language)s: HTML"),
    }
    found = {}
    for part in parts:
        widget: forms.Widget = forms.Textarea(attrs={"rows": 4, "lang": language})
        if part == "subject":
            widget = forms.TextInput(attrs={"lang": language, "maxlength": 200})
        label = labels[part] % {"language": word}
        found[f"{part}_{language}"] = forms.CharField(label=label, required=False, strip=False, widget=widget)
    return found


def _shown(sender: SenderId) -> str:
    """A sender as people choose it: of a From address also the name before it."""
    return f"{sender.display_name} <{sender.name}>" if sender.display_name else sender.name


class CampaignForm(forms.Form):
    """A campaign on one page. Text, groups and sender may be missing in a draft; the review asks for them."""

    name = forms.CharField(
        label=_("Name"),
        max_length=120,
        help_text=_("Only your team sees it."),
        error_messages={"required": _("Give the campaign a name.")},
    )
    groups = forms.TypedMultipleChoiceField(
        label=_("Send to"),
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": _("One of these groups does not exist any more.")},
    )
    excluded = forms.TypedMultipleChoiceField(
        label=_("But not to"),
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": _("One of these groups does not exist any more.")},
    )
    numbers = forms.CharField(
        label=_("Numbers"),
        required=False,
        max_length=400_000,
        help_text=_("One beside the other or pasted as a column; they need not be in your contacts."),
        widget=forms.Textarea(attrs={"rows": 2, "inputmode": "tel", "autocomplete": "off"}),
    )
    keep_list = forms.BooleanField(required=False)
    upload = forms.FileField(
        label=_("A list as a file"),
        required=False,
        help_text=_("CSV or Excel with a column of phone numbers. Its people become contacts in a group of their own."),
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,.xlsx,text/csv"}),
    )
    sender = forms.ChoiceField(
        label=_("Sender ID"),
        required=False,
        help_text=_("The name that people see the message coming from."),
        error_messages={
            "required": _("Choose a sender ID."),
            "invalid_choice": _("This sender ID is not approved for your account."),
        },
    )
    text = forms.CharField(
        label=_("Text"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "data-composer": True, "aria-describedby": "meter"}),
    )
    message_class = forms.ChoiceField(
        label=_("Type of message"),
        choices=[
            (MessageClass.INFORMATION, _("Information: what they need to know, such as a bill or a meeting")),
            (MessageClass.PROMOTION, _("Promotion: an offer; only at the hours that the law allows")),
        ],
        initial=MessageClass.INFORMATION,
        required=False,
        widget=forms.RadioSelect,
    )
    when = forms.ChoiceField(
        label=_("When"),
        choices=[("now", _("As soon as I confirm")), ("later", _("At a time")), ("repeat", _("Again and again"))],
        initial="now",
        required=False,
        widget=forms.RadioSelect,
    )
    schedule_at = forms.DateTimeField(
        label=_("Day and time"),
        required=False,
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"invalid": _("Write the day and time like 2026-11-24 09:00.")},
    )
    repeat = forms.ChoiceField(label=_("How often"), required=False, choices=Repeat.choices, initial=Repeat.WEEKLY)
    repeat_until = forms.DateField(
        label=_("Until (last day)"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    repeat_times = forms.IntegerField(
        label=_("Or so many times"), required=False, min_value=2, max_value=366,
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )  # fmt: skip
    spread_hours = forms.TypedChoiceField(
        label=_("Spread over"),
        coerce=int,
        empty_value=0,
        choices=[
            (0, _("No: as fast as possible")),
            (1, _("1 hour")),
            (2, _("2 hours")),
            (4, _("4 hours")),
            (8, _("8 hours")),
        ],
        initial=0,
        required=False,
        help_text=_("So that not everybody calls back at once."),
    )

    def __init__(self, *args: Any, client: Client, channel: str = Channel.SMS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.channel, self.client = channel, client
        zone = ZoneInfo(client.time_zone)
        self.zone = zone
        self.fields["schedule_at"].help_text = _("Time of %(zone)s, now %(now)s.") % {
            "zone": client.time_zone, "now": date_format(timezone.localtime(timezone=zone), "H:i T"),
        }  # fmt: skip
        groups = list(groups_with_counts(client))
        self.fields["groups"].choices = [  # type: ignore[attr-defined]
            (group.pk, ngettext("%(name)s: %(size)s contact", "%(name)s: %(size)s contacts", group.size)
             % {"name": group.name, "size": f"{group.size:,}"})
            for group in groups
        ]  # fmt: skip
        senders = list(queries.approved_senders(client, channel))
        self.fields["sender"].choices = [(sender.name, _shown(sender)) for sender in senders]  # type: ignore[attr-defined]
        self.fields["sender"].required = self.has_senders = bool(senders)
        self.has_groups = bool(groups)
        self.fields["excluded"].choices = self.fields["groups"].choices  # type: ignore[attr-defined]
        self._parts = MAIL_PARTS if channel == Channel.EMAIL else ("text",)
        if channel == Channel.EMAIL:
            self._become_mail()
        for language, word in TemplateLanguage.choices:
            for name, field in _language_fields(language, word, self._parts).items():
                self.fields[name] = field

    def _become_mail(self) -> None:
        """The fields of a mail in the place of those of a text."""
        fields = self.fields
        fields["numbers"].label = _("Addresses")
        fields["numbers"].widget.attrs["inputmode"] = "email"
        fields["upload"].help_text = _(
            "CSV or Excel with a column of e-mail addresses. Its people become contacts in a group of their own."
        )
        fields["sender"].label = _("From")
        fields["sender"].help_text = _("The address that the mail comes from.")
        fields["sender"].error_messages["invalid_choice"] = _("This address is not approved for your account.")
        fields["text"].widget = forms.Textarea(attrs={"rows": 8})
        fields["text"].help_text = _("What readers without HTML see; left empty, it is made from the HTML.")
        fields["subject"] = forms.CharField(label=_("Subject"), required=False, max_length=200)
        fields["preheader"] = forms.CharField(
            label=_("Preview text"), required=False, max_length=200,
            help_text=_("What an inbox shows behind the subject."),
        )  # fmt: skip
        fields["html"] = forms.CharField(
            label=_("HTML"), required=False, strip=False, widget=forms.Textarea(attrs={"rows": 8, "class": "mono"}),
            help_text=_("Scripts, forms and frames are left out. A link to unsubscribe is added at the end."),
        )  # fmt: skip
        fields["reply_to"] = forms.CharField(
            label=_("Answers go to"), required=False, max_length=254, help_text=_("Empty: to the address above."),
            widget=forms.EmailInput(),
        )  # fmt: skip

    @property
    def is_mail(self) -> bool:
        return self.channel == Channel.EMAIL

    @property
    def variant_fields(self) -> list[forms.BoundField]:
        return [self[f"{part}_{language}"] for language in TemplateLanguage.values for part in self._parts]

    def mail_parts(self) -> dict[str, str]:
        """What was typed of a mail besides its text."""
        return {name: self.typed(name, 400_000) for name in ("subject", "preheader", "html", "reply_to")}

    def mail_variants(self) -> dict[str, dict[str, str]]:
        """The mail in further languages, by code."""
        return {code: {part: self.typed(f"{part}_{code}") for part in MAIL_PARTS} for code in TemplateLanguage.values}

    def listed(self, typed: str) -> list[str]:
        """The numbers or addresses of a box, each once, without what is none."""
        found = read_emails(typed) if self.is_mail else read_numbers(typed, self.client.country)
        return found.numbers

    def variants(self) -> dict[str, str]:
        """The text in further languages, by code."""
        found = {language: self.cleaned_data.get(f"text_{language}", "") for language in TemplateLanguage.values}
        return {language: text for language, text in found.items() if text.strip()}

    def typed(self, name: str, longest: int = 400_000) -> str:
        """What stands in a field now, whether or not the form is right."""
        return str(self[name].value() or "")[:longest].replace("\x00", "")

    def clean_schedule_at(self) -> datetime | None:
        """The moment meant, read by the client's own clock."""
        typed: datetime | None = self.cleaned_data.get("schedule_at")
        return typed.replace(tzinfo=self.zone) if typed else None

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        if found.get("when") not in ("later", "repeat"):
            found["schedule_at"] = None
        elif not found.get("schedule_at") and "schedule_at" not in self.errors:
            self.add_error("schedule_at", _("Choose the day and time."))
        if found.get("when") != "repeat":
            found |= {"repeat": "", "repeat_until": None, "repeat_times": None}
        return found

    def known_groups(self, name: str = "groups") -> list[int]:
        """The groups ticked that exist, whether or not the rest of the form is right."""
        known = {str(pk): pk for pk, _label in self.fields["groups"].choices}  # type: ignore[attr-defined]
        ticked = self[name].value() or []
        return [known[str(value)] for value in ticked if str(value) in known]


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
            self.fields |= _language_fields(language, word, self._parts)

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
