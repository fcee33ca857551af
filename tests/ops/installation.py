"""A real installation for tests: `manage.py serve` as a child process, with free ports and a data folder of its own."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
# What would tie the child to the test run, or to a database that is not its own.
FOREIGN = ("PYTEST", "TEST_RUN", "DATABASE_URL", "CELERY_", "CACHE_URL", "PUBLIC_URL", "ALLOWED_HOSTS", "DJANGO_")


def free_port() -> int:
    """A port below those that the system hands out by itself, so that no outgoing connection takes it meanwhile."""
    while True:
        port = random.randint(15000, 30000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


def own_environment(folder: Path, **extra: str) -> dict[str, str]:
    """The environment of a process that keeps its data in `folder` and knows nothing of the tests around it."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {**mine, "VAR_DIR": str(folder), "PYTHONUNBUFFERED": "1", **extra}


def manage(folder: Path, *words: str, seconds: float = 240, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, within `seconds`."""
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT, env=own_environment(folder, **extra), capture_output=True, text=True, timeout=seconds,
    )  # fmt: skip


def wait_for(what: Callable[[], Any], seconds: float, why: str) -> Any:
    """The first true answer of `what`; fails the test when none comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {why}")


class Installation:
    """One data folder and two ports; started and stopped as often as a test likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.sandbox_port = free_port(), free_port()
        self.log = folder / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return own_environment(self.folder, PORT=str(self.port), SANDBOX_PORT=str(self.sandbox_port))

    def start(self, *options: str) -> None:
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", *options],
                cwd=ROOT, env=self.environment, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @contextmanager
    def running(self, seconds: float = 400) -> Iterator[Self]:
        """Started, ready, and ended in order afterwards whatever happens."""
        self.start()
        try:
            self.wait_until_ready(seconds)
            yield self
        finally:
            if self.process:
                self.process.terminate()
                self.process.wait(timeout=60)

    def wait_until_ready(self, seconds: float = 240) -> str:
        """What it has printed once it says that it is ready."""

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"it ended:\n{self.log.read_text()}"
            return "Ctrl-C stops everything" in self.log.read_text()

        wait_for(ready, seconds, "ready")
        return self.log.read_text()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Signal the supervisor; its exit code and the seconds it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=20)
        return code, time.monotonic() - began

    def get(self, path: str, port: int | None = None) -> tuple[int, Any]:
        """Status and JSON of a GET; 0 and None where nobody answers."""
        url = f"http://127.0.0.1:{port or self.port}{path}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, None

    def family(self) -> dict[int, str]:
        """Every process below the supervisor now: its id and command line."""
        assert self.process is not None
        listed = subprocess.run(
            ["ps", "-axww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
        ).stdout
        rows = [line.split(None, 2) for line in listed.splitlines()]
        found: dict[int, str] = {}
        parents = {self.process.pid}
        while parents:
            below = {int(row[0]): row[2] for row in rows if int(row[1]) in parents}
            parents = set(below)
            found |= below
        return found


def alive(pids: dict[int, str]) -> dict[int, str]:
    """Those of the processes that still run; one that ended but was not awaited by its parent does not."""
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    states = {int(row.split()[0]): row.split()[1] for row in listed.splitlines()}
    return {pid: words for pid, words in pids.items() if not states.get(pid, "Z").startswith("Z")}
