"""The sandbox as a real process on a free port, for any test that needs carriers to talk to.

Import the fixture where it is needed: `from tests.sandbox_process import sandbox  # noqa: F401`.
"""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).parent.parent


class Sandbox:
    """A running sandbox. Each test begins by `reset`, which forgets messages and turns all dials to normal."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.base_url = ""
        self.process: subprocess.Popen[str] | None = None
        self.http = requests.Session()
        self.http.trust_env = False

    def start(self, port: int = 0) -> None:
        """Start it on the same data, and wait until it listens."""
        command = [sys.executable, "-m", "crm.sandbox", "--port", str(port), "--data", str(self.data)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.startswith("sandbox: http://"), f"the sandbox did not start: {line!r}"
        self.base_url = line.removeprefix("sandbox: ").strip().rstrip("/")

    def stop(self, number: int = signal.SIGTERM) -> float:
        """End it by that signal. Returns the seconds it took."""
        assert self.process
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=10)
        assert self.process.stdout
        self.process.stdout.close()
        return time.monotonic() - begun

    def reset(self) -> None:
        self.call("DELETE", "messages")
        self.set_faults(report_delay=0.05, intermediate_reports=0)
        self.set_callbacks(delivery="", optout="")

    def call(self, method: str, path: str, **values: Any) -> Any:
        """A JSON call under /sandbox/; values travel as the query of a GET, else as the body."""
        carried = {"params": values} if method == "GET" else {"json": values}
        answer = self.http.request(method, f"{self.base_url}/sandbox/{path}", timeout=10, **carried)
        assert answer.ok, f"{answer.status_code}: {answer.text}"
        return answer.json()

    def set_faults(self, *, username: str = "*", **dials: Any) -> None:
        """Dials by name: a share, {"next": n}, or seconds; what is not named is at its default."""
        self.call("PUT", "faults", username=username, **dials)

    def set_callbacks(self, *, username: str = "*", **urls: str) -> None:
        """Where callbacks go: `delivery` and `optout`."""
        self.call("PUT", "callbacks", username=username, **urls)

    def stats(self) -> dict[str, Any]:
        return self.call("GET", "stats")

    def messages(self, number: str = "") -> list[dict[str, Any]]:
        """What was accepted, the newest first, of one number unless that is ""."""
        return self.call("GET", "messages", number=number, limit=100_000)

    def wait_for(self, condition: Callable[[dict[str, Any]], Any], seconds: float = 10) -> dict[str, Any]:
        """The first stats for which `condition` holds. Raises: AssertionError when the time is up."""
        deadline = time.monotonic() + seconds
        while not condition(stats := self.stats()):
            assert time.monotonic() < deadline, f"the sandbox did not get there: {stats}"
            time.sleep(0.05)
        return stats


@contextlib.contextmanager
def running_sandbox(data: Path) -> Iterator[Sandbox]:
    """A sandbox of one's own, stopped at the end."""
    sandbox = Sandbox(data)
    sandbox.start()
    try:
        yield sandbox
    finally:
        if sandbox.process and sandbox.process.poll() is None:
            sandbox.stop()
        sandbox.http.close()


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox") / "sandbox.sqlite3") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    """The session's sandbox, as new."""
    sandbox_process.reset()
    return sandbox_process
