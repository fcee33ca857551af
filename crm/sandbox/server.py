"""A small HTTP/1.1 server that can also break HTTP on purpose.

An ordinary server keeps its answers whole, which is what the sandbox must be able not to do: a carrier that takes a
message and then hangs, resets the connection or sends half an answer is the case a sending loop has to survive.
One process, one event loop, kept connections.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

import orjson

log = logging.getLogger(__name__)

HEAD_LIMIT = 64 * 1024  # bytes of a request's first line and headers
BODY_LIMIT = 4 * 1024 * 1024
IDLE_SECONDS = 120
METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})

Manner = Literal["whole", "hang", "reset", "truncate"]


class BadRequest(Exception):
    """A request that cannot be read. Its text is the answer's body, its status the answer's."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Request:
    """One request. Header names are lower case; `path` is decoded."""

    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    def form(self) -> dict[str, str]:
        """The fields of a posted form. Raises: BadRequest."""
        try:
            return dict(parse_qsl(self.body.decode(), keep_blank_values=True, errors="strict"))
        except ValueError as error:
            raise BadRequest("The form is not UTF-8.") from error

    def json(self) -> dict[str, Any]:
        """The JSON object in the body. Raises: BadRequest."""
        try:
            data = orjson.loads(self.body or b"{}")  # refuses what no database holds: half a surrogate pair, NaN
        except ValueError as error:
            raise BadRequest("The body is not JSON.") from error
        if not isinstance(data, dict):
            raise BadRequest("The body is not a JSON object.")
        return data


@dataclass(slots=True)
class Answer:
    """What to answer, after `delay` seconds, and in which manner.

    "hang" and "reset" end the connection without an answer, whatever the rest says; "truncate" sends half of the body.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=UTF-8"
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    manner: Manner = "whole"


Handler = Callable[[Request], "Answer | Awaitable[Answer]"]


class Server:
    """Serves `handler` until `stop`. A handler that raises BadRequest answers so; any other exception answers 500."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._conversations: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port, which differs from `port` where that is 0."""
        self._listener = await asyncio.start_server(self._converse, host, port, limit=HEAD_LIMIT, backlog=1024)
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the listener and every connection at once."""
        if self._listener:
            self._listener.close()
        for task in self._conversations:
            task.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
            writer.transport.abort()  # the other side left, or we stop: nothing is owed any more
        finally:
            self._conversations.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and answer it. Returns whether the connection stays open."""
        try:
            request = await _read_request(reader, writer)
            if request is None:
                return False
            answer = self._handler(request)
            if not isinstance(answer, Answer):
                answer = await answer
        except BadRequest as error:
            await _write(writer, Answer(error.status, str(error).encode()), keep=False)
            return False
        except Exception:
            log.exception("the sandbox failed at a request")
            await _write(writer, Answer(500, b"The sandbox itself failed; see its output."), keep=False)
            return False
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.manner == "hang":
            return False
        if answer.manner == "reset":
            _reset(writer)
            return False
        keep = request.headers.get("connection", "").lower() != "close" and answer.manner == "whole"
        await _write(writer, answer, keep=keep)
        return keep


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The next request, or None when the other side closed the connection instead."""
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequest("The headers are too long.", 431) from error
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest("This is not an HTTP/1.1 request.")
    if words[0] not in METHODS:
        raise BadRequest("There is no such method here.", 405)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if words[2] == "HTTP/1.0":
        headers["connection"] = "close"
    if "transfer-encoding" in headers:
        raise BadRequest("Send a Content-Length.", 411)
    size = headers.get("content-length", "0")
    if not (size.isascii() and size.isdigit()):
        raise BadRequest("The Content-Length is not a number.")
    if int(size) > BODY_LIMIT:
        raise BadRequest("The body is too long.", 413)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    async with asyncio.timeout(IDLE_SECONDS):
        body = await reader.readexactly(int(size)) if int(size) else b""
    path, _, query = words[1].partition("?")
    return Request(words[0], unquote(path), query, headers, body)


async def _write(writer: asyncio.StreamWriter, answer: Answer, *, keep: bool) -> None:
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Content-Type: {answer.content_type}",
        *([f"Content-Length: {len(answer.body)}"] if answer.status != 204 else []),
        *(f"{name}: {value}" for name, value in answer.headers),
        "Connection: keep-alive" if keep else "Connection: close",
    ]
    body = answer.body[: len(answer.body) // 2] if answer.manner == "truncate" else answer.body
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, so that the other side sees "connection reset by peer" instead of an end of file."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
