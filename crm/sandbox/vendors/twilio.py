"""Twilio on the wire: forms in, JSON out, callbacks signed over the address they go to."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Awaitable
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from crm.sandbox.server import Answer, Request
from crm.sandbox.vendors.core import (
    Callback,
    Taken,
    Told,
    Wanted,
    answer_json,
    key_passes,
    money_of,
    send,
    state_of,
    tell,
)
from crm.sandbox.world import World

PREFIX: Final = "twilio:"
FORM: Final = "application/x-www-form-urlencoded"
_PATH: Final = re.compile(r"/2010-04-01/Accounts/(AC[0-9A-Za-z]+)/(Messages|Balance|Messages/(SM[0-9a-z]+))\.json")
ERRORS: Final = {
    401: (21408, "Permission to send an SMS has not been enabled for the region"),
    402: (21606, "The From phone number is not a valid, SMS-capable number"),
    403: (21211, "Invalid 'To' Phone Number"),
    404: (21614, "'To' number is not a valid mobile number"),
    405: (30002, "Account suspended"),
    406: (21610, "Attempt to send to unsubscribed recipient"),
    407: (21612, "The 'To' phone number is not currently reachable via SMS"),
    409: (21611, "This 'From' number has exceeded the maximum number of queued messages"),
    500: (20429, "Too many requests"),
    501: (20429, "Too many requests"),
    502: (21408, "Permission to send an SMS has not been enabled for the region"),
}
FAILURES: Final = {
    "UserDoesNotExist": 30005,
    "UserInBlackList": 30004,
    "UserIsInactive": 30003,
    "UserAccountSuspended": 30003,
    "NotNetworkSubcriber": 30006,
    "DeliveryFailure": 30008,
    "DoNotDisturbRejection": 30007,
}
_TOKENS: dict[str, str] = {}  # what an account signs with: the token it last came with


def answer(world: World, request: Request) -> Answer | Awaitable[Answer] | None:
    found = _PATH.fullmatch(request.path)
    if not found:
        return None
    username = PREFIX + found[1]
    refused = _check(world, request, username)
    if request.method == "POST" and found[2] == "Messages":
        return _send(world, request, username, found[1], refused)
    if request.method == "GET" and found[2] == "Balance":
        return refused or answer_json(
            {"account_sid": found[1], "balance": money_of(world, username), "currency": "KES"}
        )
    if request.method == "GET" and found[3]:
        return refused or _read(world, found[3])
    return None


def _check(world: World, request: Request, username: str) -> Answer | None:
    kind, _, pair = request.headers.get("authorization", "").partition(" ")
    try:
        user, _, token = base64.b64decode(pair, validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        user = token = ""
    if kind != "Basic" or not key_passes(world, username, token):
        return _error(20003, "Authenticate", 401)
    if PREFIX + user == username:
        _TOKENS[username] = token
    return None


def _error(code: int, words: str, status: int = 400) -> Answer:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return answer_json({"code": code, "message": words, "more_info": more, "status": status}, status)


def _send(world: World, request: Request, username: str, account: str, refused: Answer | None) -> Answer:
    form = request.form()
    to, body, sender = form.get("To", ""), form.get("Body", ""), form.get("From") or form.get("MessagingServiceSid", "")
    if not body:
        refused = refused or _error(21602, "Message body is required")
    if len(body) > 1600:
        refused = refused or _error(21617, "The concatenated message body exceeds the 1600 character limit")
    if not sender:
        refused = refused or _error(21603, "A 'From' phone number is required")
    sid = f"SM{uuid4().hex}"

    def reply(taken: list[Taken]) -> Answer:
        (row,) = taken
        if row.code:
            code, words = ERRORS[row.code]
            return _error(code, words, 429 if code == 20429 else 400)
        return answer_json(_resource(sid, account, sender, to, body, "queued", str(row.parts)), 201)

    def write(told: Told) -> Callback:
        word = _word(told.status)
        fields = {
            "SmsSid": told.provider_id,
            "SmsStatus": word,
            "MessageStatus": word,
            "To": told.number,
            "MessageSid": told.provider_id,
            "AccountSid": account,
            "From": told.sender,
            "ApiVersion": "2010-04-01",
        }
        if word in ("undelivered", "failed"):
            fields["ErrorCode"] = str(FAILURES.get(told.reason, 30008))
        return signed(username, fields)

    wanted = [Wanted(to, body, sid, address=form.get("StatusCallback", ""))]
    return send(
        world, request, username=username, sender=sender, wanted=wanted, refuse=refused, reply=reply, write=write
    )


def _word(status: str) -> str:
    if status == "Success":
        return "delivered"
    if status == "Teleported":
        return "teleported"
    return "sent" if status in ("Sent", "Submitted", "Buffered") else "undelivered"


def _resource(sid: str, account: str, sender: str, to: str, body: str, status: str, parts: str) -> dict[str, Any]:
    return {
        "sid": sid, "account_sid": account, "api_version": "2010-04-01", "body": body, "status": status,
        "direction": "outbound-api", "from": sender, "to": to, "messaging_service_sid": None, "num_segments": parts,
        "num_media": "0", "price": None, "price_unit": None, "error_code": None, "error_message": None,
        "uri": f"/2010-04-01/Accounts/{account}/Messages/{sid}.json",
    }  # fmt: skip


async def _read(world: World, sid: str) -> Answer:
    status, reason, number = await state_of(world, sid)
    if not status:
        return _error(20404, f"The requested resource /Messages/{sid}.json was not found", 404)
    word = "queued" if status == "Queued" else _word(status)
    code = FAILURES.get(reason, 30008) if word == "undelivered" else None
    return answer_json(_resource(sid, "", "", number, "", word, "1") | {"error_code": code})


def signed(username: str, fields: dict[str, str]) -> Callback:
    """A form whose signature covers the address that it goes to."""

    def headers(url: str) -> tuple[str, ...]:
        text = url + "".join(name + fields[name] for name in sorted(fields))
        made = hmac.new(_TOKENS.get(username, "").encode(), text.encode(), hashlib.sha1).digest()
        return (f"X-Twilio-Signature: {base64.b64encode(made).decode()}",)

    return Callback(urlencode(fields).encode(), FORM, headers)


def person_writes(world: World, username: str, sender: str, number: str, text: str, message_id: str) -> bool:
    sid = f"SM{message_id}"
    fields = {
        "MessageSid": sid, "SmsSid": sid, "AccountSid": username.removeprefix(PREFIX), "From": number, "To": sender,
        "Body": text, "NumMedia": "0", "NumSegments": "1",
    }  # fmt: skip
    return tell(world, username, "inbound", signed(username, fields))
