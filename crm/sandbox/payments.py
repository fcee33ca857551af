"""M-Pesa's side of a payment: prompts on handsets, money that moves or does not, receipts, and who is told.

One Payments belongs to the World and is used from the event loop only. Callbacks are posted once: the portal states no
retry. A payment is kept in the store as soon as it exists, so that a restart forgets no receipt.
"""

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, Final
from uuid import uuid4

from crm.sandbox.faults import Faults
from crm.sandbox.reports import Engine, Post
from crm.sandbox.store import Store

NAIROBI: Final = timezone(timedelta(hours=3))
POCKET: Final = 200_000  # KES on every phone, until it is set
WRONG_PIN: Final = "0000"
REPEATS: Final = 20
KEPT: Final = 5_000  # payments in memory; the oldest leave first
NETWORK_END_SECONDS: Final = 1.0  # until a number with a fate of its own ends

# ResultCode → ResultDesc, as callbacks and the query print them.
TEXTS: Final[dict[str, str]] = {
    "0": "The service request is processed successfully.",
    "1": "The balance is insufficient for the transaction.",
    "17": "Rule limited.",
    "26": "System busy. The service request is rejected.",
    "1001": "Unable to lock subscriber, a transaction is already in process for the current subscriber",
    "1019": "Transaction has expired",
    "1025": "An error occurred while sending a push request",
    "1032": "Request cancelled by user",
    "1037": "DS timeout user cannot be reached",
    "2001": "The initiator information is invalid.",
    "2028": "The request is not permitted according to product assignment",
    "7777": "Declined due to a reason nobody documented",
    "8006": "The security credential is locked",
    "9999": "Request failed",
}
FOREVER: Final = "4999"  # as a fate: the payment never ends

# Numbers whose prompt ends by itself: the last four digits are the ResultCode.
FATES: Final[dict[str, str]] = {
    f"+25470010{int(code):04}": code for code in (*TEXTS, FOREVER) if code not in ("0", "1032", "2001")
}


@dataclass
class Payment:
    """One payment to a shortcode. checkout is "" for one that its payer began; code is "" while a prompt is open.

    number: E.164. amount: whole shillings. account: what the payer reads or typed. Times: seconds since 1970.
    """

    merchant: str
    checkout: str
    shortcode: str
    party: str
    number: str
    amount: int
    account: str
    callback: str
    at: float
    code: str = ""
    receipt: str = ""
    ended_at: float = 0.0
    asked: int = 0  # how often the query was asked while the prompt was open

    @property
    def key(self) -> str:
        return self.checkout or self.merchant

    @property
    def text(self) -> str:
        return TEXTS.get(self.code, "")


@dataclass(frozen=True, slots=True)
class Habit:
    """What the owner of a phone does with a prompt without being asked: act, after so many seconds."""

    act: str
    after: float
    pin: str


