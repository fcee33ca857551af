"""What people type on the pages of contacts; the services check what it means."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Client
from contacts import queries, rules
from contacts.importing.reading import DELIMITERS, ENCODINGS
from contacts.models import (
    DEPARTMENT_LENGTH,
    EMAIL_LENGTH,
    FIELD_KEY_LENGTH,
    GROUP_NAME_LENGTH,
    NAME_LENGTH,
    PROOF_LENGTH,
    STATEMENT_LENGTH,
    ConsentSource,
    Contact,
    ContactField,
    Duplicates,
    FieldKind,
    Group,
)
from crm.common.errors import DomainError, InvalidInput
from crm.common.networks import known_networks


class DomainErrorForm(forms.Form):
    """A form that shows the refusals of a service beside its fields."""

    def refuse(self, error: DomainError) -> None:
        fields = error.errors if isinstance(error, InvalidInput) else {}
        for field, sentences in fields.items():
            self.add_error(field if field in self.fields else None, sentences)
        if not fields:
            self.add_error(None, str(error))


class ContactForm(DomainErrorForm):
    name = forms.CharField(label=_("Name"), max_length=NAME_LENGTH, required=False)
    phone = forms.CharField(
        label=_("Phone"), max_length=40, required=False, widget=forms.TextInput({"type": "tel", "autocomplete": "off"})
    )
    email = forms.CharField(
        label=_("Email"), max_length=EMAIL_LENGTH, required=False, widget=forms.TextInput({"inputmode": "email"})
    )
    department = forms.CharField(label=_("Department"), max_length=DEPARTMENT_LENGTH, required=False)

    def __init__(self, *args: Any, client: Client, contact: Contact | None = None, **kwargs: Any) -> None:
        """With the client's own fields after the others, named own_ID."""
        self._kept = dict(contact.attributes) if contact else {}
        self._own = {f"own_{field.pk}": field for field in ContactField.objects.for_client(client)}
        if contact:
            kwargs["initial"] = {name: getattr(contact, name) for name in self.base_fields} | {
                name: self._kept.get(field.key, "") for name, field in self._own.items()
            }
        super().__init__(*args, **kwargs)
        for name, field in self._own.items():
            self.fields[name] = _input_for(field, self._kept.get(field.key, ""))

    def changes(self) -> dict[str, Any]:
        """The values, as the services take them; attributes that are no field (any more) stay."""
        own = {field.key: self.cleaned_data[name] for name, field in self._own.items()}
        plain = {name: self.cleaned_data[name] for name in self.base_fields}
        return plain | {"attributes": self._kept | own}

    def refuse(self, error: DomainError) -> None:
        """A refusal of the client's own fields begins with the name of the field."""
        errors = error.errors.pop("attributes", []) if isinstance(error, InvalidInput) else []
        for sentence in errors:
            key, _colon, rest = sentence.partition(": ")
            name = next((name for name, field in self._own.items() if field.key == key), None)
            self.add_error(name, rest if name else sentence)
        if not errors or (isinstance(error, InvalidInput) and error.errors):
            super().refuse(error)


def _input_for(field: ContactField, value: str) -> forms.Field:
    if field.kind == FieldKind.CHOICE:
        listed = [choice for choice in [*field.choices, value] if choice]
        choices = [("", "–"), *((choice, choice) for choice in dict.fromkeys(listed))]
        return forms.ChoiceField(label=field.key, required=False, choices=choices)
    kind = {"inputmode": "decimal"} if field.kind == FieldKind.NUMBER else {}
    help_text = _("As 2026-11-20 or 20/11/2026.") if field.kind == FieldKind.DATE else ""
    return forms.CharField(
        label=field.key, required=False, max_length=500, help_text=help_text, widget=forms.TextInput(kind)
    )


class FieldForm(DomainErrorForm):
    """A field of the client's own. `key` cannot be changed later: texts and files name it."""

    key = forms.CharField(label=_("Name of the field"), max_length=FIELD_KEY_LENGTH)
    kind = forms.ChoiceField(label=_("What stands in it"), choices=FieldKind.choices)
    choices = forms.CharField(
        label=_("The words of the list"),
        required=False,
        max_length=10_000,
        help_text=_("One per line; only for a list."),
        widget=forms.Textarea({"rows": 4}),
    )


class GroupForm(DomainErrorForm):
    name = forms.CharField(label=_("Name of the group or tag"), max_length=GROUP_NAME_LENGTH)


class RuleForm(DomainErrorForm):
    """A group by rule. Row N of the conditions is what_N ("field|op") and value_N; blank rows mean nothing."""

    name = forms.CharField(label=_("Name of the group"), max_length=GROUP_NAME_LENGTH)
    match = forms.ChoiceField(
        label=_("Who is in it"),
        choices=[("all", _("Whoever meets all conditions")), ("any", _("Whoever meets any of them"))],
        widget=forms.RadioSelect,
        initial="all",
    )
    rows = forms.IntegerField(min_value=1, max_value=rules.MOST_CONDITIONS, widget=forms.HiddenInput, required=False)

    def __init__(self, data: Any = None, *, client: Client, group: Group | None = None) -> None:
        kept: list[dict[str, Any]] = group.rule.get("conditions", []) if group else []
        initial = {"name": group.name, "match": group.rule.get("match")} if group else {}
        super().__init__(data, initial=initial)
        self._known = rules.conditions_for(client)
        names = dict(Group.objects.for_client(client).values_list("pk", "name"))
        if data is None:
            self.shown = [
                {
                    "what": f"{each['field']}|{each['op']}",
                    "value": names.get(each["value"], "") if each["field"] in ("tag", "group") else each["value"],
                }
                for each in kept
            ]
        else:
            count = min(int(data.get("rows") or 0) if str(data.get("rows", "")).isdigit() else 0, rules.MOST_CONDITIONS)
            self.shown = [
                {"what": data.get(f"what_{number}", ""), "value": data.get(f"value_{number}", "")}
                for number in range(count)
            ]
        blank = 3 if data is None or "more" in data else 0
        self.shown += [{"what": "", "value": ""}] * max(min(blank, rules.MOST_CONDITIONS - len(self.shown)), 0)
        self.words = sorted({*names.values(), *known_networks(), *ConsentSource.values})

    def choices(self) -> list[tuple[Any, list[tuple[str, str]]]]:
        """What can be asked, by field: (title, (value of the option, its words))."""
        return [
            (title, [(f"{field}|{op}", f"{title} {words}") for op, words in ops.items()])
            for field, (title, ops) in self._known.items()
        ]

    def conditions(self) -> list[dict[str, str]]:
        """As rules.read_rule takes them, without blank rows."""
        return [
            {"field": row["what"].rpartition("|")[0], "op": row["what"].rpartition("|")[2], "value": row["value"]}
            for row in self.shown
            if row["what"]
        ]


