"""A carrier on loopback that speaks Africa's Talking's classic answer and can misbehave in every way a network can.

It counts what it accepted by number, which is the only truth about "sent twice". Faults are a plan: the next requests
take the names in `plan` in turn, and all after them `always`.
"""

import json
import socket
import socketserver
import struct
import threading
import time
from collections import Counter, deque
from typing import Any
from urllib.parse import parse_qs

# What happens to a request after it was accepted in full: nobody can know that it was.
LOST_ANSWERS = ("hang", "drop", "reset", "error", "garble", "truncate", "drip")
# What surely accepted nothing.
SURELY_NOT = ("busy", "gateway")


class Carrier(socketserver.ThreadingTCPServer):
    """Listens on a free port of 127.0.0.1 until `close`."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.accepted: Counter[str] = Counter()  # number → how often a message to it was taken
        self.ids: dict[str, str] = {}  # the id given for it → number
        self.requests = 0
        self.flying = 0
        self.most_flying = 0
        self.plan: deque[str] = deque()
        self.always = "ok"
        self.refused: dict[str, int] = {}  # number → statusCode of its row
        self.delay = 0.0
        self.answered = threading.Event()
        self.lock = threading.Lock()
        self.gone = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.gone.set()
        self.shutdown()
        self.server_close()

    def take(self, numbers: list[str]) -> tuple[str, dict[str, Any]]:
        """Accept a request by the plan: the fault to show, and the answer that belongs to it."""
        with self.lock:
            self.requests += 1
            fault = self.plan.popleft() if self.plan else self.always
            if fault in SURELY_NOT:
                return fault, {}
            rows = []
            for number in numbers:
                code = self.refused.get(number, 101)
                if code > 102:
                    rows.append(_row(number, code, "None", "UserInBlacklist", "0"))
                    continue
                self.accepted[number] += 1
                identifier = f"ATXid_{len(self.ids):032d}"
                self.ids[identifier] = number
                rows.append(_row(number, code, identifier, "Success", "KES 0.8000"))
        words = f"Sent to {sum(row['statusCode'] < 103 for row in rows)}/{len(numbers)} Total Cost: KES 0.8"
        return fault, {"SMSMessageData": {"Message": words, "Recipients": rows}}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that was killed mid-request is no news."""


def _row(number: str, code: int, identifier: str, status: str, cost: str) -> dict[str, Any]:
    return {"statusCode": code, "number": number, "status": status, "cost": cost, "messageId": identifier}


class _Connection(socketserver.StreamRequestHandler):
    server: Carrier
    disable_nagle_algorithm = True

    def handle(self) -> None:
        while not self.server.gone.is_set():
            length = self._read_head()
            if length is None:
                return
            form = parse_qs(self.rfile.read(length).decode())
            with self.server.lock:
                self.server.flying += 1
                self.server.most_flying = max(self.server.most_flying, self.server.flying)
            try:
                if self.server.delay:
                    time.sleep(self.server.delay)
                fault, answer = self.server.take(form["to"][0].split(","))
                if not self._answer(fault, json.dumps(answer).encode()):
                    return
            finally:
                with self.server.lock:
                    self.server.flying -= 1

    def _read_head(self) -> int | None:
        """The length of the body; None where the other side has gone."""
        length, line = None, self.rfile.readline()
        if not line:
            return None
        while line.strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            line = self.rfile.readline()
        return length

    def _answer(self, fault: str, body: bytes) -> bool:
        """Whether the connection lives on."""
        head = "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
        if fault == "ok":
            self.wfile.write(head.format("201 Created", len(body)).encode() + body)
            return True
        if fault == "hang":
            self.server.gone.wait(30)
        elif fault == "drop":  # closes politely, with not a byte: libcurl would send again by itself
            return False
        elif fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif fault in ("error", "busy", "gateway"):
            status = {"error": "500 Oops", "busy": "429 Too Many Requests", "gateway": "404 Not Found"}[fault]
            self.wfile.write(head.format(status, 4).encode() + b"oops")
            return True
        elif fault == "garble":
            self.wfile.write(head.format("201 Created", 9).encode() + b"<html>\xff\x00!")
            return True
        elif fault == "truncate":
            self.wfile.write(head.format("201 Created", len(body)).encode() + body[: len(body) // 2])
        elif fault == "drip":
            self.wfile.write(head.format("201 Created", len(body)).encode())
            for byte in body:
                self.wfile.write(bytes([byte]))
                if self.server.gone.wait(0.2):
                    break
        return False
