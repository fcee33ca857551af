"""Receivers that work, fail, hang, redirect and lie: nothing is lost, and nobody else waits (W1, W3, W4)."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from accounts.delivery import claims, loop
from accounts.delivery.loop import Deliverer
from accounts.delivery.recording import ATTEMPTS, GONE_REASON, WAITS
from accounts.models import DeliveryState
from accounts.services.events import record_events
from accounts.services.webhooks import pause_endpoint, redeliver, redeliver_failed, resume_endpoint, update_endpoint
from crm.common.errors import WrongState
from crm.common.sql import database_now, later_sql
from crm.common.transfers import Limits
from tests.accounts.webhooks.conftest import attempts, deliver, deliveries, fresh, make_due, make_endpoint, run_sql

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("open_doors")]
DATA = {"old_balance": 50, "new_balance": 1050, "amount_added": 1000, "transaction_id": "TXN-20251009-001"}


def record(client, count=1, event="balance.updated"):
    return record_events(client.pk, [(event, DATA | {"transaction_id": f"T{n}"}) for n in range(count)])


@pytest.fixture
def short_times(monkeypatch):
    """A receiver that is silent for a second has timed out."""
    quick = Limits(1, 1, loop.LIMITS.answer_bytes, cut_answers=True, may_dial=loop.LIMITS.may_dial)
    monkeypatch.setattr(loop, "LIMITS", quick)


def test_W1_an_event_arrives_with_its_documented_body_and_is_logged(acme, receiver, woken):
    endpoint = make_endpoint(acme, receiver.url()).endpoint
    assert record(acme) == 1
    assert woken == ["accounts.deliver_webhooks"]
    assert deliver() == 1
    (got,) = receiver.got
    (row,) = deliveries(endpoint)
    stamp = row.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert got.body.decode() == (
        f'{{"event":"balance.updated","client_id":{acme.pk},"timestamp":"{stamp}",'
        '"data":{"old_balance":50,"new_balance":1050,"amount_added":1000,"transaction_id":"T0"}}'
    )
    assert got.headers["x-webhook-event"] == "balance.updated"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"] == row.event_id
    assert (row.state, row.attempts, row.last_status, row.next_at) == (DeliveryState.DELIVERED, 1, 200, None)
    (attempt,) = attempts(row)
    assert (attempt.number, attempt.status, attempt.answer, attempt.url) == (1, 200, "ok", receiver.url())
    assert fresh(endpoint).last_success_at == row.last_at


def test_events_go_to_the_endpoints_that_want_them_in_their_format_and_share_an_id(acme, receiver):
    all_of_them = make_endpoint(acme, receiver.url("/ok/all")).endpoint
    flat = make_endpoint(acme, receiver.url("/ok/flat"), ("message.delivered",), format="flat").endpoint
    make_endpoint(acme, receiver.url("/ok/other"), ("topup.failed",))
    data = {"message_id": "MSG-000001", "recipient": "255123456789", "status": "delivered", "error_message": None}
    data |= {"delivered_at": "2024-01-01T10:05:00Z", "id": 1}
    assert record_events(acme.pk, [("message.delivered", data)]) == 2
    deliver()
    assert sorted(got.path for got in receiver.got) == ["/ok/all", "/ok/flat"]
    (one,), (two,) = deliveries(all_of_them), deliveries(flat)
    assert one.event_id == two.event_id
    stamp = two.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert receiver.bodies("/ok/flat") == [
        '{"event":"message.delivered","message_id":"MSG-000001","recipient":"+255123456789","status":"delivered",'
        f'"delivered_at":"2024-01-01T10:05:00Z","error_message":null,"timestamp":"{stamp}"}}'
    ]


def test_T2_no_event_reaches_another_client(acme, zuri, receiver):
    make_endpoint(zuri, receiver.url("/ok/zuri"))
    assert record(acme) == 0
    make_endpoint(acme, receiver.url("/ok/acme"))
    record(acme)
    deliver()
    assert [got.path for got in receiver.got] == ["/ok/acme"]


def test_recording_costs_one_query_without_an_endpoint_and_the_same_for_any_number(
    acme, zuri, receiver, django_assert_num_queries
):
    make_endpoint(zuri, receiver.url(), ("topup.failed",))
    with django_assert_num_queries(1):
        record(acme, 500)
    make_endpoint(acme, receiver.url())
    with django_assert_num_queries(5):  # endpoints, clock, savepoint or transaction around one insert
        assert record(acme, 150) == 150  # of 200 and more PostgreSQL copies the rows, which is not counted


@pytest.mark.parametrize("path", ["/status/500", "/status/404", "/redirect?to=/ok", "/reset", "/hang", "/drip"])
def test_W3_a_failure_is_tried_again_with_the_same_id_and_body(acme, receiver, short_times, path):
    endpoint = make_endpoint(acme, receiver.url(path)).endpoint
    record(acme)
    before = database_now()
    deliver()
    (row,) = deliveries(endpoint)
    assert (row.state, row.attempts) == (DeliveryState.WAITING, 1)
    assert 4.4 <= (row.next_at - before).total_seconds() <= 5.6 + 2
    assert fresh(endpoint).failing_since is not None
    update_endpoint(endpoint=endpoint, url=receiver.url("/ok"))
    make_due()
    deliver()
    (row,) = deliveries(endpoint)
    assert (row.state, row.attempts) == (DeliveryState.DELIVERED, 2)
    assert fresh(endpoint).failing_since is None
    assert len(receiver.got) == 2  # the redirect was not followed
    assert len({got.headers["webhook-id"] for got in receiver.got}) == len({got.body for got in receiver.got}) == 1
    assert [attempt.number for attempt in attempts(row)] == [1, 2]


def test_W4_of_a_giant_answer_64_KB_are_read_and_1_KB_kept(acme, receiver):
    endpoint = make_endpoint(acme, receiver.url("/giant")).endpoint
    record(acme)
    began = time.monotonic()
    deliver()
    assert time.monotonic() - began < 3
    (row,) = deliveries(endpoint)
    assert (row.state, row.last_status) == (DeliveryState.DELIVERED, 200)
    assert attempts(row)[0].answer == "x" * 1024


def test_W3_the_schedule_to_its_end(acme, receiver):
    endpoint = make_endpoint(acme, receiver.url("/status/500")).endpoint
    record(acme)
    for number in range(1, ATTEMPTS + 1):
        before = database_now()
        deliver()
        (row,) = deliveries(endpoint)
        assert row.attempts == number
        if number < ATTEMPTS:
            wait = (row.next_at - before).total_seconds()
            assert 0.9 * WAITS[number - 1] <= wait <= 1.1 * WAITS[number - 1] + 2
            make_due()
    assert (row.state, row.next_at) == (DeliveryState.FAILED, None)
    assert WAITS == (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    make_due()
    assert deliver() == 0
    assert fresh(endpoint).active  # not yet five days


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
def test_W3_retry_after_is_honoured(acme, receiver, status, as_date):
    endpoint = make_endpoint(acme, receiver.url()).endpoint
    after = format_datetime(datetime.now(UTC) + timedelta(seconds=3600), usegmt=True) if as_date else "3600"
    receiver.answers = [(status, {"Retry-After": after})]
    record(acme)
    before = database_now()
    deliver()
    (row,) = deliveries(endpoint)
    assert 3590 <= (row.next_at - before).total_seconds() <= 3610


@pytest.mark.parametrize("after", ["-1", "soon", "", "9" * 400, "Fri, 99 Nov 2026", "0"])
def test_an_absurd_retry_after_is_bounded(acme, receiver, after):
    endpoint = make_endpoint(acme, receiver.url()).endpoint
    receiver.answers = [(503, {"Retry-After": after})]
    record(acme)
    before = database_now()
    deliver()
    (row,) = deliveries(endpoint)
    assert 4 <= (row.next_at - before).total_seconds() <= 86_410


def test_W3_gone_pauses_the_endpoint_at_once(acme, receiver):
    endpoint = make_endpoint(acme, receiver.url("/status/410")).endpoint
    record(acme)
    deliver()
    (row,) = deliveries(endpoint)
    assert row.state == DeliveryState.FAILED
    now = fresh(endpoint)
    assert (now.active, now.disabled_reason) == (False, GONE_REASON)
    assert record(acme) == 0


def test_W3_five_days_of_failure_pause_it_and_one_success_forgets_them(acme, receiver):
    endpoint = make_endpoint(acme, receiver.url("/status/500")).endpoint
    record(acme)
    deliver()
    run_sql(f"UPDATE accounts_webhookendpoint SET failing_since = {later_sql(-4.9 * 86400)}")
    make_due()
    deliver()
    assert fresh(endpoint).active
    run_sql(f"UPDATE accounts_webhookendpoint SET failing_since = {later_sql(-5 * 86400)}")
    make_due()
    deliver()
    paused = fresh(endpoint)
    assert not paused.active
    assert "five days" in paused.disabled_reason
    resume_endpoint(endpoint=endpoint)
    assert fresh(endpoint).failing_since is None
    update_endpoint(endpoint=endpoint, url=receiver.url("/ok"))
    make_due()
    deliver()
    assert deliveries(endpoint)[0].state == DeliveryState.DELIVERED


def test_a_paused_endpoint_gets_nothing_and_what_waited_goes_when_it_resumes(acme, receiver):
    endpoint = make_endpoint(acme, receiver.url()).endpoint
    record(acme)
    assert pause_endpoint(endpoint=endpoint)
    assert record(acme) == 0
    assert deliver() == 0
    with pytest.raises(WrongState):
        redeliver(endpoint=endpoint, delivery_ids=[deliveries(endpoint)[0].pk])
    assert resume_endpoint(endpoint=endpoint)
    assert deliver() == 1
    assert len(receiver.got) == 1


def test_redelivering_one_and_all_that_failed_since(acme, receiver):
    endpoint = make_endpoint(acme, receiver.url("/ok")).endpoint
    record(acme, 6)
    receiver.answers = [(500, {})] * 4
    deliver()
    rows = deliveries(endpoint)
    failed = [row for row in rows if row.state == DeliveryState.WAITING]
    good = [row for row in rows if row.state == DeliveryState.DELIVERED]
    assert (len(failed), len(good)) == (4, 2)
    run_sql(f"UPDATE accounts_webhookdelivery SET last_at = {later_sql(-7200)} WHERE id = %s", (failed[0].pk,))
    run_sql("UPDATE accounts_webhookdelivery SET state = 'failed', next_at = NULL WHERE id = %s", (failed[1].pk,))
    assert redeliver_failed(endpoint=endpoint, since=database_now() - timedelta(hours=1)) == 3
    assert redeliver(endpoint=endpoint, delivery_ids=[good[0].pk]) == 1
    assert deliver() == 4
    assert [row.state for row in deliveries(endpoint)].count(DeliveryState.DELIVERED) == 5
    again = next(row for row in deliveries(endpoint) if row.pk == good[0].pk)
    assert [attempt.number for attempt in attempts(again)] == [1, 2]


def test_W4_at_most_four_at_once_and_one_while_it_fails(acme, receiver):
    make_endpoint(acme, receiver.url("/slow"))
    record(acme, 12)
    deliver()
    assert len(receiver.got) == 12
    assert receiver.most_at_once == 4


def test_W4_nine_of_ten_receivers_hang_and_the_tenth_does_not_notice(acme, receiver, short_times):
    for _ in range(9):
        make_endpoint(acme, receiver.url("/hang"))
    good = make_endpoint(acme, receiver.url("/ok")).endpoint
    record(acme, 40)
    began = time.monotonic()
    deliverer = Deliverer(stop=lambda: time.monotonic() - began > 4)
    deliverer.run()
    waits = sorted(got.at - began for got in receiver.got if got.path == "/ok")
    assert len(waits) == 40
    assert waits[37] < 2.0, waits
    assert all(row.state == DeliveryState.DELIVERED for row in deliveries(good))


def test_D11_two_processes_do_not_share_an_endpoint_and_a_dead_one_s_lease_ends(acme, receiver):
    endpoint = make_endpoint(acme, receiver.url()).endpoint
    record(acme)
    assert [held.pk for held in claims.take(owner="one", ids=[endpoint.pk])] == [endpoint.pk]
    assert claims.take(owner="two", ids=[endpoint.pk]) == []
    assert claims.due_endpoints() == []
    assert deliver() == 0
    assert [held.pk for held in claims.renew(owner="one")] == [endpoint.pk]
    run_sql(f"UPDATE accounts_webhookendpoint SET lease_until = {later_sql(-1)}")
    assert deliver() == 1


def test_the_first_retry_is_made_without_the_sweep(acme, receiver, monkeypatch):
    monkeypatch.setattr(loop, "STAY_FOR", 7.0)
    endpoint = make_endpoint(acme, receiver.url()).endpoint
    receiver.answers = [(500, {})]
    record(acme)
    deliver()
    assert deliveries(endpoint)[0].state == DeliveryState.DELIVERED
    assert 4.4 <= receiver.got[1].at - receiver.got[0].at <= 6.5


def test_deleting_an_endpoint_forgets_its_log_and_what_flies_is_no_error(acme, receiver):
    from accounts.delivery.recording import Attempted, record_attempts
    from accounts.services.webhooks import delete_endpoint
    from crm.common.transfers import Ended

    endpoint = make_endpoint(acme, receiver.url()).endpoint
    record(acme, 3)
    deliver()
    row = deliveries(endpoint)[0]
    delete_endpoint(endpoint=endpoint)
    assert deliveries(endpoint) == attempts(row) == []
    record_attempts([Attempted(row.pk, endpoint.pk, acme.pk, endpoint.url, 0, Ended("answer", 200))])
    assert attempts(row) == []
