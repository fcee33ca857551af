"""Fixtures of the sandbox's own tests: the process, somebody who sends, and somebody who is called back."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

import pytest
import requests

from messaging.providers.base import HttpResponse, Outbound, Outcome
from messaging.providers.registry import get_adapter
from tests.messaging.providers.cases import CREDENTIALS
from tests.sandbox_process import Sandbox, sandbox, sandbox_process  # noqa: F401

ADAPTER = get_adapter("africastalking")


@pytest.fixture
def send(sandbox: Sandbox):  # noqa: F811
    """Sends by the product's own adapter, over real HTTP, and returns its outcomes."""

    def do(*numbers: str, text: str = "Habari", sender: str = "ACME", **options: str) -> list[Outcome]:
        batch = [Outbound(n, number, text, sender, f"msg_{n}") for n, number in enumerate(numbers, start=1)]
        credentials = type(CREDENTIALS["africastalking"])(dict(CREDENTIALS["africastalking"]) | options)
        wire = ADAPTER.request_for(batch, credentials, sandbox.base_url)
        answer = requests.request(wire.method, wire.url, data=wire.body, headers=dict(wire.headers), timeout=5)
        return ADAPTER.outcomes_of(batch, HttpResponse(answer.status_code, (), answer.content))

    return do


class Receiver:
    """Somebody who is called back. `status` is what it answers; `got` holds (path, form) in the order of arrival."""

    def __init__(self, port: int = 0) -> None:
        self.got: list[tuple[str, dict[str, str]]] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                receiver.got.append((self.path, dict(parse_qsl(body))))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def forms(self) -> list[dict[str, str]]:
        return [form for _, form in self.got]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver(sandbox: Sandbox) -> Iterator[Receiver]:  # noqa: F811
    """Where the sandbox posts reports (/delivery) and opt-outs (/optout) during the test."""
    made = Receiver()
    sandbox.set_callbacks(delivery=f"{made.url}/delivery", optout=f"{made.url}/optout")
    yield made
    made.stop()
