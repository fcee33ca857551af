"""Messages of several calls in one transaction: each is accepted, refused, charged and repeated as if it were alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.errors import IdempotencyKeyReused
from accounts.models import IdempotencyRecord
from accounts.services.admission import Found
from accounts.services.idempotency import Answer, Once
from accounts.services.keys import revoke_api_key
from crm.common.phones import InvalidPhone
from crm.common.sql import on_postgres
from crm.common.together import Alone, Undone
from messaging.errors import SenderNotApproved
from messaging.models import Message, MessageEvent
from messaging.services import beside
from messaging.services.accept import Accepted, Draft
from messaging.services.beside import Call, accept_beside_others, accept_calls
from tests.crowd import at_once
from tests.factories import make_key
from tests.messaging.core.world import ONE, balance, check_books, make_sender, number, statuses
from wallet.errors import InsufficientBalance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("road")]


def call(client, to, *, text="Habari", sender=None, key=None, body="a"):
    once = Once.of(endpoint="/api/1/messages/send", key=key, body_hash=body) if key else None
    return Call(
        client, Draft(to, text, f"ref {to}", sender=sender), None, f"request {to}", once,
        lambda accepted: Answer(200, accepted.message_id),
    )  # fmt: skip


def test_what_is_wrong_with_one_refuses_that_one_alone():
    acme = make_sender(credit=10)
    results = accept_calls(
        [
            call(acme, number(1)),
            call(acme, "not a number"),
            call(acme, number(2), sender="NOTMINE"),
            call(acme, number(3), text="x" * 481),
            call(acme, number(4)),
        ]
    )
    assert [type(result) for result in results] == [
        Accepted, InvalidPhone, SenderNotApproved, type(results[3]), Accepted,
    ]  # fmt: skip
    assert results[3].code == "text_too_long"
    assert statuses() == {"queued": 2}
    assert balance(acme) == 8 * ONE
    check_books()


def test_each_keeps_its_own_reference_and_request():
    acme = make_sender(credit=10)
    first, second = accept_calls([call(acme, number(1)), call(acme, number(2))])
    kept = {row.pk: row.reference for row in Message.objects.for_client(acme)}
    assert kept == {first.id: f"ref {number(1)}", second.id: f"ref {number(2)}"}
    told = {row.message_id: row.detail for row in MessageEvent.objects.for_client(acme)}
    assert told == {first.id: f"request {number(1)}", second.id: f"request {number(2)}"}


def test_the_number_of_statements_does_not_grow_with_the_calls():
    acme = make_sender(credit=50)
    accept_calls([call(acme, number(90), key="warm")])
    counts = []
    for size in (1, 12):
        calls = [call(acme, number(100 * size + n), key=f"{size}-{n}") for n in range(size)]
        with CaptureQueriesContext(connection) as captured:
            accept_calls(calls)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_equal_texts_to_one_number_come_one_after_the_other():
    acme = make_sender(credit=10)
    results = accept_calls([call(acme, number(1)), call(acme, number(1)), call(acme, number(1), text="Karibu")])
    assert [type(result) for result in results] == [Accepted, Alone, Accepted]
    assert isinstance(accept_calls([call(acme, number(1))])[0], Accepted)
    assert statuses() == {"queued": 3}


def test_M5_one_wallet_too_small_for_all_undoes_all_and_lets_each_try():
    acme = make_sender(credit=2)
    with pytest.raises(Undone):
        accept_calls([call(acme, number(n), key=f"k{n}") for n in range(3)])
    assert (statuses(), balance(acme), IdempotencyRecord.objects.unscoped().count()) == ({}, 2 * ONE, 0)
    with pytest.raises(InsufficientBalance):
        accept_calls([call(acme, number(1), text="x" * 400)])


def test_I1_I2_a_kept_answer_is_repeated_and_another_body_is_refused_beside_new_calls():
    acme = make_sender(credit=10)
    (first,) = accept_calls([call(acme, number(1), key="order-1")])
    again, other, fresh, twin = accept_calls(
        [
            call(acme, number(1), key="order-1"),
            call(acme, number(5), key="order-1x", body="b"),
            call(acme, number(6)),
            call(acme, number(5), key="order-1x", body="b"),
        ]
    )
    assert again == Answer(200, first.message_id, is_replay=True)
    assert (type(other), type(fresh), type(twin)) == (Accepted, Accepted, Alone)
    (reused, repeated) = accept_calls(
        [call(acme, number(1), key="order-1", body="c"), call(acme, number(5), key="order-1x", body="b")]
    )
    assert isinstance(reused, IdempotencyKeyReused)
    assert repeated == Answer(200, other.message_id, is_replay=True)
    assert statuses() == {"queued": 3}
    assert balance(acme) == 7 * ONE


def test_a_refusal_keeps_no_answer():
    acme = make_sender(credit=10)
    accept_calls([call(acme, "nobody", key="order-1"), call(acme, number(1), key="order-2")])
    assert IdempotencyRecord.objects.unscoped().count() == 1
    assert isinstance(accept_calls([call(acme, number(2), key="order-1")])[0], Accepted)


def send_by(api_key, to, admit=lambda found: None):
    return accept_beside_others(
        api_key=api_key, rate_kind="native", draft=Draft(to, "Habari"), admit=admit, answer=lambda _: Answer(200, "")
    )


def test_T4_L1_each_is_judged_by_what_was_found_and_who_is_refused_hinders_nobody():
    acme, held = make_sender(credit=1), threading.Event()
    issued = make_key(acme)
    judged = []

    def admit(found):
        judged.append((found.key, found.counted[0]))
        assert held.wait(30)
        if len(judged) == 2:
            raise Forbidden

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(closing(send_by), issued.api_key, number(0), admit)]
        while not judged:
            held.wait(0.001)
        calls += [pool.submit(closing(send_by), issued.api_key, number(n), admit) for n in (1, 2, 3)]
        while sum(map(len, beside._turns._waiting.values())) < 3:
            held.wait(0.001)
        held.set()
        results = [call.exception(30) or call.result() for call in calls]
    # One of the three is forbidden; of the two others, whom the wallet cannot pay together, each tries alone.
    assert [key for key, _ in judged] == [issued.key] * 4
    assert [count for _, count in judged] == list(range(judged[0][1], judged[0][1] + 4))
    assert isinstance(results[0], Accepted)
    assert sorted(type(result).__name__ for result in results[1:]) == ["Forbidden"] + ["InsufficientBalance"] * 2
    assert (statuses(), balance(acme)) == ({"queued": 1}, 0)


def test_T4_a_key_that_is_revoked_while_others_wait_accepts_nothing_more():
    acme = make_sender(credit=5)
    issued = make_key(acme)
    assert isinstance(send_by(issued.api_key, number(1)), Accepted)
    revoke_api_key(key=issued.key)
    found = []
    with pytest.raises(Forbidden):
        send_by(issued.api_key, number(2), lambda one: found.append(one) or refuse())
    assert found == [Found(None, None)]
    assert statuses() == {"queued": 1}


class Forbidden(Exception):
    pass


def refuse():
    raise Forbidden


def closing(act):
    """`act`, after which the thread's connection is closed."""

    def run(*args):
        try:
            return act(*args)
        finally:
            connection.close()

    return run


