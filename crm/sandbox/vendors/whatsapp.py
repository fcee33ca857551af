"""WhatsApp Cloud API on the wire: text within 24 hours of a reply, templates, media, signed webhooks.

The webhook goes to `delivery` of the account `whatsapp:<phone number id>`, signed with the account's `secret`
(“sandbox-app-secret” until another is set). Templates `hello_world` and `order_update` (one and two values) are
approved in en_US and sw; whatsapp_review.py has the others.
"""

import hashlib
import hmac
import re
import time
from typing import Any, Final
from uuid import uuid4

from crm.sandbox.server import Answer, Request
from crm.sandbox.vendors import whatsapp_review as review
from crm.sandbox.vendors.core import Callback, Taken, Told, Wanted, answer_json, dump, key_passes, plus, send, tell
from crm.sandbox.world import World

PREFIX: Final = "whatsapp:"
WINDOW_SECONDS: Final = 86_400
_PATH: Final = re.compile(r"/v[0-9]+\.[0-9]+/([0-9A-Za-z_]+)(?:/(messages|message_templates))?")
DEFAULT_SECRET: Final = "sandbox-app-secret"  # noqa: S105 - of nobody
SYNC: Final = {
    401: (131031, "Business Account locked"),
    402: (133010, "Phone number not registered"),
    403: (131009, "Parameter value is not valid"),
    405: (131042, "Business eligibility payment issue"),
    407: (131000, "Something went wrong"),
    409: (131056, "Pair rate limit hit"),
    500: (131016, "Service unavailable"),
    501: (130429, "Rate limit hit"),
    502: (131048, "Spam rate limit hit"),
}
LATER: Final = {404: 131026, 406: 131050}  # refusals that Meta tells by webhook alone
FAILURES: Final = {"UserDoesNotExist": 131026, "UserInBlackList": 131050, "Window": 131047, "DeliveryFailure": 131000}


def answer(world: World, request: Request) -> Answer | None:
    found = _PATH.fullmatch(request.path)
    if not found:
        return None
    account = found[1]
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    refused = None
    if not key_passes(world, PREFIX + account, key):
        refused = _error(190, "Invalid OAuth access token", 401)
    if found[2] == "message_templates":
        return refused or review.serve(world, request, _error, tell_business)
    if found[2] is None:
        return refused or review.change(world, request, account, _error, tell_business)
    return _send(world, request, account, refused) if request.method == "POST" else None


def tell_business(world: World, about: str, value: dict[str, Any]) -> None:
    """Post a webhook of the business to every number that has an address for it, else to where all go."""
    names = [name for name in world.accounts if name.startswith(PREFIX)] or [f"{PREFIX}0"]
    for name in names:
        change = {"field": about, "value": value}
        body = dump({"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [change]}]})
        tell(world, name, "delivery", _sign(world, name, body))


def _written(world: World) -> dict[tuple[str, str], float]:
    """When the person at a number last wrote to an account."""
    found: dict[tuple[str, str], float] = world.memory.setdefault("whatsapp", {})
    return found


def _error(code: int, details: str, status: int = 400, *, subcode: int = 0) -> Answer:
    error: dict[str, Any] = {
        "message": f"(#{code}) {details}", "type": "OAuthException", "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": details}, "fbtrace_id": uuid4().hex[:16],
    }  # fmt: skip
    if subcode:
        error |= {"error_subcode": subcode, "error_user_title": "Template", "error_user_msg": f"{details}."}
    return answer_json({"error": error}, status)


def _send(world: World, request: Request, account: str, refused: Answer | None) -> Answer:
    wire, username = request.json(), PREFIX + account
    if refused is None and wire.get("status") == "read":
        return answer_json({"success": True})
    number, kind, wamid = plus(str(wire.get("to", ""))), str(wire.get("type", "text")), f"wamid.{uuid4().hex}"
    shown, doomed = "", ""
    if kind == "template":
        template = wire.get("template") or {}
        language = str((template.get("language") or {}).get("code"))
        known = review.shelf_of(world).rows.get((str(template.get("name")), language))
        values = _values(template)
        if known is not None and known["status"] in ("PAUSED", "DISABLED"):
            code = 132015 if known["status"] == "PAUSED" else 132016
            refused = refused or _error(code, f"Template is {known['status'].lower()}")
        elif known is None or known["status"] != "APPROVED":
            refused = refused or _error(132001, "Template name does not exist in the translation", 404)
        else:
            shown = _fill(known, values)
            if "{{" in shown:
                refused = refused or _error(132000, "Number of parameters does not match")
    else:
        part = wire.get(kind) or {}
        file = f"[{kind}] {part.get('link') or part.get('id') or ''}"
        shown = str(part.get("body", "")) if kind == "text" else f"{file} {part.get('caption', '')}".strip()
        if time.time() - _written(world).get((username, number), 0) > WINDOW_SECONDS:
            doomed = "Failed:Window"
    if not shown:
        refused = refused or _error(131008, "Required parameter is missing")
    reference = str(wire.get("biz_opaque_callback_data", ""))

    def reply(taken: list[Taken]) -> Answer:
        code = taken[0].code
        if code:
            return _error(*(SYNC.get(code) or (LATER[code], "Message undeliverable")))
        accepted = {"id": wamid} | ({"message_status": "accepted"} if kind == "template" else {})
        contacts = [{"input": wire.get("to"), "wa_id": number[1:]}]
        return answer_json({"messaging_product": "whatsapp", "contacts": contacts, "messages": [accepted]})

    wanted = [Wanted(number, shown or " ", wamid, reference, shown=shown, doomed=doomed)]
    return send(
        world,
        request,
        username=username,
        sender="WhatsApp",
        wanted=wanted,
        refuse=refused,
        reply=reply,
        write=lambda told: write(world, told),
    )


def _values(template: dict[str, Any]) -> dict[str, str]:
    values: dict[str, str] = {}
    for component in template.get("components") or []:
        if component.get("type") == "body":
            for position, each in enumerate(component.get("parameters") or [], start=1):
                values[str(each.get("parameter_name") or position)] = str(each.get("text", ""))
    return values


def _fill(template: dict[str, Any], values: dict[str, str]) -> str:
    body = next((part.get("text", "") for part in template["components"] if part.get("type") == "BODY"), "")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values.get(found[1], found[0]), body)


