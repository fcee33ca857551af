"""One kept connection to a mail server, and one mail on it at a time, without waiting.

Connecting, TLS and signing in are smtplib's, with its waits; what follows is a state of its own, since an outcome
depends on how far a mail had come. Spec: RFC 5321; RFC 2920 (commands sent ahead); RFC 3461 (delivery notes).
"""

import contextlib
import smtplib
import socket
import ssl
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import certifi

from messaging.providers.base import Outbound, Outcome, OutcomeKind

CONNECT_SECONDS: Final = 5
REPLY_SECONDS: Final = 30  # D7: for a mail as a whole; shorter than the lease of a message
LONGEST_REPLY: Final = 64 << 10


class NotConnected(Exception):
    """No connection could be made. code: one of failures.FAILURES."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


@dataclass(frozen=True, slots=True)
class Server:
    """Where mails go. tls: "implicit" (from the first octet), "starttls" (required), "optional", "none"."""

    host: str
    port: int
    tls: str = "starttls"
    username: str = ""
    password: str = field(default="", repr=False)
    check_certificate: bool = True
    greeting: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail ready to be written. octets: as DATA carries them. bounces_to: the sender of the envelope."""

    message: Outbound
    message_id: str
    octets: bytes
    bounces_to: str


# Replies to the recipient: 4xx goes again, 5xx is final; some final ones say why. RFC 5321 section 4.2.3.
_REFUSED_RECIPIENT: Final = {550: "bad_mailbox", 551: "bad_mailbox", 552: "mailbox_full", 553: "bad_mailbox"}
_PLACES: Final = ("sender", "recipient", "data")


class Connection:
    """A signed-in connection. It is idle, or carries one mail."""

    def __init__(self, server: Server) -> None:
        """Takes at most a few CONNECT_SECONDS. Raises: NotConnected."""
        self._smtp = sign_in(server)
        self.pipelining = self._smtp.has_extn("pipelining")
        self.dsn = self._smtp.has_extn("dsn")
        assert self._smtp.sock is not None
        self.socket: socket.socket = self._smtp.sock
        self.socket.setblocking(False)
        self.mail: Mail | None = None
        self.carried = 0
        self.broken = ""
        self._out = bytearray()
        self._in = bytearray()
        self._replies: list[int] = []
        self._commands: deque[bytes] = deque()
        self._deadline = 0.0
        self._reset_pending = False

    @property
    def is_idle(self) -> bool:
        return self.mail is None and not self.broken

    @property
    def wants_to_write(self) -> bool:
        return bool(self._out)

    def begin(self, mail: Mail) -> None:
        """Start to carry a mail; `step` goes on with it."""
        self.mail, self._replies, self._words = mail, [], ""
        self._stage = 0  # of _PLACES, 3: the mail itself is written, 4: a refused one is being cleared away
        self._verdict: Outcome | None = None
        self._deadline = time.monotonic() + REPLY_SECONDS
        notes = f" RET=HDRS ENVID={mail.message.reference}" if self.dsn else ""
        wanted = " NOTIFY=SUCCESS,FAILURE" if self.dsn else ""
        self._commands = deque(
            (
                f"MAIL FROM:<{mail.bounces_to}>{notes}\r\n".encode(),
                f"RCPT TO:<{mail.message.to}>{wanted}\r\n".encode(),
                b"DATA\r\n",
            )
        )
        if self.pipelining:
            self._out += b"".join(self._commands)
            self._commands.clear()
        else:
            self._out += self._commands.popleft()

    def step(self) -> Outcome | None:
        """Go on without waiting. The outcome once the mail has ended; `broken` then says if the connection has too."""
        mail = self.mail
        if mail is None:
            self._look_at_idle()
            return None
        try:
            self._write()
            self._read()
            while self.mail is not None and (reply := self._next_reply()):
                outcome = self._take(*reply)
                if outcome:
                    self.mail = None
                    self.carried += 1
                    return outcome
            self._write()
        except (OSError, ValueError) as error:
            self.broken = f"the connection broke: {error}"
        if not self.broken and time.monotonic() > self._deadline:
            self.broken = "no reply in time"
        if self.broken:
            self.mail = None
            return self._verdict or self._lost(mail)
        return None

    def close(self) -> None:
        """Say goodbye where nothing is under way."""
        if self.mail is None and not self.broken:
            with contextlib.suppress(OSError):
                self.socket.send(b"QUIT\r\n")
        self.socket.close()

    def _lost(self, mail: Mail) -> Outcome:
        """A server takes a mail only when it has its last line: before that it surely has not (RFC 5321 4.1.1.4)."""
        if self._stage == 3 and not self._out:
            return _outcome(mail, "ambiguous", "no_clear_answer", self.broken)
        return _outcome(mail, "retry", "provider_unreachable", self.broken)

    def _take(self, code: int, words: str) -> Outcome | None:
        """One reply. Returns the outcome when it was the last one of this mail."""
        mail = self.mail
        assert mail is not None
        if code == 421:
            self.broken = words
        if self._stage == 3:
            return self._verdict or _final(mail, code, words)
        if self._stage == 4:
            return self._verdict
        good = code == 354 if self._stage == 2 else code in (250, 251, 252)
        if not good and self._verdict is None:
            self._verdict = _refusal(mail, self._stage, code, words)
        self._stage += 1
        if self._stage < 3 and self._commands:  # without pipelining: the next command, or away with what was begun
            if self._verdict:
                self._commands.clear()
                self._stage = 4
                self._out += b"RSET\r\n"
            else:
                self._out += self._commands.popleft()
            return None
        if self._stage < 3:
            return None
        if self._verdict is None:
            self._out += mail.octets
            return None
        if code == 354:  # refused, yet it waits for a mail: an empty one for nobody ends that (RFC 2920 section 3.1)
            self._out += b".\r\n"
            return None
        self._stage = 4
        self._out += b"RSET\r\n"
        return None

    def _look_at_idle(self) -> None:
        """A server may close a connection that nothing uses, with 421 or without a word."""
        try:
            data = self.socket.recv(4096)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError as error:
            self.broken = str(error)
            return
        self.broken = data.decode("latin-1").strip() or "closed by the server"

    def _write(self) -> None:
        while self._out:
            try:
                count = self.socket.send(self._out)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            del self._out[:count]

    def _read(self) -> None:
        while True:
            try:
                data = self.socket.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not data:
                if b"\n" in self._in:
                    return  # what it said before it left counts first
                raise OSError("closed by the server")
            self._in += data
            if len(self._in) > LONGEST_REPLY:
                raise ValueError("a reply that does not end")
            if len(data) < 65536 and not isinstance(self.socket, ssl.SSLSocket):
                return

    def _next_reply(self) -> tuple[int, str] | None:
        """The next whole reply, of one line or several. Raises: ValueError for what is no reply."""
        lines = []
        at = 0
        while (end := self._in.find(b"\n", at)) >= 0:
            line = bytes(self._in[at:end]).rstrip(b"\r")
            at = end + 1
            if len(line) < 3 or not line[:3].isdigit() or line[3:4] not in (b"", b" ", b"-"):
                raise ValueError(f"no SMTP reply: {line[:40]!r}")
            lines.append(line[4:].decode("utf-8", "replace").strip())
            if line[3:4] != b"-":
                del self._in[:at]
                return int(line[:3]), " ".join([f"{int(line[:3])}", *lines])
        return None


