"""Counting calls (GUARANTEES.md L1): exact under concurrency, a fresh start each minute."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from celery import current_app
from django.db import connection

from accounts.models import RateCounter
from accounts.services import rates
from accounts.services.rates import count_call, forget_old_counters
from accounts.tasks import sweep
from tests.clock import wait_for_room_in_the_minute


@pytest.fixture(params=["database", "cache"])
def store(request, settings):
    """Both stores; Redis only where the run has one."""
    if request.param == "database":
        settings.CACHE_URL = ""
    elif not settings.CACHE_URL:
        pytest.skip("needs CACHE_URL")
    return request.param


@pytest.mark.django_db
def test_calls_are_counted_by_name(store):
    wait_for_room_in_the_minute()
    counted = [count_call(name="native:1", limit=2) for _ in range(3)]
    assert [rate.calls for rate in counted] == [1, 2, 3]
    assert [rate.remaining for rate in counted] == [1, 0, 0]
    assert [rate.is_exceeded for rate in counted] == [False, False, True]
    assert all(1 <= rate.seconds_left <= 60 for rate in counted)
    assert count_call(name="native:2", limit=2).calls == 1
    assert count_call(name="status:1", limit=2).calls == 1


@pytest.mark.django_db(transaction=True)
def test_L1_exactly_the_limit_passes_under_concurrency(store):
    def call(_):
        try:
            return count_call(name="native:7", limit=20).is_exceeded
        finally:
            connection.close()

    wait_for_room_in_the_minute()
    with ThreadPoolExecutor(8) as pool:
        refused = list(pool.map(call, range(50)))
    assert refused.count(False) == 20


@pytest.mark.django_db
def test_a_new_minute_starts_from_nothing(settings):
    settings.CACHE_URL = ""
    for _ in range(3):
        count_call(name="native:1", limit=2)
    counter = RateCounter.objects.get()
    RateCounter.objects.update(minute=counter.minute - 1)
    assert count_call(name="native:1", limit=2).calls == 1
    assert RateCounter.objects.get().minute in (counter.minute, counter.minute + 1)


@pytest.mark.django_db
def test_L1_a_cache_that_is_down_lets_nothing_through_uncounted(settings, monkeypatch):
    settings.CACHE_URL = "redis://127.0.0.1:1/0"

    def broken(*args, **kwargs):
        raise ConnectionError

    monkeypatch.setattr(rates, "cache", SimpleNamespace(add=broken))
    counted = [count_call(name="native:1", limit=1).is_exceeded for _ in range(2)]
    assert counted == [False, True]


@pytest.mark.django_db
def test_old_counters_are_swept_and_fresh_ones_stay(settings):
    settings.CACHE_URL = ""
    count_call(name="native:1", limit=2)
    count_call(name="native:2", limit=2)
    old = RateCounter.objects.get(name="native:1")
    RateCounter.objects.filter(name=old.name).update(minute=old.minute - 61)
    assert forget_old_counters() == 1
    assert list(RateCounter.objects.values_list("name", flat=True)) == ["native:2"]
    sweep()
    assert RateCounter.objects.count() == 1
    assert "accounts.sweep" in {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert "accounts.sweep" in current_app.tasks


@pytest.mark.django_db(transaction=True)
def test_counting_leaves_the_safety_of_other_commits_as_it_was(settings):
    settings.CACHE_URL = ""
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite waits less for a count")

    def level():
        with connection.cursor() as cursor:
            return cursor.execute("PRAGMA synchronous").fetchone()[0]

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous = FULL")  # as it is outside tests
    assert level() == 2
    count_call(name="native:1", limit=2)
    assert level() == 2
    assert not connection.in_atomic_block
    connection.close()
    assert RateCounter.objects.get().calls == 1
