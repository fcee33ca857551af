"""Providers are asked what became of messages: by id, by our reference, or by the same request once more (D5)."""

from datetime import timedelta

import orjson
import pytest

from contacts.services import record_opt_out
from crm.common.sql import later_sql
from messaging.sending import lookups, sweep
from messaging.services.providers import add_route, connect_provider
from tests.messaging.core import world

pytestmark = pytest.mark.django_db(transaction=True)

OK = b'{"status": "success"}'


@pytest.fixture
def line(monkeypatch):
    """Answers by URL instead of a network; `asked` holds every request as (method, url, body, headers)."""

    class Line:
        asked: list = []
        answers: dict = {}

        def __init__(self):
            self._ends = []

        def start(self, tag, method, url, headers, body):
            self.asked.append((method, url, body, dict(headers)))
            found = next((answer for part, answer in self.answers.items() if part in url), None)
            kind, status, said = ("unknown", 0, b"") if found is None else ("answer", *found)
            self._ends.append((tag, lookups.Ended(kind, status, (), said)))

        def ended(self):
            ends, self._ends = self._ends, []
            yield from ends

        def wait(self, seconds):
            pass

        def close(self):
            pass

    Line.asked, Line.answers = [], {}
    monkeypatch.setattr(lookups, "Transfers", Line)
    return Line


def road(adapter, **credentials):
    account = connect_provider(
        name=adapter, adapter=adapter, credentials=credentials, base_url="http://127.0.0.1:9", batch_size=1
    )
    add_route(account=account)
    return account


@pytest.fixture
def beem(acme):
    return road("beem", api_key="k", secret_key="s")  # noqa: S106


@pytest.fixture
def upstream(acme):
    return road("native", client_id="7", api_key="k", webhook_secret="s")  # noqa: S106


def due(pk, age=0.0):
    world.run_sql(
        f"UPDATE messaging_message SET look_up_at = {later_sql(-1)}, sent_at = {later_sql(-age)} WHERE id = %s", [pk]
    )


def lose_answer(client, account):
    (pk,) = world.accept(client)
    assert world.submit(account) == [pk]
    world.record_outcomes([world.outcome(pk, "ambiguous", code="no_clear_answer")])
    return pk


def beem_says(status):
    rows = [{"request_id": "7", "dest_addr": "254710000000", "status": status}]
    return 200, orjson.dumps(rows)


def sent_by_beem(acme, beem):
    return world.send_one(acme, beem, "7-254710000000")


def test_a_polled_message_is_due_five_minutes_after_it_was_sent_and_no_other_is(acme, beem, books):
    pk = sent_by_beem(acme, beem)

    message = world.message(pk)
    assert timedelta(minutes=4) < message.look_up_at - message.sent_at < timedelta(minutes=6)
    assert lookups.accounts_to_ask() == []
    assert lookups.look_up(account_id=beem.pk) == 0


def test_where_reports_are_pushed_and_nothing_can_be_asked_nothing_is_due(acme, road, books):
    pk = world.send_one(acme, road)

    assert world.message(pk).look_up_at is None
    pk = lose_answer(acme, road)
    assert world.message(pk).look_up_at is None


@pytest.mark.parametrize(("word", "status"), [("DELIVERED", "delivered"), ("UNDELIVERED", "failed")])
def test_a_final_word_settles_the_message_and_its_money(acme, beem, line, books, word, status):
    pk = sent_by_beem(acme, beem)
    due(pk, age=600)
    line.answers = {"delivery-reports": beem_says(word)}

    assert lookups.accounts_to_ask() == [beem.pk]
    assert lookups.look_up(account_id=beem.pk) == 1

    assert world.message(pk).status == status
    assert world.movements(acme, "refund") == (status == "failed")
    assert lookups.accounts_to_ask() == []
    ((method, url, body, headers),) = line.asked
    assert (method, url, body) == (
        "GET",
        "http://127.0.0.1:9/public/v1/delivery-reports?dest_addr=254710000000&request_id=7",
        b"",
    )
    assert headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize("answer", [beem_says("PENDING"), (200, b"[]"), (500, b""), (200, b"<html>"), None])
def test_without_a_final_word_it_is_asked_again_later_and_later(acme, beem, line, books, answer):
    pk = sent_by_beem(acme, beem)
    line.answers = {"delivery-reports": answer} if answer else {}
    waits = []
    for age in (600, 36_000, 160_000):
        due(pk, age=age)
        lookups.look_up(account_id=beem.pk)
        message = world.message(pk)
        assert message.status == "sent"
        waits.append(message.look_up_at and message.look_up_at - message.sent_at - timedelta(seconds=age))

    assert timedelta(seconds=250) < waits[0] < timedelta(seconds=350)
    assert timedelta(hours=4) < waits[1] < timedelta(hours=6)
    assert waits[2] is None  # two days are over
    assert world.timeline(pk).count("report") == 0


