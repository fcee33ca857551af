"""The state that all doors of the sandbox share: accounts, dials, opt-outs, the store and the report engine."""

import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from crm.sandbox import store as stored
from crm.sandbox.faults import EVERYBODY, Faults
from crm.sandbox.payments import Payments
from crm.sandbox.reports import Engine, Post
from crm.sandbox.store import Store

if TYPE_CHECKING:
    from crm.sandbox.smpp import Smsc
    from crm.sandbox.smtp import Mailserver

OPENING_BALANCE: Final = 10_000_000 * 10_000  # ten-thousandths of KES
REFUSED_SENDERS: Final = ("REFUSED",)
LOGGED_REQUESTS: Final = 200


@dataclass
class Account:
    """What the carrier's dashboard would hold for one username. An empty api_key lets any key pass."""

    api_key: str = ""
    balance: int = OPENING_BALANCE  # ten-thousandths of KES, before what was spent
    refused_senders: list[str] = field(default_factory=lambda: list(REFUSED_SENDERS))
    delivery: str = ""  # where reports go; empty: where the account "*" says
    optout: str = ""
    inbound: str = ""  # where what people write goes
    secret: str = ""  # what the vendor signs with, where that is not a key of the product


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request of the product, for the page. Neither keys nor texts are kept."""

    at: float
    call: str
    username: str
    sender: str
    numbers: int
    status: int
    result: str


class World:
    """Everything the sandbox knows. Used from the event loop only, except where reports call back into the store."""

    def __init__(self, path: str | Path) -> None:
        self.store = Store(path)
        self.engine = Engine()
        self.log: deque[LoggedRequest] = deque(maxlen=LOGGED_REQUESTS)
        self.requests = 0  # sends accepted, since the start or the last forgetting
        self.memory: dict[str, Any] = {}  # what vendors remember until messages are forgotten
        self.shelves: dict[str, Any] = {}  # what vendors keep as long as the sandbox runs, such as approved templates
        self.without_address = 0  # reports that had nowhere to go
        self.accounts: dict[str, Account] = {EVERYBODY: Account()}
        self.faults: dict[str, Faults] = {EVERYBODY: Faults()}
        for kind, username, value in self.store.call(stored.settings).result():
            if kind == "account":
                self.accounts[username] = Account(**value)
            else:
                self.faults[username] = Faults(value)
        self.smsc: Smsc | None = None
        self.mailserver: Mailserver | None = None
        self.ports: dict[str, int] = {}  # of the doors that are not HTTP
        self.payments = Payments(self.store, self.faults_of)
        self.optouts: set[tuple[str, str, str]] = self.store.call(stored.optouts).result()
        self.spent: dict[str, int] = self.store.call(stored.spent).result()

    def start(self) -> None:
        """Begin to post reports, those still owed from before the last stop first."""
        self.engine.start()
        self.payments.start()
        for row in self.owed(""):
            status, _, reason = row["planned"].partition(":")
            form = report_form(row["provider_id"], row["number"], row["network"], status, reason)
            self.post_report(row["username"], form, delay=1.0, closes=True)

    def owed(self, prefix: str) -> list[Any]:
        """Messages whose final report is still owed, of the door whose usernames begin so; "" for the one by HTTP."""
        rows = self.store.call(stored.open_messages).result()
        return [row for row in rows if row["username"].startswith(prefix) and (prefix or ":" not in row["username"])]

    def stop(self) -> None:
        self.engine.stop()
        self.payments.stop()
        self.store.stop()

    # Accounts and dials

    def account(self, username: str) -> Account:
        return self.accounts.get(username) or self.accounts[EVERYBODY]

    def faults_of(self, username: str) -> Faults:
        return self.faults.get(username) or self.faults[EVERYBODY]

    def save_account(self, username: str, account: Account) -> None:
        self.accounts[username] = account
        self.store.save_setting("account", username, vars(account))

    def save_faults(self, username: str, faults: Faults) -> None:
        """Keep the dials; a "next" that has been used up in part starts in full after a restart."""
        self.faults[username] = faults
        self.store.save_setting("faults", username, faults.as_json())

    def balance(self, username: str) -> int:
        return self.account(username).balance - self.spent.get(username, 0)

    def callback_url(self, username: str, kind: str) -> str:
        """Where reports ("delivery"), opt-outs ("optout") or messages ("inbound") of a username go, "" for nowhere."""
        return getattr(self.account(username), kind) or getattr(self.accounts[EVERYBODY], kind)

    # Callbacks

    def post_report(
        self, username: str, form: dict[str, str], *, delay: float, closes: bool = False, silent: bool = False
    ) -> None:
        """Post one delivery report after `delay` seconds, when the message also takes the report's state.

        closes: with it the message's reports are done. silent: the state changes and nobody is told.
        """
        message_id, reason = form["id"], form.get("failureReason", "")
        self.engine.post(
            Post(
                due=time.monotonic() + delay,
                address=str if silent else partial(self._delivery_address, username),
                form=form,
                started=partial(self.store.set_state, message_id, form["status"], reason),
                ended=partial(self.store.close_message, message_id) if closes else None,
            )
        )

    def _delivery_address(self, username: str) -> str:
        url = self.callback_url(username, "delivery")
        self.without_address += not url
        return url

    def opt_out(self, username: str, sender: str, number: str) -> bool:
        """The person leaves the sender: it is refused from now on, and the product is told. Returns whether it is."""
        self.optouts.add((username, sender, number))
        self.store.add_optout(username, sender, number)
        address = partial(self.callback_url, username, "optout")
        form = {"senderId": sender, "phoneNumber": number}
        self.engine.post(Post(due=time.monotonic(), address=address, form=form))
        return bool(address())

    def opt_in(self, username: str, sender: str, number: str) -> None:
        """The carrier delivers from the sender again. The vendor has no callback for this, so nobody is told."""
        self.optouts.discard((username, sender, number))
        self.store.remove_optout(username, sender, number)

    # Watching

    async def stats(self, *, duplicates: bool = True) -> dict[str, Any]:
        """Counts since the messages were last forgotten; those of requests and reports since the start at most.

        duplicates: also count messages that came twice, which reads them all.
        """
        states = await self.store.ask(stored.state_counts)
        twice = {"duplicates": await self.store.ask(stored.duplicates)} if duplicates else {}
        return twice | {
            "accepted_requests": self.requests,
            "accepted_messages": sum(states.values()),
            "states": states,
            "reports_sent": self.engine.sent,
            "reports_failed": self.engine.failed,
            "reports_refused_attempts": self.engine.unanswered,
            "reports_waiting": self.engine.waiting,
            "reports_without_address": self.without_address,
        }

    async def forget_messages(self) -> None:
        """Messages, opt-outs, payments, counts and the reports still owed; accounts and dials stay."""
        self.engine.forget()
        if self.smsc:
            self.smsc.forget()
        await self.payments.forget()
        await self.store.ask(stored.forget_messages)
        self.optouts.clear()
        self.memory.clear()
        self.spent.clear()
        self.log.clear()
        self.requests = self.without_address = 0


def report_form(message_id: str, number: str, network: str, status: str, reason: str = "") -> dict[str, str]:
    """A delivery report as the vendor posts it."""
    form = {"id": message_id, "status": status, "phoneNumber": number, "networkCode": network, "retryCount": "0"}
    return form | {"failureReason": reason} if reason else form