class UploadForm(DomainErrorForm):
    """A file, or the text of one."""

    file = forms.FileField(
        label=_("File"),
        required=False,
        allow_empty_file=True,
        widget=forms.FileInput(
            {
                "accept": ".xlsx,.csv,.tsv,.txt,text/csv,text/tab-separated-values,text/plain,"
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
            }
        ),
    )
    text = forms.CharField(
        label=_("or paste the list here"),
        required=False,
        strip=False,
        max_length=2_000_000,
        help_text=_("Numbers alone, or rows copied from a spreadsheet with their titles."),
        widget=forms.Textarea({"rows": 5, "spellcheck": "false", "autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or {}
        if not self.errors and not fields.get("file") and not (fields.get("text") or "").strip():
            raise forms.ValidationError(_("Choose a file, or paste a list."))
        return fields


class OptOutForm(DomainErrorForm):
    """Numbers to which no more SMS may go: typed, pasted, or from a file of numbers."""

    numbers = forms.CharField(
        label=_("Phone numbers"),
        required=False,
        max_length=1_000_000,
        help_text=_("One, or a list with a number per line."),
        widget=forms.Textarea({"rows": 3, "spellcheck": "false", "autocomplete": "off"}),
    )
    file = forms.FileField(
        label=_("or a file of numbers"),
        required=False,
        help_text=_("CSV, TXT or XLSX with a column of phone numbers."),
        widget=forms.FileInput({"accept": ".xlsx,.csv,.tsv,.txt"}),
    )
    proof = forms.CharField(
        label=_("How do you know?"),
        required=False,
        max_length=PROOF_LENGTH,
        help_text=_("Such as: called us on 3 March, or list of our former system."),
    )

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or {}
        if not self.errors and not fields.get("file") and not (fields.get("numbers") or "").strip():
            raise forms.ValidationError(_("Type a phone number, or choose a file."))
        return fields


class ConsentForm(DomainErrorForm):
    """How one contact agreed to get messages."""

    source = forms.ChoiceField(
        label=_("How they agreed"), required=False, choices=[("", _("Not known")), *ConsentSource.choices]
    )
    statement = forms.CharField(
        label=_("In whose words, when, where"),
        required=False,
        max_length=STATEMENT_LENGTH,
        widget=forms.Textarea({"rows": 2}),
    )


class OptInForm(DomainErrorForm):
    reason = forms.CharField(
        label=_("Why may this person be written to again?"),
        max_length=PROOF_LENGTH,
        help_text=_("It is kept with your name. Such as: asked for it by phone on 3 March."),
    )


class CheckForm(DomainErrorForm):
    """How a file is read and what its rows do. The columns' choices are named column_0, column_1 …"""

    encoding = forms.ChoiceField(label=_("Encoding"), choices=list(ENCODINGS.items()))
    delimiter = forms.ChoiceField(label=_("Separator"), choices=list(DELIMITERS.items()))
    has_header = forms.BooleanField(label=_("The first row holds the titles"), required=False)
    duplicates = forms.ChoiceField(
        label=_("If a contact is in your book already"), choices=Duplicates.choices, widget=forms.RadioSelect
    )
    group = forms.ChoiceField(label=_("Put them into a group"), required=False)
    new_group = forms.CharField(label=_("or a new group"), max_length=GROUP_NAME_LENGTH, required=False)
    tags = forms.CharField(
        label=_("Give them tags"), max_length=500, required=False, help_text=_("One or more, separated by commas.")
    )
    consent_source = forms.ChoiceField(
        label=_("How did they agree to get messages?"),
        required=False,
        choices=[("", _("Not known")), *ConsentSource.choices],
        help_text=_("Promotions may go only to people who agreed. Contacts that have a record keep theirs."),
    )
    consent_statement = forms.CharField(
        label=_("Where and when, in your words"),
        required=False,
        max_length=STATEMENT_LENGTH,
        help_text=_("Such as: ticked on the membership form of March 2026."),
    )

    def __init__(self, *args: Any, client: Client, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._groups = {str(group.pk): group for group in queries.fixed_groups_for(client)}
        choices = [(key, group.name) for key, group in self._groups.items()]
        self.fields["group"].choices = [("", _("No group")), *choices]  # type: ignore[attr-defined]

    def chosen_tags(self) -> list[str]:
        return [name for text in self.cleaned_data["tags"].split(",") if (name := text.strip())]

    def chosen_group(self) -> Group | None:
        return self._groups.get(self.cleaned_data["group"])
