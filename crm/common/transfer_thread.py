"""Requests in flight that are written and read by a thread of their own, while whoever asked for them waits elsewhere.

A loop that keeps a provider busy waits for the database as well, half of its time. Answers that come meanwhile are read
and connections stay warm, instead of all standing still.
"""

import threading
from collections.abc import Sequence
from typing import Any

from crm.common.transfers import Ended, PreparedRequest, Transfers

LOOK_SECONDS = 0.005  # the longest that a fresh request waits beside others that are in flight and do not move


class TransferThread:
    """Carries the requests of one other thread. It begins with the first one and ends by `close`."""

    def __init__(self, transfers: Transfers) -> None:
        self._transfers = transfers
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()  # guards what follows
        self._fresh: list[PreparedRequest] = []
        self._ended: list[tuple[Any, Ended]] = []
        self._flying = 0  # begun or about to be, and not among the ended
        self._enough = 1  # how many ended requests are waited for
        self._closing = False
        self._broken: BaseException | None = None

    def start(self, tag: Any, method: str, url: str, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        """Begin a request; `tag` comes back with its end. What no request can be made of raises, and nothing began."""
        request = self._transfers.prepare(tag, method, url, headers, body)
        with self._changed:
            self._fresh.append(request)
            self._flying += 1
            if self._flying == 1:  # else it is at work, and looks by itself
                self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="transfers", daemon=True)
            self._thread.start()

    def ended(self) -> Sequence[tuple[Any, Ended]]:
        """What ended since the last call. Raises what broke the thread, if anything did."""
        with self._changed:
            if self._broken:
                raise RuntimeError("the thread that carries requests broke") from self._broken
            ended, self._ended = self._ended, []
        return ended

    def wait(self, seconds: float, enough: int = 1) -> None:
        """Sleep until so many have ended, or all that fly, at most `seconds`."""
        with self._changed:
            self._enough = enough
            self._changed.wait_for(self._is_enough, seconds)

    def close(self) -> None:
        """End everything in flight and close the kept connections."""
        if self._thread is None:
            self._transfers.close()
            return
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _is_enough(self) -> bool:
        return len(self._ended) >= self._enough or not self._flying or self._broken is not None

    def _run(self) -> None:
        try:
            while self._carry():
                pass
        except BaseException as error:
            with self._changed:
                self._broken = error
                self._changed.notify_all()
        finally:
            self._transfers.close()

    def _carry(self) -> bool:
        """Begin what is fresh, take in what ended, wait until something moves; False where it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._flying or self._closing)
            if self._closing:
                return False
            fresh, self._fresh = self._fresh, []
        for request in fresh:
            self._transfers.begin(request)
        if ended := list(self._transfers.ended()):
            with self._changed:
                self._ended += ended
                self._flying -= len(ended)
                if self._is_enough():
                    self._changed.notify_all()
        if len(self._transfers):
            self._transfers.wait(LOOK_SECONDS)
        return True
