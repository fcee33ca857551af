"""An account's rate and its requests in flight hold over all processes together; its breaker judges by its answers."""

import time
from collections import Counter

import pytest

from messaging.models import ProviderAccount, ProviderPace, SendingProcess
from messaging.providers.base import Outcome
from messaging.sending import breaker as breaking
from messaging.sending import runner
from messaging.sending.breaker import Breaker
from messaging.sending.loop import Loop
from messaging.sending.pace import take_share, take_slice
from messaging.services.providers import rest_account, take_probe
from tests.crowd import at_once
from tests.messaging.core.carrier import Carrier
from tests.messaging.core.world import accept, make_due, make_road, number, run_loop, run_sql, statuses


class TestRate:
    def test_slices_follow_one_another_without_overlap(self, road):
        waits = [take_slice(account_id=road.pk, rate=10 / 0.95, messages=5) for _ in range(4)]
        assert waits == pytest.approx([0, 0.5, 1.0, 1.5], abs=0.1)

    def test_time_that_nobody_used_is_not_saved_up(self, road):
        take_slice(account_id=road.pk, rate=100, messages=10)
        ProviderPace.objects.filter(account=road).update(free_at=1.0)  # long ago
        assert take_slice(account_id=road.pk, rate=10 / 0.95, messages=5) == pytest.approx(0, abs=0.1)
        began = time.monotonic()
        wait = take_slice(account_id=road.pk, rate=10 / 0.95, messages=5)
        assert 0.4 - (time.monotonic() - began) < wait < 0.6


@pytest.mark.django_db(transaction=True)
class TestTogether:
    """Several loops, each with a connection of its own as in processes of their own."""

    def test_the_rate_is_never_exceeded_and_nearly_reached(self, acme, carrier):
        road = make_road(carrier.url)
        ProviderAccount.objects.filter(pk=road.pk).update(rate_per_second=40)
        accept(acme, 120)
        arrivals: list[float] = []
        take = carrier.take

        def note(numbers):
            arrivals.append(time.monotonic())
            return take(numbers)

        carrier.take = note
        began = time.monotonic()
        at_once(3, lambda _: run_loop(road))
        took = time.monotonic() - began
        assert carrier.accepted == {number(n): 1 for n in range(120)}
        busiest = max(sum(start <= at < start + 1.0 for at in arrivals) for start in arrivals)
        assert busiest <= 42, f"{busiest} in one second"  # a step that came late shares its second with a punctual one
        assert took < 7, "near to the rate: 120 messages are three seconds"

    def test_requests_in_flight_are_shared(self, acme, carrier):
        carrier.delay = 0.05
        road = make_road(carrier.url)
        ProviderAccount.objects.filter(pk=road.pk).update(most_at_once=4)
        accept(acme, 80)
        at_once(3, lambda _: run_loop(road))
        assert carrier.accepted == {number(n): 1 for n in range(80)}
        assert carrier.most_flying <= 4

    def test_one_process_alone_tries_an_account_that_comes_back(self, road):
        rest_account(account_id=road.pk, reason="x")
        make_due()
        won = at_once(4, lambda index: take_probe(account_id=road.pk, owner=f"p{index}"))
        assert Counter(won) == {True: 1, False: 3}


class TestShares:
    def test_a_share_is_given_back_only_when_it_has_landed(self, road):
        assert take_share(account_id=road.pk, owner="a", limit=10, flying=0) == 10
        assert take_share(account_id=road.pk, owner="b", limit=10, flying=0) == 0
        assert take_share(account_id=road.pk, owner="a", limit=10, flying=8) == 5
        assert take_share(account_id=road.pk, owner="b", limit=10, flying=0) == 2
        assert take_share(account_id=road.pk, owner="a", limit=10, flying=5) == 5
        assert take_share(account_id=road.pk, owner="b", limit=10, flying=2) == 5

    def test_what_a_dead_process_held_is_free(self, road):
        take_share(account_id=road.pk, owner="a", limit=10, flying=0)
        run_sql("UPDATE messaging_sendingprocess SET seen_at = '2026-01-01 00:00:00'")
        assert take_share(account_id=road.pk, owner="b", limit=10, flying=0) >= 5
        assert SendingProcess.objects.count() == 2


def ended(kind: str) -> list[Outcome]:
    return [Outcome(1, kind, error_message="" if kind == "accepted" else "HTTP 500")]


