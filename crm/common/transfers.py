"""Bulk HTTP out: many requests in flight on kept connections, and the truth about what became of each.

One `Transfers` belongs to one thread, whose whole work that may be: transfer_thread.py. It never sends a request twice:
libcurl by itself repeats a POST when a kept connection turns out to be dead, so every transfer carries a guard that
allows one attempt and aborts the next.
"""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import certifi
import pycurl

from crm.common.tracing import Span

CONNECT_SECONDS = 5  # GUARANTEES D7
TOTAL_SECONDS = 30
MAX_ANSWER_BYTES = 1 << 20

# libcurl errors that end before a request is written: name not found, no connection, TLS failed.
_BEFORE_WRITING = {
    pycurl.E_COULDNT_RESOLVE_HOST,
    pycurl.E_COULDNT_CONNECT,
    pycurl.E_SSL_CONNECT_ERROR,
    pycurl.E_SSL_CACERT,
}

# A test may set this to watch or refuse the sockets that libcurl opens: f(address) -> bool.
socket_guard: Callable[[tuple], bool] | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a transfer ended.

    kind: "answer" (a whole HTTP answer came); "unsent" (surely nothing was written); "unknown" (it was written, in part
    at least, and nobody can say whether it was carried out). `problem` is libcurl's sentence, without our URL.
    refused: the address that `may_dial` did not allow, and to which nothing was therefore said.
    """

    kind: Literal["answer", "unsent", "unknown"]
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    problem: str = ""
    seconds: float = 0.0
    refused: str = ""


def end_span(span: Span, ended: Ended) -> None:
    """End the span of a request by what became of it: its status, or that it was not sent or not answered."""
    if ended.kind == "answer":
        span.set({"http.response.status_code": ended.status})
    if ended.kind != "answer" or ended.status >= 400:
        span.fail({"answer": str(ended.status), "unsent": "not sent", "unknown": "no answer"}[ended.kind])
    span.end()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost. may_dial: asked with the request's tag and the address (host, port, …) really dialled.

    cut_answers: an answer longer than `answer_bytes` is a whole one without the rest, else its end is unknown.
    """

    connect_seconds: int = CONNECT_SECONDS
    total_seconds: int = TOTAL_SECONDS
    answer_bytes: int = MAX_ANSWER_BYTES
    cut_answers: bool = False
    may_dial: Callable[[Any, tuple], bool] | None = None