@pytest.mark.parametrize("round_", range(2))
@pytest.mark.xdist_group("crowd")
def test_M5_of_many_at_once_with_money_for_some_exactly_those_are_taken(round_):
    acme = make_sender(credit=20)
    api_key = make_key(acme).api_key

    def send(n):
        return send_by(api_key, number(n)).recipient

    results = at_once(30, send)
    refused = [result for result in results if isinstance(result, Exception)]
    assert {type(error) for error in refused} == {InsufficientBalance}
    assert len(refused) == 10
    assert sorted(set(results) - set(refused)) == sorted(
        Message.objects.for_client(acme).values_list("recipient", flat=True)
    )
    assert (statuses(), balance(acme)) == ({"queued": 20}, 0)
    check_books()


@pytest.mark.skipif(not on_postgres(), reason="SQLite waits for the disk within the commit")
def test_D1_an_error_after_the_commit_is_everybodys_and_nobody_is_sent_twice(monkeypatch):
    acme = make_sender(credit=10)

    def broken():
        raise OSError("the connection broke while waiting for the disk")

    monkeypatch.setattr("messaging.services.judging.wait_for_disk", broken)
    with pytest.raises(OSError, match="disk"):
        accept_calls([call(acme, number(1)), call(acme, number(2))])
    assert statuses() == {"queued": 2}
