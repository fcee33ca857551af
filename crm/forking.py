"""A child process that goes on with what this one has loaded, instead of loading it again.

Memory pages that nobody writes to stay shared between both. For that the parent must have no thread, no connection and
no lock that the child would inherit in the middle of something; where it cannot promise that, start a program anew.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from typing import IO

from setproctitle import setproctitle

_PR_SET_PDEATHSIG = 1


class Forked:
    """A process that runs `main()`, with as much of subprocess.Popen's face as a supervisor looks at.

    `title` is what `ps` shows. Its output, standard and errors, is read from `stdout`. SystemExit is its exit code, any
    other exception is printed and 1.
    """

    def __init__(self, main: Callable[[], object], *, title: str) -> None:
        reading, writing = os.pipe()
        prepare = end_with_parent(os.getpid())
        self._process = multiprocessing.get_context("fork").Process(
            target=_become, args=(main, title, writing, prepare)
        )
        self._process.start()
        os.close(writing)
        self.stdout: IO[bytes] = os.fdopen(reading, "rb", buffering=0)
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """None while it runs, else its exit code, negative for a signal."""
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    def wait(self) -> None:
        self._process.join()


def is_possible() -> bool:
    """Whether this system forks as a matter of course; macOS has libraries that do not survive it."""
    return multiprocessing.get_start_method() == "fork"


def _become(main: Callable[[], object], title: str, output: int, prepare: Callable[[], None] | None) -> None:
    os.setpgid(0, 0)
    if prepare:
        prepare()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays in force
            signal.signal(number, signal.SIG_DFL)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # the parent's pipes to others, and its lock
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    setproctitle(title)
    main()


def end_with_parent(parent: int) -> Callable[[], None] | None:
    """Something for a child to run before anything else: on Linux the kernel then sends it SIGTERM when its parent
    dies, even by kill -9. Elsewhere there is no such promise to be had."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # loaded before the fork

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return prepare
