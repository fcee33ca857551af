"""A campaign to many with merge fields, paused, resumed, its worker killed twice: counted at the carrier.

Asked for by `make test-long`. CAMPAIGN_PEOPLE (5,000) says how many; SURVIVAL_DATABASE and SURVIVAL_REPORT as in
test_survival.py. Nobody is reached twice, by the carrier's own record of what came to which number; who is not reached
is known by number; and the wallet has paid for exactly the parts that the carrier counted.
"""

import json
import os
import signal
import sqlite3
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.factories import PASSWORD
from tests.ops import test_survival
from tests.ops.installation import wait_for
from tests.ops.test_survival import Doomed

doomed = test_survival.doomed  # the fixture
PEOPLE = int(os.environ.get("CAMPAIGN_PEOPLE", "5000"))
PRICE = Decimal("0.37")
CREDIT = PEOPLE * 2
SENDER = "worker --queue main"
TEXT = "Habari {first_name|mteja}, salio lako la ada ni KES {Balance|0}. Tafadhali lipa kabla ya Ijumaa. Shule ya Acme."
# One in fifty has a name outside the standard SMS alphabet: the same text then takes two parts.
NAMES = ["Amina", "Baraka", "Juma", "Zawadi", "Neema"]


@dataclass
class Api:
    """The native API of one client."""

    url: str
    key: str

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-API-KEY": self.key, "Content-Type": "application/json"},
            method=method,
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=300) as answer:
            found = json.load(answer)
        return found.get("data", found)


def _number(index: int) -> str:
    return f"2547{10_000_000 + index}"


def _name(index: int) -> str:
    return f"Aïssatou{index}" if index % 50 == 7 else f"{NAMES[index % 5]}{index}"


