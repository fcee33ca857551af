"""Daraja: Safaricom's payment API as it is on the wire, error bodies and oddities included.

Spec: the Daraja portal's pages and traffic quoted in public SDKs. Any consumer key and secret pass but the secret
"wrong"; the passkey is checked for the published test shortcode. A new token ends the one before it.
"""

import base64
import binascii
import json
import re
import secrets
import time
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from crm.sandbox.payments import NAIROBI, TEXTS, Payment, new_checkout, new_id
from crm.sandbox.server import Answer, BadRequest, Request
from crm.sandbox.world import World

TEST_SHORTCODE: Final = "174379"
TEST_PASSKEY: Final = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
TOKEN_SECONDS: Final = 3600
EARLY_SECONDS: Final = 0.7  # how long a push waits for the callback that overtakes its answer
MOST: Final = 250_000
_FORBIDDEN: Final = re.compile(r"mpesa|m-pesa|safaricom|exe|cmd|sql|query", re.IGNORECASE)
_URL: Final = re.compile(r"https?://[!-~]+")
_JSON: Final = "application/json"

# The error that each family of calls gives to a token that does not hold.
_TOKEN_ERRORS: Final = {
    "/mpesa/stkpush": (404, "404.001.03"),
    "/mpesa/c2b": (400, "400.003.01"),
    "/pulltransactions": (401, "401.001"),
}


def answer(world: World, request: Request) -> Answer | None:
    """Daraja's answer, or None for an address it does not have."""
    path = request.path
    if path == "/oauth/v1/generate":
        return _token(world, request)
    call = _CALLS.get(path)
    if call is None:
        return None
    if request.method != "POST":
        return _error(405, "405.001", "Method Not Allowed")
    try:
        wire = request.json() if request.headers.get("content-type", "").startswith(_JSON) else {}
    except BadRequest:
        return _error(400, "400.002.05", "Invalid Request Payload")
    shortcode = str(wire.get("BusinessShortCode") or wire.get("ShortCode") or "")
    reply = _refuse_token(world, request, shortcode) or call(world, wire, shortcode)
    reply.delay += world.faults_of(shortcode).seconds("latency")
    world.payments.log.appendleft({"at": time.time(), "call": path, "status": reply.status})
    return reply


def _token(world: World, request: Request) -> Answer:
    if request.query.get("grant_type") != "client_credentials":
        return _error(400, "400.008.02", "Invalid grant type passed")
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return _error(400, "400.008.01", "Invalid Authentication passed")
    try:
        key, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        key = secret = ""
    if not key or not secret or secret == "wrong":  # noqa: S105 - the one that is refused
        return Answer(400, b"", _JSON)
    token = secrets.token_urlsafe(21)
    world.payments.tokens[key] = (token, time.monotonic() + TOKEN_SECONDS)
    world.payments.log.appendleft({"at": time.time(), "call": request.path, "status": 200})
    return _reply({"access_token": token, "expires_in": str(TOKEN_SECONDS - 1)})


def _refuse_token(world: World, request: Request, shortcode: str) -> Answer | None:
    status, code = next(error for start, error in _TOKEN_ERRORS.items() if request.path.startswith(start))
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return _error(404, "404.001.04", "Invalid Authentication Header")
    if world.faults_of(shortcode).happens("expired_tokens"):
        world.payments.tokens.clear()
    if not any(known == token and end > time.monotonic() for known, end in world.payments.tokens.values()):
        return _error(status, code, "Invalid Access Token")
    return None


