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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test of this folder comes first waits for the installation to start."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))


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
    """`manage.py serve` with a data folder of its own. cast, hooks: what cast.py made, see there."""

    data: Path
    port: int = field(default_factory=_free_port)
    sandbox_port: int = field(default_factory=_free_port)
    cast: dict[str, Opened] = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)
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
        people = made["people"].items()
        self.cast = {name: Opened(self.url, each["id"], each["email"], each["key"]) for name, each in people}
        self.hooks = made["hooks"]

    def start(self) -> None:
        log = (self.data / "serve.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--no-demo"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
        )
        until = time.monotonic() + 420
        while time.monotonic() < until:
            assert self.process.poll() is None, (self.data / "serve.log").read_text()[-2000:]
            if "is ready." in (self.data / "serve.log").read_text():
                for username, path in self.hooks.items():
                    self.sandbox("PUT", "callbacks", {"username": username, "delivery": f"{self.url}{path}"})
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

    def taken(self, username: str) -> list[str]:
        """The numbers of all messages that the carrier took from one of its accounts."""
        found = self.sandbox("GET", "messages?limit=1000")
        return [message["number"] for message in found if message["username"] == username]


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if not chromium():
        pytest.skip("no Chromium is installed: the pages were not tried in a browser")
    pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: the pages were not tried in a browser"
    )
    request.getfixturevalue("django_db_setup")  # for the migrated database that it keeps
    own = os.environ.get("TEST_RUN", "") + os.environ.get("PYTEST_XDIST_WORKER", "")
    running = Server(settings.VAR_DIR / f"browser{own}")
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
    """Opens windows for a test. Afterwards none may have met an error of a script, asked another host or been shown a
    secret again, and every address that a page put into the browser's history must open as a whole document.
    """

    def __init__(self, chrome: Any, server: Server) -> None:
        self.chrome, self.server = chrome, server
        self.contexts: list[Any] = []
        self.failures: list[str] = []
        self._pushed: dict[str, Any] = {}
        self.unreadable = pytest.importorskip("playwright.sync_api").Error

    def open(self, who: str = "", **options: Any) -> Any:
        """A window; `who` of the cast (or an address) is signed in. options: as of Playwright's new_context."""
        email = self.server.cast[who].email if who in self.server.cast else who
        state = {"storage_state": signed_in_state(self.chrome, self.server, email)} if email else {}
        context = self.chrome.new_context(**{"viewport": DESK, "base_url": self.server.url} | state | options)
        context.set_default_timeout(30_000)
        context.on("weberror", lambda error: self.failures.append(f"{error.page.url}: {error.error}"))
        context.on("console", self._listen)
        context.on("request", self._look)
        context.on("response", self._read)
        context.expose_binding("tellPushed", self._note)
        context.add_init_script(TELL_PUSHED)
        self.contexts.append(context)
        return context.new_page()

    def close(self) -> None:
        for address, context in self._pushed.items():
            answer = context.request.get(address)
            if answer.status >= 500 or "<html" not in answer.text():
                self.failures.append(f"no whole document: {address} ({answer.status})")
        for context in self.contexts:
            context.close()
        assert not self.failures, self.failures

    def keep_secret(self, text: str) -> None:
        """From here to the end of the session no answer may hold `text`."""
        _SECRETS.append(text)

    def _note(self, source: Any, address: str) -> None:
        if address not in _OPENED_WHOLE:
            _OPENED_WHOLE.add(address)
            self._pushed[address] = source["context"]

    def _read(self, response: Any) -> None:
        if not _SECRETS or response.request.resource_type not in ("document", "xhr", "fetch"):
            return
        try:
            text = response.text()
        except self.unreadable:  # a redirect, a file, or a window that is gone
            return
        self.failures += [f"a secret is shown again by {response.url}" for secret in _SECRETS if secret in text]

    def _listen(self, message: Any) -> None:
        if message.type == "error" and "Content Security Policy" in message.text:
            self.failures.append(message.text)

    def _look(self, request: Any) -> None:
        if not request.url.startswith((self.server.url, self.server.by_name, "data:", "blob:", "about:")):
            self.failures.append(f"asked elsewhere: {request.url}")


_SIGNED_IN: dict[str, Any] = {}  # cookies by email; a sign-in costs as much as the pages of a test
_SECRETS: list[str] = []
_OPENED_WHOLE: set[str] = set()
TELL_PUSHED = """
for (const name of ["pushState", "replaceState"]) {
  const own = history[name].bind(history);
  history[name] = (state, unused, url) => {
    own(state, unused, url);
    if (url) window.tellPushed(location.href);
  };
}
"""


@pytest.fixture
def windows(server: Server, chrome: Any) -> Iterator[Windows]:
    opened = Windows(chrome, server)
    yield opened
    opened.close()


@pytest.fixture
def page(windows: Windows) -> Any:
    """A fresh window of desk size in which nobody is signed in."""
    return windows.open()


def signed_in_state(chrome: Any, server: Server, email: str) -> Any:
    """The cookies of somebody who signed in; made once for each person."""
    if email not in _SIGNED_IN:
        signing = chrome.new_context(base_url=server.url)
        sign_in(signing.new_page(), email)
        _SIGNED_IN[email] = signing.storage_state()
        signing.close()
    return _SIGNED_IN[email]


def sign_in(page: Any, who: Opened | str) -> None:
    page.goto("/login")
    page.fill("#id_login", who if isinstance(who, str) else who.email)
    page.fill("#id_password", PASSWORD)
    page.click("main form button[type=submit]")
    page.wait_for_url("**/app")
