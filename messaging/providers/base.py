"""The contract between the sending loop and a provider: what goes in, what comes out, and what an adapter promises.

An adapter translates and does nothing else. It opens no connection, reads no setting and no table, knows no price and
no limit of ours; the loop in messaging/sending hands it messages and credentials, sends the request it describes, and
hands the answer back. So one loop drives every provider, and an adapter is tested with plain values.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Protocol, Self

from django.utils.translation import gettext as _

OutcomeKind = Literal["accepted", "rejected", "retry", "ambiguous"]
ReportStatus = Literal["sent", "delivered", "read", "failed"]

RAW_LIMIT = 2000  # characters of a vendor's own words kept beside ours
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


class UnusableCredentials(ValueError):
    """A provider account lacks a required value, or holds one that cannot travel in a header. Nothing was sent."""


class UnreadableCallback(Exception):
    """A callback that is not what the vendor documents. The door answers 400 and stores nothing but the fact."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message to one person. `to` is E.164 with plus, or an email address; `reference` is our public id, for
    vendors that carry one. `content`: what the channel has beyond the text, see messaging.models.Message; None for
    plain text. It is shared by all who read it: never changed.
    """

    id: int
    to: str
    text: str
    sender: str
    reference: str
    channel: str = "sms"
    content: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request for the loop to make. Header values are printable ASCII, so that nothing typed can add a header."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not all(_HEADER_VALUE.fullmatch(name + value) for name, value in self.headers):
            raise UnusableCredentials("A value of this provider account has a character that no header can carry.")

    def __repr__(self) -> str:
        address = self.url.partition("?")[0]  # headers hold keys, and so do some queries
        return f"HttpRequest({self.method} {address}, {len(self.body)} bytes)"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A complete answer as it came. A reset, a time-out or a short read never becomes one: the loop classes those."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Credentials(Mapping[str, str]):
    """The decrypted values of one provider account by field name; a missing one reads as "" through `text`.

    Printing it shows names only, so that no log or traceback carries a key (GUARANTEES S2).
    """

    __slots__ = ("_values",)
    _values: dict[str, str]

    def __init__(self, values: Mapping[str, str]) -> None:
        object.__setattr__(self, "_values", dict(values))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Credentials are read-only.")

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Credentials({', '.join(sorted(self._values))})"

    def text(self, name: str, default: str = "") -> str:
        """The value without surrounding blanks, or `default` when it is missing or blank."""
        return self._values.get(name, "").strip() or default

    def required(self, name: str) -> str:
        """The value, or UnusableCredentials naming the field when it is missing or blank."""
        value = self.text(name)
        if not value:
            raise UnusableCredentials(f"The provider account has no {name}.")
        return value


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One value an operator enters for an account. `secret`: never shown again. `choices` empty: free text.

    lines: it may have several lines. default: what an empty one means, shown to the operator.
    """

    name: str
    label: str
    secret: bool
    required: bool
    help: str = ""
    choices: tuple[str, ...] = ()
    lines: bool = False
    default: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the dispatcher groups by.

    batch_size: most messages in one request. one_text_many: a batch shares one text and one sender; otherwise each
    message has its own. reports: how deliveries become known. lookup: what became of a sent message can be asked
    (`lookup_request`); lookup_by_reference: also by our own reference, when the vendor's id was lost with the answer.
    idempotent: the vendor drops a repeated reference, so an unknown outcome may be sent again (GUARANTEES D5).
    lookup_batch: most messages in one look-up. look_after: seconds a report may take before it is asked for.
    balance: the account's credit can be read (`balance_request`).
    rate: messages a second, most_at_once: requests in flight that the vendor takes of one account; None: it says none.
    """

    batch_size: int
    one_text_many: bool
    reports: Literal["pushed", "polled", "none"]
    lookup: bool
    idempotent: bool
    lookup_by_reference: bool = False
    lookup_batch: int = 1
    look_after: int = 300
    balance: bool = False
    rate: int | None = None
    most_at_once: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to, for one message.

    kind: "accepted"; "rejected" (final, surely not sent); "retry" (surely not sent, may go again, also elsewhere);
    "ambiguous" (nobody knows yet, never sent again blindly). error_code is one of failures.FAILURES, empty when
    accepted. error_message and raw are the vendor's words. provider_cost is "KES 0.8000" or empty.
    """

    message_id: int
    kind: OutcomeKind
    provider_message_id: str = ""
    error_code: str = ""
    error_message: str = ""
    provider_cost: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Callback:
    """What an outsider sent to one of our callback addresses, unread. `kind` is one of Adapter.callback_kinds.

    Header names are lower case. They are there when the callback arrives and is verified, and not kept with it.
    """

    kind: str
    content_type: str
    query: str
    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """What the vendor expects to hear. stored False: it was a handshake that says nothing to keep."""

    status: int = 200
    body: bytes = b"OK"
    content_type: str = "text/plain"
    stored: bool = True


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What became of a message. `recipient` is E.164 or "". A word we do not know reads as "sent", not final.

    reference: ours, where the vendor gives it back; it names the message even when we never learnt the vendor's id.
    """

    provider_message_id: str
    recipient: str
    status: ReportStatus
    final: bool
    error_code: str = ""
    error_message: str = ""
    network_code: str = ""
    raw: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class OptOutNotice:
    """A person left one sender by the provider's own menu. `recipient` is E.164. `sender` empty: every sender."""

    recipient: str
    sender: str
    raw: str = ""
    channel: str = "sms"


