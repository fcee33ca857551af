"""GUARANTEES.md, "Surviving failure": twenty times kill -9 under load, and every message counted at the carrier.

Asked for by `make test-long`; SURVIVAL_ROUNDS (20) and SURVIVAL_DATABASE (a URL of a PostgreSQL server; without it
SQLite) choose more or less of it. The figures are printed, and appended to the file that SURVIVAL_REPORT names.
"""

import json
import os
import random
import signal
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.factories import PASSWORD
from tests.ops.installation import Installation, manage, wait_for

ROUNDS = int(os.environ.get("SURVIVAL_ROUNDS", "20"))
SERVER = os.environ.get("SURVIVAL_DATABASE", "")
CREDIT, PRICE = 1_000_000, "1"
VICTIMS = ("worker --queue main", "worker --queue heavy", "crm.wsgi:application")
STEADY = (7.0, 10.0)  # seconds between two kills: a part that dies often is started again after doubling waits


class Doomed(Installation):
    """An installation on the database that the run asks for."""

    def __init__(self, folder: Path, **extra: str) -> None:
        super().__init__(folder)
        self.extra = extra

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | self.extra

    def run(self, *words: str) -> str:
        ports = {"PORT": str(self.port), "SANDBOX_PORT": str(self.sandbox_port)}
        done = manage(self.folder, *words, **ports, **self.extra)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def carried(self) -> int:
        """Messages that the carrier has accepted so far."""
        return int((self.get("/sandbox/stats", self.sandbox_port)[1] or {}).get("accepted_messages", 0))


@dataclass
class Caller:
    """A client program that never gives up: each send has a key of its own and is repeated until it was answered."""

    url: str
    api_key: str
    stop: threading.Event = field(default_factory=threading.Event)
    accepted: list[str] = field(default_factory=list)
    repeated: int = 0
    refused: list[str] = field(default_factory=list)

    def run(self, number: int) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        draw = random.Random(number)  # noqa: S311 - numbers to send to, no secret
        while not self.stop.is_set():
            wire = {"channel": "sms", "recipient": f"2547{draw.randrange(10**8):08}", "sender": "ACME"}
            wire["body"] = f"Habari {uuid.uuid4().hex}"
            self._until_answered(opener, json.dumps(wire).encode(), uuid.uuid4().hex)
            time.sleep(0.02)

    def _until_answered(self, opener: urllib.request.OpenerDirector, body: bytes, key: str) -> None:
        headers = {"X-API-KEY": self.api_key, "Content-Type": "application/json", "Idempotency-Key": key}
        for attempt in range(600):
            try:
                with opener.open(urllib.request.Request(self.url, data=body, headers=headers), timeout=30) as answer:
                    self.accepted.append(json.load(answer)["message_id"])
                    return
            except urllib.error.HTTPError as error:
                if error.code not in (409, 429, 502, 503, 504):
                    self.refused.append(f"{error.code} {error.read()[:200]!r}")
                    return
            except (OSError, ValueError):
                pass  # nobody there, or an answer cut in the middle: whether it was taken is what the key finds out
            self.repeated += attempt == 0
            time.sleep(0.1)


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[Doomed]:
    extra = {}
    name = f"survival_{uuid.uuid4().hex[:10]}"
    if SERVER:
        with psycopg.connect(SERVER, autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{name}"')
        extra["DATABASE_URL"] = f"{SERVER.rpartition('/')[0]}/{name}"
    one = Doomed(tmp_path, **extra)
    try:
        with one.running():
            yield one
    finally:
        if SERVER:
            with psycopg.connect(SERVER, autocommit=True) as server:
                server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_twenty_times_kill_9_lose_nothing_and_double_nothing(doomed: Doomed) -> None:
    client = json.loads(
        doomed.run(
            "createclient", "--name", "Acme", "--email", "amina@acme.test", "--password", PASSWORD, "--json",
            "--sender-id", "ACME", "--credit", str(CREDIT), "--price-per-unit", PRICE, "--rate-limit", "1000000",
        )
    )  # fmt: skip
    caller = Caller(f"http://127.0.0.1:{doomed.port}/api/{client['client_id']}/messages/send", client["api_key"])
    threads = [threading.Thread(target=caller.run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    recoveries: list[float] = []
    try:
        wait_for(lambda: doomed.carried() > 20, 60, "the first messages to leave")
        for turn in range(ROUNDS):
            time.sleep(random.uniform(*STEADY))  # noqa: S311
            recoveries.append(_kill(doomed, VICTIMS[turn % len(VICTIMS)]))
    finally:
        caller.stop.set()
        for thread in threads:
            thread.join(90)
    assert caller.refused == []

    figures = wait_for(lambda: _settled(doomed, client), 240, "every message in a last state")
    doomed.run("reconcile")  # fails on any difference
    report = {
        "database": "PostgreSQL" if SERVER else "SQLite",
        "kills": ROUNDS,
        "accepted": len(caller.accepted),
        "sends repeated by the client after a cut connection": caller.repeated,
        "lost": len(set(caller.accepted)) - figures["kept"],
        "accepted twice under one key": len(caller.accepted) - len(set(caller.accepted)),
        "sent twice (the carrier's count)": figures["duplicates"],
        "still unconfirmed": figures["unconfirmed"],
        "slowest recovery, s": round(max(recoveries), 1),
    }
    _tell(report)
    assert report["lost"] == report["accepted twice under one key"] == report["sent twice (the carrier's count)"] == 0
    assert figures["kept"] == len(caller.accepted)
    # Billed once each: what is gone from the wallet is the price of what was accepted, less what failed and came back.
    assert CREDIT - figures["balance"] == figures["kept"] - figures["failed"]


def _kill(doomed: Doomed, words: str) -> float:
    """Seconds from kill -9 of one such process until the carrier gets a message again."""
    victim = next(pid for pid, line in doomed.family().items() if words in line)
    os.kill(victim, signal.SIGKILL)
    began, before = time.monotonic(), doomed.carried()
    wait_for(lambda: doomed.carried() > before + 5, 60, f"messages to leave after the end of {words}")
    return time.monotonic() - began


def _settled(doomed: Doomed, client: dict[str, Any]) -> dict[str, Any] | None:
    """The database's and the carrier's figures once nothing is on its way; None until then."""
    code = (
        "from messaging.models import Message\nfrom wallet.models import Wallet\nimport json\n"
        "from django.db.models import Count, Q\n"
        f"mine = Message.objects.for_client({client['client_id']})\n"
        "found = mine.aggregate(kept=Count('pk'), failed=Count('pk', Q(status='failed')),"
        " unconfirmed=Count('pk', Q(unconfirmed=True)), open=Count('pk', ~Q(status__in=['delivered', 'failed'])))\n"
        f"found['balance'] = Wallet.objects.for_client({client['client_id']}).get().balance_micros / 1_000_000\n"
        "print('FIGURES', json.dumps(found))"
    )
    found: dict[str, Any] = json.loads(doomed.run("shell", "-c", code).partition("FIGURES ")[2])
    if found["open"] - found["unconfirmed"] > 0:
        time.sleep(3)
        return None
    stats = doomed.get("/sandbox/stats", doomed.sandbox_port)[1]
    return found | {"duplicates": stats["duplicates"]}


def _tell(report: dict[str, Any]) -> None:
    words = "\n".join(f"{name}: {value}" for name, value in report.items())
    print(words)  # noqa: T201 - the figures are what the run is for
    if name := os.environ.get("SURVIVAL_REPORT", ""):
        with Path(name).open("a") as file:
            file.write(words + "\n\n")
