"""The carrier's SMPP door: SMPP 3.4 as aggregators speak it, on a port of its own, with the same dials as by HTTP.

Any system_id binds; its password is the account's key where one is set. The messages of a system_id are kept under
`smpp:<system_id>`. Receipts go to any bind that receives; without one they wait.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import struct
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from crm.sandbox import networks
from crm.sandbox.faults import Faults
from crm.sandbox.parts import count_parts
from crm.sandbox.world import LoggedRequest, World

log = logging.getLogger(__name__)

PREFIX: Final = "smpp:"
_HEADER: Final = struct.Struct(">IIII")
_BINDS: Final = {0x01: (False, True), 0x02: (True, False), 0x09: (True, True)}  # command: sends, receives
_EARLY_SECONDS: Final = 0.4  # how long an answer waits for the receipt that overtakes it

# Refusals of the test numbers, as command_status; the carrier's own codes begin at 0x400.
_REFUSALS: Final = {401: 0x45, 402: 0x0A, 403: 0x0B, 404: 0x0B, 405: 0x400, 406: 0x401, 407: 0x402, 409: 0x403,
                    500: 0x08, 501: 0x08, 502: 0x45}  # fmt: skip
_STATES: Final = {"Success": ("DELIVRD", 2), "Failed": ("UNDELIV", 5), "Rejected": ("REJECTD", 8),
                  "AbsentSubscriber": ("UNDELIV", 5), "Expired": ("EXPIRED", 3), "Sent": ("ENROUTE", 1),
                  "Submitted": ("ENROUTE", 1), "Buffered": ("ACCEPTD", 6), "Teleported": ("TELEPRT", 77)}  # fmt: skip

_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_MORE: Final = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|",
                0x65: "€"}  # fmt: skip


@dataclass(slots=True)
class _Submit:
    """A submit_sm, read."""

    sender: str
    number: str
    esm_class: int
    wants_receipt: bool
    coding: int
    octets: bytes
    tlvs: dict[int, bytes]


@dataclass(slots=True, eq=False)
class _Bind:
    """One connection that is let in."""

    system_id: str
    writer: asyncio.StreamWriter
    sends: bool
    receives: bool
    sequence: int = 0
    unanswered: dict[int, bytes] = field(default_factory=dict)


class Smsc:
    """Listens on its port until stopped."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.port = 0
        self._server: asyncio.Server | None = None
        self._binds: dict[str, list[_Bind]] = defaultdict(list)
        self._waiting: dict[str, deque[bytes]] = defaultdict(deque)  # deliver_sm bodies by system_id
        self._parts: dict[tuple[str, str, str, int], dict[int, str]] = defaultdict(dict)
        self._tasks: set[asyncio.Task[None]] = set()
        self._reports: set[asyncio.Task[None]] = set()  # those of them that are planned receipts

    async def start(self, host: str, port: int) -> int:
        self._server = await asyncio.start_server(self._converse, host, port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        for row in self.world.owed(PREFIX):
            status, _, reason = row["planned"].partition(":")
            self._later(1.0, row["username"].removeprefix(PREFIX), row, status, reason, closes=True)
        return self.port

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        for binds in self._binds.values():
            for bind in binds:
                bind.writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def forget(self) -> None:
        """Let go of the receipts and replies that wait or are planned, and of texts whose other parts have not come."""
        for task in self._reports:
            task.cancel()
        self._waiting.clear()
        self._parts.clear()
        for binds in self._binds.values():
            for bind in binds:
                bind.unanswered.clear()

    def reply(self, system_id: str, number: str, to: str, text: str) -> bool:
        """The person at `number` writes to `to`. Returns whether a bind is there to take it now."""
        coding, octets = _encode(text)
        self._deliver(system_id, _deliver_body(number, to, 0, coding, octets))
        return any(bind.receives for bind in self._binds[system_id])

    # One connection

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        bind: _Bind | None = None
        try:
            while True:
                length, command, _, sequence = _HEADER.unpack(await reader.readexactly(16))
                if not 16 <= length <= 70_000:
                    return
                body = await reader.readexactly(length - 16)
                if bind is None:
                    bind = self._let_in(writer, command, sequence, body)
                    if bind is None:
                        return
                    self._flush(bind.system_id)
                elif command == 0x06:
                    _write(writer, 0x80000006, 0, sequence)
                    await writer.drain()
                    return
                elif command == 0x15:
                    _write(writer, 0x80000015, 0, sequence)
                elif command == 0x04:
                    self._start(self._take(bind, sequence, body))
                elif command == 0x80000005:
                    bind.unanswered.pop(sequence, None)
                elif not command & 0x80000000:
                    _write(writer, 0x80000000, 3, sequence)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            if bind:
                self._binds[bind.system_id].remove(bind)
                self._waiting[bind.system_id].extend(bind.unanswered.values())  # again, on the next bind
            writer.close()

    def _let_in(self, writer: asyncio.StreamWriter, command: int, sequence: int, body: bytes) -> _Bind | None:
        if command not in _BINDS:
            _write(writer, 0x80000000 | command & 0xFF, 4, sequence)
            return None
        fields = body.split(b"\x00")
        system_id, password = fields[0].decode("latin-1"), fields[1].decode("latin-1") if len(fields) > 1 else ""
        right = self.world.account(system_id).api_key
        if not system_id or password == "wrong" or (right and password != right):  # noqa: S105 - a test's password
            _write(writer, command | 0x80000000, 0x0E, sequence, fields[0] + b"\x00")
            return None
        bind = _Bind(system_id, writer, *_BINDS[command])
        self._binds[system_id].append(bind)
        _write(writer, command | 0x80000000, 0, sequence, b"SANDBOX\x00")
        return bind

    # Messages

    async def _take(self, bind: _Bind, sequence: int, body: bytes) -> None:
        """Judge one submit_sm, answer it as the dials say, and plan its receipt."""
        world, system_id = self.world, bind.system_id
        faults = world.faults_of(system_id)
        if seconds := faults.seconds("latency"):
            await asyncio.sleep(seconds)
        try:
            submit = _read_submit(body)
        except (ValueError, IndexError):
            self._answer(bind, sequence, 0x02)
            return
        status = self._refusal(bind, submit, faults)
        if status:
            self._note(submit, system_id, f"refused 0x{status:02X}")
            self._answer(bind, sequence, status)
            return
        message_id = f"{secrets.randbits(56):x}"
        early = self._keep(system_id, message_id, submit, faults)
        if early:
            await asyncio.sleep(_EARLY_SECONDS)
        await self._answer_taken(bind, sequence, submit, message_id, faults)

    def _refusal(self, bind: _Bind, submit: _Submit, faults: Faults) -> int:
        if not bind.sends:
            return 0x04
        if faults.happens("throttle"):
            return 0x58
        if faults.happens("error_before"):
            return 0x08
        if submit.sender in self.world.account(bind.system_id).refused_senders:
            return 0x0A
        if not networks.NUMBER.fullmatch(submit.number) or networks.LANDLINE.fullmatch(submit.number):
            return 0x0B
        if (PREFIX + bind.system_id, submit.sender, submit.number) in self.world.optouts:
            return 0x401
        return _REFUSALS.get(networks.REFUSING.get(submit.number, 0), 0)

    async def _answer_taken(self, bind: _Bind, sequence: int, submit: _Submit, message_id: str, faults: Faults) -> None:
        spoilt = ""
        if faults.happens("error_after"):
            spoilt = "then 0xFF"
            self._answer(bind, sequence, 0xFF)
        elif faults.happens("hang_after"):
            spoilt = "then no answer"
        elif faults.happens("reset_after"):
            spoilt = "then reset"
            bind.writer.transport.abort()
        elif faults.happens("garbage_after"):
            spoilt = "then garbage"
            bind.writer.write(b"\xff" * 64)
        elif faults.happens("truncate_after"):
            spoilt = "then half an answer"
            bind.writer.write(_pack(0x80000004, 0, sequence, message_id.encode() + b"\x00")[:18])
            with contextlib.suppress(ConnectionError):
                await bind.writer.drain()
            bind.writer.close()
        else:
            self._answer(bind, sequence, 0, message_id.encode() + b"\x00")
        self._note(submit, bind.system_id, f"accepted, {spoilt}".rstrip(", "))

    def _answer(self, bind: _Bind, sequence: int, status: int, body: bytes = b"") -> None:
        _write(bind.writer, 0x80000004, status, sequence, body)

    def _note(self, submit: _Submit, system_id: str, result: str) -> None:
        self.world.log.appendleft(LoggedRequest(time.time(), "submit_sm", system_id, submit.sender, 1, 0, result))

    def _keep(self, system_id: str, message_id: str, submit: _Submit, faults: Faults) -> bool:
        """Store a message, once its last part is there, and plan its receipts. Returns whether one comes early."""
        text = self._whole_text(system_id, submit)
        if text is None:
            return False
        self.world.requests += 1
        early = faults.happens("early_reports")
        status, reason, silent = _fate(submit.number, faults)
        network = networks.network_of(submit.number)[0]
        now = time.time()
        parts = count_parts(text or " ")
        cost = networks.price_of(submit.number) * parts
        planned = "" if silent or not submit.wants_receipt else f"{status}:{reason}".rstrip(":")
        row = {"provider_id": message_id, "number": submit.number, "sender": submit.sender, "text": text}
        self.world.store.add(
            [(message_id, PREFIX + system_id, submit.number, submit.sender, text, parts, cost, network, now, now,
              planned, int(bool(planned)))]
        )  # fmt: skip
        self._plan(system_id, row, status, reason, faults, early=early, silent=silent or not submit.wants_receipt)
        return early

    def _whole_text(self, system_id: str, submit: _Submit) -> str | None:
        """The text, put together from its parts; None while some are missing."""
        octets, mark = submit.octets, None
        if submit.esm_class & 0x40 and octets:
            header, octets = octets[1 : octets[0] + 1], octets[octets[0] + 1 :]
            if len(header) >= 5 and header[0] == 0:
                mark = (header[2], header[3], header[4])
        elif 0x020C in submit.tlvs:
            mark = (
                int.from_bytes(submit.tlvs[0x020C], "big"), submit.tlvs[0x020E][0], submit.tlvs[0x020F][0]
            )  # fmt: skip
        text = _decode(octets, submit.coding)
        if mark is None:
            return text
        reference, total, place = mark
        key = (system_id, submit.sender, submit.number, reference)
        self._parts[key][place] = text
        if len(self._parts[key]) < total:
            return None
        return "".join(part for _, part in sorted(self._parts.pop(key).items()))

    # Receipts

    def _plan(
        self,
        system_id: str,
        row: dict[str, Any],
        status: str,
        reason: str,
        faults: Faults,
        *,
        early: bool,
        silent: bool,
    ) -> None:
        delay = 0.0 if early else faults.seconds("report_delay")
        if faults.happens("late_reports"):
            delay += faults.seconds("late_seconds")
        if silent or faults.happens("missing_reports"):
            self._later(delay, system_id, row, status, reason, silent=True)
            return
        self._later(delay, system_id, row, status, reason, closes=True)
        if faults.happens("out_of_order_reports"):
            self._later(delay + 0.3, system_id, row, "Sent", "")
        elif faults.happens("intermediate_reports") and not early:
            self._later(delay * 0.4, system_id, row, "Sent", "")
        if faults.happens("duplicate_reports"):
            self._later(delay + 0.1, system_id, row, status, reason)
        if faults.happens("contradicting_reports"):
            self._later(delay + 0.2, system_id, row, "Failed" if status == "Success" else "Success", "")
        if faults.happens("forged_reports"):
            self._later(delay, system_id, row | {"provider_id": f"{secrets.randbits(56):x}"}, status, reason)

    def _later(
        self, delay: float, system_id: str, row: Any, status: str, reason: str, *, closes: bool = False,
        silent: bool = False,
    ) -> None:  # fmt: skip
        report = self._start(self._report(delay, system_id, row, status, reason, closes, silent))
        self._reports.add(report)
        report.add_done_callback(self._reports.discard)

    async def _report(
        self, delay: float, system_id: str, row: Any, status: str, reason: str, closes: bool, silent: bool
    ) -> None:
        await asyncio.sleep(delay)
        self.world.store.set_state(row["provider_id"], status, reason)
        if not silent:
            word, state = _STATES.get(status, ("UNKNOWN", 7))
            stamp = time.strftime("%y%m%d%H%M", time.gmtime())
            error = f"{random.randrange(1, 200):03}" if word in ("UNDELIV", "REJECTD") else "000"
            text = (
                f"id:{row['provider_id']} sub:001 dlvrd:001 submit date:{stamp} done date:{stamp} stat:{word} "
                f"err:{error} text:{row['text'][:20]}"
            ).encode("latin-1", "replace")
            tlvs = _tlv(0x001E, row["provider_id"].encode() + b"\x00") + _tlv(0x0427, bytes((state,)))
            self._deliver(system_id, _deliver_body(row["number"], row["sender"], 4, 0, text, tlvs))
        if closes:
            self.world.store.close_message(row["provider_id"])

    def _deliver(self, system_id: str, body: bytes) -> None:
        self._waiting[system_id].append(body)
        self._flush(system_id)

    def _flush(self, system_id: str) -> None:
        bind = next((bind for bind in self._binds[system_id] if bind.receives), None)
        waiting = self._waiting[system_id]
        while bind and waiting and not bind.writer.is_closing():
            bind.sequence += 1
            body = waiting.popleft()
            bind.unanswered[bind.sequence] = body
            _write(bind.writer, 0x05, 0, bind.sequence, body)

    def _start(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _fate(number: str, faults: Faults) -> tuple[str, str, bool]:
    """What becomes of a message: state, reason, and whether nobody is told."""
    if number == networks.SILENT:
        return "Sent", "", True
    if number == networks.UNKNOWN_WORD:
        return "Teleported", "", False
    if number in networks.FAILING:
        return *networks.FAILING[number], False
    if faults.happens("failed_deliveries"):
        return *faults.failure(), False
    return "Success", "", False


def _read_submit(body: bytes) -> _Submit:
    at = body.index(b"\x00") + 3
    end = body.index(b"\x00", at)
    sender, at = body[at:end].decode("latin-1"), end + 3
    end = body.index(b"\x00", at)
    number, at = body[at:end].decode("latin-1"), end + 1
    esm_class, at = body[at], at + 3
    at = body.index(b"\x00", at) + 1
    at = body.index(b"\x00", at) + 1
    receipt, coding, length = body[at], body[at + 2], body[at + 4]
    at += 5
    octets, tlvs, place = body[at : at + length], {}, at + length
    while place + 4 <= len(body):
        tag, size = struct.unpack_from(">HH", body, place)
        tlvs[tag] = body[place + 4 : place + 4 + size]
        place += 4 + size
    return _Submit(sender, f"+{number}", esm_class, bool(receipt & 3), coding, octets or tlvs.get(0x0424, b""), tlvs)


def _deliver_body(
    source: str, destination: str, esm_class: int, coding: int, octets: bytes, tlvs: bytes = b""
) -> bytes:
    return b"".join(
        (b"\x00\x01\x01", source.lstrip("+").encode(), b"\x00\x00\x00", destination.encode("latin-1", "replace"),
         b"\x00", bytes((esm_class, 0, 0)), b"\x00\x00\x00\x00", bytes((coding, 0, min(len(octets), 254))),
         octets[:254], tlvs)
    )  # fmt: skip


def _tlv(tag: int, value: bytes) -> bytes:
    return struct.pack(">HH", tag, len(value)) + value


def _pack(command: int, status: int, sequence: int, body: bytes = b"") -> bytes:
    return _HEADER.pack(16 + len(body), command, status, sequence) + body


def _write(writer: asyncio.StreamWriter, command: int, status: int, sequence: int, body: bytes = b"") -> None:
    if not writer.is_closing():
        writer.write(_pack(command, status, sequence, body))


def _decode(octets: bytes, coding: int) -> str:
    if coding == 8:
        return octets.decode("utf-16-be", "replace")
    if coding in (1, 3):
        return octets.decode("latin-1")
    return "".join(_septets(octets))


def _septets(octets: Iterable[int]) -> Iterable[str]:
    more = False
    for octet in octets:
        if octet == 0x1B and not more:
            more = True
            continue
        yield _MORE.get(octet, " ") if more else (_BASIC[octet] if octet < 128 else "?")
        more = False


def _encode(text: str) -> tuple[int, bytes]:
    if all(character in _BASIC for character in text):
        return 0, bytes(_BASIC.index(character) for character in text)
    return 8, text.encode("utf-16-be")
