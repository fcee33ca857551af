"""What a door hands in to be sent and what it gets back: drafts, and for each a message or the reason against it."""

from dataclasses import dataclass

from crm.common.errors import DomainError
from crm.common.text_units import MAX_CHARACTERS, EmptyText, clean_text
from messaging.errors import TextTooLong
from messaging.models.messages import public_id


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


@dataclass(frozen=True, slots=True)
class Refused:
    """A recipient left out of an accepted call. `recipient` as given; `error` has the code and the sentence."""

    recipient: str
    error: DomainError


class OptedOut(DomainError):
    code = "opted_out"
    default_message = "This person opted out of your messages."


class DuplicateRecipient(DomainError):
    """The same text to the same number a second time. Fact: `first`, the position of the draft that it repeats."""

    code = "duplicate_recipient"
    default_message = "This number is given twice; it is sent once."


def check_text(raw: str) -> str:
    """The text as it will be sent. Raises: EmptyText, UnreadableText, TextTooLong."""
    text = clean_text(raw)
    if not text.strip():
        raise EmptyText("There is no text to send.")
    if len(text) > MAX_CHARACTERS:
        raise TextTooLong(
            f"The text has {len(text)} characters; at most {MAX_CHARACTERS} are allowed.", characters=len(text)
        )
    return text
