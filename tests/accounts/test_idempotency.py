"""One effect per Idempotency-Key (GUARANTEES.md I1-I3), with real commits. The effect here is a client's new name."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.utils import timezone

from accounts.errors import IdempotencyKeyReused, RequestInProgress
from accounts.models import Client, IdempotencyRecord
from accounts.services.idempotency import answer_once, forget_expired_answers
from accounts.tasks import sweep
from crm.common.errors import DomainError
from tests.factories import make_client


def grow(client, **change):
    """Append an x to the client's name, once per key."""

    def act():
        Client.objects.filter(pk=client.pk).update(name=Concat(F("name"), Value("x")))
        return 200, '{"done": true}'

    call = {"client": client, "endpoint": "/api/1/sms/send", "key": "order-7", "body_hash": "a", "act": act}
    return answer_once(**call | change)


def name_of(client):
    return Client.objects.get(pk=client.pk).name


@pytest.mark.django_db
def test_I1_a_repetition_has_the_first_answer_and_no_effect():
    client = make_client()
    first, again = grow(client), grow(client, act=lambda: pytest.fail("acted twice"))
    assert (first.status, first.body, first.is_replay) == (200, '{"done": true}', False)
    assert (again.status, again.body, again.is_replay) == (200, '{"done": true}', True)
    assert name_of(client) == "Acmex"


@pytest.mark.django_db
def test_I2_another_body_is_refused_and_other_tenants_and_endpoints_have_their_own_keys():
    client, stranger = make_client(), make_client("Zuri Traders", "zuri@traders.test")
    grow(client)
    with pytest.raises(IdempotencyKeyReused):
        grow(client, body_hash="b")
    assert name_of(client) == "Acmex"
    assert not grow(client, key="order-8").is_replay
    assert not grow(client, endpoint="/api/1/messages/send").is_replay
    assert not grow(stranger, body_hash="b").is_replay
    assert name_of(client) == "Acmexxx"
    assert name_of(stranger) == "Zuri Tradersx"


@pytest.mark.django_db
def test_I3_a_refusal_undoes_its_effect_and_keeps_nothing():
    client = make_client()

    def refuse():
        Client.objects.filter(pk=client.pk).update(name="half done")
        raise DomainError("no")

    with pytest.raises(DomainError):
        grow(client, act=refuse)
    assert name_of(client) == "Acme"
    assert not IdempotencyRecord.objects.unscoped().exists()
    assert not grow(client).is_replay


@pytest.mark.django_db
def test_an_answer_is_kept_for_24_hours_and_swept_after():
    client = make_client()
    grow(client)
    record = IdempotencyRecord.objects.unscoped().get()
    assert abs(record.expires_at - timezone.now() - timedelta(hours=24)) < timedelta(seconds=5)
    assert forget_expired_answers() == 0
    past = timezone.now() - timedelta(seconds=1)
    IdempotencyRecord.objects.unscoped().update(expires_at=past)
    assert not grow(client, body_hash="b").is_replay
    IdempotencyRecord.objects.unscoped().update(expires_at=past)
    sweep()
    assert not IdempotencyRecord.objects.unscoped().exists()


@pytest.mark.django_db
def test_nothing_of_the_key_itself_is_kept():
    grow(make_client(), key="order-of-0712345678")
    row = IdempotencyRecord.objects.unscoped().values().get()
    assert "0712345678" not in str(row)


@pytest.mark.django_db(transaction=True)
def test_I1_twenty_at_once_have_one_effect():
    client, start = make_client(), threading.Barrier(20)

    def call(_):
        start.wait()
        try:
            return "replayed" if grow(client).is_replay else "acted"
        except RequestInProgress:
            return "running"
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(call, range(20)))
    assert outcomes.count("acted") == 1
    assert set(outcomes) <= {"acted", "replayed", "running"}
    assert name_of(client) == "Acmex"


@pytest.mark.django_db(transaction=True)
def test_I2_while_the_first_runs_a_second_is_told_so_or_waits_its_turn():
    client, running, finish = make_client(), threading.Event(), threading.Event()

    def slow():
        running.set()
        finish.wait(10)
        return 200, "{}"

    def first():
        try:
            return grow(client, act=slow)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(first)
        assert running.wait(10)
        if connection.vendor == "postgresql":
            with pytest.raises(RequestInProgress):
                grow(client)
            finish.set()
        else:  # one writer at a time: the second queues behind the first and then finds its answer
            threading.Timer(0.3, finish.set).start()
            assert grow(client).is_replay
        assert future.result(10).is_replay is False
    assert grow(client).body == "{}"
    assert name_of(client) == "Acme"