def _refusal(mail: Mail, stage: int, code: int, words: str) -> Outcome:
    place = _PLACES[stage]
    if 500 <= code < 600:
        if place == "recipient":
            return _outcome(mail, "rejected", _REFUSED_RECIPIENT.get(code, "rejected_by_network"), words)
        if place == "sender" and code in (530, 535):
            return _outcome(mail, "retry", "provider_credentials", words)
        return _outcome(mail, "rejected", "sender_not_approved" if place == "sender" else "rejected_by_network", words)
    if 400 <= code < 500:
        return _outcome(mail, "retry", "provider_busy" if code in (421, 450, 451, 452) else "provider_error", words)
    return _outcome(mail, "retry", "provider_error", words)  # nothing of the mail was written yet


def _final(mail: Mail, code: int, words: str) -> Outcome:
    if 200 <= code < 300:
        return Outcome(mail.message.id, "accepted", provider_message_id=mail.message_id)
    if 400 <= code < 500:
        return _outcome(mail, "retry", "provider_busy" if code in (421, 450, 451, 452) else "provider_error", words)
    if 500 <= code < 600:
        return _outcome(mail, "rejected", "mailbox_full" if code == 552 else "rejected_by_network", words)
    return _outcome(mail, "ambiguous", "no_clear_answer", words)


def _outcome(mail: Mail, kind: OutcomeKind, code: str, words: str) -> Outcome:
    known = mail.message_id if kind == "ambiguous" else ""  # its bounce still finds it
    return Outcome(mail.message.id, kind, provider_message_id=known, error_code=code, error_message=words[:500])


def sign_in(server: Server) -> smtplib.SMTP:
    """A connection that is ready for mails. Raises: NotConnected."""
    context = ssl.create_default_context(cafile=certifi.where())
    if not server.check_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    greeting = server.greeting or None
    smtp: smtplib.SMTP
    try:
        if server.tls == "implicit":
            smtp = smtplib.SMTP_SSL(
                server.host, server.port, local_hostname=greeting, timeout=CONNECT_SECONDS, context=context
            )
        else:
            smtp = smtplib.SMTP(server.host, server.port, local_hostname=greeting, timeout=CONNECT_SECONDS)
    except smtplib.SMTPException as error:
        raise NotConnected("provider_error", f"the server did not greet us: {error}") from None
    except OSError as error:
        raise NotConnected("provider_unreachable", f"no connection: {error}") from None
    try:
        smtp.ehlo_or_helo_if_needed()
        if server.tls == "starttls" or (server.tls == "optional" and smtp.has_extn("starttls")):
            smtp.starttls(context=context)
            smtp.ehlo()
        if server.username:
            smtp.login(server.username, server.password)
        if smtp.sock is not None:
            smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except smtplib.SMTPAuthenticationError as error:
        smtp.close()
        raise NotConnected("provider_credentials", f"signing in was refused: {error.smtp_code}") from None
    except smtplib.SMTPNotSupportedError as error:
        smtp.close()
        raise NotConnected("provider_credentials", str(error)) from None
    except (smtplib.SMTPException, OSError) as error:
        smtp.close()
        raise NotConnected("provider_unreachable", f"the conversation failed: {error}") from None
    return smtp
