"""M-Pesa in Kenya by Safaricom's Daraja API: prompts (STK push), their status, paybill payments, the statement.

Spec: the Daraja portal ("Authorization", "M-Pesa Express", "Express Query", "Customer To Business", "Pull
Transactions"), and traffic that public SDKs quote where the portal is silent. Oddities: one errorCode has several
meanings, so the message is matched too; "still being processed" comes as HTTP 500 and as ResultCode 4999; ResultCode is
a number in callbacks and text in queries; times are Nairobi's, without a zone; HTTP 404 means an expired token.
"""

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from django.utils.translation import gettext_noop as _

from crm.common.money import to_micros
from wallet.payments.base import (
    AccountField,
    Ask,
    Finding,
    Notice,
    Payment,
    PaymentMethod,
    Prompted,
    Statement,
    UnreadableNotice,
    UnusableAccount,
    Words,
)
from wallet.payments.http import Answered

NAIROBI = timezone(timedelta(hours=3))
TOKEN_ERRORS = {"404.001.03", "400.003.01", "401.001", "401.003.01", "401.002.01"}
TOKEN_MARGIN = 120  # seconds before its end from which a token is no longer used
STILL_PROCESSING = "4999"
PULL_ROWS = 500  # more than this many rows in one window means another page
MOST_PAGES = 40

_BUSY = Words(
    "service_busy",
    _("M-Pesa could not process this right now. No payment was recorded."),
    _("Try again in half a minute, or pay by paybill."),
    ("again", "paybill"),
    wait_seconds=30,
)
_LIMIT = _("Choose another amount, or pay from another number.")

# Result codes of callbacks and queries. A code that is not here is OTHER.
WORDS: Mapping[str, Words] = {
    "0": Words("paid", _("The payment has arrived."), "", ()),
    "1": Words(
        "insufficient_funds",
        _("There is not enough money in M-Pesa on that number."),
        _("Choose a lower amount, or pay from another number."),
        ("lower", "other_phone"),
    ),
    "2": Words(
        "below_minimum",
        _("M-Pesa takes no payment this small. No payment was recorded."),
        _LIMIT,
        ("lower", "other_phone"),
    ),
    "3": Words(
        "above_maximum",
        _("M-Pesa takes no payment this large. No payment was recorded."),
        _LIMIT,
        ("lower", "other_phone"),
    ),
    "4": Words(
        "daily_limit",
        _("That number has reached its daily M-Pesa limit. No payment was recorded."),
        _LIMIT,
        ("lower", "other_phone"),
    ),
    "8": Words(
        "receiver_limit",
        _("Our M-Pesa account cannot take this amount today. No payment was recorded."),
        _("Choose a lower amount, or try again tomorrow."),
        ("lower",),
        alert=True,
    ),
    "17": Words(
        "service_busy",
        _BUSY.sentence,
        _("M-Pesa refuses the same amount from the same number within two minutes. Try again then, or pay by paybill."),
        ("again", "paybill"),
        wait_seconds=120,
    ),
    "26": _BUSY,
    "1025": _BUSY,
    "9999": _BUSY,
    "1001": Words(
        "phone_busy",
        _("Another M-Pesa or USSD screen is open on that phone."),
        _("Close it on the phone, wait a minute, then try again."),
        ("again", "other_phone"),
        wait_seconds=60,
    ),
    "1019": Words("expired", _("The prompt expired before the PIN."), _("Try again with the phone in hand.")),
    "1032": Words("cancelled", _("The request was cancelled on the phone. You were not charged."), _("Try again.")),
    "1037": Words(
        "no_answer",
        _("The phone did not answer: off, no signal, or screen locked."),
        _(
            "Unlock the phone and try again. If no prompt ever comes, dial *234# to refresh the SIM menu; "
            "this is common on eSIM."
        ),
        ("again", "paybill"),
    ),
    "2001": Words(
        "wrong_pin", _("The PIN was not correct. M-Pesa locks after several tries."), _("Try again with the right PIN.")
    ),
    "2028": Words(
        "configuration",
        _("Our M-Pesa account is not set up for this. No payment was recorded."),
        _("We have been told. Pay by paybill, or try again later."),
        ("paybill",),
        alert=True,
    ),
    "8006": Words(
        "pin_locked",
        _("The M-Pesa PIN of that number is locked."),
        _("Its owner calls Safaricom at 100, or pay from another number."),
        ("other_phone",),
    ),
    "E3008": Words(
        "not_a_test_number",
        _("This is M-Pesa's test service, and that is not one of its test numbers. No payment was recorded."),
        _("Use a test number."),
        ("other_phone",),
    ),
}
WORDS = dict(WORDS) | {"SFC_IC0003": WORDS["2028"]}
OTHER = Words(
    "declined",
    _("M-Pesa declined the payment. You were not charged as far as M-Pesa tells."),
    _("Look at the M-Pesa messages on the phone before you try again, or pay by paybill."),
    ("again", "paybill"),
)

