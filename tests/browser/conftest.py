"""One whole installation for all tests of this folder, in processes of its own, and a real browser that looks at it.

The product is reached by HTTP alone; cast.py puts people and rows into it before it starts. The tests are skipped, with
a word, where no Chromium is found. The folder of the installation stays, for the static files in it.
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
from django.conf import settings

from tests import schema
from tests.factories import PASSWORD

ROOT = Path(__file__).parent.parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
# What would make it another installation than `make run` does; PYTEST_VERSION by itself turns hashed files off.
_ELSEWHERE = (
    "DATABASE_URL", "CELERY_BROKER_URL", "CACHE_URL", "DJANGO_SETTINGS_MODULE", "PYTEST_VERSION", "TEST_RUN",
)  # fmt: skip
_KEPT = {"static", "static.stamp"}


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
    """`manage.py serve` with a data folder of its own. cast: who cast.py made, by the owner's name."""

    data: Path
    port: int = field(default_factory=_free_port)
    sandbox_port: int = field(default_factory=_free_port)
    cast: dict[str, Opened] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def by_name(self) -> str:
        """The same by the host's name: passkeys belong to names, not to addresses."""
        return f"http://localhost:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
        operator = self.cast.get("operator")
        return kept | {
            "VAR_DIR": str(self.data), "PORT": str(self.port), "SANDBOX_PORT": str(self.sandbox_port),
            "PUBLIC_URL": self.url, "LOG_LEVEL": "WARNING", "SYSTEM_CLIENT_ID": str(operator.id if operator else 0),
            "WEBHOOK_ALLOW_HTTP": "1", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        }  # fmt: skip

    def prepare(self) -> None:
        """An empty installation and its cast. Raises: AssertionError."""
        self.data.mkdir(parents=True, exist_ok=True)
        for left in self.data.iterdir():
            if left.name not in _KEPT:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        if not schema.copy_to(self.data / "tarishi.sqlite3"):
            self.manage("migrate")
        made = json.loads(self.run("-m", "tests.browser.cast"))
        self.cast = {name: Opened(self.url, each["id"], each["email"], each["key"]) for name, each in made.items()}

    def start(self) -> None:
        log = (self.data / "serve.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--no-demo"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
        )
        until = time.monotonic() + 420
        while time.monotonic() < until:
            assert self.process.poll() is None, (self.data / "serve.log").read_text()[-2000:]
            if "is ready." in (self.data / "serve.log").read_text():
                return
            time.sleep(0.2)
        pytest.fail("the server was not ready within seven minutes")

    def stop(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)

    def manage(self, *command: str) -> str:
        return self.run("manage.py", *command)

    def run(self, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=self.environment, capture_output=True, text=True,
            timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def sandbox(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the outside world: /sandbox/<path> (crm/sandbox/README.md)."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.sandbox_port}/sandbox/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

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
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if not chromium():
        pytest.skip("no Chromium is installed: the pages were not tried in a browser")
    pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: the pages were not tried in a browser"
    )
    request.getfixturevalue("django_db_setup")  # for the migrated database that it keeps
    running = Server(settings.VAR_DIR / f"browser{os.environ.get('TEST_RUN', '')}")
    running.prepare()
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


class Windows:
    """Opens windows for a test. Afterwards none may have met an error of a script, or asked another host."""

    def __init__(self, chrome: Any, server: Server) -> None:
        self.chrome, self.server = chrome, server
        self.contexts: list[Any] = []
        self.failures: list[str] = []
        self._states: dict[str, Any] = {}

    def open(self, who: str = "", **options: Any) -> Any:
        """A window; `who` of the cast (or an address) is signed in. options: as of Playwright's new_context."""
        email = self.server.cast[who].email if who in self.server.cast else who
        if email and email not in _SIGNED_IN:
            signing = self.chrome.new_context(base_url=self.server.url)
            page = signing.new_page()
            sign_in(page, email)
            _SIGNED_IN[email] = signing.storage_state()
            signing.close()
        state = {"storage_state": _SIGNED_IN[email]} if email else {}
        context = self.chrome.new_context(**{"viewport": DESK, "base_url": self.server.url} | state | options)
        context.set_default_timeout(30_000)
        context.on("weberror", lambda error: self.failures.append(f"{error.page.url}: {error.error}"))
        context.on("console", self._listen)
        context.on("request", self._look)
        self.contexts.append(context)
        return context.new_page()

    def close(self) -> None:
        for context in self.contexts:
            context.close()
        assert not self.failures, self.failures

    def _listen(self, message: Any) -> None:
        if message.type == "error" and "Content Security Policy" in message.text:
            self.failures.append(message.text)

    def _look(self, request: Any) -> None:
        if not request.url.startswith((self.server.url, self.server.by_name, "data:", "blob:", "about:")):
            self.failures.append(f"asked elsewhere: {request.url}")


_SIGNED_IN: dict[str, Any] = {}  # cookies by e-mail; a sign-in costs as much as the pages of a test


@pytest.fixture
def windows(server: Server, chrome: Any) -> Iterator[Windows]:
    opened = Windows(chrome, server)
    yield opened
    opened.close()


@pytest.fixture
def page(windows: Windows) -> Any:
    """A fresh window of desk size in which nobody is signed in."""
    return windows.open()


def sign_in(page: Any, who: Opened | str) -> None:
    page.goto("/login")
    page.fill("#id_login", who if isinstance(who, str) else who.email)
    page.fill("#id_password", PASSWORD)
    page.click("main form button[type=submit]")
    page.wait_for_url("**/app")
