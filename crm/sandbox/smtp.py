"""The mail server: SMTP with STARTTLS-less plain connections on a port of its own, and mailboxes to read on.

Any address receives; the dials are those of the other doors, under the user name that signed in ("" means "mail").
Addresses that begin with `unknown`, `full`, `busy` or `bounce` are refused, deferred, or bounce afterwards.
"""

import asyncio
import base64
import contextlib
import email
import email.policy
import logging
import re
import time
from collections.abc import Callable
from email.message import EmailMessage
from functools import partial
from typing import Any, Final
from uuid import uuid4

from crm.sandbox.faults import Faults
from crm.sandbox.reports import Post
from crm.sandbox.world import LoggedRequest, World

log = logging.getLogger(__name__)

PREFIX: Final = "smtp:"
NOBODY: Final = "mail"  # the user name of those who did not sign in
LONGEST: Final = 10 << 20
_PATH: Final = re.compile(r"(?:FROM|TO):\s*<([^<>\s]*)>", re.IGNORECASE)
# How an address begins, and what it gets at RCPT.
_REFUSING: Final = {
    "unknown": "550 5.1.1 no such mailbox",
    "full": "552 5.2.2 mailbox full",
    "busy": "450 4.2.0 try again later",
    "notsender": "554 5.7.1 refused",
}


class Mailserver:
    """Listens on its port until stopped."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        self._server = await asyncio.start_server(self._converse, host, port, limit=LONGEST)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            writer.write(b"220 sandbox ESMTP\r\n")
            await _Conversation(self, reader, writer).run()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()

    def keep(self, username: str, sender: str, number: str, raw: bytes, faults: Faults) -> str:
        """Store a mail for one mailbox and plan what comes back. Returns its id."""
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        message_id = str(mail.get("Message-ID", "")).strip("<> ") or uuid4().hex
        kept = f"{message_id}#{uuid4().hex[:8]}"  # one sent twice is there twice, as in a mailbox
        body = mail.get_body(("plain", "html")) if isinstance(mail, EmailMessage) else None
        text = ""
        with contextlib.suppress(LookupError, ValueError):
            text = str(body.get_content()) if body else ""
        shown = f"{mail.get('Subject', '')}\n\n{text.strip()}"
        now = time.time()
        bounces = number.startswith("bounce") or faults.happens("failed_deliveries")
        status = "Failed" if bounces else "Success"
        source = str(mail.get("From", sender))
        self.world.requests += 1
        self.world.store.add([(kept, PREFIX + username, number, source, shown, 1, 0, "", now, now, "", 0)])
        self.world.store.write("INSERT INTO mail (provider_id, raw) VALUES (?, ?)", (kept, raw))
        delay = faults.seconds("report_delay")
        self._note_on(kept, username, sender, number, raw, status, delay)
        if bounces and faults.happens("duplicate_reports"):
            self._note_on(kept, username, sender, number, raw, status, delay + 0.1)
        return kept

    def _note_on(
        self, kept: str, username: str, sender: str, number: str, raw: bytes, status: str, delay: float
    ) -> None:
        """The mailbox has it, or a bounce goes to where the account's bounces are posted."""
        note = bounce_of(sender, number, raw) if status == "Failed" else b""
        self.world.engine.post(
            Post(
                due=time.monotonic() + delay,
                address=partial(self._bounce_address, PREFIX + username) if note else str,
                json=note,
                kind="message/rfc822",
                started=partial(self.world.store.set_state, kept, status, ""),
            )
        )

    def _bounce_address(self, username: str) -> str:
        """Where the bounces of a user name go; those of everybody's are reports of another kind."""
        account = self.world.accounts.get(username)
        return account.delivery if account else ""

    def complain(self, row: Any) -> None:
        """The person marks a mail as spam. row: what `find_mail` found."""
        note = complaint_of(row["number"], bytes(row["raw"]))
        address = partial(self._bounce_address, row["username"])
        self.world.engine.post(Post(due=time.monotonic(), address=address, json=note, kind="message/rfc822"))


