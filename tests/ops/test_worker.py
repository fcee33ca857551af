"""The worker process: work without a broker, the schedule's first round, stopping in time."""

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from crm import worker
from crm.celery import app
from crm.common import wake
from tests import schema
from tests.ops.installation import ROOT, manage, own_environment, wait_for


@pytest.fixture
def stand_in():
    """A StandIn that knows one slow task; the list of arguments it ran with, and the event that lets it end."""
    ran: list[int] = []
    gate = threading.Event()

    @app.task(name="tests.slow")
    def slow(number: int) -> None:
        ran.append(number)
        assert gate.wait(5)
        if number == 13:
            raise ValueError("unlucky")

    yield worker.StandIn(), ran, gate
    gate.set()
    app.tasks.pop("tests.slow")


def test_a_job_already_under_way_is_not_run_twice_at_once(stand_in) -> None:
    runner, ran, gate = stand_in
    assert runner.run("tests.slow", (1,))
    assert runner.run("tests.slow", (1,))
    assert runner.run("tests.slow", (2,))
    wait_for(lambda: sorted(ran) == [1, 2], 5, "both jobs")
    gate.set()
    wait_for(lambda: not runner._running, 5, "the jobs to end")
    assert runner.run("tests.slow", (1,))
    wait_for(lambda: sorted(ran) == [1, 1, 2], 5, "a later run of the same job")


def test_a_job_that_fails_may_come_again(stand_in) -> None:
    runner, ran, gate = stand_in
    gate.set()
    runner.run("tests.slow", (13,))
    wait_for(lambda: not runner._running, 5, "the failed job to be forgotten")
    runner.run("tests.slow", (13,))
    wait_for(lambda: ran == [13, 13], 5, "the second run")


def test_an_unknown_task_is_left_to_others(stand_in) -> None:
    assert stand_in[0].run("tests.unheard_of", ()) is False


def test_a_broker_that_refuses_hands_the_job_to_the_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple] = []

    def refuse(*args, **kwargs):
        raise OSError("the broker is away")

    monkeypatch.setattr(type(app), "send_task", refuse)
    assert wake.send_now("tests.slow", 7) is False  # a web process: logged, and left to the sweep
    monkeypatch.setattr(wake, "when_broker_is_away", lambda task, args: bool(taken.append((task, args))) or True)
    assert wake.send_now("tests.slow", 7) is True
    assert taken == [("tests.slow", (7,))]


def test_every_scheduled_task_is_known_and_due_at_the_start() -> None:
    app.loader.import_default_modules()
    schedule = worker.EagerStart(app).schedule
    assert {entry.task for entry in schedule.values()} <= set(app.tasks)
    assert all(entry.is_due().is_due for entry in schedule.values())


def test_the_schedule_goes_through_wake_with_its_expiry(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple] = []
    monkeypatch.setattr(wake, "send_now", lambda task, *args, **options: bool(sent.append((task, args, options))))
    schedule = worker.EagerStart(app)
    while schedule.tick() == 0:
        pass
    assert {task for task, _, _ in sent} == {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert all(options["expires"] > 0 for _, _, options in sent)


def test_a_worker_that_is_ready_looks_for_work_whoever_keeps_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(wake, "send_now", lambda task, *args, **options: bool(sent.append(task)))
    worker._look_for_work()
    assert sent == ["messaging.sweep"]
    assert sent[0] in {entry["task"] for entry in app.conf.beat_schedule.values()}


@pytest.mark.slow
def test_D3_queued_messages_leave_while_the_broker_is_down(tmp_path: Path) -> None:
    away = {"CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}
    if not schema.copy_to(tmp_path / "tarishi.sqlite3"):
        for words in (["migrate", "-v0"], ["createcachetable"]):
            assert manage(tmp_path, *words).returncode == 0
    made = manage(
        tmp_path, "createclient", "--name", "Acme", "--email", "amina@acme.test", "--password", "kikombe cha chai 7",
        "--sender-id", "ACME", "--simulation", "--json",
    )  # fmt: skip
    client_id = json.loads(made.stdout)["client_id"]
    accept = (
        "from accounts.models import Client\n"
        "from messaging.services.accept import Draft, accept_messages\n"
        f"client = Client.objects.get(pk={client_id})\n"
        "accept_messages(client=client, drafts=[Draft(recipient='0712345678', text='Habari')])"
    )
    assert manage(tmp_path, "shell", "-c", accept, **away).returncode == 0

    running = subprocess.Popen(
        [sys.executable, "manage.py", "worker"],
        cwd=ROOT, env=own_environment(tmp_path, **away), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip

    def status() -> str:
        with contextlib.closing(sqlite3.connect(tmp_path / "tarishi.sqlite3")) as database:
            return database.execute("SELECT status FROM messaging_message").fetchone()[0]

    try:
        wait_for(lambda: status() in ("sent", "delivered"), 60, "the message to leave")
    finally:
        began = time.monotonic()
        running.send_signal(signal.SIGTERM)
        output = running.communicate(timeout=15)[0]
    assert time.monotonic() - began < worker.GRACE_SECONDS + 2
    assert running.returncode == 0, output
