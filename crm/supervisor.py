"""Runs the parts of an installation as child processes of one terminal: starts, watches, restarts and stops them.

One thread and one loop: it reads what the children print, sees them end, and answers signals. Nothing here knows what
the children do. Without threads a child can safely be forked, to go on with what is loaded or to become a program.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from crm.forking import Forked, end_with_parent

STOP_SECONDS = 4.0  # between SIGTERM and SIGKILL
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # before a child that died is started again, doubling
READY_SECONDS = 10.0  # that others wait for the one before them
STEADY_SECONDS = 20.0  # a child that lived this long starts again without a wait the next time


@dataclass
class Program:
    """One child: `name` begins its lines, `argv` starts it. The rest is the supervisor's own note of its state.

    With `main` it is forked and goes on with what the supervisor has loaded; `argv` then only says what it does. Those
    after it are first started once it `is_ready`, or after READY_SECONDS. One of which there is `once` speaks for the
    whole, without its name, and is not started again when it ended well.
    """

    name: str
    argv: Sequence[str]
    main: Callable[[], object] | None = None
    is_ready: Callable[[], bool] | None = None
    once: bool = False
    process: subprocess.Popen[bytes] | Forked | None = None
    started: float = 0.0
    start_at: float | None = 0.0  # monotonic time of the next start; None while it runs
    wait: float = FIRST_WAIT
    unfinished: bytes = field(default=b"", repr=False)  # the beginning of a line whose end has not come yet


class Supervisor:
    """Keeps `programs` running until `stop()` or SIGTERM, SIGINT or SIGHUP, then ends all of them.

    `folder` and `environment` are what every child by `argv` gets; one by `main` has those of the supervisor. `tick` is
    called about five times a second while all goes on; it must not block for long.
    `run` returns when every child has ended. A child that dies is started again, at once after a steady life, else
    after doubling waits.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        folder: str,
        environment: Mapping[str, str],
        say: Callable[[str], None],
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.programs = list(programs)
        self.folder = folder
        self.environment = dict(environment)
        self.say = say
        self.tick = tick
        self.stopping = False
        self._selector = selectors.DefaultSelector()
        self._width = max((len(program.name) for program in self.programs if not program.once), default=0)

    def run(self) -> None:
        self._take_signals()
        try:
            while not self.stopping:
                self._start_due()
                self._read(0.2)
                self._reap()
                if not self.stopping:
                    self.tick()
        finally:
            self._end_all()

    def stop(self) -> None:
        """Ask the loop to end; returns at once."""
        self.stopping = True

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays in force
                signal.signal(number, lambda *_: self.stop())

    def _start_due(self) -> None:
        for program in self.programs:
            if program.process is None and program.start_at is not None and time.monotonic() >= program.start_at:
                self._start(program)
            if not self._lets_others_start(program):
                return

    @staticmethod
    def _lets_others_start(program: Program) -> bool:
        if program.is_ready and time.monotonic() - program.started < READY_SECONDS and not program.is_ready():
            return False
        program.is_ready = None
        return True

    def _start(self, program: Program) -> None:
        # A group of its own: Ctrl-C in the terminal reaches the supervisor alone, and what a child leaves behind
        # when it is killed can be found.
        if program.main:
            program.process = Forked(program.main, title=" ".join(program.argv))
        else:
            program.process = subprocess.Popen(  # noqa: S603 - our own command lines
                program.argv,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=end_with_parent(os.getpid()),
            )
        program.started, program.start_at, program.unfinished = time.monotonic(), None, b""
        assert program.process.stdout is not None
        os.set_blocking(program.process.stdout.fileno(), False)
        self._selector.register(program.process.stdout, selectors.EVENT_READ, program)

    def _read(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            self._print_output(key.data, key.fileobj)  # type: ignore[arg-type]

    def _print_output(self, program: Program, pipe: IO[bytes]) -> None:
        data = os.read(pipe.fileno(), 65536)
        if not data:  # the child, and whoever shared its output, has closed it
            self._selector.unregister(pipe)
            pipe.close()
        *lines, program.unfinished = (program.unfinished + data).split(b"\n")
        if not data and program.unfinished:
            lines, program.unfinished = [program.unfinished], b""
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip()
            if program.once:
                self.say(text)
            elif text:
                self.say(f"{program.name:<{self._width}} | {text}")

    def _reap(self) -> None:
        for program in self.programs:
            if program.process is None or (code := program.process.poll()) is None:
                continue
            self._signal_group(program.process, signal.SIGKILL)  # helpers of its own that outlived it
            if code == 0 and program.once:
                program.process = None
                continue
            now = time.monotonic()
            if now - program.started > STEADY_SECONDS:
                program.wait = FIRST_WAIT
            self.say(f"{program.name} ended ({_words(code)}); starting it again in {program.wait:g} s")
            program.process, program.start_at = None, now + program.wait
            program.wait = min(program.wait * 2, LONGEST_WAIT)

    def _end_all(self) -> None:
        running = [program.process for program in self.programs if program.process]
        for process in running:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and any(process.poll() is None for process in running):
            self._read(0.05)
        for process in running:
            self._signal_group(process, signal.SIGKILL)
            process.wait()
        self._read(0)

    @staticmethod
    def _signal_group(process: subprocess.Popen[bytes] | Forked, number: int) -> None:
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):  # nobody left; macOS says so by PermissionError
            return


def _words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
