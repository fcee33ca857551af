"""Pieces of one long work, done by a few threads: beside each other as far as may be, and ended one after another."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from django.db import connection, connections

from crm.common.sql import on_postgres

_Piece = TypeVar("_Piece")
_Done = TypeVar("_Done")
MyTurn = Callable[[], bool]  # waits until the piece before has ended; False where that raised or came to None

_SECONDS = 60.0  # that a piece waits for the one before it, which would otherwise hang with it


def in_turns(
    work: Callable[[_Piece, MyTurn], _Done | None], pieces: Iterable[_Piece], *, threads: int
) -> Generator[_Done | None, None, None]:
    """What `work(piece, my_turn)` comes to for each piece, in order. It does what may be done beside other pieces, asks
    `my_turn`, and then does the rest alone.

    The pieces are made in the caller's thread meanwhile. Where the caller stops asking, what was begun is waited for,
    and what waits for its turn then gets it as if nothing had happened. One after another in the caller's thread on
    SQLite, which has one writer, and within a transaction.
    """
    if threads < 2 or not on_postgres() or connection.in_atomic_block:
        for piece in pieces:
            yield work(piece, lambda: True)
        return
    jobs: queue.SimpleQueue[tuple[Future, Callable[[], Any]] | None] = queue.SimpleQueue()
    crew = [threading.Thread(target=_serve, args=(jobs,), name="in-turns", daemon=True) for _ in range(threads)]
    for one in crew:
        one.start()
    flying: deque[Future] = deque()
    try:
        before: Future | None = None
        for piece in pieces:
            if len(flying) == threads:
                yield flying.popleft().result()
            done: Future = Future()
            jobs.put((done, partial(copy_context().run, work, piece, partial(_went_well, before))))
            flying.append(done)
            before = done
        while flying:
            yield flying.popleft().result()
    finally:
        for _ in crew:
            jobs.put(None)
        for one in crew:
            one.join()


def _serve(jobs: "queue.SimpleQueue[tuple[Future, Callable[[], Any]] | None]") -> None:
    try:
        while job := jobs.get():
            done, run = job
            try:
                done.set_result(run())
            except BaseException as error:
                done.set_exception(error)
    finally:
        connections.close_all()


def _went_well(before: Future | None) -> bool:
    return before is None or (before.exception(_SECONDS) is None and before.result() is not None)