def _push(world: World, wire: dict[str, Any], shortcode: str) -> Answer:
    if wrong := _wrong_field(wire):
        return _error(400, "400.002.02", f"Bad Request - Invalid {wrong}")
    if not _right_password(wire):
        return _error(500, "500.001.1001", "Wrong credentials")
    faults, payments = world.faults_of(shortcode), world.payments
    if faults.happens("busy_pushes"):
        return _error(500, "500.003.02", "System is busy. Please try again in few minutes.")
    number = f"+{wire['PhoneNumber']}"
    if payments.live_on(number):
        return _error(500, "500.001.1001", TEXTS["1001"])
    now = time.time()
    payment = Payment(
        merchant=new_id(),
        checkout=new_checkout(number, now),
        shortcode=shortcode,
        party=str(wire["PartyB"]),
        number=number,
        amount=int(wire["Amount"]),
        account=str(wire["AccountReference"]),
        callback=str(wire["CallBackURL"]),
        at=now,
    )
    early = faults.happens("early_callbacks")
    payments.prompt(payment, early=early)
    if faults.happens("forged_callbacks"):
        payments.forge(payment)
    if faults.happens("hang_after"):
        return Answer(0, manner="hang", delay=faults.seconds("hang_seconds"))
    if faults.happens("reset_after"):
        return Answer(0, manner="reset")
    if faults.happens("error_after"):
        return _error(500, "500.003.1001", "Internal Server Error")
    said = "Success. Request accepted for processing"
    reply = _reply(
        {
            "MerchantRequestID": payment.merchant,
            "CheckoutRequestID": payment.checkout,
            "ResponseCode": "0",
            "ResponseDescription": said,
            "CustomerMessage": said,
        }
    )
    reply.delay = EARLY_SECONDS if early else 0.0
    return reply


def _wrong_field(wire: dict[str, Any]) -> str:
    """The first field of a push that Daraja would name, "" for none."""
    text = {name: str(value) for name, value in wire.items() if not isinstance(value, bool)}
    rules = {
        "BusinessShortCode": r"\d{5,7}",
        "Password": r".+",
        "Timestamp": r"\d{14}",
        "TransactionType": r"CustomerPayBillOnline|CustomerBuyGoodsOnline",
        "Amount": r"[1-9]\d{0,5}",
        "PartyA": r"254[17]\d{8}",
        "PartyB": r"\d{5,7}",
        "PhoneNumber": r"254[17]\d{8}",
        "AccountReference": r"[A-Za-z0-9 _-]{1,12}",
    }
    for name, rule in rules.items():
        if not re.fullmatch(rule, text.get(name, "")):
            return name
    if int(text["Amount"]) > MOST:
        return "Amount"
    if not re.fullmatch(r".{1,13}", text.get("TransactionDesc", "")):
        return "Remarks"
    url = text.get("CallBackURL", "")
    return "" if _URL.fullmatch(url) and not _FORBIDDEN.search(url) else "CallBackURL"


