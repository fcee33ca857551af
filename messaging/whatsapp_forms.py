"""What people type for a WhatsApp template. Forms check shape; services check meaning."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from messaging.models import TemplateCategory, WhatsAppTemplate
from messaging.providers.whatsapp_words import TemplateWords, variables_of
from messaging.services.template_checks import LANGUAGES

_WRITTEN = (TemplateCategory.UTILITY, TemplateCategory.MARKETING)


class WhatsAppTemplateForm(forms.Form):
    """One language of a template. samples: a line for each variable, in their order."""

    name = forms.CharField(
        label=_("Name"), max_length=60,
        help_text=_("Small letters, digits and _, such as fees_due. WhatsApp keeps it."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip
    language = forms.ChoiceField(label=_("Language"), choices=list(LANGUAGES.items()))
    category = forms.ChoiceField(
        label=_("Category"), choices=[(one.value, one.label) for one in _WRITTEN], widget=forms.RadioSelect,
        initial=TemplateCategory.UTILITY,
    )  # fmt: skip
    header = forms.CharField(label=_("Heading"), required=False, max_length=60)
    body = forms.CharField(
        label=_("Text"), max_length=1024, strip=True,
        help_text=_("Up to 1,024 characters. Write {{1}}, {{2}} where something differs from person to person."),
        widget=forms.Textarea(attrs={"rows": 6}),
    )  # fmt: skip
    samples = forms.CharField(
        label=_("Sample values"), required=False, max_length=4000,
        help_text=_("One line for each variable, the first for {{1}}. WhatsApp’s people read them; nobody gets them."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )  # fmt: skip
    footer = forms.CharField(
        label=_("Small print"), required=False, max_length=60, help_text=_("Such as: Reply STOP to get no more.")
    )
    replies = forms.CharField(
        label=_("Answers to press"), required=False, max_length=200,
        help_text=_("One line for each, at most three. Who presses one writes it to you."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )  # fmt: skip
    url_text = forms.CharField(label=_("Button that opens a page"), required=False, max_length=25)
    url = forms.CharField(
        label=_("Its address"),
        required=False,
        max_length=2000,
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
    )
    phone_text = forms.CharField(label=_("Button that calls"), required=False, max_length=25)
    phone = forms.CharField(
        label=_("The number it calls"),
        required=False,
        max_length=30,
        widget=forms.TextInput(attrs={"inputmode": "tel"}),
    )

    def __init__(self, *args: Any, template: WhatsAppTemplate | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.template = template
        if template is not None and template.provider_id:  # WhatsApp keeps the name and the language for good
            del self.fields["name"], self.fields["language"]
            if template.can_be_sent:
                del self.fields["category"]

    def words(self) -> TemplateWords:
        """What was typed, whether or not the form is right."""
        body = self._typed("body")
        lines = self._typed("samples").splitlines()
        buttons = [{"kind": "reply", "text": line, "value": ""} for line in self._typed("replies").splitlines() if line]
        buttons += [
            {"kind": kind, "text": self._typed(f"{kind}_text"), "value": self._typed(kind)} for kind in ("url", "phone")
        ]
        return TemplateWords(
            body=body,
            header=self._typed("header"),
            footer=self._typed("footer"),
            buttons=buttons,
            samples=dict(zip(variables_of(body), lines, strict=False)),
        )

    def _typed(self, name: str) -> str:
        return str(self[name].value() or "").replace("\x00", "")[:4096]


def initial_of(template: WhatsAppTemplate) -> dict[str, Any]:
    """A template as the form shows it."""
    by_kind = {button["kind"]: button for button in template.buttons}
    replies = [button["text"] for button in template.buttons if button["kind"] == "reply"]
    url, phone = by_kind.get("url", {}), by_kind.get("phone", {})
    return {
        "name": template.name, "language": template.language, "category": template.category,
        "header": template.header, "body": template.body, "footer": template.footer,
        "samples": "\n".join(template.samples.get(name, "") for name in variables_of(template.body)),
        "replies": "\n".join(replies),
        "url_text": url.get("text", ""), "url": url.get("value", ""),
        "phone_text": phone.get("text", ""), "phone": phone.get("value", ""),
    }  # fmt: skip