class PreparedRequest:
    """A curl handle and what belongs to the transfer it carries now."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.tag: Any = None
        self.attempts = 0
        self.refused = ""
        self.too_long = False
        self.body = bytearray()
        self.headers: list[tuple[str, str]] = []
        self.curl = curl = pycurl.Curl()
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.CAINFO, certifi.where())
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.TCP_NODELAY, 1)
        curl.setopt(pycurl.PREREQFUNCTION, self._before_request)
        curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
        curl.setopt(pycurl.HEADERFUNCTION, self._take_header)
        curl.setopt(pycurl.CONNECTTIMEOUT, limits.connect_seconds)
        curl.setopt(pycurl.TIMEOUT, limits.total_seconds)
        if limits.may_dial or socket_guard:
            curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)

    def prepare(self, tag: Any, method: str, url: str, headers: list[str], body: bytes) -> None:
        self.tag, self.attempts, self.too_long, self.refused = tag, 0, False, ""
        self.body.clear()
        self.headers = []
        curl = self.curl
        curl.setopt(pycurl.URL, url)
        if method == "POST":
            curl.unsetopt(pycurl.CUSTOMREQUEST)  # a handle that asked before would ask with the old word again
            curl.setopt(pycurl.POST, 1)
            curl.setopt(pycurl.POSTFIELDS, body)
        else:
            curl.setopt(pycurl.HTTPGET, 1)
            curl.setopt(pycurl.CUSTOMREQUEST, method)
        curl.setopt(pycurl.HTTPHEADER, [*headers, "Expect:"])

    def _open_socket(self, _purpose: int, address: Any) -> Any:
        """A name may have several addresses: one that is not allowed spoils the others, which are not tried."""
        family, kind, protocol, target = address
        may_dial = self.limits.may_dial
        if self.refused or (may_dial and not may_dial(self.tag, target)):
            self.refused = self.refused or str(target[0])
            return pycurl.SOCKET_BAD
        if socket_guard and not socket_guard(target):
            return pycurl.SOCKET_BAD
        return socket.socket(family, kind, protocol)

    def _before_request(self, *_addresses: Any) -> int:
        self.attempts += 1
        return pycurl.PREREQFUNC_OK if self.attempts == 1 else pycurl.PREREQFUNC_ABORT

    def _take_body(self, data: bytes) -> int | None:
        room = self.limits.answer_bytes - len(self.body)
        if len(data) > room:
            self.too_long = True
            self.body += data[:room]
            return 0  # libcurl ends the transfer: E_WRITE_ERROR
        self.body += data
        return None

    def _take_header(self, line: bytes) -> None:
        text = line.decode("latin-1").rstrip("\r\n")
        if text.startswith("HTTP/"):
            self.headers = []  # an interim answer, such as 100 Continue, came before
        elif ":" in text:
            name, _, value = text.partition(":")
            self.headers.append((name.strip().lower(), value.strip()))

    def ended(self, error: int = 0, problem: str = "") -> Ended:
        curl = self.curl
        seconds = curl.getinfo(pycurl.TOTAL_TIME)
        if not error or (self.too_long and self.limits.cut_answers):
            return Ended(
                "answer", curl.getinfo(pycurl.RESPONSE_CODE), tuple(self.headers), bytes(self.body), seconds=seconds
            )
        unsent = error in _BEFORE_WRITING or curl.getinfo(pycurl.REQUEST_SIZE) == 0
        if self.too_long:
            problem = f"the answer was longer than {self.limits.answer_bytes} bytes"
        return Ended(
            "unsent" if unsent and self.attempts < 2 else "unknown",
            problem=problem,
            seconds=seconds,
            refused=self.refused,
        )


class Transfers:
    """A set of HTTP requests in flight, at most as many as the caller starts."""

    def __init__(
        self,
        *,
        connect_seconds: int = CONNECT_SECONDS,
        total_seconds: int = TOTAL_SECONDS,
        most_per_host: int = 256,
        limits: Limits | None = None,
    ) -> None:
        """limits: all of them, in place of the two times."""
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, most_per_host)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, most_per_host)
        self._limits = limits or Limits(connect_seconds=connect_seconds, total_seconds=total_seconds)
        self._free: list[PreparedRequest] = []
        self._busy: dict[pycurl.Curl, PreparedRequest] = {}

    def __len__(self) -> int:
        return len(self._busy)

    def start(self, tag: Any, method: str, url: str, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        """Begin a request; `tag` comes back with its end."""
        self.begin(self.prepare(tag, method, url, headers, body))

    def prepare(
        self, tag: Any, method: str, url: str, headers: tuple[tuple[str, str], ...], body: bytes
    ) -> PreparedRequest:
        """A request for `begin`, by whichever one thread prepares; what no request can be made of raises here."""
        handle = self._free.pop() if self._free else PreparedRequest(self._limits)
        handle.prepare(tag, method, url, [f"{name}: {value}" for name, value in headers], body)
        return handle

    def begin(self, request: PreparedRequest) -> None:
        self._busy[request.curl] = request
        self._multi.add_handle(request.curl)

    def ended(self) -> Iterator[tuple[Any, Ended]]:
        """Move all transfers on as far as they go without waiting, and give those that ended."""
        while self._multi.perform()[0] == pycurl.E_CALL_MULTI_PERFORM:
            pass
        while True:
            queued, good, bad = self._multi.info_read()
            for curl in good:
                yield self._take(curl)
            for curl, error, problem in bad:
                yield self._take(curl, error, problem)
            if not queued:
                return

    def wait(self, seconds: float) -> None:
        """Sleep until something can move, at most `seconds`."""
        self._multi.select(seconds)

    def close(self) -> list[Any]:
        """End everything in flight and close the kept connections. Returns the tags of what was in flight."""
        cut = [handle.tag for handle in self._busy.values()]
        for curl in list(self._busy):
            self._multi.remove_handle(curl)
        for handle in [*self._free, *self._busy.values()]:
            handle.curl.close()
        self._free, self._busy = [], {}
        self._multi.close()
        return cut

    def _take(self, curl: pycurl.Curl, error: int = 0, problem: str = "") -> tuple[Any, Ended]:
        handle = self._busy.pop(curl)
        ended = handle.ended(error, problem)
        self._multi.remove_handle(curl)
        self._free.append(handle)
        return handle.tag, ended
