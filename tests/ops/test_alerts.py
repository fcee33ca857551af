"""A fault that is injected into a running installation: the figure that a rule reads crosses its line within a minute,
`doctor` names the cause, and both are well again after it."""

import json
import operator
import os
import re
import secrets
import signal
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests import schema
from tests.ops.installation import ROOT, Installation, manage, own_environment, wait_for

TOKEN = "t0ken-of-the-scraper"
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
}
_SIMPLE = re.compile(r"(tarishi_\w+) (==|>) ([0-9.]+)")
_COMPARE: dict[str, Callable[[float, float], bool]] = {"==": operator.eq, ">": operator.gt}
MINUTE = 60


class Watched(Installation):
    """It lets its figures be read, and its sandbox can be told to fail."""

    @property
    def environment(self) -> dict[str, str]:
        return own_environment(
            self.folder, PORT=str(self.port), SANDBOX_PORT=str(self.sandbox_port), METRICS_TOKEN=TOKEN
        )

    def ask(self, method: str, url: str, body: Any = None, **headers: str) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return bytes(answer.read())

    def dial(self, **faults: float) -> None:
        self.ask("PUT", f"http://127.0.0.1:{self.sandbox_port}/sandbox/faults", {"username": "*", **faults})

    def figures(self) -> list[tuple[str, float]]:
        """Each line of /metrics: name with labels, and value."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        text = self.ask("GET", url, Authorization=f"Bearer {TOKEN}").decode()
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return [(name, float(value)) for name, _, value in lines]

    def fires(self, alert: str, label: str = "") -> bool:
        """Whether the figure of a rule is over its line now, where `label` is among its labels."""
        found = _SIMPLE.fullmatch(RULES[alert]["expr"])
        assert found, f"{alert} is more than a comparison"
        name, sign, line = found[1], _COMPARE[found[2]], float(found[3])
        values = [value for words, value in self.figures() if words.partition("{")[0] == name and label in words]
        assert values, f"nobody tells {name}"
        return any(sign(value, line) for value in values)

    def doctor(self, words: str = "") -> str:
        """What the doctor says; "" where `words` are not in it."""
        ports = {name: self.environment[name] for name in ("PORT", "SANDBOX_PORT")}
        said = manage(self.folder, "doctor", **ports).stdout
        return said if words in said else ""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    one = Watched(tmp_path_factory.mktemp("watched"))
    schema.copy_to(one.folder / "tarishi.sqlite3")  # where a test before this one made it
    with one.running():
        yield one


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_provider_that_fails_shows_on_the_board_and_the_doctor_says_why(running: Watched) -> None:
    ports = {name: running.environment[name] for name in ("PORT", "SANDBOX_PORT")}
    made = manage(
        running.folder, "createclient", "--name", "Acme", "--email", "amina@acme.test", "--password",
        secrets.token_hex(12), "--credit", "1000", "--price-per-unit", "1", "--sender-id", "ACME",
        "--json", **ports,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    acme = json.loads(made.stdout.splitlines()[-1])
    send = f"http://127.0.0.1:{running.port}/api/{acme['client_id']}/sms/send"
    sandbox = 'account="Sandbox"'
    assert not running.fires("TarishiProviderOut", sandbox)
    assert not running.fires("TarishiQueueOld", sandbox)

    running.dial(throttle=1)
    for number in range(40):
        body = {"recipient": f"+2547110000{number:02}", "sender": "ACME", "message": f"Number {number}"}
        running.ask("POST", send, body, **{"X-API-KEY": acme["api_key"]})
    wait_for(lambda: running.fires("TarishiProviderOut", sandbox), MINUTE, "the provider is out of use on the board")
    wait_for(lambda: running.fires("TarishiQueueOld", sandbox), MINUTE + 15, "its queue is old on the board")
    said = wait_for(lambda: running.doctor("the account is out of use"), 90, "the doctor names the cause")
    assert "FAULT queue of “Sandbox”: 40 waiting" in said
    assert "the account is out of use: HTTP 429" in said

    running.dial(throttle=0)
    wait_for(lambda: not running.fires("TarishiQueueOld", sandbox), 400, "the queue is empty again")
    wait_for(lambda: not running.fires("TarishiProviderOut", sandbox), 60, "the provider is in use again")
    assert "queue of “Sandbox”" not in running.doctor()
    assert running.get("/sandbox/stats", running.sandbox_port)[1]["duplicates"] == 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_worker_that_is_gone_shows_on_the_board_and_the_doctor_says_what_to_start(running: Watched) -> None:
    heavy = 'queue="heavy"'
    assert not running.fires("TarishiWorkerSilent", heavy)
    (worker,) = [pid for pid, words in running.family().items() if words.endswith("worker --queue heavy")]
    os.kill(worker, signal.SIGSTOP)  # frozen: one that is killed is started again
    try:
        wait_for(lambda: running.fires("TarishiWorkerSilent", heavy), MINUTE, "the worker is silent on the board")
        said = running.doctor()
    finally:
        os.kill(worker, signal.SIGCONT)
    wait_for(lambda: not running.fires("TarishiWorkerSilent", heavy), MINUTE, "it works again")
    assert re.search(r"FAULT heavy worker: silent for \d+ s", said), said
    assert "Start it: python manage.py worker --queue heavy" in said
