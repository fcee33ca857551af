"""A carrier that accepts at once: Africa's Talking's answer and nothing else, so that a benchmark measures us.

Run as `python -m crm.bench.sink [SECONDS OF LATENCY | mail]`; prints its port. GET /counts gives how many messages and
how many numbers it was sent, and the most that one number got.
"""

import asyncio
import itertools
import json
import re
import sys
import time
from collections import Counter
from urllib.parse import parse_qs

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"


class Carrier(asyncio.Protocol):
    """One connection. `got` and `ids` are shared by all."""

    got: Counter[str] = Counter()
    ids = itertools.count(1)
    latency = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(_END)) >= 0:
            found = _LENGTH.search(self.data[:end])
            whole = end + len(_END) + (int(found[1]) if found else 0)
            if len(self.data) < whole:
                return
            head, body, self.data = self.data[:end], self.data[end + len(_END) : whole], self.data[whole:]
            if head.startswith(b"GET"):
                self.write(200, self.counts())
            elif self.latency:
                asyncio.get_running_loop().call_later(self.latency, self.write, 201, self.accept(body))
            else:
                self.write(201, self.accept(body))

    def accept(self, body: bytes) -> bytes:
        rows = []
        for number in parse_qs(body.decode())["to"][0].split(","):
            self.got[number] += 1
            row = {"statusCode": 102, "number": number, "status": "Success", "cost": "KES 0.8000"}
            rows.append({**row, "messageId": f"ATXid_{next(self.ids)}"})
        return json.dumps(
            {"SMSMessageData": {"Message": f"Sent to {len(rows)}/{len(rows)}", "Recipients": rows}}
        ).encode()

    def counts(self) -> bytes:
        most = max(self.got.values(), default=0)
        return json.dumps({"messages": self.got.total(), "numbers": len(self.got), "most": most}).encode()

    def write(self, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)  # type: ignore[attr-defined]


class MailServer(asyncio.Protocol):
    """Takes every mail: greets, agrees, reads up to the dot. Keeps nothing but the number."""

    taken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.data = b""
        self.in_mail = False
        self.say(b"220 sink\r\n")

    def say(self, words: bytes) -> None:
        self.transport.write(words)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.data += data
        while True:
            stop = b"\r\n.\r\n" if self.in_mail else b"\r\n"
            line, found, rest = self.data.partition(stop)
            if not found:
                return
            self.data = rest
            if self.in_mail:
                self.in_mail = False
                MailServer.taken += 1
                self.say(b"250 taken\r\n")
                continue
            word = line[:4].upper()
            self.in_mail = word == b"DATA"
            self.say({b"EHLO": b"250-sink\r\n250 PIPELINING\r\n", b"DATA": b"354 go on\r\n"}.get(word, b"250 ok\r\n"))


async def serve(latency: float, seconds: float, *, mail: bool = False) -> None:
    """Listen on a free port of loopback; ends by itself after `seconds`."""
    Carrier.latency = latency
    server = await asyncio.get_running_loop().create_server(MailServer if mail else Carrier, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(1)


if __name__ == "__main__":
    mail = sys.argv[1:2] == ["mail"]
    asyncio.run(serve(latency=float(sys.argv[1]) if len(sys.argv) > 1 and not mail else 0.0, seconds=1800, mail=mail))