class Payments:
    """Prompts and payments of every shortcode. faults_of: the dials of a shortcode."""

    def __init__(self, store: Store, faults_of: Callable[[str], Faults]) -> None:
        self._store = store
        self._faults_of = faults_of
        self.engine = Engine()
        self.all: dict[str, Payment] = {}
        self.habits: dict[str, Habit] = {}
        self.pockets: dict[str, int] = {}
        self.addresses: dict[str, dict[str, str]] = {}  # shortcode → confirmation, validation
        self.tokens: dict[str, tuple[str, float]] = {}  # consumer key → token, end in monotonic seconds
        self.log: deque[dict[str, Any]] = deque(maxlen=200)
        for value in store.call(kept_payments).result():
            payment = Payment(**json.loads(value))
            self.all[payment.key] = payment
        for shortcode, value in store.call(kept_addresses).result():
            self.addresses[shortcode] = json.loads(value)

    def start(self) -> None:
        self.engine.start()
        for payment in list(self.all.values()):
            if not payment.code:  # the prompt did not outlive the restart
                self._later(NETWORK_END_SECONDS, partial(self.end, payment, "1037"))

    def stop(self) -> None:
        self.engine.stop()

    # Asking for money

    def live_on(self, number: str) -> Payment | None:
        """The open prompt of a phone."""
        return next((p for p in self.all.values() if p.number == number and not p.code), None)

    def prompt(self, payment: Payment, *, early: bool) -> None:
        """Show a prompt on the phone. early: it is paid at once, before the push is answered."""
        self._keep(payment)
        faults = self._faults_of(payment.shortcode)
        habit = self.habits.get(payment.number) or self.habits.get("*")
        if early:
            self.act(payment, habit.act if habit else "pay", habit.pin if habit else "1234")
        elif fate := FATES.get(payment.number):
            if fate != FOREVER:
                self._later(NETWORK_END_SECONDS, partial(self.end, payment, fate))
        else:
            self._later(faults.seconds("prompt_seconds"), partial(self.end, payment, "1037"))
            if habit:
                self._later(habit.after, partial(self.act, payment, habit.act, habit.pin))

    def act(self, payment: Payment, act: str, pin: str = "1234") -> None:
        """The person: "pay" with a PIN, "cancel", or "ignore", which leaves the prompt to its end."""
        if act == "cancel":
            self.end(payment, "1032")
        elif act == "pay":
            if pin == WRONG_PIN:
                self.end(payment, "2001")
            elif self.pocket(payment.number) < payment.amount:
                self.end(payment, "1")
            else:
                self.end(payment, "0")

    def pay(self, *, shortcode: str, number: str, amount: int, account: str) -> Payment | None:
        """The payer's own payment to a paybill. None where the pocket does not hold it."""
        if self.pocket(number) < amount:
            return None
        payment = Payment(new_id(), "", shortcode, shortcode, number, amount, account, "", time.time())
        self._keep(payment)
        self.end(payment, "0")
        return payment

    def pocket(self, number: str) -> int:
        return self.pockets.get(number, POCKET)

    def end(self, payment: Payment, code: str) -> None:
        """The payment's end, once: money moves for "0", and those who wait are told as the dials allow."""
        if payment.code:
            return
        payment.code, payment.ended_at = code, time.time()
        if code == "0":
            payment.receipt = new_receipt()
            self.pockets[payment.number] = self.pocket(payment.number) - payment.amount
        self._keep(payment)
        if payment.callback:
            self._call_back(payment)
        if code == "0" and (address := self.addresses.get(payment.shortcode, {}).get("confirmation")):
            self._post(address, confirmation(payment), 0.1)

    def register(self, shortcode: str, confirmation: str, validation: str) -> None:
        self.addresses[shortcode] = {"confirmation": confirmation, "validation": validation}
        self._store.write(KEEP_ADDRESSES, (shortcode, json.dumps(self.addresses[shortcode])))

    def statement(self, shortcode: str, since: datetime, until: datetime) -> list[Payment]:
        """What was paid to a shortcode within these times, the oldest first."""
        found = [
            payment
            for payment in self.all.values()
            if payment.shortcode == shortcode
            and payment.code == "0"
            and since <= datetime.fromtimestamp(payment.ended_at, NAIROBI) <= until
        ]
        return sorted(found, key=lambda payment: payment.ended_at)

    async def forget(self) -> None:
        """All payments, habits and pockets, and callbacks still owed."""
        self.engine.forget()
        for kept in (self.all, self.habits, self.pockets, self.addresses):
            kept.clear()
        self.log.clear()
        await self._store.ask(forget_payments)

    # Telling

    def _call_back(self, payment: Payment) -> None:
        faults = self._faults_of(payment.shortcode)
        body = callback(payment)
        if faults.happens("missing_callbacks"):
            return
        if faults.happens("wrong_amounts") and payment.code == "0":
            body = callback(payment, amount=payment.amount + 1)
        delay = faults.seconds("callback_seconds") if faults.happens("late_callbacks") else 0.0
        for _ in range(REPEATS if faults.happens("repeated_callbacks") else 1):
            self._post(payment.callback, body, delay)

    def forge(self, payment: Payment) -> None:
        """Somebody who saw the address claims that the money was paid."""
        lie = Payment(**asdict(payment) | {"code": "0", "receipt": new_receipt(), "ended_at": time.time()})
        self._post(payment.callback, callback(lie), 0.2)

    def _post(self, address: str, body: dict[str, Any], delay: float) -> None:
        self.engine.post(
            Post(due=time.monotonic() + delay, address=lambda: address, json=json.dumps(body).encode(), tries=1)
        )

    def _keep(self, payment: Payment) -> None:
        self.all[payment.key] = payment
        while len(self.all) > KEPT:
            del self.all[next(iter(self.all))]
        self._store.write(KEEP_PAYMENT, (payment.key, json.dumps(asdict(payment))))

    @staticmethod
    def _later(seconds: float, what: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, what)


