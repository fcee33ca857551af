"""What people type on the pages of contacts; the services check what it means."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Client
from contacts import queries
from contacts.importing.reading import DELIMITERS, ENCODINGS
from contacts.models import DEPARTMENT_LENGTH, EMAIL_LENGTH, GROUP_NAME_LENGTH, NAME_LENGTH, Duplicates, Group
from crm.common.errors import DomainError, InvalidInput


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


class GroupForm(DomainErrorForm):
    name = forms.CharField(label=_("Name of the group"), max_length=GROUP_NAME_LENGTH)


class UploadForm(DomainErrorForm):
    file = forms.FileField(
        label=_("File"),
        allow_empty_file=True,
        widget=forms.ClearableFileInput({"accept": ".csv,.tsv,.txt,text/csv,text/tab-separated-values,text/plain"}),
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

    def __init__(self, *args: Any, client: Client, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._groups = {str(group.pk): group for group in queries.groups_for(client)}
        choices = [(key, group.name) for key, group in self._groups.items()]
        self.fields["group"].choices = [("", _("No group")), *choices]  # type: ignore[attr-defined]

    def chosen_group(self) -> Group | None:
        return self._groups.get(self.cleaned_data["group"])
