"""What a door hands in to be sent and what it gets back: drafts, and for each a message or the reason against it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm.common.errors import DomainError
from crm.common.text_units import MAX_CHARACTERS, EmptyText, clean_text
from messaging.errors import TextTooLong
from messaging.models.messages import MessageStatus, public_id
from messaging.services.storing import NewMessage


@dataclass(frozen=True, slots=True)
class Draft:
    """One message as a door received it: the recipient as written, the final text, and the caller's own reference.

    sender: where the messages of one call have senders of their own; None for the call's.
    """

    recipient: str
    text: str
    reference: str = ""
    contact_id: int | None = None
    sender: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that is stored, paid for and on its way. recipient: E.164; cost in micros of the client's currency."""

    id: int
    recipient: str
    sender: str
    status: str
    units: int
    segments: int
    encoding: str
    cost_micros: int

    @property
    def message_id(self) -> str:
        return public_id(self.id)

    @classmethod
    def of(cls, row: NewMessage, schedule_at: datetime | None) -> "Accepted":
        """The answer for a row that is stored."""
        status = MessageStatus.SCHEDULED if schedule_at else MessageStatus.QUEUED
        return cls(row.id, row.recipient, row.sender, status, row.units, row.segments, row.encoding, row.cost_micros)


@dataclass(frozen=True, slots=True)
class Refused:
    """A recipient left out of an accepted call. `recipient` as given; `error` has the code and the sentence."""

    recipient: str
    error: DomainError


def answers_of(
    refusals: Sequence[Refused | None], rows: Sequence[NewMessage | None], schedule_at: datetime | None
) -> list[Accepted | Refused]:
    """One answer per draft, in order: its refusal, or the row that was stored for it."""
    answers: list[Accepted | Refused] = []
    for refused, row in zip(refusals, rows, strict=True):
        if refused is not None:
            answers.append(refused)
        elif row is not None:
            answers.append(Accepted.of(row, schedule_at))
    return answers


class OptedOut(DomainError):
    code = "opted_out"
    default_message = gettext_lazy("This person opted out of your messages.")


class DuplicateRecipient(DomainError):
    """The same text to the same number a second time. Fact: `first`, the position of the draft that it repeats."""

    code = "duplicate_recipient"
    default_message = gettext_lazy("This number is given twice; it is sent once.")


def check_text(raw: str) -> str:
    """The text as it will be sent. Raises: EmptyText, UnreadableText, TextTooLong."""
    text = clean_text(raw)
    if not text.strip():
        raise EmptyText(_("There is no text to send."))
    if len(text) > MAX_CHARACTERS:
        raise TextTooLong(
            _("The text has {n} characters; at most {most} are allowed.").format(n=len(text), most=MAX_CHARACTERS),
            characters=len(text),
        )
    return text
