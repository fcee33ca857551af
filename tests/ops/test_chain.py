"""Two installations, one selling through the other: a message goes down, its report comes up, the money is right on
both."""

import json
import secrets
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ops.installation import Installation, manage, own_environment, wait_for

SECRET = secrets.token_hex(16)
CONNECT = """
from messaging.models import ProviderAccount
from messaging.services.providers import connect_provider, add_route
account = connect_provider(name="Upstream", adapter="native", base_url={url!r},
    credentials={{"client_id": {client!r}, "api_key": {key!r}, "webhook_secret": {secret!r}}})
add_route(account=account)
ProviderAccount.objects.exclude(pk=account.pk).update(is_active=False)
print("TOKEN", account.callback_token)
"""


class Chained(Installation):
    """It may post webhooks to its neighbour on this machine."""

    @property
    def environment(self) -> dict[str, str]:
        mine = {
            "PORT": str(self.port),
            "SANDBOX_PORT": str(self.sandbox_port),
            "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        return own_environment(self.folder, **mine)

    def run(self, *words: str) -> str:
        ports = {name: self.environment[name] for name in ("PORT", "SANDBOX_PORT", "WEBHOOK_ALLOWED_NETWORKS")}
        done = manage(self.folder, *words, seconds=180, **ports)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def open_client(self, credit: int, price: str) -> dict[str, Any]:
        email = f"amina{self.port}@acme.test"
        made = self.run(
            "createclient", "--name", f"Acme {self.port}", "--email", email, "--password", secrets.token_hex(12),
            "--credit", str(credit), "--sender-id", "ACME", "--price-per-unit", price, "--json",
        )  # fmt: skip
        return dict(json.loads(made.splitlines()[-1]))

    def call(
        self, client: dict[str, Any], method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{client['client_id']}/{path}",
            data=json.dumps(body).encode() if body else None,
            method=method,
            headers={"X-API-KEY": client["api_key"], "Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return dict(json.load(answer))

    def balance(self, client: dict[str, Any]) -> float:
        return float(self.call(client, "GET", "client/balance")["balance"])


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Chained, Chained]]:
    both = []
    done = manage(tmp_path, "migrate", "--verbosity=0", seconds=300)  # once for both
    assert done.returncode == 0, done.stderr
    for name, options in (("up", ()), ("down", ("--no-sandbox",))):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(tmp_path / "tarishi.sqlite3", folder)
        one = Chained(folder)
        one.start(*options)
        both.append(one)
    try:
        for one in both:
            one.wait_until_ready(400)
        yield both[0], both[1]
    finally:
        for one in both:
            if one.process:
                one.process.terminate()  # both first: one that is slow to end must not leave the other behind
        for one in both:
            if one.process:
                one.process.wait(timeout=60)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_message_goes_down_and_its_report_comes_up_with_the_money_right_on_both(
    pair: tuple[Chained, Chained],
) -> None:
    up, down = pair
    buyer = up.open_client(100, "1")  # what the reseller pays
    customer = down.open_client(50, "2.5")  # what its own customer pays
    setup = CONNECT.format(
        url=f"http://127.0.0.1:{up.port}", client=str(buyer["client_id"]), key=buyer["api_key"], secret=SECRET
    )
    token = down.run("shell", "-c", setup).partition("TOKEN ")[2].split()[0]
    hook = f"http://127.0.0.1:{down.port}/callbacks/native/{token}/events"
    up.call(buyer, "POST", "webhooks", {"url": hook, "events": ["*"], "secret": SECRET})

    def send(number: str) -> str:
        wire = {"channel": "sms", "recipient": number, "sender": "ACME", "body": "Habari"}
        return str(down.call(customer, "POST", "messages/send", wire)["message_id"])

    def ended(message_id: str) -> dict[str, Any] | None:
        found = down.call(customer, "GET", f"sms/status/{message_id}")
        return found if found["status"] in ("delivered", "failed") else None

    first, second = send("254711000001"), send("254700001006")
    arrived = wait_for(lambda: ended(first), 90, "the report of the first message")
    lost = wait_for(lambda: ended(second), 90, "the report of the second message")

    assert arrived["status"] == "delivered"
    assert (lost["status"], lost["error_code"]) == ("failed", "unknown_subscriber")
    there = up.call(buyer, "GET", "sms/history")["data"]
    assert {row["recipient"]: row["status"] for row in there} == {"254700001006": "failed", "254711000001": "delivered"}
    assert len(there) == 2
    assert up.get("/sandbox/stats", up.sandbox_port)[1]["duplicates"] == 0
    assert (up.balance(buyer), down.balance(customer)) == (99.0, 47.5)  # one message each; the failed one gave back
    for one in pair:
        one.run("reconcile")  # exits 1 at any difference