@dataclass(frozen=True, slots=True)
class Media:
    """A file that came with an inbound message: by the vendor's id, by URL, or both. kind: image, video, audio, …"""

    kind: str
    id: str = ""
    url: str = ""
    mime_type: str = ""
    filename: str = ""


@dataclass(frozen=True, slots=True)
class InboundNotice:
    """A person wrote to one of our numbers. `sender` is the person, E.164; `recipient` our number as the vendor has it.

    at: when the vendor says it was written, None where it does not say so clearly. name: what the person calls itself.
    """

    sender: str
    recipient: str
    text: str
    provider_message_id: str
    channel: str = "sms"
    media: tuple[Media, ...] = ()
    at: datetime | None = None
    name: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class AccountNotice:
    """News of the provider account itself: the state of a template or its quality, the standing of a number.

    about: "template", "quality", "category" (of a template) or "number". name: which; `state` in the vendor's words,
    `detail` its reason.
    """

    about: Literal["template", "quality", "category", "number"]
    name: str
    state: str
    language: str = ""
    provider_id: str = ""
    detail: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that is to get nothing more: "bounce" (nobody reads there) or "complaint" (called it spam).

    provider_message_id: of the message that showed it, whose client and recipient it is about.
    """

    provider_message_id: str
    reason: Literal["bounce", "complaint"]
    raw: str = ""


Notice = DeliveryReport | OptOutNotice | InboundNotice | AccountNotice | Suppression


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that may be asked about. `provider_message_id` is "" where the answer to our request was lost."""

    id: int
    to: str
    sender: str
    reference: str
    provider_message_id: str


