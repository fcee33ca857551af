"""The supervisor with small children: output, restarts, stubborn ones."""

import signal
import sys
import time
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

    def run_children(until, **children: str) -> list[str]:
        said: list[str] = []
        end = time.monotonic() + 10

        def tick() -> None:
            if until(said) or time.monotonic() > end:
                watched.stop()

        programs = [Program(name, [sys.executable, "-uc", code], wait=0.05) for name, code in children.items()]
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
