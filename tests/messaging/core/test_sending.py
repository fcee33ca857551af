"""The loop against a carrier that misbehaves: accepted once each, right final state, right money (D4 to D8, D10)."""

import socket
from collections import Counter

import pytest
from django.db import OperationalError, connection, transaction

from contacts.services import record_opt_out
from crm.common.sql import database_now
from messaging.models import Message, ProviderAccount, SendingProcess
from messaging.sending import loop, runner
from messaging.sending.claims import claim, give_back, mark_submitting, new_owner
from messaging.sending.recording import record_outcomes, retry_seconds
from messaging.sending.sweep import sweep
from messaging.services.accept import Draft, accept_messages
from messaging.services.providers import add_route, mark_working, rest_account
from messaging.services.queues import divert_queue
from messaging.services.routing import RouteTable
from messaging.services.storing import NewMessage, store_messages
from messaging.states import STEPS, may_step
from tests.messaging.core.carrier import LOST_ANSWERS, Carrier
from tests.messaging.core.world import (
    ONE,
    accept,
    age_leases,
    balance,
    check_books,
    leases,
    make_due,
    make_road,
    make_sender,
    message,
    number,
    outcome,
    run_loop,
    run_sql,
    send_one,
    statuses,
    submit,
    timeline,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books")]


@pytest.mark.parametrize("batch_size", [1, 7])
def test_what_is_accepted_is_written_once_and_sent(acme, carrier, batch_size):
    road = make_road(carrier.url, batch_size=batch_size)
    ids = accept(acme, 60)
    done = run_loop(road)
    assert (done.submitted, done.recorded) == (60, 60)
    assert carrier.accepted == {number(n): 1 for n in range(60)}
    assert carrier.requests == -(-60 // batch_size) or batch_size > 1
    assert statuses() == {"sent": 60}
    rows = dict(Message.objects.unscoped().values_list("pk", "provider_message_id"))
    assert {carrier.ids[rows[pk]] for pk in ids} == set(carrier.accepted)
    assert run_loop(road).submitted == 0


def test_slots_bound_what_is_in_flight(acme, carrier):
    carrier.delay = 0.02
    road = make_road(carrier.url)
    accept(acme, 120)
    run_loop(road, slots=16)
    assert statuses() == {"sent": 120}
    assert 1 < carrier.most_flying <= 16


def test_one_number_twice_never_shares_a_request(acme, zuri, carrier):
    road = make_road(carrier.url, batch_size=10)
    for who in (acme, zuri):
        accept(who, 3, sender=None)
    run_sql("UPDATE messaging_message SET sender = 'ACME'")
    run_loop(road)
    assert statuses() == {"sent": 6}
    assert set(carrier.accepted.values()) == {2}
    assert carrier.requests == 2


@pytest.mark.parametrize("fault", LOST_ANSWERS)
def test_D5_an_unknown_outcome_is_never_sent_again(acme, carrier, short_times, fault):
    road, other = make_road(carrier.url), Carrier()
    make_road(other.url, name="Other", preference=20)
    ids = accept(acme, 4)
    carrier.plan.extend([fault] * 2)
    run_loop(road)
    for _ in range(3):
        make_due()
        age_leases()
        sweep()
        run_loop(road)
    other.close()
    assert carrier.accepted == {number(n): 1 for n in range(4)}
    assert other.requests == 0
    assert statuses() == {"sent": 4}
    assert sum(message(pk).unconfirmed for pk in ids) == 2
    assert balance(acme) == 996 * ONE


def test_D5_a_kept_connection_that_ends_is_not_written_to_again_by_itself(acme, carrier):
    road = make_road(carrier.url)
    accept(acme, 12)
    carrier.plan.extend(["ok", "drop"] * 6)
    run_loop(road, slots=1)
    assert carrier.accepted == {number(n): 1 for n in range(12)}
    assert Message.objects.unscoped().filter(unconfirmed=True).count() == 6


@pytest.mark.parametrize("fault", ["busy", "gateway"])
def test_D6_what_surely_was_not_taken_goes_again(acme, carrier, fault):
    road = make_road(carrier.url)
    (pk,) = accept(acme)
    carrier.plan.extend([fault] * 3)
    for attempt in (1, 2, 3):
        assert run_loop(road).submitted == 1
        assert (message(pk).status, message(pk).attempts) == ("queued", attempt)
        assert run_loop(road).submitted == 0, "it must wait before it goes again"
        make_due()
    run_loop(road)
    assert (message(pk).status, message(pk).unconfirmed, message(pk).error_code) == ("sent", False, "")
    assert timeline(pk) == ["queued", "retry", "retry", "retry", "sent"]
    assert carrier.accepted == {number(0): 1}
    assert balance(acme) == 999 * ONE


def test_D6_a_carrier_that_is_away_gets_it_when_it_is_back(acme, carrier):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    road = make_road(f"http://127.0.0.1:{port}")
    accept(acme, 3)
    run_loop(road)
    assert statuses() == {"queued": 3}
    assert message(Message.objects.unscoped().first().pk).error_code == "provider_unreachable"
    back = Carrier(port)
    make_due()
    run_loop(road)
    back.close()
    assert statuses() == {"sent": 3}
    assert set(back.accepted.values()) == {1}


def test_D6_refusals_of_a_number_are_final_and_refunded(acme, carrier):
    road = make_road(carrier.url, batch_size=5)
    carrier.refused = {number(1): 406, number(2): 403}
    accept(acme, 5)
    run_loop(road)
    assert statuses() == {"sent": 3, "failed": 2}
    assert balance(acme) == 997 * ONE
    assert set(carrier.accepted) == {number(0), number(3), number(4)}


@pytest.mark.parametrize(("waited", "status"), [("3 hours", "queued"), ("5 hours", "failed")])
def test_D6_after_four_hours_of_trying_it_fails(acme, road, waited, status):
    (pk,) = accept(acme)
    submit(road)
    record_outcomes([outcome(pk, "retry", code="provider_busy")])
    age_queue(waited)
    make_due()
    submit(road)
    record_outcomes([outcome(pk, "retry", code="provider_busy")])
    assert message(pk).status == status
    assert balance(acme) == (999 if status == "queued" else 1000) * ONE


def age_queue(words: str) -> None:
    if connection.vendor == "postgresql":
        run_sql(f"UPDATE messaging_message SET queued_at = now() - interval '{words}'")
    else:
        run_sql(f"UPDATE messaging_message SET queued_at = STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', '-{words}')")


def test_D6_the_time_in_a_long_queue_is_not_time_spent_trying(acme, road):
    (pk,) = accept(acme)
    age_queue("9 hours")
    submit(road)
    record_outcomes([outcome(pk, "retry", code="provider_busy")])
    assert message(pk).status == "queued"


def test_back_off_doubles_and_is_bounded():
    for attempts, seconds in ((0, 5), (1, 5), (2, 10), (5, 80), (12, 1800), (60, 1800)):
        assert 0.8 * seconds <= retry_seconds(attempts) <= 1.2 * seconds


def test_D10_whoever_opts_out_while_claimed_is_not_written_to(acme, carrier):
    road = make_road(carrier.url)
    ids = accept(acme, 3)

    def opt_out_now() -> bool:  # the loop asks whether to stop between claiming and writing
        record_opt_out(client_id=acme.pk, channel="sms", address=number(1), sender="ACME", source="stop")
        return False

    run_loop(road, stop=opt_out_now)
    assert set(carrier.accepted) == {number(0), number(2)}
    assert (message(ids[1]).status, message(ids[1]).error_code) == ("failed", "opted_out")
    assert balance(acme) == 998 * ONE


def test_D10_opt_outs_are_asked_for_between_claim_and_submit(acme, carrier, monkeypatch):
    road = make_road(carrier.url)
    accept(acme, 2)
    real = loop.claims.claim

    def claim_then_opt_out(**arguments):
        rows = real(**arguments)
        record_opt_out(client_id=acme.pk, channel="sms", address=number(0), source="stop")
        return rows

    monkeypatch.setattr(loop.claims, "claim", claim_then_opt_out)
    run_loop(road)
    assert set(carrier.accepted) == {number(1)}


def test_stopping_lets_what_flies_land_and_gives_the_rest_back(acme, carrier):
    carrier.delay = 0.05
    road = make_road(carrier.url)
    accept(acme, 100)
    done = run_loop(road, slots=8, stop=lambda: carrier.requests >= 8)
    assert done.submitted == done.recorded < 100
    assert statuses() == {"sent": done.submitted, "queued": 100 - done.submitted}
    assert leases() == {}


def test_an_error_in_the_loop_does_not_drop_the_answers_in_flight(acme, carrier, monkeypatch):
    carrier.delay = 0.2
    road = make_road(carrier.url)
    accept(acme, 8)
    real, calls = loop.claims.claim, []

    def fail_later(**arguments):
        calls.append(1)
        if len(calls) == 2:
            raise OperationalError("deadlock detected")
        return real(**arguments)

    monkeypatch.setattr(loop, "CLAIM_SIZE", 4)
    monkeypatch.setattr(loop.claims, "claim", fail_later)
    with pytest.raises(OperationalError):
        run_loop(road)
    assert carrier.accepted == {number(n): 1 for n in range(4)}
    assert statuses() == {"sent": 4, "queued": 4}


def test_outcomes_wait_for_a_database_that_is_busy(acme, carrier, monkeypatch):
    road = make_road(carrier.url)
    accept(acme, 3)
    real, failures = loop.record_outcomes, [OperationalError("deadlock detected")] * 2

    def record(outcomes):
        if failures:
            raise failures.pop()
        return real(outcomes)

    monkeypatch.setattr(loop, "PATIENCE", (0, 0, 0))
    monkeypatch.setattr(loop, "record_outcomes", record)
    monkeypatch.setattr(loop.connection, "close", lambda: None)  # the test's own transaction must live on
    run_loop(road)
    assert statuses() == {"sent": 3}


def test_an_address_that_no_request_can_be_made_of_leaves_nothing_unknown(acme):
    road = make_road("http://127.0.0.1:9/ü")
    accept(acme, 2)
    run_loop(road)
    assert statuses() == {"queued": 2}
    assert set(Message.objects.unscoped().values_list("error_code", flat=True)) == {"provider_address"}


def test_missing_credentials_are_a_retry_and_rest_the_account(acme, carrier):
    road = make_road(carrier.url)
    ProviderAccount.objects.update(credentials={})
    accept(acme, 12)
    run_loop(road)
    assert carrier.requests == 0
    assert statuses() == {"queued": 12}
    road.refresh_from_db()
    assert road.rest_level == 1


class TestBreaker:
    """D8: rests after repeated errors, longer each time, and comes back by itself; nothing is doubled."""

    def test_it_trips_diverts_and_comes_back(self, acme, carrier):
        carrier.always = "busy"
        other = Carrier()
        road, second = make_road(carrier.url), make_road(other.url, name="Other", preference=20)
        accept(acme, 40)
        runner.send_waiting(account_id=road.pk)
        other.close()
        road.refresh_from_db()
        assert (road.rest_level, bool(road.rest_until), road.rest_reason) == (1, True, "HTTP 429")
        assert carrier.requests >= 10
        assert carrier.accepted == {}
        assert other.accepted == {number(n): 1 for n in range(40)}
        assert statuses() == {"sent": 40}
        assert set(Message.objects.unscoped().values_list("provider_account_id", flat=True)) == {second.pk}

        (later,) = accept(acme, first=50)
        assert message(later).provider_account_id == second.pk
        make_due()  # the rest is over
        carrier.always = "ok"
        (back,) = accept(acme, first=51)
        assert message(back).provider_account_id == road.pk
        run_loop(road)
        road.refresh_from_db()
        assert (road.rest_level, road.rest_until) == (0, None)

    def test_without_another_road_messages_wait_for_it(self, acme, carrier):
        carrier.always = "busy"
        road = make_road(carrier.url)
        accept(acme, 30)
        runner.send_waiting(account_id=road.pk)
        before = carrier.requests
        assert claim(account_id=road.pk, owner=new_owner(), limit=10) == []
        assert runner.accounts_with_work() == []
        runner.send_waiting(account_id=road.pk)
        assert carrier.requests == before
        carrier.always = "ok"
        make_due()
        assert runner.accounts_with_work() == [road.pk]
        runner.send_waiting(account_id=road.pk)
        assert statuses() == {"sent": 30}
        assert set(carrier.accepted.values()) == {1}

    def test_D5_diverting_leaves_the_unknown_where_they_are(self, acme, carrier, short_times):
        carrier.always = "reset"
        other = Carrier()
        road = make_road(carrier.url)
        make_road(other.url, name="Other", preference=20)
        accept(acme, 60)
        runner.send_waiting(account_id=road.pk)
        other.close()
        assert carrier.accepted + other.accepted == {number(n): 1 for n in range(60)}
        assert statuses() == {"sent": 60}
        assert sum(carrier.accepted.values()) == Message.objects.unscoped().filter(unconfirmed=True).count() >= 10

    def test_each_rest_is_longer_and_only_one_process_decides(self, road):
        lengths = []
        for _ in range(9):
            assert rest_account(account_id=road.pk, reason="x" * 300)
            assert not rest_account(account_id=road.pk, reason="again")
            road.refresh_from_db()
            lengths.append(road.rest_until)
            make_due()
        assert road.rest_level == 9
        mark_working(account_id=road.pk)
        road.refresh_from_db()
        assert (road.rest_level, road.rest_until, road.rest_reason) == (0, None, "")

    def test_a_switched_off_account_gives_its_queue_away(self, acme, carrier):
        road, second = make_road(), make_road(carrier.url, name="Other", preference=20)
        accept(acme, 5)
        ProviderAccount.objects.filter(pk=road.pk).update(is_active=False)
        assert claim(account_id=road.pk, owner=new_owner(), limit=10) == []
        sweep()
        runner.send_waiting(account_id=second.pk)
        assert carrier.accepted == {number(n): 1 for n in range(5)}


class TestRoutes:
    def test_the_most_specific_awake_route_wins(self, db):
        roads = {
            name: make_road(name=name, **route)
            for name, route in {
                "any": {"preference": 1},
                "any2": {"preference": 2},
                "country": {"country": "KE"},
                "sender": {"sender": "ACME", "preference": 50},
                "both": {"sender": "ACME", "country": "KE", "preference": 90},
                "tz": {"country": "TZ"},
                "off": {"country": "KE", "sender": "ACME"},
            }.items()
        }
        ProviderAccount.objects.filter(name="off").update(is_active=False)

        def chosen(country="KE", sender="ACME", avoid=None):
            avoid = roads[avoid].pk if avoid else None
            pk = RouteTable("sms").account_for(country=country, sender=sender, avoid=avoid)
            return next(name for name, road in roads.items() if road.pk == pk)

        assert chosen() == "both"
        assert chosen(avoid="both") == "sender"
        assert chosen(sender="OTHER") == "country"
        assert chosen(country="UG") == "sender"
        assert chosen(country="UG", sender="OTHER") == "any"
        assert chosen(country="UG", sender="OTHER", avoid="any") == "any2"
        rest_account(account_id=roads["both"].pk, reason="x")
        assert chosen() == "sender"
        for road in roads.values():
            rest_account(account_id=road.pk, reason="x")
        assert chosen() == "both", "where all rest, the best one waits for its message"

    def test_a_route_is_added_once(self, road):
        add_route(account=road, preference=3)
        assert [route.preference for route in road.routes.all()] == [3]

    def test_diverting_asks_the_routes_of_each_message(self, acme, road):
        other = make_road(name="Tanzania", country="TZ")
        accept_messages(client=acme, drafts=[Draft(number(0), "a"), Draft("+255712345678", "a")])
        run_sql("UPDATE messaging_message SET provider_account_id = %s", [road.pk])
        rest_account(account_id=road.pk, reason="x")
        assert divert_queue(account_id=road.pk) == {other.pk}
        placed = dict(Message.objects.unscoped().values_list("recipient", "provider_account_id"))
        assert placed == {number(0): road.pk, "+255712345678": other.pk}


class TestClaims:
    def test_single_messages_leave_before_campaigns_oldest_first(self, acme, road):
        ids = accept(acme, 4)
        run_sql("UPDATE messaging_message SET priority = 5 WHERE id <= %s", [ids[1]])
        assert [row.id for row in claim(account_id=road.pk, owner="a", limit=3)] == [ids[0], ids[2], ids[3]]
        assert [row.id for row in claim(account_id=road.pk, owner="b", limit=3)] == [ids[1]]

    def test_never_more_than_the_limit(self, acme, road):
        accept(acme, 300)
        for _ in range(10):
            assert len(claim(account_id=road.pk, owner="a", limit=7)) == 7
        assert Counter(leases().values()) == {"claimed": 70}
        assert statuses() == {"queued": 300}

    def test_only_the_holder_may_submit_or_give_back(self, acme, road):
        ids = accept(acme, 2)
        claim(account_id=road.pk, owner="a", limit=9)
        assert mark_submitting(owner="b", ids=ids) == set()
        give_back(owner="b", ids=ids)
        give_back(owner="a", ids=[])
        assert mark_submitting(owner="a", ids=[]) == set()
        assert mark_submitting(owner="a", ids=ids[:1]) == {ids[0]}
        give_back(owner="a", ids=ids)
        assert leases() == {ids[0]: "submitting"}
        assert message(ids[0]).status == "queued"

    def test_D4_a_dead_claim_is_retried_and_a_dead_submission_is_unknown(self, acme, road):
        ids = accept(acme, 4)
        claim(account_id=road.pk, owner="a", limit=9)
        mark_submitting(owner="a", ids=ids[:2])
        assert (sweep().requeued, sweep().unknown) == (0, 0)
        age_leases()
        found = sweep()
        assert (found.requeued, found.unknown, found.accounts) == (2, 2, 1)
        assert statuses() == {"queued": 2, "sent": 2}
        assert leases() == {}
        assert [message(pk).error_code for pk in ids[:2]] == ["sender_lost"] * 2
        assert sweep().requeued == 0

    def test_a_process_not_seen_for_long_loses_its_leases_at_once(self, acme, road):
        accept(acme, 2)
        loop.claims.be_seen(owner="a")
        claim(account_id=road.pk, owner="a", limit=1)
        claim(account_id=road.pk, owner="b", limit=1)
        assert sweep().requeued == 0
        run_sql("UPDATE messaging_sendingprocess SET seen_at = '2026-01-01 00:00:00+00:00'")
        assert sweep().requeued == 1
        loop.claims.be_seen(owner="b")
        run_sql("UPDATE messaging_sendingprocess SET seen_at = '2026-01-01 00:00:00+00:00' WHERE owner = 'a'")
        sweep()
        assert list(SendingProcess.objects.values_list("owner", flat=True)) == ["b"]
        loop.claims.leave(owner="b")
        assert not SendingProcess.objects.exists()


def test_every_step_of_the_states_is_a_known_one():
    assert all(may_step(old, new) for old, targets in STEPS.items() for new in targets)
    assert not may_step("delivered", "failed")
    assert not may_step("sent", "queued")
    assert not may_step("failed", "queued")


def test_a_message_settled_once_is_not_moved_by_its_own_outcome_again(acme, road):
    pk = send_one(acme, road)
    assert record_outcomes([outcome(pk, "rejected"), outcome(pk + 1000, "rejected")]) == []
    assert message(pk).status == "sent"
    check_books()


def test_simulated_messages_never_reach_the_loop(carrier):
    road = make_road(carrier.url)
    accept(make_sender(simulation=True), 3)
    assert run_loop(road).submitted == 0
    assert carrier.requests == 0


class TestContent:
    """What a channel has beyond the text travels with the message, and its opt-outs are those of its channel."""

    def test_it_reaches_the_adapter_as_it_was_accepted(self, acme, road):
        content = {"subject": "Habari ✓", "html": "<p>1 < 2</p>", "headers": {"X-A": "1"}}
        with transaction.atomic():
            rows = [
                NewMessage("+254711000001", "ACME", "Habari", 1, 1, "gsm7", 0, road.pk, content=content),
                NewMessage("+254711000002", "ACME", "Habari", 1, 1, "gsm7", 0, road.pk),
            ]
            store_messages(client=acme, rows=rows, now=database_now(), source="api")
        first, second = map(loop.outbound, claim(account_id=road.pk, owner=new_owner(), limit=10))
        assert (first.channel, first.content, second.content) == ("sms", content, None)
        kept = list(Message.objects.unscoped().order_by("pk").values_list("content", flat=True))
        assert kept == [content, None]
        assert Message.objects.unscoped().filter(content__isnull=True).count() == 1

    def test_content_never_shares_a_request(self, acme, carrier):
        road = make_road(carrier.url, batch_size=10)
        accept(acme, 4)
        Message.objects.unscoped().filter(recipient=number(0)).update(content={"subject": "x"})
        run_loop(road)
        assert carrier.requests == 2
        assert set(carrier.accepted) == {number(n) for n in range(4)}

    def test_D10_an_opt_out_of_another_channel_stops_nothing(self, acme, carrier):
        road = make_road(carrier.url)
        accept(acme, 1)
        with transaction.atomic():
            row = NewMessage(number(1), "ACME", "Habari", 1, 1, "gsm7", 0, road.pk, channel="whatsapp")
            store_messages(client=acme, rows=[row], now=database_now(), source="api")
        for n in range(2):
            record_opt_out(client_id=acme.pk, channel="whatsapp", address=number(n), source="stop")
        run_loop(road)
        assert set(carrier.accepted) == {number(0)}
