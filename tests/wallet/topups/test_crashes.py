"""A process killed anywhere within the settlement leaves it undone or done, never half; the next one finishes it."""

import os
import subprocess
import sys

import pytest
from django.db import connection

from tests.factories import make_client
from tests.sandbox_process import ROOT
from tests.wallet.topups.test_orders import AMOUNT, notice
from tests.wallet.topups.world import PHONE, make_account
from wallet import queries
from wallet.models import LedgerEntry
from wallet.payments.base import Finding, Prompted
from wallet.payments.mpesa import Mpesa
from wallet.topups.arriving import take_notice
from wallet.topups.comparing import credit_differences
from wallet.topups.settling import settle_top_up
from wallet.topups.starting import record_prompted, start_top_up

POINTS = ["before-query", "after-answer", "after-state", "after-entry", "before-commit"]


@pytest.mark.parametrize("point", POINTS)
def test_K_killed_while_settling(transactional_db, monkeypatch, point):
    make_account(base_url="http://127.0.0.1:9")
    started = start_top_up(client=make_client(), amount=AMOUNT, phone=PHONE)
    record_prompted(top_up_id=started.top_up.pk, prompted=Prompted("accepted", "m-1", "ws_CO_1"))
    take_notice(token=started.token, body=notice("m-1", "ws_CO_1", 0), address="")
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_VERSION"}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.wallet.topups.crash_driver", point, str(started.top_up.pk)],
        cwd=ROOT,
        env=environment | {"CRASH_DATABASE": str(connection.settings_dict["NAME"])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 9, ended.stderr[-2000:]

    started.top_up.refresh_from_db()
    entries = LedgerEntry.objects.for_client(started.top_up.client)
    assert (started.top_up.state, entries.count()) == ("pending", 0)
    monkeypatch.setattr(Mpesa, "find", lambda *_: Finding("ended", "0", "words"))
    for _ in range(2):
        settle_top_up(top_up_id=started.top_up.pk)
    started.top_up.refresh_from_db()
    assert (started.top_up.state, entries.count()) == ("completed", 1)
    assert queries.balance_of(started.top_up.client_id).balance == AMOUNT
    assert credit_differences() == queries.check_wallets() == []
