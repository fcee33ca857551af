"""What people type where they keep words for answering. Forms check shape; services check meaning."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from messaging.models import ReplyWord, TemplateLanguage
from messaging.queries import LARGEST_ID


class SavedReplyForm(forms.Form):
    """Words to answer with again. `reply`: the id of the one that is changed, empty for a new one."""

    reply = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_ID, widget=forms.HiddenInput)
    name = forms.CharField(
        label=_("Name"),
        max_length=40,
        help_text=_("One word. In the inbox, type / and this name."),
        error_messages={"required": _("Give it a name of one word.")},
    )
    text = forms.CharField(
        label=_("Text"),
        max_length=1600,
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={"required": _("Write the text.")},
    )


class AutoRepliesForm(forms.Form):
    """A text for each of STOP, START and HELP in each language; empty: nothing is sent back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for word, title in ReplyWord.choices:
            for language, name in TemplateLanguage.choices:
                self.fields[f"{word}_{language}"] = forms.CharField(
                    label=_("%(word)s in %(language)s") % {"word": title, "language": name},
                    required=False,
                    max_length=480,
                    widget=forms.Textarea(attrs={"rows": 2, "lang": language}),
                )

    def texts(self) -> dict[tuple[str, str], str]:
        """By word and language."""
        return {
            (word, language): self.cleaned_data.get(f"{word}_{language}", "")
            for word in ReplyWord.values
            for language in TemplateLanguage.values
        }
