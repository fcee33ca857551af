"""A whole installation in a process of its own, and a real browser that looks at it.

Tests of this folder reach the product by HTTP alone. They are skipped, with a word, where no Chromium is found.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.factories import PASSWORD

ROOT = Path(__file__).parent.parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
_ELSEWHERE = ("DATABASE_URL", "CELERY_BROKER_URL", "CACHE_URL", "DJANGO_SETTINGS_MODULE")


def chromium() -> str:
    """Path of a Chromium; "" where there is none. CHROMIUM names one that is elsewhere."""
    return os.environ.get("CHROMIUM", "") or next((path for name in BROWSERS if (path := shutil.which(name))), "")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Opened:
    """A client of the installation, and its API."""

    base: str
    id: int
    email: str
    key: str

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON; refusals too."""
        request = urllib.request.Request(
            f"{self.base}/api/{self.id}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"X-API-KEY": self.key, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            return json.load(refused)

    def balance(self) -> float:
        return self.api("GET", "client/balance")["balance"]

    def group(self, name: str, people: list[tuple[str, str]]) -> int:
        """A group of (name, phone)."""
        group = self.api("POST", "contacts/groups", {"name": name})["id"]
        ids = [self.api("POST", "contacts", {"name": who, "phone": phone})["id"] for who, phone in people]
        self.api("POST", f"contacts/groups/{group}/contacts", {"contacts": ids})
        return group


@dataclass
class Server:
    """`manage.py serve` with a data folder of its own."""

    data: Path
    port: int = field(default_factory=_free_port)
    sandbox_port: int = field(default_factory=_free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
        return kept | {
            "VAR_DIR": str(self.data), "PORT": str(self.port), "SANDBOX_PORT": str(self.sandbox_port),
            "PUBLIC_URL": self.url, "LOG_LEVEL": "WARNING",
        }  # fmt: skip

    def start(self) -> None:
        log = (self.data / "serve.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--no-demo"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
        )
        until = time.monotonic() + 420
        while time.monotonic() < until:
            assert self.process.poll() is None, (self.data / "serve.log").read_text()[-2000:]
            try:
                with urllib.request.urlopen(f"{self.url}/api/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.5)
        pytest.fail("the server was not ready within seven minutes")

    def stop(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)

    def manage(self, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *command], cwd=ROOT, env=self.environment, capture_output=True, text=True,
            timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def open_client(self, name: str, *options: str) -> Opened:
        email = f"{name.lower()}@{name.lower()}.test"
        made = json.loads(
            self.manage(
                "createclient", "--name", name, "--email", email, "--password", PASSWORD, "--sender-id", "HOSPITAL",
                "--json", *options,
            )
        )  # fmt: skip
        return Opened(self.url, made["client_id"], email, made["api_key"])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not chromium():
        pytest.skip("no Chromium is installed: the pages were not tried in a browser")
    pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: the pages were not tried in a browser"
    )
    running = Server(tmp_path_factory.mktemp("installation"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def chrome(server: Server) -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(server: Server, chrome: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A fresh window of desk size; errors in the page's scripts fail the test."""
    context = chrome.new_context(viewport=DESK, base_url=server.url)
    window = context.new_page()
    window.set_default_timeout(30_000)
    failures: list[str] = []
    window.on("pageerror", lambda error: failures.append(str(error)))
    yield window
    context.close()
    assert not failures, failures


def sign_in(page: Any, client: Opened) -> None:
    page.goto("/login")
    page.fill("#id_login", client.email)
    page.fill("#id_password", PASSWORD)
    page.click("main form button[type=submit]")
    page.wait_for_url("**/app")
