"""Requests out: what a handle asked before does not colour what it asks next."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from crm.common.transfers import Transfers


@pytest.fixture
def heard() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """(address, what was asked: method and body)."""
    asked: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            asked.append((self.command, self.rfile.read(int(self.headers.get("Content-Length", 0)))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", asked
    server.shutdown()
    server.server_close()


def test_methods_follow_one_another_on_one_handle(heard):
    address, asked = heard
    transfers = Transfers()
    for method in ("GET", "POST", "DELETE", "POST", "GET"):
        transfers.start(None, method, address, (), b"x" if method == "POST" else b"")
        while not (ended := list(transfers.ended())):
            transfers.wait(0.1)
        assert ended[0][1].status == 200
    transfers.close()
    assert asked == [("GET", b""), ("POST", b"x"), ("DELETE", b""), ("POST", b"x"), ("GET", b"")]
