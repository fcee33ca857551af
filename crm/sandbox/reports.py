"""Posts callbacks to the product: many in flight on kept connections, and again while the product is down.

One thread with libcurl's multi interface. The vendor publishes no retry policy; here a callback is tried for about
four minutes, so that a product which restarts loses none. libcurl may repeat a post on a connection that broke, which a
receiver has to bear anyway.
"""

import heapq
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

import pycurl

log = logging.getLogger(__name__)

WAITS: Final = (0.5, 1, 2, 4, 8, 15, 30, 60, 60, 60)  # seconds between the attempts
IN_FLIGHT: Final = 32
_FORGET: Final = -1.0  # as a due time: not a callback but the order to drop them
CONNECT_SECONDS, TOTAL_SECONDS = 3, 20


@dataclass(slots=True, order=True)
class Post:
    """One callback to make at `due` (monotonic seconds).

    address: asked for the URL at each attempt, so that a changed one counts; "" posts nothing. json: the body, in the
    place of `form`, of the type `kind`. tries: attempts at most. started: called once, when it falls due. ended: called
    when it was taken, given up or had no address. All from the engine's thread. headers: made for the address that it
    goes to, since some vendors sign that.
    """

    due: float
    number: int = field(default=0)
    address: Callable[[], str] = field(default=str, compare=False)
    form: dict[str, str] = field(default_factory=dict, compare=False)
    json: bytes = field(default=b"", compare=False)
    kind: str = field(default="application/json", compare=False)
    headers: Callable[[str], tuple[str, ...]] = field(default=lambda url: (), compare=False)
    started: Callable[[], None] | None = field(default=None, compare=False)
    ended: Callable[[], None] | None = field(default=None, compare=False)
    attempts: int = field(default=0, compare=False)
    tries: int = field(default=len(WAITS) + 1, compare=False)


class Engine:
    """Start it, hand it posts from any thread, stop it. The counts are read from any thread."""

    def __init__(self) -> None:
        self.sent = 0  # taken by the product with 2xx
        self.failed = 0  # given up
        self.unanswered = 0  # attempts that were not taken
        self._incoming: deque[Post] = deque()
        self._due: list[Post] = []
        self._numbers = 0
        self._wake = threading.Event()
        self._stopping = False
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, IN_FLIGHT)
        self._free = [self._new_handle() for _ in range(IN_FLIGHT)]
        self._flying: dict[pycurl.Curl, Post] = {}
        self._thread = threading.Thread(target=self._run, name="sandbox-reports", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def post(self, post: Post) -> None:
        self._incoming.append(post)
        self._wake.set()

    def forget(self) -> None:
        """Drop what is not in flight and begin counting anew."""
        self._incoming.append(Post(due=_FORGET))
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Not yet due, in flight, or to be tried again."""
        return len(self._incoming) + len(self._due) + len(self._flying)

    def stop(self) -> None:
        """End at once; callbacks still owed are taken up from the store at the next start."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=1.5)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._take_in()
                self._start_due()
                self._drive()
            except Exception:
                log.exception("the report engine stumbled")
                time.sleep(0.2)

    def _take_in(self) -> None:
        while self._incoming:
            post = self._incoming.popleft()
            if post.due == _FORGET:
                self._due.clear()
                self.sent = self.failed = self.unanswered = 0
                continue
            self._numbers += 1
            post.number = self._numbers
            heapq.heappush(self._due, post)

    def _start_due(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0].due <= now and self._free:
            post = heapq.heappop(self._due)
            if post.attempts == 0 and post.started:
                post.started()
            url = post.address()
            if not url:
                self._end(post)
                continue
            handle = self._free.pop()
            handle.setopt(pycurl.URL, url)
            kind = post.kind if post.json else "application/x-www-form-urlencoded"
            handle.setopt(pycurl.HTTPHEADER, [f"Content-Type: {kind}", *post.headers(url), "Expect:"])
            handle.setopt(pycurl.POSTFIELDS, post.json or urlencode(post.form))
            self._flying[handle] = post
            self._multi.add_handle(handle)

    def _drive(self) -> None:
        if not self._flying:
            wait = min(1.0, self._due[0].due - time.monotonic()) if self._due else 1.0
            if wait > 0 and not self._incoming:
                self._wake.wait(wait)
            self._wake.clear()
            return
        self._multi.perform()
        landed, more = 0, 1
        while more:
            more, done, broken = self._multi.info_read()
            for handle in done:
                self._landed(handle, 200 <= handle.getinfo(pycurl.RESPONSE_CODE) < 300)
            for handle, _, _ in broken:
                self._landed(handle, False)
            landed += len(done) + len(broken)
        if not landed:  # else there is room to start more first
            self._multi.select(0.02)

    def _landed(self, handle: pycurl.Curl, taken: bool) -> None:
        post = self._flying.pop(handle)
        self._multi.remove_handle(handle)
        self._free.append(handle)
        if taken:
            self.sent += 1
            self._end(post)
            return
        self.unanswered += 1
        if post.attempts + 1 < post.tries:
            post.due = time.monotonic() + WAITS[post.attempts]
            post.attempts += 1
            heapq.heappush(self._due, post)
            return
        self.failed += 1
        if self.failed % 1000 == 1:  # a product that stays down must not flood the output
            log.warning("callbacks given up so far: %d", self.failed)
        self._end(post)

    @staticmethod
    def _end(post: Post) -> None:
        if post.ended:
            post.ended()

    @staticmethod
    def _new_handle() -> pycurl.Curl:
        handle = pycurl.Curl()
        handle.setopt(pycurl.NOSIGNAL, 1)
        handle.setopt(pycurl.PROXY, "")
        handle.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        handle.setopt(pycurl.CONNECTTIMEOUT, CONNECT_SECONDS)
        handle.setopt(pycurl.TIMEOUT, TOTAL_SECONDS)
        handle.setopt(pycurl.USERAGENT, "sandbox")
        handle.setopt(pycurl.WRITEFUNCTION, lambda _: None)
        return handle
