"""Work that threads of a process want at the same moment, done by one of them for all who wait.

A transaction and its wait for the disk cost about the same for one message as for thirty. Who finds nobody at work
does it; who comes meanwhile waits, and the first of those then does it for all of them. So batches grow with the load.
Where there was company the last time, whoever has the turn waits a moment for it to come back: callers that are
answered together ask again at about the same time, and would otherwise fall apart into two groups, which is twice the
transactions. A lone caller waits for nobody.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from django.db import connection

_Asked = TypeVar("_Asked")
_Told = TypeVar("_Told")


_MOMENT = 0.01  # seconds


class Undone(Exception):
    """Raised by the work of several where surely nothing happened: each of them is then worked on alone."""


class Alone(Exception):
    """In the place of an answer: this one could not be worked on beside the others and is to be taken alone, now."""


class _Waiter(Generic[_Asked, _Told]):
    """One who asked. leads: woken to do the work; otherwise told what came of it."""

    __slots__ = ("asked", "leads", "told", "woken")

    def __init__(self, asked: _Asked) -> None:
        self.asked = asked
        self.leads = False
        self.told: _Told | BaseException | None = None
        self.woken = threading.Lock()
        self.woken.acquire()


class Together(Generic[_Asked, _Told]):
    """`work` takes what was asked under one key and returns an answer, or an error to raise, for each, in order.

    It is called for one key by one thread at a time, except that who is to be `Alone` is worked on beside. An error
    that it raises is everybody's: only `Undone` says that nothing has happened and that trying again is safe.
    """

    def __init__(self, work: Callable[[Sequence[_Asked]], Sequence[_Told | BaseException]], *, most: int = 64) -> None:
        self._work, self._most = work, most
        self._guard = threading.Lock()
        self._waiting: dict[Hashable, list[_Waiter[_Asked, _Told]]] = {}  # key → who came while somebody works
        self._usual: dict[Hashable, int] = {}  # key → how many there were the last time, where it was more than one
        self._gathering: dict[Hashable, tuple[int, threading.Lock]] = {}  # key → for how many who has the turn waits

    def ask(self, key: Hashable, asked: _Asked) -> _Told:
        """What `work` answers. Inside a transaction it is worked on alone: to wait there is to hold locks meanwhile."""
        if connection.in_atomic_block:
            return _plain(self._work([asked])[0])
        mine: _Waiter[_Asked, _Told] = _Waiter(asked)
        with self._guard:
            mine.leads = key not in self._waiting
            if mine.leads:
                self._waiting[key] = []
            else:
                self._waiting[key].append(mine)
                wanted, gathered = self._gathering.get(key, (0, None))
                if gathered is not None and len(self._waiting[key]) >= wanted:
                    del self._gathering[key]
                    gathered.release()
        if not mine.leads:
            mine.woken.acquire()
        if mine.leads:
            self._lead(key, mine)
        if isinstance(mine.told, Alone | Undone):
            return _plain(self._work([asked])[0])
        return _plain(mine.told)

    def _gather(self, key: Hashable) -> None:
        """Wait a moment for as many as there were the last time."""
        with self._guard:
            wanted = min(self._usual.get(key, 1), self._most) - 1
            if len(self._waiting[key]) >= wanted:
                return
            gathered = threading.Lock()
            gathered.acquire()
            self._gathering[key] = (wanted, gathered)
        gathered.acquire(timeout=_MOMENT)
        with self._guard:
            self._gathering.pop(key, None)

    def _lead(self, key: Hashable, mine: _Waiter[_Asked, _Told]) -> None:
        self._gather(key)
        with self._guard:
            others = self._waiting[key][: self._most - 1]
            del self._waiting[key][: self._most - 1]
        batch = [mine, *others]
        try:
            for one, told in zip(batch, self._work([one.asked for one in batch]), strict=True):
                one.told = told
        except BaseException as error:  # whoever waits must be woken whatever happens
            for one in batch:
                one.told = error
        finally:
            with self._guard:
                usual = len(batch) + len(self._waiting[key])
                if usual > 1:
                    self._usual[key] = usual
                else:
                    self._usual.pop(key, None)
                following = self._waiting[key].pop(0) if self._waiting[key] else None
                if following is None:
                    del self._waiting[key]
            if following is not None:
                following.leads = True
                following.woken.release()
            for one in others:
                one.woken.release()


def _plain(told: Any) -> Any:
    if isinstance(told, BaseException):
        raise told
    return told
