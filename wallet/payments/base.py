"""The contract between top-ups and a way to pay: what goes in, what comes out, and what an adapter promises.

An adapter translates and does nothing else: no models, no settings, no money of ours. It is given the values of one
account, a base URL, a place for its access token and an HTTP session; it answers with the values below and never raises
for anything the operator does.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal, Protocol

from wallet.payments.http import PaymentHttp

PromptKind = Literal["accepted", "refused", "unsent", "unknown"]
FindingKind = Literal["pending", "ended", "unknown"]


class UnreadableNotice(Exception):
    """A callback that is not what the operator documents. The door answers 400."""


class UnusableAccount(ValueError):
    """A value that the method needs is missing in the account. Nothing was asked."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A prompt to show. amount: whole units; phone: E.164; reference: at most 12 letters and digits, read by the payer;
    description: at most 13 characters; callback_url: where the end is told.
    """

    amount: int
    phone: str
    reference: str
    description: str
    callback_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Prompted:
    """What became of an Ask.

    accepted: the prompt is on its way, not paid. refused: the operator said no, `code` and `text` are its words.
    unsent: surely nothing was written, or it asks us to come back later. unknown: it may be on the phone; never ask
    again.
    """

    kind: PromptKind
    merchant_id: str = ""
    request_id: str = ""
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a status query says. ended: `code` tells how, the operator's word for success being the method's `paid`."""

    kind: FindingKind
    code: str = ""
    text: str = ""
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Notice:
    """A callback about a prompt. amount_micros, receipt and paid_at only where money moved."""

    merchant_id: str
    request_id: str
    code: str
    text: str = ""
    amount_micros: int | None = None
    receipt: str = ""
    paid_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that arrived, as the operator tells or lists it. bill_reference: what the payer gave as account number."""

    receipt: str
    amount_micros: int
    bill_reference: str
    payer: str = ""
    paid_at: datetime | None = None
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Statement:
    """Payments of a span of time. ok is False where the operator did not answer; `problem` says why."""

    ok: bool
    payments: Sequence[Payment] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class AccountField:
    """One value that the operator of this installation enters. secret: never shown again; choices empty: free text."""

    name: str
    label: str
    secret: bool = False
    required: bool = True
    help: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Words:
    """What a result means to the payer. reason: ours, stable, for programs; sentence and next: for people.

    offer: what the page offers next: "again", "lower", "other_phone", "wait", "paybill", "operator"; wait_seconds:
    until trying again makes sense. alert: our configuration is wrong, the operator of this installation must act.
    """

    reason: str
    sentence: str
    next: str
    offers: tuple[str, ...] = ("again",)
    wait_seconds: int = 0
    alert: bool = False


class TokenStore(Protocol):
    """Keeps one access token for all processes, encrypted, and lets one of them fetch a new one at a time."""

    def get(self) -> str: ...

    def put(self, token: str, seconds: int) -> None: ...

    def drop(self, token: str) -> None:
        """Forget `token`, unless another has taken its place."""

    def fetching(self) -> AbstractContextManager[None]:
        """Held while a token is fetched; waits for whoever holds it."""


class PaymentMethod(ABC):
    """One way to pay, spoken to over HTTP. Build one for each use; it holds no state but what it was given."""

    name: ClassVar[str]
    label: ClassVar[str]
    currency: ClassVar[str]
    fields: ClassVar[tuple[AccountField, ...]]
    default_base_url: ClassVar[str]
    paid: ClassVar[str]  # the result code of success
    prompt_seconds: ClassVar[int]  # how long a prompt can be on a phone
    words: ClassVar[Mapping[str, Words]]  # by result code
    other_words: ClassVar[Words]  # for a code that is not listed

    def __init__(self, values: Mapping[str, str], base_url: str, tokens: TokenStore, http: PaymentHttp) -> None:
        """Raises: UnusableAccount."""
        missing = [field.label for field in self.fields if field.required and not values.get(field.name)]
        if missing:
            raise UnusableAccount(f"{self.label} needs: {', '.join(missing)}.")
        self.values = dict(values)
        self.base_url = (base_url or self.default_base_url).rstrip("/")
        self.tokens = tokens
        self.http = http

    @classmethod
    def problems_with(cls, values: Mapping[str, str]) -> dict[str, str]:
        """What is wrong with the values of an account beyond a missing one: a sentence by the name of the field."""
        return {}

    @classmethod
    def words_for(cls, code: str) -> Words:
        return cls.words.get(code, cls.other_words)

    @classmethod
    @abstractmethod
    def refusal(cls, code: str, text: str) -> Words:
        """What a refused Ask means to the payer, by the operator's words."""

    @abstractmethod
    def takes(self, phone: str) -> bool:
        """Whether a prompt can be shown on this number (E.164)."""

    @abstractmethod
    def ask(self, ask: Ask) -> Prompted:
        """Show the prompt. One attempt; repeated only where the access token was refused."""

    @abstractmethod
    def find(self, request_id: str) -> Finding:
        """What became of a prompt."""

    @abstractmethod
    def parse_notice(self, body: bytes) -> Notice:
        """Read a callback. Raises: UnreadableNotice."""

    @abstractmethod
    def parse_payment(self, body: bytes) -> Payment:
        """Read what the operator posts of a payment that its payer began. Raises: UnreadableNotice."""

    @abstractmethod
    def register(self, *, confirmation_url: str, validation_url: str) -> str:
        """Have payments to the paybill told to these addresses. Returns the problem in words, "" for none."""

    @abstractmethod
    def statement(self, since: datetime, until: datetime) -> Statement:
        """Payments received between two moments, from the operator's own books."""

    @property
    @abstractmethod
    def paybill(self) -> str:
        """The number that a payer enters by hand; "" where there is none."""
