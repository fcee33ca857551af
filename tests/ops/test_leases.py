"""One of many processes keeps the schedule (crm/leases.py, crm/worker.py)."""

import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.db.models import F

from crm import leases, worker
from crm.celery import app
from crm.common import wake
from crm.models import Lease


@pytest.mark.django_db
def test_a_duty_has_one_owner_who_may_renew_it() -> None:
    assert leases.hold("schedule", "one")
    assert not leases.hold("schedule", "two")
    assert leases.hold("schedule", "one")
    assert leases.hold("other", "two")
    assert leases.holder_of("schedule") == "one"


@pytest.mark.django_db
def test_a_duty_that_was_given_up_or_ran_out_is_free() -> None:
    leases.hold("schedule", "one")
    leases.release("schedule", "two")  # not its to give
    assert leases.holder_of("schedule") == "one"
    leases.release("schedule", "one")
    assert leases.holder_of("schedule") == ""
    leases.hold("schedule", "two")
    Lease.objects.update(until=F("until") - timedelta(seconds=leases.SECONDS + 1))
    assert leases.holder_of("schedule") == ""
    assert leases.hold("schedule", "three")
    assert not leases.hold("schedule", "two")


@pytest.mark.django_db(transaction=True)
def test_of_many_that_ask_at_once_one_gets_it() -> None:
    start, got = threading.Barrier(8), []

    def ask(number: int) -> None:
        try:
            start.wait(10)
            if leases.hold("schedule", f"process {number}"):
                got.append(number)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert leases.holder_of("schedule") == f"process {got[0]}"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(wake, "send_now", lambda task, *args, **options: bool(names.append(task)) or True)
    return names


def _run_round(schedule: worker.LeasedSchedule) -> None:
    schedule._asked_at = float("-inf")
    while schedule.tick() == 0:
        pass


@pytest.mark.django_db(transaction=True)
def test_a_second_schedule_waits_and_takes_over_with_all_entries_due(sent: list[str]) -> None:
    first, second = worker.LeasedSchedule(app), worker.LeasedSchedule(app)
    everything = sorted(entry["task"] for entry in app.conf.beat_schedule.values())
    _run_round(first)
    assert sorted(sent) == everything
    _run_round(second)
    assert sorted(sent) == everything, "two schedules at once"
    first.hand_over()
    sent.clear()
    _run_round(second)
    assert sorted(sent) == everything
    sent.clear()
    _run_round(first)
    assert sent == []


@pytest.mark.django_db
def test_without_the_database_nobody_keeps_the_schedule(sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = worker.LeasedSchedule(app)

    def fail(*args: object, **kwargs: object) -> bool:
        raise DatabaseError("away")

    monkeypatch.setattr(worker, "close_old_connections", lambda: None)
    monkeypatch.setattr(leases, "hold", fail)
    assert schedule.tick() == schedule.WAIT_SECONDS
    assert sent == []