KEEP_PAYMENT: Final = "INSERT INTO payment VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
KEEP_ADDRESSES: Final = "INSERT INTO paybill VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"


def kept_payments(database: Any) -> list[str]:
    rows = database.execute("SELECT value FROM payment ORDER BY rowid DESC LIMIT ?", (KEPT,)).fetchall()
    return [row["value"] for row in reversed(rows)]


def kept_addresses(database: Any) -> list[tuple[str, str]]:
    return [(row["shortcode"], row["value"]) for row in database.execute("SELECT * FROM paybill")]


def forget_payments(database: Any) -> None:
    database.execute("DELETE FROM payment")
    database.execute("DELETE FROM paybill")


def new_id() -> str:
    """A MerchantRequestID."""
    return f"{uuid4().hex[:4]}-{uuid4().hex[:4]}-{uuid4().hex[:4]}-{uuid4().hex[:20]}"


def new_checkout(number: str, at: float) -> str:
    moment = datetime.fromtimestamp(at, NAIROBI)
    return f"ws_CO_{moment:%d%m%Y%H%M%S}{random.randrange(1000):03}{number[-9:]}"


def new_receipt() -> str:
    """Ten letters and digits that begin with the year, month and day, as M-Pesa's codes do."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    today = datetime.now(NAIROBI)
    day = str(today.day) if today.day < 10 else letters[today.day - 10]
    return letters[(today.year - 2006) % 26] + letters[today.month - 1] + day + uuid4().hex[:7].upper()


def stamp(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, NAIROBI):%Y%m%d%H%M%S}"


def callback(payment: Payment, *, amount: int | None = None) -> dict[str, Any]:
    """The body posted to CallBackURL. A failure has no metadata; Balance comes without a value."""
    told: dict[str, Any] = {
        "MerchantRequestID": payment.merchant,
        "CheckoutRequestID": payment.checkout,
        "ResultCode": int(payment.code),
        "ResultDesc": payment.text or TEXTS["0"],
    }
    if payment.code == "0":
        told["CallbackMetadata"] = {
            "Item": [
                {"Name": "Amount", "Value": float(amount or payment.amount)},
                {"Name": "MpesaReceiptNumber", "Value": payment.receipt},
                {"Name": "Balance"},
                {"Name": "TransactionDate", "Value": int(stamp(payment.ended_at))},
                {"Name": "PhoneNumber", "Value": int(payment.number.lstrip("+"))},
            ]
        }
    return {"Body": {"stkCallback": told}}


def confirmation(payment: Payment) -> dict[str, str]:
    """The body posted to ConfirmationURL, v2: all values are text and the payer's number is masked."""
    number = payment.number.lstrip("+")
    return {
        "TransactionType": "Pay Bill",
        "TransID": payment.receipt,
        "TransTime": stamp(payment.ended_at),
        "TransAmount": f"{payment.amount}.00",
        "BusinessShortCode": payment.shortcode,
        "BillRefNumber": payment.account,
        "InvoiceNumber": "",
        "OrgAccountBalance": "250000.00",
        "ThirdPartyTransID": "",
        "MSISDN": f"{number[:4]} ***** {number[-3:]}",
        "FirstName": "JANE",
        "MiddleName": "",
        "LastName": "",
    }
