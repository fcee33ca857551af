"""A receiver of webhooks on this machine, with faults to choose; it keeps every request it gets."""

import socket
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Got:
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True


class Receiver:
    """Answers by path: /ok, /status/503, /hang, /drip, /giant, /redirect?to=…, /slow. `answers` overrides statuses."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answers: list[tuple[int, dict[str, str]]] = []  # next statuses with headers, used before the path's own
        self.at_once = self.most_at_once = 0
        self.gone = threading.Event()
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.handle(self)

            do_GET = do_POST

            def log_message(self, *args: Any) -> None:
                pass

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str = "/ok", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def close(self) -> None:
        self.gone.set()
        self.server.shutdown()
        self.server.server_close()

    def bodies(self, path: str = "") -> list[str]:
        return [got.body.decode() for got in self.got if got.path.startswith(path)]

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self._lock:
            self.got.append(Got(request.path, headers, body, time.monotonic()))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            answer = self.answers.pop(0) if self.answers else None
        try:
            self._answer(request, answer)
        except OSError:
            request.close_connection = True
        finally:
            with self._lock:
                self.at_once -= 1

    def _answer(self, request: BaseHTTPRequestHandler, answer: tuple[int, dict[str, str]] | None) -> None:
        path, _, query = request.path.partition("?")
        if answer:
            self._send(request, answer[0], answer[1], b"as told")
        elif path == "/hang":
            self.gone.wait(30)
            request.close_connection = True
        elif path == "/reset":
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            request.connection.close()
            request.close_connection = True
        elif path == "/drip":
            request.send_response(200)
            request.send_header("Content-Length", "1000")
            request.end_headers()
            while not self.gone.wait(0.1):
                request.wfile.write(b".")
        elif path == "/giant":
            request.send_response(200)
            request.send_header("Content-Length", str(100 << 20))
            request.end_headers()
            block = b"x" * (1 << 16)
            for _ in range((100 << 20) // len(block)):
                request.wfile.write(block)
        elif path == "/redirect":
            self._send(request, 302, {"Location": query.removeprefix("to=")}, b"")
        elif path == "/slow":
            self.gone.wait(0.3)
            self._send(request, 200, {}, b"ok")
        elif path.startswith("/status/"):
            self._send(request, int(path.rpartition("/")[2]), {}, b"no")
        else:
            self._send(request, 200, {}, b"ok")

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
