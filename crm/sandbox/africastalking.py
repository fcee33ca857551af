"""The carrier: Africa's Talking's SMS protocol as it is on the wire, oddities included.

Spec: the vendor's documentation and the replies recorded in public SDKs. HTTP 201 for everything that was understood;
refusals as rows whose id is the text "None", or as an empty list with the reason; 401 in plain text.
"""

import json
import time
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from crm.sandbox import networks
from crm.sandbox.faults import Faults
from crm.sandbox.judging import Word, plan_words, refusal_of, spoil
from crm.sandbox.networks import ROW_REFUSALS
from crm.sandbox.parts import count_parts
from crm.sandbox.server import Answer, BadRequest, Request
from crm.sandbox.store import MessageRow
from crm.sandbox.world import LoggedRequest, World, report_form

DEFAULT_SENDER: Final = "AFRICASTKNG"
EARLY_SECONDS: Final = 0.5  # how long an answer waits for the report that overtakes it
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Report:
    """A report to post `delay` seconds from now; see World.post_report."""

    form: dict[str, str]
    delay: float
    closes: bool = False
    silent: bool = False


def answer(world: World, request: Request) -> Answer | None:
    """The carrier's answer, or None for an address it does not have."""
    try:
        return _route(world, request)
    except BadRequest as error:
        _log(world, request, "", "", 0, error.status, str(error))
        return Answer(error.status, str(error).encode())


def _route(world: World, request: Request) -> Answer | None:
    if request.path == "/version1/messaging" and request.method == "POST":
        return _send_form(world, request)
    if request.path == "/version1/messaging/bulk" and request.method == "POST":
        return _send_json(world, request)
    if request.path == "/version1/messaging" and request.method == "GET":
        return _ask(world, request, lambda _: {"SMSMessageData": {"Messages": []}})  # the inbox; handsets cannot write
    if request.path == "/version1/user" and request.method == "GET":
        return _ask(world, request, lambda name: {"UserData": {"balance": networks.money(max(0, world.balance(name)))}})
    return None


def _ask(world: World, request: Request, reply: Any) -> Answer:
    username = request.query.get("username", "")
    return _refuse_key(world, request, username) or Answer(200, _dump(reply(username)), JSON)


def _send_form(world: World, request: Request) -> Answer:
    form = request.form()
    for name in ("username", "to", "message"):
        if not form.get(name):
            raise BadRequest(f"Request is missing required form field '{name}'")
    numbers = [number.strip() for number in form["to"].split(",")]
    queued = form.get("enqueue", "1") == "1"
    return _send(world, request, form["username"], form.get("from", ""), form["message"], numbers, queued)


def _send_json(world: World, request: Request) -> Answer:
    wire = request.json()
    username, text, numbers = wire.get("username"), wire.get("message"), wire.get("phoneNumbers")
    sender = wire.get("senderId") or ""
    if not (isinstance(username, str) and username and isinstance(text, str) and text and isinstance(sender, str)):
        raise BadRequest("Request needs a username and a message")
    if not isinstance(numbers, list) or not numbers or not all(isinstance(number, str) for number in numbers):
        raise BadRequest("Request needs a list of phoneNumbers")
    return _send(world, request, username, sender, text, numbers, True)


def _send(
    world: World, request: Request, username: str, sender: str, text: str, numbers: list[str], queued: bool
) -> Answer:
    faults = world.faults_of(username)
    reply = _refuse_key(world, request, username)
    accepted: list[str] = []
    if reply is None and faults.happens("throttle"):
        reply = Answer(429, b"Too Many Requests", headers=(("Retry-After", "1"),))
    if reply is None and faults.happens("error_before"):
        reply = Answer(500, b"Internal Server Error")
    if reply is None:
        reply, accepted = _take(world, faults, username, sender or DEFAULT_SENDER, text, numbers, queued)
    result = f"{len(accepted)} of {len(numbers)} accepted"
    if accepted:
        world.requests += 1
        reply, fault = spoil(faults, reply)
        result = f"{result}, {fault}" if fault else result
    reply.delay += faults.seconds("latency")
    _log(world, request, username, sender, len(numbers), reply.status, result)
    return reply


def _log(world: World, request: Request, username: str, sender: str, numbers: int, status: int, result: str) -> None:
    world.log.appendleft(LoggedRequest(time.time(), request.path, username, sender, numbers, status, result))


def _refuse_key(world: World, request: Request, username: str) -> Answer | None:
    key, right = request.headers.get("apikey", ""), world.account(username).api_key
    if not username or not key or (right and key != right):
        return Answer(401, b"The supplied authentication is invalid")
    return None


def _take(
    world: World, faults: Faults, username: str, sender: str, text: str, numbers: list[str], queued: bool
) -> tuple[Answer, list[str]]:
    """Refuse the request as a whole, or judge number by number. Returns the answer and the ids of what was accepted."""
    account, balance = world.account(username), world.balance(username)
    if sender in account.refused_senders:
        return _reply("InvalidSenderId", []), []
    parts = count_parts(text)
    if balance < min(networks.price_of(number) * parts for number in numbers):
        return _reply("InsufficientBalance", []), []
    success = {"statusCode": 102 if queued else 101, "status": "Success"}
    early, now = faults.happens("early_reports"), time.time()
    rows: list[dict[str, Any]] = []
    stored: list[MessageRow] = []
    reports: list[Report] = []
    total = 0
    for number in numbers:
        cost = networks.price_of(number) * parts
        code = refusal_of(world, username, sender, number, balance - total < cost)
        if code:
            refused = {"statusCode": code, "number": number, "status": ROW_REFUSALS[code]}
            rows.append(refused | {"cost": "0", "messageId": "None"})
            continue
        total += cost
        message_id = f"ATXid_{uuid4().hex}"
        rows.append(success | {"number": number, "cost": networks.money(cost), "messageId": message_id})
        network = "99999" if username == "sandbox" else networks.network_of(number)[0]
        planned, plan = _plan(faults, number, message_id, network, early)
        reports += plan
        stored.append(
            (message_id, username, number, sender, text, parts, cost, network, now, now, planned, int(bool(planned)))
        )
    world.spent[username] = world.spent.get(username, 0) + total
    world.store.add(stored)  # before the first report can change the state of one
    for report in reports:
        world.post_report(username, report.form, delay=report.delay, closes=report.closes, silent=report.silent)
    cost_words = networks.money(total) if total else "0"
    reply = _reply(f"Sent to {len(stored)}/{len(numbers)} Total Cost: {cost_words} Message parts: {parts}", rows)
    if early and stored:
        reply.delay = EARLY_SECONDS
    return reply, [row[0] for row in stored]


def _plan(faults: Faults, number: str, message_id: str, network: str, early: bool) -> tuple[str, list[Report]]:
    """The final report to come, as the store keeps it ("" when none will), and all that is to be posted."""

    def form(word: Word) -> dict[str, str]:
        about = f"ATXid_{uuid4().hex}" if word.forged else message_id
        return report_form(about, number, network, word.status, word.reason)

    planned, words = plan_words(faults, number, early)
    return planned, [Report(form(word), word.delay, word.closes, word.silent) for word in words]


def _reply(message: str, rows: list[dict[str, Any]]) -> Answer:
    return Answer(201, _dump({"SMSMessageData": {"Message": message, "Recipients": rows}}), JSON)


def _dump(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
