"""Beem Africa on the wire: counts instead of rows, codes instead of HTTP, reports to be asked for or posted."""

import base64
import binascii
import random
import time
from collections.abc import Awaitable
from typing import Final

from crm.sandbox.server import Answer, BadRequest, Request
from crm.sandbox.vendors.core import (
    Callback,
    Taken,
    Told,
    Wanted,
    answer_json,
    dump,
    key_passes,
    money_of,
    plus,
    send,
    state_of,
    tell,
)
from crm.sandbox.world import World

PREFIX: Final = "beem:"
WHOLE: Final = {401: 105, 402: 111, 405: 102, 407: 106, 500: 103, 501: 103}


def answer(world: World, request: Request) -> Answer | Awaitable[Answer] | None:
    match (request.method, request.path):
        case ("POST", "/v1/send"):
            return _send(world, request)
        case ("GET", "/public/v1/delivery-reports"):
            return _report(world, request)
        case ("GET", "/public/v1/vendors/balance"):
            username, refused = _account(world, request)
            return refused or answer_json({"data": {"credit_balance": money_of(world, username).partition(".")[0]}})
    return None


def _account(world: World, request: Request) -> tuple[str, Answer | None]:
    kind, _, pair = request.headers.get("authorization", "").partition(" ")
    try:
        key, _, secret = base64.b64decode(pair, validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        key = secret = ""
    username = PREFIX + key
    passes = kind == "Basic" and key and key_passes(world, username, secret)
    return username, None if passes else _refusal(120, 401)


def _refusal(code: int, status: int = 400) -> Answer:
    words = {102: "Insufficient balance", 111: "Sender ID not registered or inactive", 120: "Invalid authentication"}
    return answer_json({"successful": False, "code": code, "message": words.get(code, "Refused")}, status)


def _send(world: World, request: Request) -> Answer:
    username, refused = _account(world, request)
    wire = request.json()
    rows = wire.get("recipients")
    if not isinstance(rows, list) or not rows:
        return refused or _refusal(119)
    if "encoding" not in wire:
        refused = refused or _refusal(118)
    if len(rows) > 1000:
        refused = refused or _refusal(114)
    sender, text = str(wire.get("source_addr", "")), str(wire.get("message", ""))
    if not sender or not text:
        raise BadRequest("source_addr and message are required.")
    request_id = random.randrange(10**7, 10**9)
    wanted = [
        Wanted(
            plus(str(row.get("dest_addr", ""))),
            text,
            f"{request_id}-{row.get('dest_addr', '')}",
            str(row.get("recipient_id", "")),
        )
        for row in {str(row.get("dest_addr")): row for row in rows if isinstance(row, dict)}.values()
    ]

    def reply(taken: list[Taken]) -> Answer:
        valid = sum(not row.code for row in taken)
        whole = next((WHOLE[row.code] for row in taken if row.code in WHOLE), 0)
        if not valid and whole:
            return _refusal(whole)
        counts = {"valid": valid, "invalid": len(taken) - valid, "duplicates": len(rows) - len(taken)}
        words = {"successful": True, "request_id": request_id, "code": 100, "message": "Message Submitted Successfully"}
        return answer_json(words | counts)

    return send(
        world, request, username=username, sender=sender, wanted=wanted, refuse=refused, reply=reply, write=write
    )


def write(told: Told) -> Callback:
    request_id, _, number = told.provider_id.rpartition("-")
    word = {True: "DELIVERED"}.get(told.arrived) or ("PENDING" if told.on_its_way else "UNDELIVERED")
    word = "TELEPORTED" if told.status == "Teleported" else word
    return Callback(
        dump({"request_id": request_id, "recipient_id": told.reference, "dest_addr": number, "Status": word})
    )


async def _report(world: World, request: Request) -> Answer:
    _, refused = _account(world, request)
    request_id, number = request.query.get("request_id", ""), request.query.get("dest_addr", "")
    status, *_ = await state_of(world, f"{request_id}-{number}")
    if refused or not status:
        return refused or answer_json([])
    on_its_way = status in ("Queued", "Sent", "Submitted", "Buffered")
    word = "DELIVERED" if status == "Success" else "PENDING" if on_its_way else "UNDELIVERED"
    return answer_json([{"dest_addr": number, "status": word, "request_id": request_id}])


def person_writes(world: World, username: str, sender: str, number: str, text: str, message_id: str) -> bool:
    wire = {
        "from": number.lstrip("+"),
        "to": sender,
        "channel": "sms",
        "timeUTC": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "transaction_id": message_id,
        "message": {"text": text, "media": {"mediaUrl": ""}},
        "billing": {"currency": "TZS", "subscriber_price": "0", "billing_price": "0"},
    }
    return tell(world, username, "inbound", Callback(dump(wire)))
