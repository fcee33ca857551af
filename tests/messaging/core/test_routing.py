"""Which road a message takes, how a whole queue changes roads, and what becomes of a message that none can take."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from crm.common.errors import InvalidInput
from crm.common.networks import likely_network
from crm.common.sql import database_now, later_sql
from messaging.errors import NoRoute
from messaging.models import Message, ProviderAccount, Route, RouteDecision
from messaging.sending.claims import claim
from messaging.sending.sweep import sweep
from messaging.services.accept import Draft, accept_messages
from messaging.services.expansion import expand_campaign
from messaging.services.providers import (
    add_route,
    mark_working,
    pause_account,
    rest_account,
    resume_account,
    set_weight,
)
from messaging.services.queues import age_queues, divert_queue, move_queue, plan_of
from messaging.services.routing import RouteTable, is_reachable
from messaging.windows import UnreadableWindow, read_window
from tests.messaging.core.world import (
    accept,
    balance,
    check_books,
    confirm,
    make_contacts,
    make_draft,
    make_group,
    make_road,
    message,
    movements,
    number,
    run_sql,
    statuses,
)


def placed() -> Counter[int]:
    """How many messages wait for which account."""
    return Counter(Message.objects.unscoped().values_list("provider_account_id", flat=True))


def hours_from_now(first: float, last: float) -> str:
    """A window of every day, in UTC, around the present."""
    now = database_now()
    return f"{now + timedelta(hours=first):%H:%M}-{now + timedelta(hours=last):%H:%M}"


def out_for(account: ProviderAccount, hours: float) -> None:
    run_sql(f"UPDATE messaging_provideraccount SET out_since = {later_sql(-hours * 3600)} WHERE id = %s", [account.pk])
    run_sql(f"UPDATE messaging_message SET queued_at = {later_sql(-hours * 3600)}", [])


class TestWindows:
    @pytest.mark.parametrize(
        ("window", "moment", "holds"),
        [
            ("", "2026-11-28 03:00", True),
            ("Mon-Fri 08:00-18:00", "2026-11-27 17:59", True),  # a Friday
            ("Mon-Fri 08:00-18:00", "2026-11-27 18:00", False),
            ("Mon-Fri 08:00-18:00", "2026-11-28 12:00", False),
            ("Mon-Fri 08:00-18:00, Sat 08:00-12:00", "2026-11-28 11:59", True),
            ("22:00-06:00", "2026-11-28 23:00", True),
            ("22:00-06:00", "2026-11-28 05:59", True),
            ("22:00-06:00", "2026-11-28 06:00", False),
            ("Sun 22:00-06:00", "2026-11-30 05:00", True),  # Monday morning
            ("Sun 22:00-06:00", "2026-11-29 05:00", False),
            ("Fri-Mon 00:00-24:00", "2026-11-29 00:00", True),
            ("Fri-Mon 00:00-24:00", "2026-12-01 00:00", False),
        ],
    )
    def test_hours_as_people_write_them(self, window, moment, holds):
        assert read_window(window).holds_at(datetime.fromisoformat(moment)) is holds

    def test_the_next_opening(self):
        window = read_window("Mon-Fri 08:00-18:00")
        friday_evening = datetime(2026, 11, 27, 19, 30, 5, tzinfo=UTC)
        assert window.opens_after(friday_evening) == datetime(2026, 11, 30, 8, 0, tzinfo=UTC)

    @pytest.mark.parametrize("text", ["8-18", "Mo 08:00-18:00", "08:00-08:00", "25:00-26:00", "08:60-09:00", "always"])
    def test_what_is_no_window_is_refused(self, text):
        with pytest.raises(UnreadableWindow):
            read_window(text)


class TestChoosing:
    def test_networks_by_range(self):
        assert [
            likely_network(phone) for phone in ("+254712345678", "+254733000000", "+255754123456", "+15551234")
        ] == [
            "Safaricom",
            "Airtel",
            "Vodacom",
            "",
        ]

    def test_prefix_and_network_narrow_a_route(self, acme):
        any_road = make_road(name="any")
        airtel = make_road(name="airtel", network="Airtel", preference=50)
        short = make_road(name="short", prefix="+25471", preference=90)
        long = make_road(name="long", prefix="+2547123", preference=99)
        table = RouteTable("sms")
        chosen = {
            phone: table.account_for(country="KE", sender="ACME", number=phone)
            for phone in ("+254700000000", "+254733000000", "+254710000000", "+254712300000")
        }
        assert list(chosen.values()) == [any_road.pk, airtel.pk, short.pk, long.pk]

    def test_equals_share_by_weight(self, acme):
        big, small, none = make_road(name="big"), make_road(name="small"), make_road(name="none")
        for road, weight in ((big, 300), (small, 100), (none, 0)):
            Route.objects.filter(account=road).update(weight=weight)
        accept(acme, 400)
        shares = placed()
        assert shares[none.pk] == 0
        assert 240 < shares[big.pk] < 350, shares
        assert shares.total() == 400

    def test_weight_zero_is_taken_when_nothing_else_can(self, db):
        drained, other = make_road(name="drained"), make_road(name="other", preference=90)
        Route.objects.filter(account=drained).update(weight=0)
        assert RouteTable("sms").account_for(country="KE", sender="ACME") == other.pk
        rest_account(account_id=other.pk, reason="x")
        assert RouteTable("sms").account_for(country="KE", sender="ACME") == drained.pk

    def test_a_route_holds_only_in_its_hours(self, acme):
        night = make_road(name="night", window=hours_from_now(2, 4), preference=1, time_zone="UTC")
        day = make_road(name="day", preference=5)
        accept(acme, 1)
        assert placed() == {day.pk: 1}
        Route.objects.filter(account=night).update(window=hours_from_now(-1, 1))
        accept(acme, 1, first=1)
        assert placed() == {day.pk: 1, night.pk: 1}

    def test_where_every_route_is_closed_a_message_waits_for_the_opening(self, acme):
        road = make_road(window=hours_from_now(2, 4), time_zone="UTC")
        (pk,) = accept(acme)
        wait = message(pk).next_attempt_at - database_now()
        assert timedelta(hours=1, minutes=58) < wait < timedelta(hours=2)
        assert claim(account_id=road.pk, owner="a", limit=9) == []
        out_for(road, 5)
        assert age_queues() == 0
        assert not is_reachable(channel="sms", country="KE")

    def test_a_window_is_read_in_the_clock_of_the_country(self, db):
        local = database_now() + timedelta(hours=3)  # Nairobi
        around = f"{local - timedelta(hours=1):%H:%M}-{local + timedelta(hours=1):%H:%M}"
        make_road(country="KE", window=around)
        assert is_reachable(channel="sms", country="KE")

    def test_is_reachable_says_whether_a_healthy_road_is_there(self, db):
        assert not is_reachable(channel="sms", country="KE")
        road = make_road(country="KE")
        assert is_reachable(channel="sms", country="KE")
        assert not is_reachable(channel="sms", country="TZ")
        assert not is_reachable(channel="email", country="KE")
        rest_account(account_id=road.pk, reason="x")
        assert not is_reachable(channel="sms", country="KE")

    def test_messages_carry_their_country_and_network(self, acme, road):
        accept_messages(client=acme, drafts=[Draft(number(0), "a"), Draft("+255754123456", "a")])
        rows = Message.objects.unscoped().order_by("pk").values_list("country", "network")
        assert list(rows) == [("KE", "Safaricom"), ("TZ", "Vodacom")]

    def test_queries_do_not_grow_with_the_messages(self, acme, road):
        make_road(name="b", prefix="+25471", network="Safaricom", window=hours_from_now(-1, 1), time_zone="UTC")

        def queries(count: int, first: int) -> int:
            with CaptureQueriesContext(
                connection,
            ) as seen:
                accept(acme, count, first=first)
            return len(seen)

        assert queries(2, 0) == queries(300, 10)

    def test_a_campaign_spreads_over_its_roads(self, acme):
        one, two = make_road(name="one"), make_road(name="two")
        campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 200))))
        expand_campaign(campaign_id=campaign.pk)
        shares = placed()
        assert min(shares[one.pk], shares[two.pk]) > 60
        assert shares.total() == 200


class TestDiverting:
    def test_every_kind_goes_where_its_routes_say(self, acme):
        road = make_road(name="main")
        tanzania, airtel = make_road(name="tz", country="TZ"), make_road(name="airtel", network="Airtel")
        drafts = [Draft(phone, "a") for phone in ("+255754123456", "+254733000000", number(1), "+256772123456")]
        accept_messages(client=acme, drafts=drafts)
        run_sql("UPDATE messaging_message SET provider_account_id = %s", [road.pk])
        pause_account(account_id=road.pk, by=None)
        assert divert_queue(account_id=road.pk) == {tanzania.pk, airtel.pk}
        assert placed() == {road.pk: 2, tanzania.pk: 1, airtel.pk: 1}
        moved = RouteDecision.objects.filter(account=road, kind="moved").get()
        assert moved.messages == 2
        assert moved.facts == {"to": {str(tanzania.pk): 1, str(airtel.pk): 1}}

    def test_a_whole_queue_moves_in_a_few_statements_and_by_weight(self, acme):
        road, one, two = make_road(name="main", preference=1), make_road(name="one"), make_road(name="two")
        Route.objects.filter(account=two).update(weight=300)
        accept(acme, 400)
        assert placed() == {road.pk: 400}
        rest_account(account_id=road.pk, reason="x")
        with CaptureQueriesContext(connection) as seen:
            divert_queue(account_id=road.pk)
        assert len(seen) < 20, [query["sql"] for query in seen]
        assert placed() == {one.pk: 100, two.pk: 300}

    def test_the_pace_of_a_spread_campaign_is_kept_and_a_back_off_is_not(self, acme):
        road, other = make_road(name="main", preference=1), make_road(name="other")
        paced, tried = accept(acme, 2)
        later = later_sql(3600)
        run_sql(f"UPDATE messaging_message SET next_attempt_at = {later}", [])
        run_sql("UPDATE messaging_message SET attempts = 2 WHERE id = %s", [tried])
        rest_account(account_id=road.pk, reason="x")
        assert divert_queue(account_id=road.pk) == {other.pk}
        assert message(tried).next_attempt_at is None
        assert message(paced).next_attempt_at > database_now() + timedelta(minutes=50)

    def test_nothing_moves_to_an_account_that_rests(self, acme):
        road, other = make_road(name="main", preference=1), make_road(name="other")
        accept(acme, 3)
        for account in (road, other):
            rest_account(account_id=account.pk, reason="x")
        assert divert_queue(account_id=road.pk) == set()
        assert placed() == {road.pk: 3}

    def test_a_window_that_closes_gives_the_queue_to_the_next_route(self, acme):
        night = make_road(name="night", window=hours_from_now(-1, 1), preference=1, time_zone="UTC")
        day = make_road(name="day", preference=5)
        accept(acme, 3)
        assert placed() == {night.pk: 3}
        Route.objects.filter(account=night).update(window=hours_from_now(2, 4))
        sweep()
        assert placed() == {day.pk: 3}

    def test_a_window_that_closes_without_another_route_holds_its_queue(self, acme):
        night = make_road(name="night", window=hours_from_now(-1, 1), time_zone="UTC")
        (pk,) = accept(acme)
        Route.objects.filter(account=night).update(window=hours_from_now(2, 4))
        sweep()
        assert message(pk).next_attempt_at > database_now() + timedelta(hours=1)
        assert claim(account_id=night.pk, owner="a", limit=9) == []

    def test_a_queue_is_moved_by_hand_and_back(self, acme):
        road, other = make_road(name="main", preference=1), make_road(name="other")
        by = User.objects.create_superuser("staff@else.test", "correct-horse-7")
        accept(acme, 3)
        assert [(part.messages, part.choice.accounts) for part in plan_of(road.pk)] == [(3, [road.pk])]
        assert move_queue(account_id=road.pk, to=other.pk, by=by, reason="cheaper") == 3
        assert placed() == {other.pk: 3}
        assert move_queue(account_id=other.pk, to=road.pk, by=by) == 3
        assert placed() == {road.pk: 3}
        assert [(row.reason, row.by, row.messages) for row in other.decisions.all()] != []
        assert road.decisions.get().by == by

    def test_a_queue_is_not_moved_to_where_it_cannot_leave(self, acme):
        road = make_road(name="main")
        accept(acme, 3)  # while there is one road: equal ones share by chance
        paused, letters = make_road(name="paused"), make_road(name="letters", channel="email")
        pause_account(account_id=paused.pk, by=None)
        for target in (road, paused, letters):
            with pytest.raises(InvalidInput):
                move_queue(account_id=road.pk, to=target.pk, by=None)
        assert statuses() == {"queued": 3}


class TestAgeing:
    def test_D6_what_no_road_takes_for_four_hours_fails_and_is_refunded(self, acme, road):
        accept(acme, 3)
        money = balance(acme)
        pause_account(account_id=road.pk, by=None)
        out_for(road, 3.9)
        sweep()
        assert statuses() == {"queued": 3}
        out_for(road, 4.1)
        sweep()
        assert statuses() == {"failed": 3}
        assert movements(acme, "refund") == 3
        assert balance(acme) > money
        assert set(Message.objects.unscoped().values_list("error_code", flat=True)) == {"waited_too_long"}
        aged = road.decisions.filter(kind="aged").get()
        assert aged.messages == 3
        check_books()

    def test_a_switched_off_account_is_known_since_when(self, acme, road):
        ProviderAccount.objects.filter(pk=road.pk).update(is_active=False)  # as by SQL or an older release
        sweep()
        road.refresh_from_db()
        assert road.out_since is not None

    def test_a_long_queue_of_a_working_account_does_not_age(self, acme, road):
        accept(acme, 3)
        run_sql(f"UPDATE messaging_message SET queued_at = {later_sql(-6 * 3600)}", [])
        sweep()
        assert statuses() == {"queued": 3}

    def test_an_account_that_works_again_starts_its_four_hours_anew(self, acme, road):
        accept(acme, 1)
        rest_account(account_id=road.pk, reason="x")
        out_for(road, 5)
        mark_working(account_id=road.pk)
        assert age_queues() == 0


class TestDecisions:
    def test_every_change_leaves_a_row_with_its_reason_and_its_person(self, road):
        by = User.objects.create_superuser("staff@else.test", "correct-horse-7")
        rest_account(account_id=road.pk, reason="HTTP 500")
        mark_working(account_id=road.pk)
        assert pause_account(account_id=road.pk, by=by, reason="invoice")
        assert not pause_account(account_id=road.pk, by=by)
        assert resume_account(account_id=road.pk, by=by)
        assert not resume_account(account_id=road.pk, by=by)
        set_weight(route_id=road.routes.get().pk, weight=20, by=by)
        rows = [(row.kind, row.by) for row in road.decisions.order_by("pk")]
        assert rows == [("rested", None), ("working", None), ("paused", by), ("resumed", by), ("weighted", by)]
        assert road.decisions.get(kind="rested").reason == "HTTP 500"
        assert road.decisions.get(kind="weighted").facts["before"] == 100

    def test_a_share_has_bounds(self, road):
        with pytest.raises(InvalidInput):
            set_weight(route_id=road.routes.get().pk, weight=1001, by=None)

    def test_a_paused_account_takes_no_new_messages(self, acme, road):
        pause_account(account_id=road.pk, by=None)
        with pytest.raises(NoRoute):
            RouteTable("sms").account_for(country="KE", sender="ACME")
        resume_account(account_id=road.pk, by=None)
        assert RouteTable("sms").account_for(country="KE", sender="ACME") == road.pk

    def test_adding_a_route_again_changes_it(self, road):
        add_route(account=road, weight=5)
        assert [route.weight for route in road.routes.all()] == [5]