@dataclass(frozen=True, slots=True)
class Balance:
    """The credit of a provider account. `currency` is an ISO code, or "" where the vendor counts units."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """Something a provider sent us over its session, to be kept and read like a callback.

    acknowledge: tells the provider that we have it; called once it is stored.
    """

    kind: str
    content_type: str
    body: bytes
    acknowledge: Callable[[], None]


class Session(Protocol):
    """The way to one account while a loop runs. Belongs to one thread; every wait has a limit shorter than the lease
    of a message (D7). room: how many messages it takes at once, so that none waits here for long."""

    room: int

    def start(self, batch: Sequence[Outbound]) -> None:
        """Begin to send. Raises, and then nothing was written: UnusableCredentials, and any other error."""

    def ended(self) -> Iterator[tuple[Sequence[Outbound], list[Outcome]]]:
        """Move on as far as it goes without waiting; the batches that ended, with an outcome for each message.

        A batch may come back as it was given or in parts; each message comes back once.
        """

    def arrivals(self) -> Sequence[Arrival]:
        """What the provider sent by itself since the last call. Acknowledge each."""

    def wait(self, seconds: float, enough: int = 1) -> None:
        """Sleep until something can move, at most `seconds`. It need not move before `enough` batches have ended."""

    def close(self) -> None:
        """End in order what can be ended."""


class LineSession(Session, Protocol):
    """A session that may stay open while nothing is sent. keep: connect also then."""

    keep: bool
    problem: str  # why it is not up, "" where it is or nobody asked for it

    @property
    def is_up(self) -> bool: ...


class _Described(ABC):
    """What every adapter says of itself. Stateless: the same object serves every account, process and thread."""

    name: str  # key in the database and in addresses; never changes
    label: str  # the vendor's name as people know it
    can: Capabilities
    credential_fields: tuple[CredentialField, ...]
    default_base_url: str
    channels: tuple[str, ...] = ("sms",)
    callback_kinds: tuple[str, ...] = ()
    callback_methods: tuple[str, ...] = ("POST",)
    callback_bytes: int = 64 << 10  # the longest body of a callback

    def for_account(self, credentials: Credentials) -> Self:
        """The adapter to use for one account: itself, but where the provider's words are set up with the account."""
        return self

    def parse_callback(self, callback: Callback) -> list[Notice]:
        """What a callback says; nothing where it is a kind of news that nobody needs. Raises: UnreadableCallback."""
        raise UnreadableCallback(f"{self.label} has no callback of the kind {callback.kind!r}.")

    def verify_callback(self, callback: Callback, credentials: Credentials, url: str) -> bool:
        """Whether the vendor itself sent this, by its signature. `url`: the full public address it was sent to.

        True where the vendor signs nothing: there the secret path and the ids it names are the proof.
        """
        return True

    def answer_callback(self, callback: Callback, credentials: Credentials) -> CallbackAnswer:
        """What to answer to a callback that was verified and read."""
        return CallbackAnswer()

    def problems_with(self, values: Mapping[str, str]) -> dict[str, str]:
        """A sentence for each credential that cannot be right, by its name. Empty: an account may be set up so."""
        return {
            wanted.name: _("%(provider)s needs this.") % {"provider": self.label}
            for wanted in self.credential_fields
            if wanted.required and not values.get(wanted.name, "").strip()
        }

    def check_batch(self, batch: Sequence[Outbound]) -> None:
        """Raises ValueError for a batch outside `can`: empty, too long, or mixed where one text goes to many."""
        if not 1 <= len(batch) <= self.can.batch_size:
            raise ValueError(f"{self.name} takes 1 to {self.can.batch_size} messages a request, not {len(batch)}.")
        if self.can.one_text_many and len({(message.text, message.sender) for message in batch}) > 1:
            raise ValueError(f"{self.name} sends one text from one sender in a request.")