def _right_password(wire: dict[str, Any]) -> bool:
    shortcode, moment = str(wire["BusinessShortCode"]), str(wire["Timestamp"])
    try:
        text = base64.b64decode(str(wire["Password"]), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    passkey = text.removeprefix(shortcode).removesuffix(moment)
    right = passkey == TEST_PASSKEY if shortcode == TEST_SHORTCODE else bool(passkey)
    return text == shortcode + passkey + moment and right


def _query(world: World, wire: dict[str, Any], shortcode: str) -> Answer:
    if not re.fullmatch(r"\d{5,7}", shortcode):
        return _error(400, "400.002.02", "Bad Request - Invalid BusinessShortCode")
    if not (wire.get("Password") and re.fullmatch(r"\d{14}", str(wire.get("Timestamp", ""))) and _right_password(wire)):
        return _error(500, "500.001.1001", "Wrong credentials")
    if world.faults_of(shortcode).happens("busy_queries"):
        return _error(500, "500.003.02", "Error Occurred: Spike Arrest Violation")
    payment = world.payments.all.get(str(wire.get("CheckoutRequestID", "")))
    if payment is None or payment.shortcode != shortcode:
        return _error(400, "400.002.02", "Bad Request - Invalid CheckoutRequestID")
    code, text = payment.code, payment.text
    if not code:
        payment.asked += 1
        if payment.asked % 2:  # both ways in which it says "not yet"
            return _error(500, "500.001.1001", "The transaction is being processed")
        code, text = "4999", "The transaction is still under processing"
    return _reply(
        {
            "ResponseCode": "0",
            "ResponseDescription": "The service request has been accepted successfully",
            "MerchantRequestID": payment.merchant,
            "CheckoutRequestID": payment.checkout,
            "ResultCode": code,
            "ResultDesc": text,
        }
    )


def _register(world: World, wire: dict[str, Any], shortcode: str) -> Answer:
    if wire.get("ResponseType") not in ("Completed", "Cancelled") or not re.fullmatch(r"\d{5,7}", shortcode):
        return _error(400, "400.003.02", "Bad Request - Invalid ResponseType or ShortCode")
    urls = [str(wire.get(name, "")) for name in ("ConfirmationURL", "ValidationURL")]
    if not all(_URL.fullmatch(url) and not _FORBIDDEN.search(url) for url in urls):
        return _error(400, "400.003.02", "Bad Request - Invalid ConfirmationURL or ValidationURL")
    world.payments.register(shortcode, *urls)  # the sandbox allows it again, as Safaricom's own does
    return _reply({"OriginatorCoversationID": uuid4().hex[:20], "ResponseCode": "0", "ResponseDescription": "Success"})


def _simulate(world: World, wire: dict[str, Any], shortcode: str) -> Answer:
    amount, number = str(wire.get("Amount", "")), str(wire.get("Msisdn", ""))
    if not re.fullmatch(r"[1-9]\d{0,5}", amount) or not re.fullmatch(r"254[17]\d{8}", number):
        return _error(400, "400.003.02", "Bad Request - Invalid Amount or Msisdn")
    account = str(wire.get("BillRefNumber", ""))
    world.payments.pay(shortcode=shortcode, number=f"+{number}", amount=int(amount), account=account)
    return _reply(
        {
            "OriginatorCoversationID": uuid4().hex[:20],
            "ResponseCode": "0",
            "ResponseDescription": "Accept the service request successfully.",
        }
    )


def _pull_register(world: World, wire: dict[str, Any], shortcode: str) -> Answer:
    return _reply(
        {
            "ResponseRefID": new_id(),
            "ResponseStatus": "1000",
            "ShortCode": shortcode,
            "ResponseDescription": "Success",
        }
    )


def _pull(world: World, wire: dict[str, Any], shortcode: str) -> Answer:
    """The statement as a list inside a list; rows carry no payer's plus, and times of Nairobi that claim to be UTC."""
    try:
        since, until = (
            datetime.strptime(str(wire.get(name)), "%Y-%m-%d %H:%M:%S").replace(tzinfo=NAIROBI)
            for name in ("StartDate", "EndDate")
        )
        offset = int(wire.get("OffSetValue", "0"))
    except ValueError:
        return _error(400, "400.001", "Bad Request - Invalid Date")
    rows = world.payments.statement(shortcode, since, until)[offset : offset + PULL_ROWS]
    head = {"ResponseRefID": new_id(), "ResponseCode": "1000" if rows else "1001"}
    head["ResponseMessage"] = "Success" if rows else "No transactions"
    return _reply(head | {"Response": [[_statement_row(payment) for payment in rows]]})


PULL_ROWS: Final = 500


def _statement_row(payment: Payment) -> dict[str, Any]:
    return {
        "transactionId": payment.receipt,
        "trxDate": f"{datetime.fromtimestamp(payment.ended_at, NAIROBI):%Y-%m-%dT%H:%M:%SZ}",
        "msisdn": int(payment.number[-9:]),
        "sender": "MPESA",
        "transactiontype": "c2b-pay-bill-debit",
        "billreference": payment.account,
        "amount": f"{payment.amount}.00",
        "organizationname": "Daraja-Sandbox",
    }


_CALLS: Final = {
    "/mpesa/stkpush/v1/processrequest": _push,
    "/mpesa/stkpushquery/v1/query": _query,
    "/mpesa/c2b/v1/registerurl": _register,
    "/mpesa/c2b/v2/registerurl": _register,
    "/mpesa/c2b/v1/simulate": _simulate,
    "/mpesa/c2b/v2/simulate": _simulate,
    "/pulltransactions/v1/register": _pull_register,
    "/pulltransactions/v1/query": _pull,
}


def _reply(body: dict[str, Any]) -> Answer:
    return Answer(200, json.dumps(body).encode(), _JSON)


def _error(status: int, code: str, message: str) -> Answer:
    body = {"requestId": new_id(), "errorCode": code, "errorMessage": message}
    return Answer(status, json.dumps(body).encode(), _JSON)
