"""The sandbox as a process: alone, quick to stop, and careful with its data."""

import socket
import subprocess
import sys
import threading
import time

import requests

from tests.sandbox_process import ROOT, running_sandbox


def test_it_shares_no_code_with_the_product():
    script = "import crm.sandbox.__main__, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    product = ("crm.settings", "crm.common", "crm.celery", "accounts", "contacts", "wallet", "messaging", "celery")

    assert not [name for name in loaded.stdout.split() if name.startswith(product)]


def test_a_signal_stops_it_at_once_whatever_hangs(tmp_path):
    with running_sandbox(tmp_path / "new" / "folder" / "sandbox.sqlite3") as sandbox:
        sandbox.set_callbacks(delivery="http://127.0.0.1:9/nobody")
        sandbox.set_faults(hang_after=1, report_delay=0)
        form = {"username": "acme", "to": "+254711000001", "message": "Habari"}

        def hang():
            try:
                requests.post(f"{sandbox.base_url}/version1/messaging", data=form, headers={"apiKey": "any"}, timeout=9)
            except requests.ConnectionError:
                ended.append(True)

        ended: list[bool] = []
        waiting = threading.Thread(target=hang)
        waiting.start()
        idle = socket.create_connection(("127.0.0.1", int(sandbox.base_url.rpartition(":")[2])))
        sandbox.wait_for(lambda stats: stats["reports_refused_attempts"])

        assert sandbox.stop() < 2
        assert sandbox.process.returncode == 0
        waiting.join(2)
        assert ended == [True]
        idle.close()


def test_a_taken_port_is_said_in_a_sentence(sandbox, tmp_path):
    port = sandbox.base_url.rpartition(":")[2]
    command = [sys.executable, "-m", "crm.sandbox", "--port", port, "--data", str(tmp_path / "x.sqlite3")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)

    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_forgetting_drops_the_reports_still_owed(sandbox):
    sandbox.set_faults(report_delay=600, intermediate_reports=0)
    form = {"username": "acme", "to": "+254711000001", "message": "Habari"}
    requests.post(f"{sandbox.base_url}/version1/messaging", data=form, headers={"apiKey": "any"}, timeout=5)
    assert sandbox.stats()["reports_waiting"] == 1

    sandbox.call("DELETE", "messages")
    time.sleep(0.1)

    stats = sandbox.stats()
    assert (stats["accepted_messages"], stats["reports_waiting"]) == (0, 0)
