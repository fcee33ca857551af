"""Infobip on the wire: version 3, ids of the sender's own, reports in lists."""

from collections.abc import Awaitable
from typing import Any, Final

from crm.sandbox import networks
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

PREFIX: Final = "infobip:"
REFUSALS: Final = {401: 18, 402: 13, 403: 52, 404: 52, 405: 12, 406: 14, 407: 19, 409: 10, 500: 21, 501: 21, 502: 6}
ERRORS: Final = {
    "UserDoesNotExist": "EC_UNKNOWN_SUBSCRIBER",
    "UserInBlackList": "EC_CALL_BARRED",
    "UserIsInactive": "EC_ABSENT_SUBSCRIBER",
    "UserAccountSuspended": "EC_ABSENT_SUBSCRIBER",
}
_GROUPS: Final = {
    0: "ACCEPTED",
    1: "PENDING",
    2: "UNDELIVERABLE",
    3: "DELIVERED",
    4: "EXPIRED",
    5: "REJECTED",
    9: "NEW",
}


def answer(world: World, request: Request) -> Answer | Awaitable[Answer] | None:
    username, refused = PREFIX + "account", None
    if request.path not in ("/sms/3/messages", "/sms/3/logs", "/account/1/balance"):
        return None
    kind, _, key = request.headers.get("authorization", "").partition(" ")
    if kind != "App" or not key_passes(world, username, key):
        words = {"serviceException": {"messageId": "UNAUTHORIZED", "text": "Invalid login details"}}
        refused = answer_json({"requestError": words}, 401)
    match (request.method, request.path):
        case ("POST", "/sms/3/messages"):
            return _send(world, request, username, refused)
        case ("GET", "/sms/3/logs"):
            return refused or _logs(world, request)
        case ("GET", "/account/1/balance"):
            return refused or answer_json({"balance": float(money_of(world, username)), "currency": "KES"})
    return None


def _status(group: int, code: int, name: str = "") -> dict[str, Any]:
    name = name or f"{_GROUPS[group]}_{code}"
    return {"groupId": group, "groupName": _GROUPS[group], "id": code, "name": name, "description": name}


def _send(world: World, request: Request, username: str, refused: Answer | None) -> Answer:
    wire = request.json()
    seen: set[str] = world.memory.setdefault("infobip", set())  # a second message of an id is refused
    wanted: list[Wanted] = []
    twice: list[tuple[str, str]] = []
    sender = ""
    for message in wire.get("messages") or []:
        sender = str(message.get("sender", sender))
        address = ((message.get("webhooks") or {}).get("delivery") or {}).get("url", "")
        for destination in message.get("destinations") or []:
            number, given = str(destination.get("to", "")), str(destination.get("messageId", ""))
            if given in seen:
                twice.append((given, number))
                continue
            wanted.append(Wanted(plus(number), str(message["content"]["text"]), given, address=address))
    if not wanted and not twice:
        raise BadRequest("There is no destination.")

    def reply(taken: list[Taken]) -> Answer:
        rows = []
        for row in taken:
            group, code = (5, REFUSALS[row.code]) if row.code else (1, 26)
            if not row.code:
                seen.add(row.wanted.provider_id)
            one = {"messageId": row.wanted.provider_id, "destination": row.wanted.number[1:]}
            rows.append(one | {"status": _status(group, code), "details": {"messageCount": row.parts}})
        name = "REJECTED_DUPLICATE_MESSAGE_ID"
        rows += [{"messageId": i, "destination": number, "status": _status(5, 23, name)} for i, number in twice]
        return answer_json({"bulkId": "2034072219640523072", "messages": rows})

    return send(
        world, request, username=username, sender=sender, wanted=wanted, refuse=refused, reply=reply, write=write
    )


def _outcome(status: str, reason: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The status and error objects of a report."""
    error = {"groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR", "permanent": False}
    if status == "Success":
        return _status(3, 5, "DELIVERED_TO_HANDSET"), error
    if status in ("Queued", "Sent", "Submitted", "Buffered"):
        return _status(3, 2, "DELIVERED_TO_OPERATOR") if status == "Submitted" else _status(1, 7), error
    if status == "Teleported":
        return _status(9, 900, "TELEPORTED"), error
    failed = error | {"groupId": 1, "groupName": "HANDSET_ERRORS", "id": 1, "name": ERRORS.get(reason, "EC_UNKNOWN")}
    group, code = {"Expired": (4, 15), "Rejected": (5, 6)}.get(status, (2, 9))
    return _status(group, code), failed


def write(told: Told) -> Callback:
    status, error = _outcome(told.status, told.reason)
    row = {
        "messageId": told.provider_id, "to": told.number[1:], "sender": told.sender, "messageCount": 1,
        "mccMnc": told.network, "price": {"pricePerMessage": 0.8, "currency": "KES"}, "status": status, "error": error,
    }  # fmt: skip
    return Callback(dump({"results": [row]}))


async def _logs(world: World, request: Request) -> Answer:
    asked = request.query.get("messageId", "")
    status, reason, number = await state_of(world, asked)
    if not status:
        return answer_json({"results": []})
    words, error = _outcome(status, reason)
    row = {"messageId": asked, "to": number[1:], "mccMnc": networks.network_of(number)[0]}
    return answer_json({"results": [row | {"status": words, "error": error}]})


def person_writes(world: World, username: str, sender: str, number: str, text: str, message_id: str) -> bool:
    row = {"messageId": message_id, "from": number[1:], "to": sender, "text": text, "cleanText": text, "smsCount": 1}
    return tell(
        world, username, "inbound", Callback(dump({"results": [row], "messageCount": 1, "pendingMessageCount": 0}))
    )
