"""The Kenyan gateways on the wire: the partner ID family, Onfon, and the list-answering kind (Mobitech).

HTTP is 200 for refusals too; the first kind pushes no reports and spells `respose-code`.
"""

import random
from collections.abc import Awaitable
from typing import Any, Final
from uuid import uuid4

from crm.sandbox.server import Answer, Request
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
)
from crm.sandbox.world import World

CELCOM, ONFON, MOBITECH = "celcom:", "onfon:", "mobitech:"
TEN_HUNDREDS: Final = {
    401: (1006, "Invalid credentials"),
    402: (1001, "Invalid sender id"),
    403: (1003, "Invalid mobile number"),
    404: (1003, "Invalid mobile number"),
    405: (1004, "Low bulk credits"),
    406: (1003, "Invalid mobile number"),
    407: (1002, "Network not allowed"),
    409: (4090, "Internal Error. Try again after 5 minutes"),
    500: (1005, "System error"),
    501: (1007, "System error"),
    502: (1002, "Network not allowed"),
}
RECEIPT: Final = {"Success": "DELIVRD", "Failed": "UNDELIV", "Rejected": "REJECTD", "AbsentSubscriber": "UNDELIV",
                  "Expired": "EXPIRED", "Sent": "ENROUTE", "Submitted": "ENROUTE", "Buffered": "ACCEPTD",
                  "Teleported": "TELEPRT"}  # fmt: skip


def answer(world: World, request: Request) -> Answer | Awaitable[Answer] | None:
    path = request.path.rstrip("/")
    match (request.method, path):
        case ("POST", "/api/services/sendsms" | "/api/services/sendbulk"):
            return _celcom(world, request)
        case ("POST", "/api/services/getdlr"):
            return _celcom_report(world, request)
        case ("POST", "/v1/sms/SendBulkSMS"):
            return _onfon(world, request)
        case ("GET", "/v1/sms/Balance"):
            username = ONFON + request.query.get("ClientId", "")
            if not key_passes(world, username, request.headers.get("accesskey", "")):
                return answer_json({"ErrorCode": "007", "ErrorDescription": "Invalid API credentials", "Data": None})
            rows = [{"PluginType": "SMS", "Credits": f"KSh{money_of(world, username)}"}]
            return answer_json({"ErrorCode": 0, "Data": rows})
        case ("POST", "/sms/sendsms"):
            return _mobitech(world, request)
    return None


def _celcom(world: World, request: Request) -> Answer:
    wire = request.json()
    rows = wire["smslist"] if isinstance(wire.get("smslist"), list) else [wire]
    partner, key, sender = (str(rows[0].get(name, "")) for name in ("partnerID", "apikey", "shortcode"))
    username = CELCOM + partner
    refused = None
    if not partner or not key_passes(world, username, key):
        refused = answer_json({"response-code": 1006, "response-description": "Invalid credentials"})
    wanted = [
        Wanted(
            plus(str(row.get("mobile", ""))),
            str(row.get("message", "")),
            str(random.randrange(10**7, 10**9)),
            str(row.get("clientsmsid", "")),
        )
        for row in rows
    ]

    def reply(taken: list[Taken]) -> Answer:
        shown = []
        for row in taken:
            code, words = TEN_HUNDREDS[row.code] if row.code else (200, "Success")
            one: dict[str, Any] = {"respose-code": code, "response-description": words}
            one["mobile"] = int(row.wanted.number[1:]) if row.wanted.number[1:].isdecimal() else row.wanted.number
            if not row.code:
                one["messageid"] = int(row.wanted.provider_id)
                one["networkid"] = "1"
            shown.append(one | ({"clientsmsid": row.wanted.reference} if row.wanted.reference else {}))
        return answer_json({"responses": shown})

    return send(
        world, request, username=username, sender=sender, wanted=wanted, refuse=refused, reply=reply, write=_nobody
    )


def _nobody(told: Told) -> Callback:
    """These push no report; without an address set the state changes all the same."""
    return Callback(dump({"messageid": told.provider_id, "delivery-description": _words(told.status, told.reason)}))


