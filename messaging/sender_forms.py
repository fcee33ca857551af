"""Forms of sender IDs and of going live: shape here, meaning in the services."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Client
from crm.common.networks import networks_of
from messaging.models import DocumentKind, MessageClass


class SenderForm(forms.Form):
    """Step 1: the name, what it is for, and by which networks."""

    name = forms.CharField(
        label=_("Name"),
        max_length=40,
        help_text=_("3 to 11 letters and digits; capitals stay as you write them."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    message_class = forms.ChoiceField(
        label=_("What it is for"),
        widget=forms.RadioSelect,
        choices=[
            (MessageClass.INFORMATION, _("Information: fees, orders, appointments, codes")),
            (MessageClass.PROMOTION, _("Promotion: offers, by day only, with a way out of the list")),
        ],
    )
    networks = forms.MultipleChoiceField(label=_("Networks"), widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, client: Client, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = networks_of(client.country)
        self.fields["networks"].choices = [(name, name) for name in known]  # type: ignore[attr-defined]
        self.fields["networks"].initial = known


class PaperForm(forms.Form):
    """Step 2: one paper."""

    kind = forms.ChoiceField(choices=DocumentKind.choices, widget=forms.HiddenInput)
    file = forms.FileField(
        label=_("Photo or PDF, at most 5 MB"),
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,application/pdf"}),
        error_messages={"required": _("Choose a file."), "empty": _("This file is empty.")},
    )


class SamplesForm(forms.Form):
    """Step 3: what will be sent with it."""

    samples = forms.CharField(
        label=_("Messages as people will read them"),
        help_text=_("One or two are enough. The networks read them."),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 5}),
    )


class GoLiveForm(forms.Form):
    purpose = forms.CharField(
        label=_("What you will send, and to whom"),
        help_text=_("Such as: fee reminders to the parents of our school, about 600 people, twice a term."),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
