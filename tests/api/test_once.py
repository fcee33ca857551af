"""Idempotency-Key over HTTP (GUARANTEES.md I1-I3) and the limits of a busy minute, with real commits."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accounts.models import Client, IdempotencyRecord
from messaging.models import Message
from tests.api.caller import Caller, refusal
from tests.clock import wait_for_room_in_the_minute
from tests.factories import make_key
from wallet.models import LedgerEntry
from wallet.queries import check_wallets

BODY = {"channel": "sms", "recipient": "254712345678", "sender": "HOSPITAL", "body": "Karibu"}


def send(caller, key="order-7", body=BODY, path="messages/send"):
    return caller.post(path, body, Idempotency_Key=key)


@pytest.mark.django_db
def test_I1_a_repetition_gets_the_first_answer_byte_for_byte(acme):
    first, again = send(acme), send(acme)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.content == again.content
    assert first["Content-Type"] == again["Content-Type"] == "application/json"
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert again["X-RateLimit-Limit"]
    assert Message.objects.unscoped().count() == 1
    assert acme.balance() == 9


@pytest.mark.django_db
def test_I1_the_order_of_the_fields_is_not_another_body(acme):
    send(acme)
    shuffled = json.dumps(dict(reversed(BODY.items())), indent=2)
    assert send(acme, body=shuffled)["Idempotent-Replayed"] == "true"


@pytest.mark.django_db
def test_I2_another_body_is_422_and_other_endpoints_and_tenants_have_their_own(acme, stranger):
    send(acme)
    refusal(send(acme, body=BODY | {"body": "Kwaheri"}), 422, "IDEMPOTENCY_KEY_REUSED")
    bulk = send(acme, body={"message": "Karibu", "recipients": ["254733000111"]}, path="sms/send")
    assert "Idempotent-Replayed" not in bulk
    other = send(stranger, body=BODY | {"sender": "ZURI"})
    assert (other.status_code, "Idempotent-Replayed" in other) == (200, False)
    assert Message.objects.unscoped().count() == 3


@pytest.mark.django_db
def test_I1_keys_of_one_client_share_its_idempotency_keys(acme):
    send(acme)
    acme.key = make_key(acme.client).api_key
    assert send(acme)["Idempotent-Replayed"] == "true"


@pytest.mark.django_db
def test_I3_refusals_are_not_stored(acme):
    refusal(send(acme, body=BODY | {"sender": "NOTMINE"}), 400, "INVALID_REQUEST")
    refusal(send(acme, body="{"), 400, "INVALID_REQUEST")
    refusal(send(acme, body={"recipients": [f"25471234{n:04}" for n in range(11)], "message": "x"}, path="sms/send"),
            402, "INSUFFICIENT_BALANCE")  # fmt: skip
    refusal(Caller.post(acme, "nothing", BODY, Idempotency_Key="order-7"), 404, "NOT_FOUND")
    Client.objects.filter(pk=acme.client.pk).update(state="suspended")
    refusal(send(acme), 403, "UNAUTHORIZED")
    Client.objects.filter(pk=acme.client.pk).update(state="active")
    assert not IdempotencyRecord.objects.unscoped().exists()
    first = send(acme)
    assert (first.status_code, "Idempotent-Replayed" in first) == (200, False)


@pytest.mark.django_db
@pytest.mark.urls("tests.api.probes")
def test_an_answer_that_is_returned_is_kept_whatever_its_status(acme):
    first, again = send(acme, path="kept"), send(acme, path="kept")
    assert (first.status_code, again.status_code) == (400, 400)
    assert again["Idempotent-Replayed"] == "true"


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "x" * 256, "a\x01b", "\x7f"])
def test_an_unreadable_idempotency_key_is_400(acme, key):
    refusal(send(acme, key=key), 400, "INVALID_REQUEST")
    assert not Message.objects.unscoped().exists()


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["x" * 255, "a b", "é"])
def test_any_printable_idempotency_key_is_taken(acme, key):
    assert send(acme, key=key).status_code == 200
    assert send(acme, key=key)["Idempotent-Replayed"] == "true"


@pytest.mark.django_db
def test_a_GET_ignores_the_header(acme):
    for _ in range(2):
        assert "Idempotent-Replayed" not in acme.get("client/balance", **{"Idempotency-Key": "x"})


def at_once(count, call):
    """`call(n)` for each n in threads of their own, whose connections are closed after."""

    def run(number):
        try:
            return call(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def callers(caller, count):
    """One per thread: Django's test browser is not shared."""
    made = []
    for _ in range(count):
        one = Caller.__new__(Caller)
        one.client, one.key, one.browser = caller.client, caller.key, type(caller.browser)()
        made.append(one)
    return made


@pytest.mark.django_db(transaction=True)
def test_I1_twenty_equal_calls_at_once_send_and_charge_once(acme):
    each = callers(acme, 20)
    answers = at_once(20, lambda number: send(each[number]))
    bodies = {answer.content for answer in answers if answer.status_code == 200}
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len(bodies) == 1
    assert sum(answer.status_code == 200 and "Idempotent-Replayed" not in answer for answer in answers) == 1
    for answer in answers:
        if answer.status_code == 409:
            refusal(answer, 409, "CONFLICT")
            assert int(answer["Retry-After"]) >= 1
    assert Message.objects.unscoped().count() == 1
    assert LedgerEntry.objects.unscoped().filter(kind="debit").count() == 1
    assert send(acme).content in bodies


@pytest.mark.django_db(transaction=True)
def test_L1_exactly_the_limit_is_served_of_calls_at_once(acme):
    Client.objects.filter(pk=acme.client.pk).update(rate_limit=6)
    wait_for_room_in_the_minute(15)
    each = callers(acme, 16)
    answers = at_once(16, lambda number: each[number].send(recipient=f"2547123456{number:02}"))
    assert sorted(answer.status_code for answer in answers) == [200] * 6 + [429] * 10
    assert sorted(answer["X-RateLimit-Remaining"] for answer in answers) == sorted("0" * 11 + "12345")
    assert Message.objects.unscoped().count() == 6


@pytest.mark.django_db(transaction=True)
def test_M5_of_sixteen_sends_with_money_for_ten_exactly_ten_are_taken(acme):
    each = callers(acme, 16)
    answers = at_once(16, lambda number: each[number].send(recipient=f"2547123456{number:02}"))
    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [402] * 6
    for answer in answers:
        if answer.status_code == 402:
            assert refusal(answer, 402, "INSUFFICIENT_BALANCE")["balance"] == 0
    assert Message.objects.unscoped().count() == 10
    assert acme.balance() == 0
    assert check_wallets() == []
