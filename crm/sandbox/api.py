"""JSON for tests and scripts, under /sandbox/: what arrived, where callbacks go, and the dials.

Every PUT names the username it is for, "*" or nothing meaning everybody.
"""

import json
import re
from dataclasses import replace
from typing import Any, Final

from crm.sandbox import store as stored
from crm.sandbox.faults import EVERYBODY, Faults, WrongDial
from crm.sandbox.server import Answer, BadRequest, Request
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
        case ("PUT", "/sandbox/faults"):
            return _put_faults(world, request.json())
        case ("GET", "/sandbox/callbacks" | "/sandbox/accounts"):
            return _json({name: _show(account) for name, account in world.accounts.items()})
        case ("PUT", "/sandbox/callbacks"):
            return _put_account(world, request.json(), {"delivery", "optout"})
        case ("PUT", "/sandbox/accounts"):
            return _put_account(world, request.json(), {"api_key", "balance", "refused_senders"})
    return None


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
    begin = world.accounts.get(username) or replace(world.accounts[EVERYBODY], delivery="", optout="")
    changed = vars(begin) | given
    for name in ("delivery", "optout"):
        url = changed[name]
        if not isinstance(url, str) or not _URL.fullmatch(url):
            raise BadRequest(f"{name} is an http or https URL, or empty.")
    if not isinstance(changed["api_key"], str):
        raise BadRequest("api_key is text.")
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
