"""JSON for tests and scripts, under /sandbox/: what arrived, where callbacks go, and the dials.

Every PUT names the username it is for, "*" or nothing meaning everybody.
"""

import json
import re
from dataclasses import replace
from functools import partial
from typing import Any, Final

from crm.sandbox import store as stored
from crm.sandbox.faults import EVERYBODY, Faults, WrongDial
from crm.sandbox.payments import Habit, Payment
from crm.sandbox.replies import person_writes
from crm.sandbox.server import Answer, BadRequest, Request
from crm.sandbox.smtp import find_mail, source_of
from crm.sandbox.vendors import whatsapp, whatsapp_review
from crm.sandbox.world import Account, World

_URL: Final = re.compile(r"(https?://[!-~]+)?")
MOST_MESSAGES: Final = 100_000
MESSAGE_FIELDS: Final = (
    "provider_id",
    "username",
    "number",
    "sender",
    "text",
    "parts",
    "network",
    "state",
    "reason",
    "accepted_at",
)


async def answer(world: World, request: Request) -> Answer | None:
    """The answer, or None for an address that is not here."""
    match (request.method, request.path):
        case ("GET", "/sandbox/health"):
            return _json({"status": "ok"})
        case ("GET", "/sandbox/stats"):
            return _json(await world.stats())
        case ("GET", "/sandbox/messages"):
            return await _messages(world, request)
        case ("DELETE", "/sandbox/messages"):
            await world.forget_messages()
            return _json({"status": "forgotten"})
        case ("POST", "/sandbox/optouts"):
            return _opt_out(world, request.json())
        case ("GET", "/sandbox/faults"):
            return _json(world.faults_of(_username(request.query)).as_json())
        case ("POST", "/sandbox/replies"):
            return _reply(world, request.json())
        case ("PUT", "/sandbox/faults"):
            return _put_faults(world, request.json())
        case ("GET", "/sandbox/callbacks" | "/sandbox/accounts"):
            return _json({name: _show(account) for name, account in world.accounts.items()})
        case ("PUT", "/sandbox/callbacks"):
            return _put_account(world, request.json(), {"delivery", "optout", "inbound"})
        case ("PUT", "/sandbox/accounts"):
            return _put_account(world, request.json(), {"api_key", "balance", "refused_senders", "secret"})
        case ("GET", "/sandbox/ports"):
            return _json(world.ports)
        case ("POST", "/sandbox/writes"):
            return _write_to(world, request.json())
        case ("POST", "/sandbox/complaints"):
            return await _complain(world, request.json())
        case ("POST", "/sandbox/templates"):
            return _decide(world, request.json())
        case ("GET", "/sandbox/mail"):
            return Answer(200, (await world.store.ask(source_of(request.query.get("id", "")))).encode())
        case ("GET", "/sandbox/payments"):
            return _json([_show_payment(payment) for payment in reversed(world.payments.all.values())])
        case ("POST", "/sandbox/payments"):
            return _pay(world, request.json())
        case ("POST", "/sandbox/prompts"):
            return _answer_prompt(world, request.json())
        case ("PUT", "/sandbox/handsets"):
            return _put_handset(world, request.json())
        case ("GET", "/sandbox/calls"):
            return _json(list(world.payments.log))
    return None


def _write_to(world: World, data: dict[str, Any]) -> Answer:
    """A person writes back by SMPP: {"username", "number", "to", "text"}."""
    values = [data.get(name) for name in ("username", "number", "to", "text")]
    if world.smsc is None or not all(isinstance(value, str) for value in values):
        raise BadRequest("A message names a username, a number, to and a text.")
    return _json({"told": world.smsc.reply(*map(str, values))})


def _decide(world: World, data: dict[str, Any]) -> Answer:
    """Somebody at WhatsApp decides about a template: {"name", "language", "event": a state, quality or category}."""
    row = whatsapp_review.shelf_of(world).rows.get((str(data.get("name")), str(data.get("language"))))
    if row is None:
        raise BadRequest("There is no such template.", 404)
    if data.get("event") not in (*whatsapp_review.DECISIONS, *whatsapp_review.QUALITIES, *whatsapp_review.CATEGORIES):
        raise BadRequest("event is a state, a quality or a category, in WhatsApp's words.")
    whatsapp_review.decide(world, row, str(data["event"]), whatsapp.tell_business)
    return _json(row)


async def _complain(world: World, data: dict[str, Any]) -> Answer:
    """A person marks a mail as spam: {"id"}, its provider_id."""
    kept = data.get("id")
    row = await world.store.ask(partial(find_mail, kept)) if isinstance(kept, str) else None
    if world.mailserver is None or row is None:
        raise BadRequest("There is no such mail.", 404)
    world.mailserver.complain(row)
    return _json({"told": True})


def _show_payment(payment: Payment) -> dict[str, Any]:
    return vars(payment) | {"text": payment.text}


def _pay(world: World, data: dict[str, Any]) -> Answer:
    """A payer's own payment to a paybill: {"shortcode", "number", "amount", "account"}."""
    number, amount = data.get("number"), data.get("amount")
    if not isinstance(number, str) or isinstance(amount, bool) or not isinstance(amount, int) or amount < 1:
        raise BadRequest("A payment names a shortcode, a number, an amount in whole KES and an account.")
    paid = world.payments.pay(
        shortcode=str(data.get("shortcode", "")), number=number, amount=amount, account=str(data.get("account", ""))
    )
    if paid is None:
        raise BadRequest("There is not enough money on this phone.")
    return _json(_show_payment(paid))


