"""One bind: a socket that carries PDUs both ways, and knows of each whether any of it was written."""

import contextlib
import socket
import ssl
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import certifi

from messaging.providers.smpp import pdus
from messaging.providers.smpp.pdus import Garbage, Pdu, Reader

CONNECT_SECONDS = 5
BIND_SECONDS = 5
ENQUIRE_SECONDS = 30  # of silence, after which we ask whether the other side is there
SILENCE_SECONDS = 10  # that our question may stay unanswered


class LineLost(Exception):
    """The connection is gone, or could not be made. Its text says why."""


class BindRefused(LineLost):
    """The provider does not let us in. status: its command_status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"bind refused, status 0x{status:02X}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Address:
    """Where to bind, and how."""

    host: str
    port: int
    tls: bool = False
    check_certificate: bool = True


@dataclass(slots=True)
class _Outgoing:
    octets: memoryview
    tag: Any
    written: bool = False


class Line:
    """A bound connection. `tag` of `send` comes back from `lost` with whether any octet of it was written."""

    def __init__(self, sock: socket.socket, *, sends: bool, receives: bool) -> None:
        self.socket = sock
        self.sends, self.receives = sends, receives
        self._reader = Reader()
        self._out: deque[_Outgoing] = deque()
        self._sequence = 0
        self._heard = time.monotonic()
        self._asked = 0.0  # when the unanswered enquire_link left; 0: none is
        self._early: list[Pdu] = []

    @classmethod
    def open(cls, address: Address, command: int, body: bytes) -> "Line":
        """Connect and bind; takes at most CONNECT_SECONDS and BIND_SECONDS. Raises: LineLost, BindRefused."""
        sock = _connect(address)
        line = cls(sock, sends=command != pdus.BIND_RECEIVER, receives=command != pdus.BIND_TRANSMITTER)
        try:
            sock.settimeout(BIND_SECONDS)
            sock.sendall(Pdu(command, 0, line.next_sequence(), body).pack())
            deadline = time.monotonic() + BIND_SECONDS
            while time.monotonic() < deadline:
                data = sock.recv(65536)
                if not data:
                    raise LineLost("the connection ended before the bind was answered")
                found = list(line._reader.feed(data))
                for at, pdu in enumerate(found):
                    if pdu.command in (command | pdus.RESPONSE, pdus.GENERIC_NACK):
                        if pdu.status:
                            raise BindRefused(pdu.status)
                        line._early = found[at + 1 :]
                        sock.setblocking(False)
                        return line
            raise LineLost("the bind was not answered in time")
        except (OSError, Garbage) as error:
            sock.close()
            raise LineLost(f"the bind failed: {error}") from None
        except LineLost:
            sock.close()
            raise

    def next_sequence(self) -> int:
        self._sequence = self._sequence % pdus.LAST_SEQUENCE + 1
        return self._sequence

    def send(self, pdu: Pdu, tag: Any = None) -> None:
        """Put it in the way out; `pump` writes it."""
        self._out.append(_Outgoing(memoryview(pdu.pack()), tag))

    def has_written(self, tag: Any) -> bool:
        """Whether anything of what was sent with `tag` has left; what is no longer in the way out has."""
        return next((entry.written for entry in self._out if entry.tag == tag), True)

    @property
    def wants_to_write(self) -> bool:
        return bool(self._out)

    def pump(self) -> list[Pdu]:
        """Write and read what goes without waiting; answers the other side's questions. Raises: LineLost."""
        found, self._early = self._early, []
        try:
            self._write()
            self._read(found)
            self._keep_alive()
            for pdu in found:
                if pdu.command == pdus.ENQUIRE_LINK:
                    self.send(pdu.answer())
                elif pdu.command == pdus.UNBIND:
                    self.send(pdu.answer())
                    self._write()
                    raise LineLost("the provider ended the bind")
            self._write()
        except (OSError, Garbage) as error:
            raise LineLost(f"the connection broke: {error}") from None
        finally:
            self.arrived = found
        return found

    arrived: list[Pdu] = []  # what the last pump read, also where it raised

    def close(self, seconds: float = 2.0) -> None:
        """Unbind, wait a little for the answer, and close."""
        with contextlib.suppress(OSError, Garbage):
            self.send(Pdu(pdus.UNBIND, 0, self.next_sequence()))
            self.socket.settimeout(seconds)
            while self._out:
                self.socket.sendall(self._out.popleft().octets)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and (data := self.socket.recv(65536)):
                if any(pdu.command == pdus.UNBIND | pdus.RESPONSE for pdu in self._reader.feed(data)):
                    break
        self.drop()

    def drop(self) -> None:
        self.socket.close()

    def _write(self) -> None:
        while self._out:
            entry = self._out[0]
            if isinstance(self.socket, ssl.SSLSocket):
                entry.written = True  # TLS may have taken a record although it says that it has to wait
            try:
                count = self.socket.send(entry.octets)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            entry.written = entry.written or count > 0
            if count < len(entry.octets):
                entry.octets = entry.octets[count:]
                return
            self._out.popleft()

    def _read(self, found: list[Pdu]) -> None:
        for _ in range(16):  # a provider that never pauses must not keep us from writing
            try:
                data = self.socket.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not data:
                raise OSError("closed by the provider")
            self._heard, self._asked = time.monotonic(), 0.0
            found.extend(self._reader.feed(data))

    def _keep_alive(self) -> None:
        now = time.monotonic()
        if self._asked:
            if now - self._asked > SILENCE_SECONDS:
                raise OSError("no answer to enquire_link")
        elif now - self._heard > ENQUIRE_SECONDS:
            self.send(Pdu(pdus.ENQUIRE_LINK, 0, self.next_sequence()))
            self._asked = now


def _connect(address: Address) -> socket.socket:
    try:
        sock = socket.create_connection((address.host, address.port), timeout=CONNECT_SECONDS)
    except OSError as error:
        raise LineLost(f"no connection: {error}") from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not address.tls:
        return sock
    context = ssl.create_default_context(cafile=certifi.where())
    if not address.check_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(sock, server_hostname=address.host)
    except OSError as error:
        sock.close()
        raise LineLost(f"TLS failed: {error}") from None
