"""What people type on the pages of a campaign: a form for each step. Forms check shape; services check meaning."""

from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.models import Client
from contacts.queries import groups_with_counts
from messaging import queries
from messaging.forms import MAIL_PARTS, language_fields
from messaging.models import Channel, MessageClass, Repeat, SenderId, TemplateLanguage

AUDIENCE, MESSAGE, WHEN, REVIEW = "audience", "message", "when", "review"
STEPS = (AUDIENCE, MESSAGE, WHEN, REVIEW)


def _shown(sender: SenderId) -> str:
    """A sender as people choose it: of a From address also the name before it."""
    return f"{sender.display_name} <{sender.name}>" if sender.display_name else sender.name


def _groups(label: Any) -> forms.TypedMultipleChoiceField:
    return forms.TypedMultipleChoiceField(
        label=label,
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": _("One of these groups does not exist any more.")},
    )


class StepForm(forms.Form):
    """A page of a campaign. What other pages ask is in their forms; a draft may lack anything until it is reviewed."""

    step: ClassVar[str]

    def __init__(self, *args: Any, client: Client, channel: str = Channel.SMS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.client, self.channel = client, channel
        self.prepare()

    def prepare(self) -> None:
        """Fit the fields to the client and the channel."""

    @property
    def is_mail(self) -> bool:
        return self.channel == Channel.EMAIL

    def typed(self, name: str, longest: int = 400_000) -> str:
        """What stands in a field now, whether or not the form is right."""
        return str(self[name].value() or "")[:longest].replace("\x00", "")

    def in_short(self) -> str:
        """What it says, for comparing two people's versions of it."""
        raise NotImplementedError


class AudienceForm(StepForm):
    """Who receives it, and what the team calls it."""

    step = AUDIENCE

    name = forms.CharField(
        label=_("Name"),
        max_length=120,
        help_text=_("Only your team sees it."),
        error_messages={"required": _("Give the campaign a name.")},
    )
    groups = _groups(_("Send to"))
    excluded = _groups(_("But not to"))
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

    def prepare(self) -> None:
        groups: list[Any] = list(groups_with_counts(self.client))
        choices = [
            (group.pk, ngettext("%(name)s: %(size)s contact", "%(name)s: %(size)s contacts", group.size)
             % {"name": group.name, "size": f"{group.size:,}"})
            for group in groups
        ]  # fmt: skip
        self.has_groups = bool(groups)
        self.fields["groups"].choices = self.fields["excluded"].choices = choices  # type: ignore[attr-defined]
        self._names = {group.pk: group.name for group in groups}
        if self.is_mail:
            self.fields["numbers"].label = _("Addresses")
            self.fields["numbers"].widget.attrs["inputmode"] = "email"
            self.fields["upload"].help_text = _(
                "CSV or Excel with a column of email addresses. Its people become contacts in a group of their own."
            )

    def known_groups(self, name: str = "groups") -> list[int]:
        """The groups ticked that exist, whether or not the rest of the form is right."""
        known = {str(pk): pk for pk in self._names}
        ticked = self[name].value() or []
        return [known[str(value)] for value in ticked if str(value) in known]

    def in_short(self) -> str:
        names = [self._names[pk] for pk in self.known_groups()]
        without = [f"− {self._names[pk]}" for pk in self.known_groups("excluded")]
        return "\n".join([self.typed("name", 120), *names, *without, self.typed("numbers", 500)]).strip()


class MessageForm(StepForm):
    """What they read, and from whom."""

    step = MESSAGE
    _parts: tuple[str, ...]

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

    def prepare(self) -> None:
        senders = list(queries.approved_senders(self.client, self.channel))
        self.fields["sender"].choices = [(sender.name, _shown(sender)) for sender in senders]  # type: ignore[attr-defined]
        self.fields["sender"].initial = senders[0].name if senders else ""
        self.has_senders = bool(senders)
        # Whoever chose none gets the default; an empty choice on the page itself is asked for.
        self.fields["sender"].required = self.has_senders and (not self.is_bound or "sender" in self.data)
        self._parts: tuple[str, ...] = MAIL_PARTS if self.is_mail else ("text",)
        if self.is_mail:
            self._become_mail()
        for language, word in TemplateLanguage.choices:
            self.fields |= language_fields(language, str(word), self._parts)

    def _become_mail(self) -> None:
        """The fields of a mail in the place of those of a text."""
        fields = self.fields
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
    def variant_fields(self) -> list[forms.BoundField]:
        return [self[f"{part}_{language}"] for language in TemplateLanguage.values for part in self._parts]

    def mail_parts(self) -> dict[str, str]:
        """What was typed of a mail besides its text."""
        return {name: self.typed(name, 400_000) for name in ("subject", "preheader", "html", "reply_to")}

    def mail_variants(self) -> dict[str, dict[str, str]]:
        """The mail in further languages, by code."""
        return {code: {part: self.typed(f"{part}_{code}") for part in MAIL_PARTS} for code in TemplateLanguage.values}

    def variants(self) -> dict[str, str]:
        """The text in further languages, by code."""
        found = {language: self.cleaned_data.get(f"text_{language}", "") for language in TemplateLanguage.values}
        return {language: text for language, text in found.items() if text.strip()}

    def in_short(self) -> str:
        return "\n".join(filter(None, [self.typed("subject", 200) if self.is_mail else "", self.typed("text", 10_000)]))


class WhenForm(StepForm):
    """When it leaves, how often, and over how long."""

    step = WHEN

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
        empty_value=0,  # type: ignore[arg-type]
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

    def prepare(self) -> None:
        self.zone = ZoneInfo(self.client.time_zone)
        self.fields["schedule_at"].help_text = _("Time of %(zone)s, now %(now)s.") % {
            "zone": self.client.time_zone, "now": date_format(timezone.localtime(timezone=self.zone), "H:i T"),
        }  # fmt: skip

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

    def in_short(self) -> str:
        chosen = self["when"].value() or "now"
        words = dict(self.fields["when"].choices).get(chosen, "")  # type: ignore[attr-defined]
        return str(words) if chosen == "now" else f"{words}: {self['schedule_at'].value() or '–'}"
