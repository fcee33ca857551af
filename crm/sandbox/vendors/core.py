"""What the vendors' modules share: an account that asks, messages that are taken, reports that are posted, replies.

A vendor's messages are kept under its prefix, a colon and the account's own name, as in `twilio:AC0001`; dials,
balances and addresses are set for that name or for everybody.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from uuid import uuid4

from crm.sandbox import networks
from crm.sandbox.judging import plan_words, refusal_of, spoil
from crm.sandbox.parts import count_parts
from crm.sandbox.reports import Post
from crm.sandbox.server import Answer, Request
from crm.sandbox.store import MessageRow
from crm.sandbox.world import LoggedRequest, World

JSON: Final = "application/json"
EARLY_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Told:
    """A report in neutral words, for a vendor to write down. `final` status words are not "Sent" and its like."""

    provider_id: str
    username: str
    number: str
    sender: str
    network: str
    status: str
    reason: str
    reference: str

    @property
    def arrived(self) -> bool:
        return self.status == "Success"

    @property
    def on_its_way(self) -> bool:
        return self.status in ("Sent", "Submitted", "Buffered", "Queued")


@dataclass(frozen=True, slots=True)
class Callback:
    """What is posted to the product. headers: made for the address it goes to, since some vendors sign that."""

    body: bytes
    content_type: str = JSON
    headers: Callable[[str], tuple[str, ...]] = field(default=lambda url: ())


@dataclass(frozen=True, slots=True)
class Wanted:
    """One message that a request asks for. address: where its reports go, where the vendor takes that per message."""

    number: str
    text: str
    provider_id: str
    reference: str = ""
    address: str = ""
    shown: str = ""  # what the handset shows, where that is more than the text
    doomed: str = ""  # a status and reason that its delivery surely ends with, as "Failed:Window"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one: code 0 when it was accepted."""

    wanted: Wanted
    code: int
    cost: int
    parts: int


Writer = Callable[[Told], Callback]


def dump(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()


def answer_json(data: Any, status: int = 200) -> Answer:
    return Answer(status, dump(data), JSON)


def send(
    world: World,
    request: Request,
    *,
    username: str,
    sender: str,
    wanted: Sequence[Wanted],
    refuse: Answer | None,
    reply: Callable[[list[Taken]], Answer],
    write: Writer,
) -> Answer:
    """Take a sending request by the dials: refused, throttled, taken, and its answer perhaps spoilt."""
    faults = world.faults_of(username)
    taken: list[Taken] = []
    answer = refuse
    if answer is None and faults.happens("throttle"):
        answer = Answer(429, b"Too Many Requests", headers=(("Retry-After", "1"),))
    if answer is None and faults.happens("error_before"):
        answer = Answer(500, b"Internal Server Error")
    if answer is None:
        early = faults.happens("early_reports")
        taken = _take(world, username, sender, wanted, early, write)
        answer = reply(taken)
        if early and any(not row.code for row in taken):
            answer.delay = EARLY_SECONDS
    accepted = sum(not row.code for row in taken)
    result = f"{accepted} of {len(wanted)} accepted"
    if accepted:
        world.requests += 1
        answer, fault = spoil(faults, answer)
        result = f"{result}, {fault}" if fault else result
    answer.delay += faults.seconds("latency")
    world.log.appendleft(LoggedRequest(time.time(), request.path, username, sender, len(wanted), answer.status, result))
    return answer


def _take(
    world: World, username: str, sender: str, wanted: Sequence[Wanted], early: bool, write: Writer
) -> list[Taken]:
    faults, balance, now = world.faults_of(username), world.balance(username), time.time()
    refused_sender = sender in world.account(username).refused_senders
    taken: list[Taken] = []
    rows: list[MessageRow] = []
    posts: list[Post] = []
    total = 0
    for one in wanted:
        parts = count_parts(one.text)
        cost = networks.price_of(one.number) * parts
        code = 402 if refused_sender else refusal_of(world, username, sender, one.number, balance - total < cost)
        taken.append(Taken(one, code, 0 if code else cost, parts))
        if code:
            continue
        total += cost
        network = networks.network_of(one.number)[0]
        planned, words = plan_words(faults, one.number, early)
        status, _, reason = one.doomed.partition(":")
        for word in words:
            final = word.closes or (word.silent and word.status != "Sent")
            told = Told(
                provider_id=f"forged-{uuid4().hex}" if word.forged else one.provider_id,
                username=username,
                number=one.number,
                sender=sender,
                network=network,
                status=status if status and final else word.status,
                reason=reason if status and final else word.reason,
                reference="" if word.forged else one.reference,
            )
            posts.append(_post(world, told, write, one.address, word.delay, word.closes, word.silent))
        rows.append(
            (
                one.provider_id, username, one.number, sender, one.shown or one.text, parts, cost, network, now, now,
                planned, int(bool(planned)),
            )
        )  # fmt: skip
    world.spent[username] = world.spent.get(username, 0) + total
    world.store.add(rows)
    for post in posts:
        world.engine.post(post)
    return taken


def _post(world: World, told: Told, write: Writer, address: str, delay: float, closes: bool, silent: bool) -> Post:
    callback = write(told)

    def where() -> str:
        url = "" if silent else address or world.callback_url(told.username, "delivery")
        world.without_address += not url and not silent
        return url

    return Post(
        due=time.monotonic() + delay,
        address=where,
        json=callback.body,
        kind=callback.content_type,
        headers=callback.headers,
        started=partial(world.store.set_state, told.provider_id, told.status, told.reason),
        ended=partial(world.store.close_message, told.provider_id) if closes else None,
    )


def tell(world: World, username: str, kind: str, callback: Callback) -> bool:
    """Post something that is no report: what a person wrote. Returns whether it has somewhere to go."""
    address = partial(world.callback_url, username, kind)
    world.engine.post(
        Post(
            due=time.monotonic(),
            address=address,
            json=callback.body,
            kind=callback.content_type,
            headers=callback.headers,
        )
    )
    return bool(address())


async def state_of(world: World, provider_id: str) -> tuple[str, str, str]:
    """(status, reason, number) of a message that was taken; ("", "", "") of any other."""
    rows = await world.store.ask(
        lambda database: database.execute(
            "SELECT state, reason, number FROM message WHERE provider_id = ?", (provider_id,)
        ).fetchall()
    )
    return (rows[0]["state"], rows[0]["reason"], rows[0]["number"]) if rows else ("", "", "")


def money_of(world: World, username: str) -> str:
    """What is left to the account, in KES with four places."""
    return networks.money(max(0, world.balance(username))).removeprefix("KES ")


def key_passes(world: World, username: str, key: str) -> bool:
    right = world.account(username).api_key
    return bool(key) and (not right or key == right)


def plus(number: str) -> str:
    return "+" + number.lstrip("+ ")
