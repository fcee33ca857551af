"""The supervisor with small children: output, restarts, stubborn ones."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Set
from pathlib import Path

import pytest

from crm import supervisor
from crm.supervisor import Program, Supervisor
from tests.ops.installation import alive, wait_for


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs children given as Python source until `until` holds or 10 s are over; returns what was said."""
    monkeypatch.setattr(supervisor, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.5)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}

    def run_children(
        until, ready: Callable[[], bool] | None = None, once: Set[str] = frozenset(), **children: str | Callable
    ) -> list[str]:
        said: list[str] = []
        end = time.monotonic() + 10

        def tick() -> None:
            if until(said) or time.monotonic() > end:
                watched.stop()

        programs = [
            Program(name, [name], main=child, wait=0.05)
            if callable(child)
            else Program(name, [sys.executable, "-uc", child], wait=0.05)
            for name, child in children.items()
        ]
        programs[0].is_ready = ready
        for program in programs:
            program.once = program.name in once
        watched = Supervisor(programs, folder=str(tmp_path), environment={}, say=said.append, tick=tick)
        watched.run()
        assert all(program.process is None or program.process.poll() is not None for program in programs)
        return said

    yield run_children
    for number, handler in before.items():
        signal.signal(number, handler)


def test_lines_carry_the_name_of_their_child(run) -> None:
    said = run(
        lambda said: len(said) >= 3,
        web="print('héllo\\n\\nworld'); import time; time.sleep(9)",
        worker="import sys, time; sys.stderr.write('oops\\n'); time.sleep(9)",
    )
    assert sorted(said) == ["web    | héllo", "web    | world", "worker | oops"]


def test_a_dead_child_is_started_again_and_its_end_is_told(run) -> None:
    said = run(lambda said: said.count("one | up") >= 3, one="print('up'); raise SystemExit(3)")
    assert said.count("one | up") >= 3
    assert "one ended (exit code 3); starting it again in 0.05 s" in said
    assert "one ended (exit code 3); starting it again in 0.1 s" in said  # the waits double


def test_a_killed_child_is_named_by_its_signal(run) -> None:
    said = run(
        lambda said: any("ended" in line for line in said),
        one="import os; os.kill(os.getpid(), 9)",
    )
    assert any(line.startswith("one ended (signal SIGKILL)") for line in said)


def test_a_child_that_ignores_sigterm_is_killed_in_time(run) -> None:
    began = time.monotonic()
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"
    run(lambda said: "one | up" in said, one=stubborn)
    assert time.monotonic() - began < 8


def test_helpers_of_a_dead_child_are_ended_with_it(run, tmp_path: Path) -> None:
    # The helper writes its id and would sleep on; its parent dies at once.
    code = (
        "import subprocess, sys, os; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid)); print('up'); os.kill(os.getpid(), 9)"
    )
    run(lambda said: any("ended" in line for line in said), one=code)
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not alive({pid: "helper"}), 5, "the helper to end")


def say(words: str) -> None:
    """As a forked child does whatever the test run has made of sys.stdout."""
    os.write(1, f"{words}\n".encode())


def test_a_forked_child_has_what_was_loaded_and_a_name_and_a_group_of_its_own(run) -> None:
    loaded = {"by": os.getpid()}

    def child() -> None:
        shown = subprocess.run(["ps", "-o", "args=", "-p", str(os.getpid())], capture_output=True, text=True).stdout
        say(f"{shown.strip()}, loaded by {loaded['by']}, group {os.getpgrp() == os.getpid()}")
        time.sleep(9)

    said = run(lambda said: said, **{"the sender": child})
    assert said == [f"the sender | the sender, loaded by {os.getpid()}, group True"]


def test_a_forked_child_holds_nothing_that_its_parent_has_open(run, tmp_path: Path) -> None:
    def child() -> None:
        say(f"inherited {[each for each in os.listdir('/proc/self/fd') if is_open(int(each), tmp_path / 'held')]}")
        time.sleep(9)

    with (tmp_path / "held").open("w"):
        said = run(lambda said: len(said) == 2, one=child, other=child)
    assert sorted(said) == ["one   | inherited []", "other | inherited []"]


def is_open(number: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/fd/{number}") == str(path)
    return False


def test_a_forked_child_that_fails_says_why_and_is_started_again(run, tmp_path: Path) -> None:
    starts = tmp_path / "starts"

    def child() -> None:
        with starts.open("a") as file:
            file.write("x")
        raise SystemExit(3) if len(starts.read_text()) == 1 else OSError("the disk is full")

    said = run(lambda said: "one ended (exit code 1); starting it again in 0.1 s" in said, one=child)
    assert "one ended (exit code 3); starting it again in 0.05 s" in said


def test_a_forked_child_ends_on_sigterm_or_is_killed_in_time(run) -> None:
    def stubborn() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say("up")
        time.sleep(60)

    def meek() -> None:
        say("up")
        time.sleep(60)

    began = time.monotonic()
    run(lambda said: len(said) == 2, stubborn=stubborn, meek=meek)
    assert time.monotonic() - began < 8


def test_the_next_is_started_once_the_first_is_ready(run, tmp_path: Path) -> None:
    said = run(
        lambda said: "later | up" in said,
        ready=lambda: (tmp_path / "made").exists(),
        first=f"import time; time.sleep(0.5); open({str(tmp_path / 'made')!r}, 'w'); print('made'); time.sleep(9)",
        later="print('up'); import time; time.sleep(9)",
    )
    assert said == ["first | made", "later | up"]


def test_one_that_is_never_ready_holds_the_others_up_for_so_long_only(run, monkeypatch) -> None:
    monkeypatch.setattr(supervisor, "READY_SECONDS", 0.5)
    said = run(lambda said: said, ready=lambda: False, first="import time; time.sleep(9)", later="print('up')")
    assert said[0] == "later | up"


def test_one_of_which_there_is_once_speaks_for_the_whole_and_is_not_started_again(run, monkeypatch) -> None:
    begun = time.monotonic()

    def greet() -> None:
        say("\nready\n  use it so\n")

    said = run(
        lambda said: time.monotonic() > begun + 1.5, once={"greeting"}, web="import time; time.sleep(9)", greeting=greet
    )
    assert said == ["", "ready", "  use it so", ""]


def test_one_of_which_there_is_once_is_started_again_where_it_fails(run, tmp_path: Path) -> None:
    tried = f"f = pathlib.Path({str(tmp_path / 'tried')!r}); again = f.exists(); f.touch()"
    code = f"import pathlib; {tried}; print(again); assert again"
    said = run(lambda said: "True" in said, once={"greeting"}, greeting=code)
    assert said[0] == "False"
    assert "greeting ended (exit code 1); starting it again in 0.05 s" in said
