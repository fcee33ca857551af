"""The message of a WhatsApp campaign as people write it: an approved template, and what its variables stand for."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from messaging.campaign_forms import MessageForm
from messaging.models import WhatsAppTemplate
from messaging.providers.whatsapp_words import variables_of

PREFIX = "variable_"


class TemplateMessageForm(MessageForm):
    """The fields of the template that is chosen. template: its name, "" before one is."""

    template = forms.CharField(required=False, max_length=512, widget=forms.HiddenInput)
    template_language = forms.CharField(required=False, max_length=15, widget=forms.HiddenInput)

    def prepare(self) -> None:
        super().prepare()
        for name in [name for name in self.fields if name == "text" or name.startswith("text_")]:
            del self.fields[name]
        self._parts = ()
        sender = self.fields["sender"]
        sender.label, sender.help_text = _("WhatsApp number"), _("The number that people see the message coming from.")
        sender.error_messages["invalid_choice"] = _("This number is not approved for your account.")
        self.chosen = (
            WhatsAppTemplate.objects.for_client(self.client)
            .filter(name=self.typed("template", 512), language=self.typed("template_language", 15))
            .first()
        )
        for name in variables_of(self.chosen.body) if self.chosen else []:
            assert self.chosen
            sample = self.chosen.samples.get(name, "")
            self.fields[f"{PREFIX}{name}"] = forms.CharField(
                label=_("What {{%(name)s}} stands for") % {"name": name},
                required=not self.is_bound,  # for the page to say so; a draft may lack it until it is reviewed
                max_length=1024,
                help_text=_("Such as: %(sample)s") % {"sample": sample} if sample else "",
                widget=forms.TextInput(attrs={"data-field": True, "autocomplete": "off"}),
            )

    def typed(self, name: str, longest: int = 400_000) -> str:
        """ "" for what a template does not have, such as a text."""
        return super().typed(name, longest) if name in self.fields else ""

    @property
    def variable_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith(PREFIX)]

    def whatsapp_parts(self) -> dict[str, Any]:
        """As services.whatsapp_rendering reads them."""
        values = {field.name.removeprefix(PREFIX): self.typed(field.name, 2000) for field in self.variable_fields}
        return {
            "template": self.typed("template", 512),
            "language": self.typed("template_language", 15),
            "variables": values,
        }

    def in_short(self) -> str:
        parts = self.whatsapp_parts()
        return "\n".join([parts["template"], *parts["variables"].values()]).strip()


def initial_of(content: dict[str, Any]) -> dict[str, Any]:
    """A draft's template as the form begins with it."""
    found = {"template": content.get("template", ""), "template_language": content.get("language", "")}
    return found | {f"{PREFIX}{name}": value for name, value in content.get("variables", {}).items()}