def _envelope(username: str, value: dict[str, Any]) -> dict[str, Any]:
    metadata = {"display_phone_number": "254700000000", "phone_number_id": username.removeprefix(PREFIX)}
    whole = {"messaging_product": "whatsapp", "metadata": metadata} | value
    return {"object": "whatsapp_business_account",
            "entry": [{"id": "102290129340398", "changes": [{"field": "messages", "value": whole}]}]}  # fmt: skip


def signed(world: World, username: str, value: dict[str, Any]) -> Callback:
    return _sign(world, username, dump(_envelope(username, value)))


def _sign(world: World, username: str, body: bytes) -> Callback:
    secret = world.account(username).secret or DEFAULT_SECRET
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return Callback(body, headers=lambda url: (f"X-Hub-Signature-256: sha256={made}",))


def write(world: World, told: Told) -> Callback:
    word = "delivered" if told.arrived else "sent" if told.on_its_way else "failed"
    row: dict[str, Any] = {
        "id": told.provider_id,
        "status": "teleported" if told.status == "Teleported" else word,
        "timestamp": str(int(time.time())),
        "recipient_id": told.number[1:],
    }
    if told.reference:
        row["biz_opaque_callback_data"] = told.reference
    if word == "failed" and told.status != "Teleported":
        code = FAILURES.get(told.reason, 131026)
        details = {131047: "More than 24 hours have passed since the customer last replied"}
        title = details.get(code, "Message undeliverable")
        row["errors"] = [{"code": code, "title": title, "message": title, "error_data": {"details": title}}]
    return signed(world, told.username, {"statuses": [row]})


def person_writes(world: World, username: str, sender: str, number: str, text: str, message_id: str) -> bool:
    _written(world)[username, number] = time.time()
    row = {
        "from": number[1:], "id": f"wamid.{message_id}", "timestamp": str(int(time.time())), "type": "text",
        "text": {"body": text},
    }  # fmt: skip
    contacts = [{"profile": {"name": "Sandbox person"}, "wa_id": number[1:]}]
    return tell(world, username, "delivery", signed(world, username, {"contacts": contacts, "messages": [row]}))


def person_reads(world: World, username: str, number: str, provider_id: str) -> bool:
    row = {
        "id": provider_id, "status": "read", "timestamp": str(int(time.time())), "recipient_id": number[1:],
    }  # fmt: skip
    return tell(world, username, "delivery", signed(world, username, {"statuses": [row]}))