class TestBreaker:
    def test_errors_in_a_row(self):
        breaker = Breaker()
        for _ in range(9):
            breaker.note(ended("retry"), 0.1, now=0)
        assert breaker.errors(now=0) == ""
        breaker.note(ended("ambiguous"), 0.1, now=0)
        assert breaker.errors(now=0) == "HTTP 500"

    def test_a_refusal_with_an_answer_is_no_error(self):
        breaker = Breaker()
        for _ in range(30):
            breaker.note(ended("rejected"), 0.1, now=0)
        assert breaker.errors(now=0) == ""

    def test_half_of_the_last_minute(self):
        breaker = Breaker()
        for _ in range(15):
            breaker.note(ended("accepted"), 0.1, now=0)
            breaker.note(ended("retry"), 0.1, now=0)
        assert breaker.errors(now=1).startswith("15 of the last 30 requests failed")
        assert breaker.errors(now=100) == "", "a minute later it is forgotten"

    def test_slow_is_measured_by_what_is_usual(self):
        breaker = Breaker(usual=1.0)
        for _ in range(20):
            breaker.note(ended("accepted"), 3.9, now=0)
        assert breaker.slowness(now=1) == ""
        for _ in range(40):
            breaker.note(ended("accepted"), 4.5, now=1)
        assert breaker.slowness(now=1) == "slow: half of its answers took 4.5 s or more, 1.0 s is usual"

    def test_what_was_never_quick_is_not_called_slow_by_another_s_measure(self):
        breaker = Breaker()
        for _ in range(20):
            breaker.note(ended("accepted"), 5, now=0)
        assert breaker.slowness(now=1) == ""

    def test_requests_that_hang_are_noticed_before_they_time_out(self):
        assert Breaker().slowness(hanging=9, slots=10, now=0) == ""
        assert Breaker().slowness(hanging=16, slots=32, now=0).startswith("16 requests have had no answer")


class TestRests:
    def test_an_account_that_is_back_is_tried_with_one_message(self, acme, carrier):
        carrier.always = "error"
        road = make_road(carrier.url)
        accept(acme, 60)
        rest_account(account_id=road.pk, reason="x")
        make_due()
        runner.send_waiting(account_id=road.pk)
        assert carrier.requests == 1
        road.refresh_from_db()
        assert road.rest_level == 2
        make_due()
        carrier.always = "ok"
        runner.send_waiting(account_id=road.pk)
        road.refresh_from_db()
        assert (road.rest_level, road.rest_until, road.out_since, road.probe_owner) == (0, None, None, "")
        assert statuses() == {"sent": 60}
        assert set(carrier.accepted.values()) == {1}
        assert [row.kind for row in road.decisions.order_by("pk")] == ["rested", "rested", "working"]

    def test_a_slow_account_rests_only_where_another_road_is(self, acme, carrier, monkeypatch):
        monkeypatch.setattr(breaking, "SLOW_SECONDS", 0.05)
        carrier.delay = 0.12
        road = make_road(carrier.url, preference=1)
        ProviderAccount.objects.filter(pk=road.pk).update(usual_seconds=0.01)
        monkeypatch.setattr("messaging.sending.loop.JUDGE_EVERY", 0.1)
        accept(acme, 40)
        run_loop(road, slots=8)
        assert statuses() == {"sent": 40}
        assert not road.decisions.exists()
        other = Carrier()
        second = make_road(other.url, name="Other", preference=2)
        accept(acme, 600, first=40)
        runner.send_waiting(account_id=road.pk)
        other.close()
        assert road.decisions.filter(kind="rested", reason__startswith="slow").exists()
        assert other.accepted.total() > 50
        assert carrier.accepted + other.accepted == {number(n): 1 for n in range(640)}
        assert statuses() == {"sent": 640}
        assert second.decisions.count() == 0

    def test_the_last_error_and_the_usual_time_are_kept(self, acme, carrier, monkeypatch):
        monkeypatch.setattr("messaging.sending.loop.JUDGE_EVERY", 0.0)
        carrier.plan.extend(["busy"])
        road = make_road(carrier.url)
        accept(acme, 60)
        Loop(road, stop=lambda: False, slots=4).run()
        road.refresh_from_db()
        assert road.last_error == "HTTP 429"
        assert 0 < road.usual_seconds < 1