class _Conversation:
    """One client."""

    def __init__(self, server: Mailserver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.username = NOBODY
        self.sender: str | None = None
        self.recipients: list[str] = []

    @property
    def faults(self) -> Faults:
        return self.server.world.faults_of(PREFIX + self.username)

    async def run(self) -> None:
        while line := await self.reader.readline():
            words = line.decode("utf-8", "replace").strip()
            verb, _, rest = words.partition(" ")
            match verb.upper():
                case "EHLO":
                    self._say("250-sandbox\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN")
                case "HELO" | "NOOP":
                    self._say("250 ok")
                case "RSET":
                    self.sender, self.recipients = None, []
                    self._say("250 ok")
                case "AUTH":
                    await self._sign_in(rest)
                case "MAIL":
                    await self._mail(rest)
                case "RCPT":
                    self._recipient(rest)
                case "DATA":
                    if not await self._data():
                        return
                case "QUIT":
                    self._say("221 bye")
                    await self.writer.drain()
                    return
                case _:
                    self._say("502 not here")

    def _say(self, words: str) -> None:
        self.writer.write(words.encode() + b"\r\n")

    async def _sign_in(self, rest: str) -> None:
        kind, _, given = rest.partition(" ")
        if kind.upper() == "LOGIN":
            self._say("334 VXNlcm5hbWU6")
            name = base64.b64decode(await self.reader.readline()).decode("utf-8", "replace")
            self._say("334 UGFzc3dvcmQ6")
            password = base64.b64decode(await self.reader.readline()).decode("utf-8", "replace")
        else:
            if not given:
                self._say("334 ")
                given = (await self.reader.readline()).decode()
            parts = base64.b64decode(given).decode("utf-8", "replace").split("\x00")
            name, password = (parts[1], parts[2]) if len(parts) == 3 else ("", "")
        right = self.server.world.account(PREFIX + name).api_key
        if not name or password == "wrong" or (right and password != right):  # noqa: S105 - a test's password
            self._say("535 5.7.8 authentication failed")
            return
        self.username = name
        self._say("235 2.7.0 welcome")

    async def _mail(self, rest: str) -> None:
        if seconds := self.faults.seconds("latency"):
            await asyncio.sleep(seconds)
        found = _PATH.match(rest)
        if found is None:
            self._say("501 5.5.4 no sender")
        elif self.faults.happens("throttle"):
            self._say("450 4.7.1 too many messages, slow down")
        elif self.faults.happens("error_before"):
            self._say("451 4.3.0 local error")
        elif found[1].startswith("refused"):
            self._say("553 5.7.1 sender not allowed")
        else:
            self.sender, self.recipients = found[1], []
            self._say("250 ok")

    def _recipient(self, rest: str) -> None:
        found = _PATH.match(rest)
        if self.sender is None or found is None:
            self._say("503 5.5.1 no sender yet")
            return
        address = found[1].lower()
        refusal = next((words for begin, words in _REFUSING.items() if address.startswith(begin)), "")
        if not refusal:
            self.recipients.append(address)
        self._say(refusal or "250 ok")

    async def _data(self) -> bool:
        """Take a mail and spoil the reply as the dials say. False: the connection is to end."""
        if not self.recipients:
            self._say("503 5.5.1 no valid recipients")
            return True
        self._say("354 go on")
        await self.writer.drain()
        raw = (await self.reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
        faults, world = self.faults, self.server.world
        for number in self.recipients:
            kept = self.server.keep(self.username, self.sender or "", number, raw, faults)
        self.sender, recipients, self.recipients = None, self.recipients, []
        spoilt, go_on = "", False
        if faults.happens("hang_after"):
            spoilt = "then no reply"
            await asyncio.sleep(faults.seconds("hang_seconds"))
        elif faults.happens("reset_after"):
            spoilt = "then reset"
            self.writer.transport.abort()
        elif faults.happens("garbage_after"):
            spoilt = "then garbage"
            self.writer.write(b"\x00\xff it went thr\r\n")
        elif faults.happens("truncate_after"):
            spoilt = "then half a reply"
            self.writer.write(b"25")
        elif faults.happens("error_after"):
            spoilt, go_on = "then 333", True
            self._say("333 what now")
        else:
            go_on = True
            self._say(f"250 2.0.0 queued as {kept}")
        await self.writer.drain()
        result = f"{len(recipients)} accepted, {spoilt}".rstrip(", ")
        world.log.appendleft(LoggedRequest(time.time(), "DATA", self.username, "", len(recipients), 250, result))
        return go_on


def bounce_of(sender: str, number: str, raw: bytes) -> bytes:
    """A note that the mail could not be delivered, as RFC 3464 lays it out."""
    headers = raw.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    return "\r\n".join(
        ("From: MAILER-DAEMON@sandbox", f"To: {sender}", "Subject: Undelivered mail", "MIME-Version: 1.0",
         'Content-Type: multipart/report; report-type=delivery-status; boundary="=_n"', "", "--=_n",
         "Content-Type: text/plain", "", "Your mail could not be delivered.", "--=_n",
         "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; sandbox", "",
         f"Final-Recipient: rfc822; {number}", "Action: failed", "Status: 5.1.1",
         "Diagnostic-Code: smtp; 550 5.1.1 no such mailbox", "--=_n",
         "Content-Type: text/rfc822-headers", "", headers, "--=_n--", "")
    ).encode()  # fmt: skip


def complaint_of(number: str, raw: bytes) -> bytes:
    """What a mailbox provider sends when a person marks a mail as spam, as RFC 5965 lays it out."""
    return "\r\n".join(
        ("From: feedback@sandbox", "To: abuse@sandbox", "Subject: Complaint", "MIME-Version: 1.0",
         'Content-Type: multipart/report; report-type=feedback-report; boundary="=_c"', "", "--=_c",
         "Content-Type: text/plain", "", "A person marked this as spam.", "--=_c",
         "Content-Type: message/feedback-report", "", "Feedback-Type: abuse", "User-Agent: sandbox/1", "Version: 1",
         f"Original-Rcpt-To: {number}", "--=_c", "Content-Type: message/rfc822", "",
         raw.decode("utf-8", "replace"), "--=_c--", "")
    ).encode()  # fmt: skip


def find_mail(kept: str, database: Any) -> Any:
    """For Store.ask: the message with its `raw`, None where there is none."""
    ask = "SELECT m.*, r.raw FROM message m JOIN mail r ON r.provider_id = m.provider_id WHERE m.provider_id = ?"
    return database.execute(ask, (kept,)).fetchone()


def source_of(kept: str) -> Callable[[Any], str]:
    """For Store.ask: the mail as it came, "" where there is none."""

    def read(database: Any) -> str:
        row = find_mail(kept, database)
        return bytes(row["raw"]).decode("utf-8", "replace") if row else ""

    return read