# Refusals of the push itself, by a part of their message: the reason a person reads, and what it means.
_REFUSALS: tuple[tuple[str, Words], ...] = (
    ("unable to lock subscriber", WORDS["1001"]),
    ("system is busy", _BUSY),
    ("spike arrest", _BUSY),
    ("quota violation", _BUSY),
    ("invalid phonenumber", Words("invalid_phone", _("M-Pesa does not know that number."), _("Use another number."))),
    ("invalid partya", Words("invalid_phone", _("M-Pesa does not know that number."), _("Use another number."))),
    ("invalid amount", WORDS["2"]),
)
_TRY_LATER = ("500.003.02", "500.003.03")


class Mpesa(PaymentMethod):
    """One shortcode. values: see `fields`; `store` is the head-office number that speaks for a till."""

    name: ClassVar[str] = "mpesa"
    label: ClassVar[str] = "M-Pesa"
    currency: ClassVar[str] = "KES"
    default_base_url: ClassVar[str] = "https://api.safaricom.co.ke"
    paid: ClassVar[str] = "0"
    prompt_seconds: ClassVar[int] = 120
    words: ClassVar[Mapping[str, Words]] = WORDS
    other_words: ClassVar[Words] = OTHER
    fields: ClassVar[tuple[AccountField, ...]] = (
        AccountField("kind", "Kind", required=False, choices=("paybill", "till")),
        AccountField("shortcode", "Shortcode", help="The paybill; for a till its store or head-office number"),
        AccountField("till", "Till number", required=False, help="For a till only"),
        AccountField("passkey", "Passkey", secret=True),
        AccountField("consumer_key", "Consumer key", secret=True),
        AccountField("consumer_secret", "Consumer secret", secret=True),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shortcode = self.values["shortcode"]
        self.is_till = self.values.get("kind") == "till"
        if self.is_till and not self.values.get("till"):
            raise UnusableAccount("A till needs its till number.")

    @classmethod
    def problems_with(cls, values: Mapping[str, str]) -> dict[str, str]:
        missing = values.get("kind") == "till" and not values.get("till")
        return {"till": "A till needs its number."} if missing else {}

    @property
    def paybill(self) -> str:
        return "" if self.is_till else self.shortcode

    @classmethod
    def refusal(cls, code: str, text: str) -> Words:
        """Anything but the payer's own doing is ours to mend."""
        lowered = text.lower()
        return next((words for part, words in _REFUSALS if part in lowered), WORDS["2028"])

    def takes(self, phone: str) -> bool:
        return re.fullmatch(r"\+254[17]\d{8}", phone) is not None

    # Calls

    def ask(self, ask: Ask) -> Prompted:
        moment = self._stamp()
        digits = ask.phone.removeprefix("+")
        answered = self._post(
            "/mpesa/stkpush/v1/processrequest",
            {
                "BusinessShortCode": self.shortcode,
                "Password": password(self.shortcode, self.values["passkey"], moment),
                "Timestamp": moment,
                "TransactionType": "CustomerBuyGoodsOnline" if self.is_till else "CustomerPayBillOnline",
                "Amount": ask.amount,
                "PartyA": digits,
                "PartyB": self.values["till"] if self.is_till else self.shortcode,
                "PhoneNumber": digits,
                "CallBackURL": ask.callback_url,
                "AccountReference": ask.reference[:12],
                "TransactionDesc": ask.description[:13],
            },
        )
        return _read_push(answered)

    def find(self, request_id: str) -> Finding:
        moment = self._stamp()
        answered = self._post(
            "/mpesa/stkpushquery/v1/query",
            {
                "BusinessShortCode": self.shortcode,
                "Password": password(self.shortcode, self.values["passkey"], moment),
                "Timestamp": moment,
                "CheckoutRequestID": request_id,
            },
        )
        return _read_query(answered, request_id)

    def register(self, *, confirmation_url: str, validation_url: str) -> str:
        answered = self._post(
            "/mpesa/c2b/v2/registerurl",
            {
                "ShortCode": self.shortcode,
                "ResponseType": "Completed",
                "ConfirmationURL": confirmation_url,
                "ValidationURL": validation_url,
            },
        )
        said = answered.json()
        if answered.status == 200 and str(said.get("ResponseCode")) == "0":
            return ""
        return str(said.get("errorMessage") or f"M-Pesa answered {answered.status or 'nothing'}")[:200]

    def statement(self, since: datetime, until: datetime) -> Statement:
        found: dict[str, Payment] = {}
        for page in range(MOST_PAGES):
            answered = self._post(
                "/pulltransactions/v1/query",
                {
                    "ShortCode": self.shortcode,
                    "StartDate": f"{since.astimezone(NAIROBI):%Y-%m-%d %H:%M:%S}",
                    "EndDate": f"{until.astimezone(NAIROBI):%Y-%m-%d %H:%M:%S}",
                    "OffSetValue": str(page * PULL_ROWS),
                },
            )
            said = answered.json()
            if str(said.get("ResponseCode")) == "1001":
                break
            if answered.status != 200 or str(said.get("ResponseCode")) != "1000":
                return Statement(False, problem=str(said.get("errorMessage") or f"HTTP {answered.status}")[:200])
            rows = list(_flat(said.get("Response")))
            for row in rows:
                if payment := _read_row(row):
                    found[payment.receipt] = payment
            if len(rows) < PULL_ROWS:
                break
        return Statement(True, tuple(found.values()))

    # Callbacks

    def parse_notice(self, body: bytes) -> Notice:
        told = _object(_object(_load(body), "Body"), "stkCallback")
        merchant, request = _text(told, "MerchantRequestID"), _text(told, "CheckoutRequestID")
        code = told.get("ResultCode")
        if not merchant or not request or isinstance(code, bool) or not isinstance(code, int | str) or code == "":
            raise UnreadableNotice("An id or the result is missing.")
        if str(code) != self.paid:
            return Notice(merchant, request, str(code)[:20], _text(told, "ResultDesc"))
        metadata = told.get("CallbackMetadata")
        items = metadata.get("Item") if isinstance(metadata, dict) else None
        if not isinstance(items, list):
            raise UnreadableNotice("A payment without its particulars.")
        values = {str(item.get("Name")): item.get("Value") for item in items if isinstance(item, dict)}
        amount, receipt = _micros(values.get("Amount")), _text(values, "MpesaReceiptNumber")
        if amount is None or not re.fullmatch(r"[A-Za-z0-9]{6,32}", receipt):
            raise UnreadableNotice("A payment without amount or receipt.")
        return Notice(
            merchant,
            request,
            self.paid,
            _text(told, "ResultDesc"),
            amount,
            receipt.upper(),
            read_stamp(values.get("TransactionDate")),
        )

    def parse_payment(self, body: bytes) -> Payment:
        told = _load(body)
        receipt, amount = _text(told, "TransID"), _micros(told.get("TransAmount"))
        if not re.fullmatch(r"[A-Za-z0-9]{6,32}", receipt) or amount is None:
            raise UnreadableNotice("A payment without amount or receipt.")
        if _text(told, "BusinessShortCode") not in {self.shortcode, self.values.get("till")}:
            raise UnreadableNotice("A payment to somebody else.")
        names = " ".join(filter(None, (_text(told, name) for name in ("FirstName", "MiddleName", "LastName"))))
        phone = _text(told, "MSISDN")
        payer = f"{names} {phone if len(phone) < 20 else ''}".strip()  # v1 gives a hash in the number's place
        return Payment(
            receipt.upper(), amount, _text(told, "BillRefNumber")[:64], payer[:80], read_stamp(told.get("TransTime"))
        )

    # Tokens

    def _post(self, path: str, body: Mapping[str, Any]) -> Answered:
        """A call with the shared token; where it is refused, once more with a fresh one."""
        token = self._token("")
        if not token:
            return Answered(sent=False)
        answered = self._with_token(path, body, token)
        if not _token_refused(answered):
            return answered
        self.tokens.drop(token)
        fresh = self._token(token)
        return self._with_token(path, body, fresh) if fresh else Answered(sent=False)

    def _with_token(self, path: str, body: Mapping[str, Any], token: str) -> Answered:
        return self.http.call(
            "POST", self.base_url + path, headers={"Authorization": f"Bearer {token}"}, json_body=body
        )

    def _token(self, refused: str) -> str:
        """The shared token, fetched by one process at a time; "" where Daraja gives none."""
        if (token := self.tokens.get()) and token != refused:
            return token
        with self.tokens.fetching():
            if (token := self.tokens.get()) and token != refused:
                return token
            pair = f"{self.values['consumer_key']}:{self.values['consumer_secret']}".encode()
            answered = self.http.call(
                "GET",
                f"{self.base_url}/oauth/v1/generate?grant_type=client_credentials",
                headers={"Authorization": f"Basic {base64.b64encode(pair).decode()}"},
            )
            said = answered.json()
            token = str(said.get("access_token") or "")
            if answered.status != 200 or not token.isprintable() or not token.isascii():
                return ""
            try:
                seconds = int(said.get("expires_in", 0))
            except (TypeError, ValueError):
                seconds = 0
            self.tokens.put(token, max(seconds - TOKEN_MARGIN, 30))
            return token

    @staticmethod
    def _stamp() -> str:
        return f"{datetime.now(NAIROBI):%Y%m%d%H%M%S}"


def password(shortcode: str, passkey: str, moment: str) -> str:
    """Base64 of the three without separators; `moment` must be the request's Timestamp."""
    return base64.b64encode(f"{shortcode}{passkey}{moment}".encode()).decode()


def _token_refused(answered: Answered) -> bool:
    return answered.json().get("errorCode") in TOKEN_ERRORS


def _read_push(answered: Answered) -> Prompted:
    said = answered.json()
    request = _text(said, "CheckoutRequestID")
    if answered.status == 200 and str(said.get("ResponseCode")) == "0" and request:
        return Prompted("accepted", _text(said, "MerchantRequestID"), request)
    if not answered.status and not answered.sent:
        return Prompted("unsent", text="M-Pesa cannot be reached.")
    code, message = _text(said, "errorCode"), _text(said, "errorMessage")
    if not code or code == "500.003.1001" or "being processed" in message.lower():
        return Prompted("unknown", code=code, text=message)
    if code in TOKEN_ERRORS or code in _TRY_LATER:
        return Prompted("unsent", code=code, text=message)
    return Prompted("refused", code=code, text=message)


def _read_query(answered: Answered, request_id: str) -> Finding:
    said = answered.json()
    code, text = said.get("ResultCode"), _text(said, "ResultDesc")
    if answered.status == 200 and str(said.get("ResponseCode")) == "0" and isinstance(code, int | str):
        if said.get("CheckoutRequestID", request_id) != request_id:
            return Finding("unknown", text="an answer about another payment", raw=answered.body)
        if str(code) == STILL_PROCESSING:
            return Finding("pending", STILL_PROCESSING, text, answered.body)
        if str(code):
            return Finding("ended", str(code)[:20], text, answered.body)
    if "being processed" in _text(said, "errorMessage").lower():
        return Finding("pending", _text(said, "errorCode"), _text(said, "errorMessage"), answered.body)
    return Finding("unknown", _text(said, "errorCode"), _text(said, "errorMessage"), answered.body)


def _read_row(row: Mapping[str, Any]) -> Payment | None:
    """A row of the statement; None for one that cannot be read."""
    receipt, amount = _text(row, "transactionId"), _micros(row.get("amount"))
    if not receipt or amount is None:
        return None
    phone = str(row.get("msisdn") or "")
    return Payment(
        receipt.upper(),
        amount,
        _text(row, "billreference")[:64],
        f"***{phone[-3:]}" if phone else "",
        raw=json.dumps(row).encode(),
    )


def _flat(rows: Any) -> Any:
    """The rows out of a list inside a list."""
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, list):
            yield from _flat(row)
        elif isinstance(row, dict):
            yield row


def _load(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableNotice("The body is not JSON.") from None
    if not isinstance(data, dict):
        raise UnreadableNotice("The body is not a JSON object.")
    return data


def _object(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name)
    if not isinstance(value, dict):
        raise UnreadableNotice(f"{name} is missing.")
    return value


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    text = value if isinstance(value, str) else ""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:200].strip()


def _micros(value: Any) -> int | None:
    """An amount that came as a number or as text, exactly; None for anything that is no amount above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        micros = to_micros(Decimal(str(value)))
    except (InvalidOperation, ValueError):
        return None
    return micros if micros > 0 else None


def read_stamp(value: Any) -> datetime | None:
    """`20260301120011`, a number or text, of Nairobi, as UTC."""
    try:
        return datetime.strptime(str(value), "%Y%m%d%H%M%S").replace(tzinfo=NAIROBI).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