def _book(path: Path) -> Path:
    rows = [f"{_name(n)} Otieno,+{_number(n)},{n % 1000}.50" for n in range(PEOPLE)]
    path.write_text("Name,Phone,Balance\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def _carried(folder: Path) -> sqlite3.Connection:
    """The carrier's own record, to be read only."""
    return sqlite3.connect(f"file:{folder / 'sandbox.sqlite3'}?mode=ro", uri=True)


def _kill_the_sender(doomed: Doomed) -> float:
    """Seconds from the end of the process that sends until the carrier gets messages again."""
    victim = next(pid for pid, line in doomed.family().items() if SENDER in line)
    os.kill(victim, signal.SIGKILL)
    began, before = time.monotonic(), doomed.carried()
    wait_for(lambda: doomed.carried() > before + 5, 90, "messages to leave after the sender was killed")
    return time.monotonic() - began


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_D9_paused_resumed_and_killed_twice_each_person_is_reached_once_to_the_cent(
    doomed: Doomed,
    tmp_path: Path,
) -> None:
    client = json.loads(
        doomed.run(
            "createclient", "--name", "Acme", "--email", "amina@acme.test", "--password", PASSWORD, "--json",
            "--sender-id", "ACME", "--credit", str(CREDIT), "--price-per-unit", str(PRICE), "--rate-limit", "1000000",
        )
    )  # fmt: skip
    api = Api(f"http://127.0.0.1:{doomed.port}/api/{client['client_id']}", client["api_key"])
    began = time.monotonic()
    doomed.run(
        "loadcontacts", str(_book(tmp_path / "book.csv")), "--client", str(client["client_id"]), "--group", "All"
    )
    loaded = time.monotonic() - began
    (group,) = [row["id"] for row in api("GET", "contacts/groups") if row["name"] == "All"]
    draft = api("POST", "campaigns", {"name": "Fees", "message": TEXT, "groups": [group], "sender": "ACME"})["id"]

    began = time.monotonic()
    quote = wait_for(lambda: _estimate(api, draft), 120, "a worker to have counted everybody")
    reviewed = time.monotonic() - began
    wide = len([n for n in range(PEOPLE) if n % 50 == 7])
    assert (quote["recipients"], quote["units"], quote["problems"]) == (PEOPLE, PEOPLE + wide, [])
    cost = (PEOPLE + wide) * PRICE
    assert Decimal(str(quote["cost"])) == cost

    began = time.monotonic()
    api("POST", f"campaigns/{draft}/send", {"expected_recipients": PEOPLE, "expected_cost": str(cost)})
    wait_for(lambda: doomed.carried() > PEOPLE // 20, 120, "the first messages to leave")
    recoveries = [_kill_the_sender(doomed)]
    paused = _pause(doomed, api, draft)
    recoveries.append(_kill_the_sender(doomed))
    wait_for(lambda: api("GET", f"campaigns/{draft}")["status"] == "completed", 900, "the campaign to be over")
    took = time.monotonic() - began
    end = wait_for(lambda: _settled(doomed, draft), 900, "every message in a last state, or known to be unconfirmed")

    doomed.run("reconcile")  # fails on any difference
    with _carried(doomed.folder) as carrier:
        came = dict(carrier.execute("SELECT number, COUNT(*) FROM message GROUP BY number"))
        texts = dict(carrier.execute("SELECT number, text FROM message"))
        parts = carrier.execute("SELECT COALESCE(SUM(parts), 0) FROM message WHERE state = 'Success'").fetchone()[0]
    spent = Decimal(str(CREDIT)) - Decimal(str(api("GET", "client/balance")["balance"]))
    unreached = {f"+{_number(n)}" for n in range(PEOPLE)} - set(came)
    test_survival._tell(
        {
            "people": PEOPLE,
            "loaded, s": round(loaded, 1),
            "reviewed, s": round(reviewed, 2),
            "sent, s (with a pause and two kills)": round(took, 1),
            "had left when it was paused": paused,
            "recoveries, s": [round(one, 1) for one in recoveries],
            "reached more than once": sum(times > 1 for times in came.values()),
            "not reached: cut off while being written to the carrier, never sent again blindly": len(unreached),
            "delivered, failed, unconfirmed": [end["delivered"], end["failed"], len(end["unconfirmed"])],
            "spent": str(spent),
        }
    )
    assert set(came.values()) == {1}
    assert unreached <= set(end["unconfirmed"])  # nobody is forgotten: these wait for a word of the carrier (D5)
    for n in (0, 7, PEOPLE - 1):
        if (number := f"+{_number(n)}") in texts:
            assert texts[number].startswith(f"Habari {_name(n)}, salio lako la ada ni KES {n % 1000}.50.")
    assert end["delivered"] + end["failed"] + len(end["unconfirmed"]) == PEOPLE
    # To the cent: what the carrier delivered, and what nobody can say of yet, at one price for each part.
    assert spent == (parts + end["unconfirmed_units"]) * PRICE


def _estimate(api: Api, draft: int) -> Any:
    """What the draft comes to; None while a worker counts, which is answered by 409."""
    try:
        return api("GET", f"campaigns/{draft}/estimate")
    except urllib.error.HTTPError as error:
        if error.code != 409:
            raise
        return None


def _pause(doomed: Doomed, api: Api, draft: int) -> int:
    """Pause, see that it stands still after five seconds, resume; returns how many had left."""
    api("POST", f"campaigns/{draft}/pause", {})
    time.sleep(5)
    still = doomed.carried()
    assert still < PEOPLE, "it was over before it could be paused: ask for more people"
    time.sleep(5)
    assert doomed.carried() == still
    assert api("GET", f"campaigns/{draft}")["status"] == "paused"
    api("POST", f"campaigns/{draft}/resume", {})
    wait_for(lambda: doomed.carried() > still, 60, "messages to leave after resuming")
    return still


def _settled(doomed: Doomed, draft: int) -> dict[str, Any] | None:
    """The messages once each is delivered, failed, or cut off with no word from the carrier; None until then.

    A word on one whose answer was lost finds its message once that is known to be lost, and is looked at again by then.
    """
    code = (
        "from messaging.models import Message, ProviderCallback\nimport json\n"
        "from django.db.models import Count, Q, Sum\n"
        f"mine = Message.objects.unscoped().filter(campaign_id={draft})\n"
        "lost = mine.filter(unconfirmed=True).exclude(status__in=['delivered', 'failed'])\n"
        "found = mine.aggregate(delivered=Count('pk', Q(status='delivered')), failed=Count('pk', Q(status='failed')))\n"
        "found['unconfirmed'] = list(lost.values_list('recipient', flat=True))\n"
        "found['unconfirmed_units'] = lost.aggregate(n=Sum('units'))['n'] or 0\n"
        "found['all'] = mine.count()\n"
        "found['words'] = ProviderCallback.objects.filter(processed_at=None).count()\n"
        "print('FIGURES', json.dumps(found))"
    )
    found: dict[str, Any] = json.loads(doomed.run("shell", "-c", code).partition("FIGURES ")[2])
    if found["words"] or found["delivered"] + found["failed"] + len(found["unconfirmed"]) < found["all"]:
        time.sleep(3)
        return None
    return found