def _words(status: str, reason: str) -> str:
    if status == "Success":
        return "DeliveredToTerminal"
    if status in ("Queued", "Sent", "Submitted", "Buffered"):
        return "DeliveredToNetwork"
    return (
        "SenderName Blacklisted"
        if reason == "UserInBlackList"
        else ("Teleported" if status == "Teleported" else "DeliveryImpossible")
    )


async def _celcom_report(world: World, request: Request) -> Answer:
    wire = request.json()
    asked = str(wire.get("messageID", ""))
    if not key_passes(world, CELCOM + str(wire.get("partnerID", "")), str(wire.get("apikey", ""))):
        return answer_json({"response-code": 1006, "response-description": "Invalid credentials"})
    status, reason, _ = await state_of(world, asked)
    if not status or status == "Queued":
        return answer_json({"response-code": 1008, "response-description": "No delivery report yet"})
    shown = {"response-code": 200, "message-id": asked, "response-description": "Success"}
    return answer_json(shown | {"delivery-description": _words(status, reason)})


def _onfon(world: World, request: Request) -> Answer:
    wire = request.json()
    username, sender = ONFON + str(wire.get("ClientId", "")), str(wire.get("SenderId", ""))
    refused = None
    if not wire.get("ApiKey") or not key_passes(world, username, request.headers.get("accesskey", "")):
        refused = answer_json({"ErrorCode": "007", "ErrorDescription": "Invalid API credentials", "Data": None})
    wanted = [
        Wanted(plus(str(row.get("Number", ""))), str(row.get("Text", "")), uuid4().hex)
        for row in wire.get("MessageParameters") or []
    ]

    def reply(taken: list[Taken]) -> Answer:
        if any(row.code == 402 for row in taken):
            return answer_json({"ErrorCode": "021", "ErrorDescription": "Invalid SenderId", "Data": None})
        shown = []
        for row in taken:
            one: dict[str, Any] = {"MobileNumber": row.wanted.number[1:]}
            if row.code:
                one["MessageErrorDescription"] = TEN_HUNDREDS[row.code][1]
            else:
                one["MessageId"] = row.wanted.provider_id
            shown.append(one)
        return answer_json({"ErrorCode": 0, "ErrorDescription": "Success", "Data": shown})

    def write(told: Told) -> Callback:
        word = RECEIPT.get(told.status, "UNDELIV")
        report = {"messageId": told.provider_id, "mobile": told.number[1:], "status": word, "errorCode": "000"}
        return Callback(dump(report | {"submitDate": "", "doneDate": "", "shortMessage": ""}))

    return send(
        world, request, username=username, sender=sender, wanted=wanted, refuse=refused, reply=reply, write=write
    )


def _mobitech(world: World, request: Request) -> Answer:
    """What an operator would describe to the product as “any HTTP provider”. It reports as JSON to the address set."""
    wire = request.json()
    username, key = MOBITECH + "account", request.headers.get("h_api_key", "")
    number, sender = plus(str(wire.get("mobile", ""))), str(wire.get("sender_name", ""))
    message_id = str(random.randrange(10**7, 10**9))

    def row(code: int, words: str, given: Any) -> Answer:
        shown = {"status_code": str(code), "status_desc": words, "message_id": given, "mobile_number": number[1:]}
        return answer_json(
            [shown | {"network_id": "1", "message_cost": 1 if given != "0" else "", "credit_balance": 148}]
        )

    refused = None if key_passes(world, username, key) else row(1006, "Invalid credentials", "0")

    def reply(taken: list[Taken]) -> Answer:
        return row(*TEN_HUNDREDS[taken[0].code], "0") if taken[0].code else row(1000, "Success", int(message_id))

    def write(told: Told) -> Callback:
        word = RECEIPT.get(told.status, "UNDELIV")
        return Callback(dump({"message_id": told.provider_id, "mobile": told.number[1:], "status": word}))

    return send(
        world,
        request,
        username=username,
        sender=sender,
        wanted=[Wanted(number, str(wire.get("message", "")), message_id)],
        refuse=refused,
        reply=reply,
        write=write,
    )