def _answer_prompt(world: World, data: dict[str, Any]) -> Answer:
    """The person answers the open prompt: {"number", "act": "pay" or "cancel", "pin"}."""
    payment = world.payments.live_on(str(data.get("number", "")))
    if payment is None:
        raise BadRequest("No prompt is open on this phone.", 404)
    if data.get("act") not in ACTS:
        raise BadRequest(f"act is one of {', '.join(ACTS)}.")
    world.payments.act(payment, data["act"], str(data.get("pin", "1234")))
    return _json(_show_payment(payment))


ACTS: Final = ("pay", "cancel", "ignore")


def _put_handset(world: World, data: dict[str, Any]) -> Answer:
    """What a phone holds and does by itself: {"number" (or "*"), "money", "act", "after", "pin"}; act null: nothing."""
    number, act = data.get("number"), data.get("act")
    if not isinstance(number, str) or act not in (None, *ACTS):
        raise BadRequest(f"A handset has a number, and act is null or one of {', '.join(ACTS)}.")
    try:
        if "money" in data:
            world.payments.pockets[number] = int(data["money"])
        after = float(data.get("after", 0))
    except (TypeError, ValueError):
        raise BadRequest("money and after are numbers.") from None
    world.payments.habits.pop(number, None)
    if act:
        world.payments.habits[number] = Habit(act, max(after, 0.0), str(data.get("pin", "1234")))
    return _json({"money": world.payments.pocket(number)})


async def _messages(world: World, request: Request) -> Answer:
    """The newest first; `number` (E.164) and `limit` narrow it."""
    limit = request.query.get("limit", "1000")
    if not limit.isdecimal() or not 1 <= int(limit) <= MOST_MESSAGES:
        raise BadRequest(f"limit is a number from 1 to {MOST_MESSAGES}.")
    rows = await world.store.ask(stored.messages(request.query.get("number", ""), int(limit)))
    fields = (
        "provider_id",
        "username",
        "number",
        "sender",
        "text",
        "parts",
        "network",
        "state",
        "reason",
        "accepted_at",
    )
    return _json([{name: row[name] for name in fields} for row in rows])


def _opt_out(world: World, data: dict[str, Any]) -> Answer:
    """The person at `number` leaves `sender` of `username`."""
    username, sender, number = (data.get(name) for name in ("username", "sender", "number"))
    if not (isinstance(username, str) and isinstance(sender, str) and isinstance(number, str)):
        raise BadRequest("An opt-out names a username, a sender and a number.")
    return _json({"told": world.opt_out(username, sender, number)})


def _reply(world: World, data: dict[str, Any]) -> Answer:
    """The person at `number` writes `text` to `sender` of `username`."""
    values = {name: data.get(name) for name in ("username", "sender", "number", "text")}
    if not all(isinstance(value, str) and value for value in values.values()):
        raise BadRequest("A reply names a username, a sender, a number and a text.")
    return _json({"told": person_writes(world, **values)})


def _put_faults(world: World, data: dict[str, Any]) -> Answer:
    """All dials of a scope; what is not named goes back to its default."""
    username = _username(data)
    try:
        faults = Faults({name: value for name, value in data.items() if name != "username"})
    except WrongDial as error:
        raise BadRequest(str(error)) from error
    world.save_faults(username, faults)
    return _json(faults.as_json())


def _put_account(world: World, data: dict[str, Any], allowed: set[str]) -> Answer:
    """Change the named fields of an account, which is made if it is new; the others stay."""
    username = _username(data)
    given = {name: value for name, value in data.items() if name != "username"}
    if wrong := given.keys() - allowed:
        raise BadRequest(f"There is no {', '.join(sorted(wrong))} here, only {', '.join(sorted(allowed))}.")
    account = change_account(world, username, given)
    return _json(_show(account))


def change_account(world: World, username: str, given: dict[str, Any]) -> Account:
    """Set fields of an account. A new one begins as "*" is, but for its callbacks. `balance` in whole KES.

    Raises: BadRequest.
    """
    begin = world.accounts.get(username) or replace(world.accounts[EVERYBODY], delivery="", optout="", inbound="")
    changed = vars(begin) | given
    for name in ("delivery", "optout", "inbound"):
        url = changed[name]
        if not isinstance(url, str) or not _URL.fullmatch(url):
            raise BadRequest(f"{name} is an http or https URL, or empty.")
    if not isinstance(changed["api_key"], str) or not isinstance(changed["secret"], str):
        raise BadRequest("api_key and secret are text.")
    senders = changed["refused_senders"]
    if not isinstance(senders, list) or not all(isinstance(sender, str) for sender in senders):
        raise BadRequest("refused_senders is a list of names.")
    if "balance" in given:
        balance = given["balance"]
        if isinstance(balance, bool) or not isinstance(balance, int) or not 0 <= balance <= 10**9:
            raise BadRequest("balance is a whole number of KES.")
        changed["balance"] = balance * 10_000 + world.spent.get(username, 0)
    account = Account(**changed)
    world.save_account(username, account)
    return account


def _show(account: Account) -> dict[str, Any]:
    return vars(account) | {"balance": account.balance // 10_000}


def _username(data: dict[str, Any]) -> str:
    username = data.get("username", EVERYBODY)
    if not isinstance(username, str) or not username:
        raise BadRequest("username is text; leave it out for everybody.")
    return username


def _json(data: Any) -> Answer:
    return Answer(200, json.dumps(data).encode(), "application/json")
