"""`manage.py serve` for real: what a newcomer sees, what survives, and that nothing is left behind."""

import contextlib
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ops.installation import Installation, alive, manage, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("serve")]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    if made.process and made.process.poll() is None:
        left = made.family()
        made.process.kill()
        made.process.wait()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_first_start_serves_a_newcomer_and_later_starts_keep_the_data(installation: Installation) -> None:
    installation.start()
    said = installation.wait_until_ready()

    status, health = installation.get("/api/health")
    assert status == 200
    assert health["checks"] == {"database": "ok", "broker": "ok", "worker": "ok"}
    access = json.loads((installation.folder / "demo.json").read_text())
    assert stat.S_IMODE((installation.folder / "demo.json").stat().st_mode) == 0o600
    assert access["api_key"] in said
    assert access["password"] in said
    assert f"curl -X POST http://127.0.0.1:{installation.port}/api/{access['client_id']}/messages/send" in said
    callbacks = installation.get("/sandbox/callbacks", port=installation.sandbox_port)[1]
    assert callbacks["*"]["delivery"].startswith(f"http://127.0.0.1:{installation.port}/callbacks/africastalking/")
    assert callbacks["*"]["optout"].endswith("/optout")

    # Who forks the others never opens the database: locks of SQLite do not survive that.
    if sys.platform.startswith("linux"):
        supervisor = Path(f"/proc/{installation.process.pid}")
        opened = [os.path.basename(os.readlink(each)) for each in (supervisor / "fd").iterdir()]
        assert "serve.lock" in opened
        assert not [name for name in opened if "sqlite3" in name]
        assert len(list((supervisor / "task").iterdir())) == 1

    # A worker that dies is replaced, and only it.
    wait_for(lambda: not any("--greet" in words for words in installation.family().values()), 5, "the greeting to end")
    before = alive(installation.family())
    worker = next(pid for pid, words in before.items() if words.endswith("worker --queue main"))
    os.kill(worker, signal.SIGKILL)
    wait_for(
        lambda: any(p not in before and w.endswith("worker --queue main") for p, w in installation.family().items()),
        10,
        "a new worker",
    )
    assert alive(before).keys() == before.keys() - {worker}

    # SIGTERM ends all of it, in time and without a fuss.
    family = installation.family()
    assert len(family) >= 6  # web and its two processes, two workers, the sandbox
    code, seconds = installation.stop(signal.SIGTERM)
    assert code == 0
    assert seconds < 6
    assert alive(family) == {}
    assert "Traceback" not in installation.log.read_text()

    # The second start is quick, keeps the client and its key, and follows the sandbox to another port.
    installation.sandbox_port += 1
    installation.start()
    again = installation.wait_until_ready(30)
    assert access["api_key"] in again
    assert "Made a demo client" not in again
    assert "Preparing the database" not in again

    # kill -9 of the supervisor leaves nothing behind, where the kernel can promise that.
    if sys.platform.startswith("linux"):
        family = installation.family()
        installation.stop(signal.SIGKILL)
        wait_for(lambda: not alive(family), 10, f"all children gone, but {alive(family)}")


def test_a_taken_port_is_said_in_one_sentence(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", installation.port)):
        refused = manage(installation.folder, "serve", PORT=str(installation.port))
    assert refused.returncode == 1
    assert f"Port {installation.port} on 127.0.0.1 cannot be used" in refused.stderr
    assert f"PORT={installation.port + 10} make run" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (installation.folder / "tarishi.sqlite3").exists()  # nothing was begun


def test_one_folder_has_one_supervisor(tmp_path: Path) -> None:
    from crm.management.commands.serve import take_lock

    with take_lock(tmp_path / "serve.lock"):
        refused = manage(tmp_path, "serve")
    assert refused.returncode == 1
    assert f"already runs from {tmp_path} (process {os.getpid()})" in refused.stderr


def test_an_unreachable_database_is_said_in_one_sentence(tmp_path: Path) -> None:
    url = "postgres://nobody@127.0.0.1:1/none"
    refused = manage(tmp_path, "serve", "--no-sandbox", DATABASE_URL=url, PORT="0")
    assert refused.returncode == 1
    assert "The database cannot be reached or used" in refused.stderr
    assert "Traceback" not in refused.stderr