def test_two_runs_at_once_ask_about_a_message_once(acme, beem, line, books):
    pk = sent_by_beem(acme, beem)
    due(pk)

    taken = lookups._take(beem.pk)
    assert [row.id for row in taken] == [pk]
    assert lookups._take(beem.pk) == []
    assert lookups.accounts_to_ask() == []


def test_the_sweep_wakes_who_has_something_to_ask(acme, beem, woken, books):
    due(sent_by_beem(acme, beem))

    sweep.sweep()

    assert ("messaging.look_up", beem.pk) in woken


def test_D5_a_lost_answer_is_fetched_by_the_same_request_where_the_reference_is_honoured(acme, upstream, line, books):
    pk = lose_answer(acme, upstream)
    message = world.message(pk)
    assert (message.unconfirmed, message.status) == (True, "sent")
    assert message.look_up_at - message.sent_at < timedelta(seconds=40)
    due(pk, age=60)
    line.answers = {"/messages/send": (200, orjson.dumps({"status": "success", "message_id": "MSG-000900"}))}

    assert lookups.look_up(account_id=upstream.pk) == 1

    message = world.message(pk)
    assert (message.status, message.unconfirmed, message.provider_message_id) == ("sent", False, "MSG-000900")
    ((method, url, body, headers),) = line.asked
    assert (method, url) == ("POST", "http://127.0.0.1:9/api/7/messages/send")
    assert headers["Idempotency-Key"].endswith(message.message_id)
    assert orjson.loads(body)["reference"] == headers["Idempotency-Key"]
    assert message.attempts == 1


def test_a_repeat_that_is_refused_for_hours_never_left_and_is_refunded(acme, upstream, line, books):
    pk = lose_answer(acme, upstream)
    poor = {"status": "error", "error_code": "INSUFFICIENT_BALANCE", "message": "Too low", "errors": [], "balance": 0}
    line.answers = {"/messages/send": (402, orjson.dumps(poor))}
    due(pk, age=60)
    lookups.look_up(account_id=upstream.pk)
    assert (world.message(pk).status, world.movements(acme, "refund")) == ("sent", 0)

    due(pk, age=5 * 3600)
    lookups.look_up(account_id=upstream.pk)

    assert (world.message(pk).status, world.message(pk).error_code) == ("failed", "provider_balance")
    assert world.movements(acme, "refund") == 1


@pytest.mark.parametrize("status", [409, 422, 500])
def test_a_repeat_that_says_nothing_leaves_it_open(acme, upstream, line, books, status):
    pk = lose_answer(acme, upstream)
    line.answers = {"/messages/send": (status, b"{}")}
    due(pk, age=5 * 3600)

    lookups.look_up(account_id=upstream.pk)

    message = world.message(pk)
    assert (message.status, message.unconfirmed) == ("sent", True)
    assert message.look_up_at is not None


def test_D10_whoever_opted_out_meanwhile_is_asked_about_and_not_written_to_again(acme, upstream, line, books):
    pk = lose_answer(acme, upstream)
    record_opt_out(client_id=acme.pk, channel="sms", address=world.message(pk).recipient, source="stop")
    row = {"message_id": "MSG-000900", "recipient": "254710000000", "status": "delivered"}
    line.answers = {"/sms/history": (200, orjson.dumps({"status": "success", "data": [row], "meta": {}}))}
    due(pk, age=60)

    lookups.look_up(account_id=upstream.pk)

    assert [url for _, url, _, _ in line.asked if "/messages/send" in url] == []
    message = world.message(pk)
    assert (message.status, message.provider_message_id) == ("delivered", "MSG-000900")


def test_after_a_day_a_lost_answer_is_asked_for_by_reference_and_not_sent_again(acme, upstream, line, books):
    pk = lose_answer(acme, upstream)
    line.answers = {"/sms/history": (200, orjson.dumps({"status": "success", "data": [], "meta": {}}))}
    due(pk, age=21 * 3600)

    lookups.look_up(account_id=upstream.pk)

    ((method, url, *_),) = line.asked
    assert method == "GET"
    assert world.message(pk).message_id in url


def test_an_account_that_is_switched_off_is_asked_nothing(acme, beem, line, books):
    due(sent_by_beem(acme, beem))
    beem.is_active = False
    beem.save()

    lookups.look_up(account_id=beem.pk)

    assert line.asked == []


def test_asking_about_many_costs_as_many_statements_as_about_one(acme, beem, line, django_assert_max_num_queries):
    ids = world.accept(acme, 60)
    assert world.submit(beem) == sorted(ids)
    world.record_outcomes([world.outcome(pk, "accepted", f"7-{pk}") for pk in ids])
    line.answers = {"delivery-reports": (200, b"[]")}
    for pk in ids:
        due(pk, age=600)

    with django_assert_max_num_queries(14):
        assert lookups.look_up(account_id=beem.pk) == 60
    assert len(line.asked) == 60
