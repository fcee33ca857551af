"""The states of WhatsApp templates as people read them: what each means, why it is so, what can still be done."""

from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.models import TemplateState, WhatsAppTemplate

# WhatsApp's own words for a refusal or a pause. Spec: Meta's webhook reference of template states, November 2026.
REASONS: Final[dict[str, str | Promise]] = {
    "ABUSIVE_CONTENT": gettext_lazy("WhatsApp found something abusive or threatening in it."),
    "INCORRECT_CATEGORY": gettext_lazy("The category does not fit what it says."),
    "INVALID_FORMAT": gettext_lazy("It is not written as WhatsApp wants it, or a sample value does not fit."),
    "PROMOTIONAL": gettext_lazy("It promotes something, which its category does not allow."),
    "SCAM": gettext_lazy("WhatsApp takes it for a fraud."),
    "TAG_CONTENT_MISMATCH": gettext_lazy("The language or the category does not fit what it says."),
    "NON_TRANSIENT_ERROR": gettext_lazy("WhatsApp could not read it."),
    "FIRST_PAUSE": gettext_lazy("People who got it complained or blocked you: it is paused for 3 hours."),
    "SECOND_PAUSE": gettext_lazy("People complained again: it is paused for 6 hours. The next time it is disabled."),
    "RATE_LIMITING_PAUSE": gettext_lazy("It was sent faster than its quality allows."),
    "UNPAUSE": gettext_lazy("The pause is over."),
    "DISABLED": gettext_lazy("People complained too often."),
}
_ADVICE: Final[dict[str, str | Promise]] = {
    TemplateState.DRAFT: gettext_lazy("WhatsApp has not seen it yet. Submit it when it is ready."),
    TemplateState.REVIEW: gettext_lazy("It can be sent as soon as WhatsApp approves it, mostly within minutes."),
    TemplateState.APPROVED: gettext_lazy("It can be sent. A change is reviewed anew; meanwhile it cannot be sent."),
    TemplateState.PAUSED: gettext_lazy(
        "It cannot be sent until the pause ends. Improve the words, or write only to people who expect it."
    ),
    TemplateState.REJECTED: gettext_lazy(
        "Mend it and submit it again. If WhatsApp is wrong, ask your account manager to appeal in WhatsApp Manager: "
        "there it is done by hand."
    ),
    TemplateState.APPEAL: gettext_lazy("WhatsApp looks at it once more, mostly within a day."),
    TemplateState.DISABLED: gettext_lazy("It cannot be sent any more. Make a copy and write it differently."),
}
_TONES: Final = {
    TemplateState.DRAFT: "draft",
    TemplateState.REVIEW: "pending",
    TemplateState.APPROVED: "approved",
    TemplateState.PAUSED: "paused",
    TemplateState.REJECTED: "rejected",
    TemplateState.APPEAL: "pending",
    TemplateState.DISABLED: "cancelled",
}
_NEEDS: Final[dict[str, str | Promise]] = {
    "file": gettext_lazy("It needs an image, a video or a document with each message: send it by the API."),
    "header": gettext_lazy("Its heading has a variable: send it by the API."),
    "button": gettext_lazy("One of its buttons needs a value with each message: send it by the API."),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A state for a page. chip: of the status chip; actions: submit, change, duplicate."""

    chip: str
    word: str
    reason: str
    advice: str
    actions: tuple[str, ...]


def show(template: WhatsAppTemplate) -> Shown:
    """What a page says of a template's state."""
    state = TemplateState(template.state)
    word = str(state.label)
    if state == TemplateState.APPROVED:
        word = _("Approved, %(quality)s") % {"quality": template.get_quality_display()}
    actions = {
        TemplateState.DRAFT: ("submit",),
        TemplateState.APPROVED: ("change",),
        TemplateState.PAUSED: ("change",),
        TemplateState.REJECTED: ("change",),
    }.get(state, ())
    advice = _NEEDS[template.needs] if template.needs and template.can_be_sent else _ADVICE[state]
    return Shown(_TONES[state], word, reason_in_words(template.reason), str(advice), (*actions, "duplicate"))


def reason_in_words(reason: str) -> str:
    """WhatsApp's reason in our words; what is not listed as WhatsApp said it."""
    for part in reversed(reason.split(":")):
        if (known := REASONS.get(part.strip().upper())) is not None:
            return str(known)
    return reason
