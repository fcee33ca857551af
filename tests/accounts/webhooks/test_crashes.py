"""A deliverer killed in the middle loses nothing: what it held is delivered by another, at least once (W1)."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from django.db import connection

from accounts.models import DeliveryState
from accounts.services.events import record_events
from crm.common.sql import later_sql
from tests.accounts.webhooks.conftest import attempts, deliver, deliveries, make_endpoint, run_sql

EVENTS = 60
CHILD = """
import sys
import django
django.setup()
from django.conf import settings
from django.db import connection
connection.settings_dict["NAME"] = sys.argv[1]
settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
from accounts.delivery.loop import Deliverer
Deliverer(stop=lambda: False).run()
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("open_doors")
@pytest.mark.parametrize("kill_after", [1, 20])
def test_W1_kill_9_in_the_middle_loses_no_event(acme, receiver, kill_after):
    endpoint = make_endpoint(acme, receiver.url("/slow")).endpoint
    record_events(acme.pk, [("topup.failed", {"transaction_id": f"T{n}"}) for n in range(EVENTS)])
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "crm.settings", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    environment.pop("PYTEST_VERSION", None)
    name = str(connection.settings_dict["NAME"])
    child = subprocess.Popen([sys.executable, "-c", CHILD, name], env=environment)
    deadline = time.monotonic() + 40
    while len(receiver.got) < kill_after and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = len(receiver.got)
    assert kill_after <= before < EVENTS
    assert any(row.state == DeliveryState.WAITING for row in deliveries(endpoint))
    assert deliver() == 0  # its lease still holds
    run_sql(f"UPDATE accounts_webhookendpoint SET lease_until = {later_sql(-1)}")
    deliver()
    rows = deliveries(endpoint)
    assert all(row.state == DeliveryState.DELIVERED for row in rows)
    received = Counter(got.headers["webhook-id"] for got in receiver.got)
    assert set(received) == {row.event_id for row in rows}
    assert sum(count - 1 for count in received.values()) <= 8  # what was in flight or not yet recorded
    assert all(len(attempts(row)) == row.attempts == 1 for row in rows)