class Adapter(_Described):
    """A provider reached by HTTP requests, which are described here and made by the loop."""

    @abstractmethod
    def request_for(self, batch: Sequence[Outbound], credentials: Credentials, base_url: str) -> HttpRequest:
        """The one request that sends `batch`, which fits `can`.

        Raises: UnusableCredentials; ValueError for a batch that does not fit (a fault of the caller).
        """

    @abstractmethod
    def outcomes_of(self, batch: Sequence[Outbound], response: HttpResponse) -> list[Outcome]:
        """One outcome for each message of `batch`, in its order. Never raises: what cannot be read is ambiguous."""

    def lookup_request(self, batch: Sequence[SentMessage], credentials: Credentials, base_url: str) -> HttpRequest:
        """The one request that asks what became of `batch`, at most `can.lookup_batch` messages.

        Raises: UnusableCredentials; NotImplementedError where `can.lookup` is False.
        """
        raise NotImplementedError(f"{self.label} cannot be asked about a message.")

    def reports_of(self, batch: Sequence[SentMessage], response: HttpResponse) -> list[DeliveryReport | None]:
        """What the answer says of each message of `batch`, in its order; None: nothing yet, ask again later.

        Never raises. A report without a final word settles that the vendor has the message.
        """
        return [None] * len(batch)

    def balance_request(self, credentials: Credentials, base_url: str) -> HttpRequest:
        """The request that reads the account's credit. Raises: UnusableCredentials; NotImplementedError."""
        raise NotImplementedError(f"{self.label} does not tell a balance.")

    def balance_of(self, response: HttpResponse) -> Balance | None:
        """The credit that an answer tells, or None where it tells none. Never raises."""
        return None


class SessionAdapter(_Described):
    """A provider reached over connections of its own kind, such as SMPP or SMTP, a message at a time.

    keeps_line: the connection stays open while nothing is sent, since news come by it, and one process has it.
    """

    keeps_line: bool = False
    url_schemes: tuple[str, ...]

    @abstractmethod
    def open_session(self, credentials: Credentials, base_url: str) -> Session:
        """The way to one account. Connects when it is needed, so a provider that is away is an outcome, no error.

        Raises: UnusableCredentials.
        """

    def try_out(self, credentials: Credentials, base_url: str) -> str:
        """Connect, sign in and leave again; what was seen, in words. Nothing is sent.

        Raises: UnusableCredentials (also where the server refuses them), ConnectionError, NotImplementedError.
        """
        raise NotImplementedError(f"{self.label} is tried by its own connection.")


AnyAdapter = Adapter | SessionAdapter


# HTTP's own words, when the vendor documents no others. Anything unlisted after the request was written is ambiguous:
# 5xx and 408 may come from a proxy after the vendor took the messages (GUARANTEES D5).
_REFUSED_BY_STATUS: dict[int, tuple[OutcomeKind, str]] = {
    400: ("rejected", "provider_refused"),
    401: ("retry", "provider_credentials"),
    403: ("retry", "provider_credentials"),
    404: ("retry", "provider_address"),
    405: ("retry", "provider_address"),
    413: ("rejected", "provider_refused"),
    415: ("rejected", "provider_refused"),
    422: ("rejected", "provider_refused"),
    429: ("retry", "provider_busy"),
}


def outcomes_by_status(batch: Sequence[Outbound], response: HttpResponse) -> list[Outcome]:
    """The same outcome for the whole batch, read from the HTTP status alone."""
    kind, code = _REFUSED_BY_STATUS.get(response.status, ("ambiguous", "no_clear_answer"))
    words = f"HTTP {response.status}"
    return same_for_all(batch, kind, code, words, raw=response.body.decode("utf-8", "replace"))


def same_for_all(
    batch: Sequence[Outbound], kind: OutcomeKind, error_code: str, error_message: str, raw: str = ""
) -> list[Outcome]:
    """One outcome repeated for each message of the batch."""
    raw = clip(raw)
    return [Outcome(message.id, kind, error_code=error_code, error_message=error_message, raw=raw) for message in batch]


def clip(text: str) -> str:
    """A vendor's words fit to keep: at most RAW_LIMIT characters, and without NUL, which PostgreSQL refuses."""
    return text.replace("\x00", "\ufffd")[:RAW_LIMIT]


def e164_or_empty(text: str) -> str:
    """`text` as E.164 with plus when it is a plain international number (a plus lost to form decoding is put back)."""
    number = "+" + text.strip().lstrip("+")
    return number if _E164.fullmatch(number) else ""
