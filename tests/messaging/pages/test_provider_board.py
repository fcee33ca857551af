"""The operator's board: how each road fares, what was decided, what a change would do, and whether an account works."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from crm.common.sql import database_now
from messaging import provider_board
from messaging.models import EventKind, Message, MessageEvent, MessageLease, ProviderAccount, ProviderTally, Route
from messaging.providers.base import Outcome
from messaging.sending.recording import record_outcomes
from messaging.sending.sweep import close_unreported
from messaging.services.provider_tallies import (
    bucket_of,
    coarsen_provider_tallies,
    merge_provider_tallies,
    read_cost,
    slot_of,
)
from messaging.services.providers import rest_account
from messaging.services.reports import process_callbacks
from messaging.services.trials import accounts_to_ask_for_balance, read_balance, try_account
from messaging.views.messages import EVENT_WORDS
from tests.messaging.core.world import (
    accept,
    balance,
    check_books,
    make_road,
    make_sender,
    message,
    movements,
    outcome,
    report,
    run_sql,
    send_one,
    submit,
)

pytestmark = pytest.mark.django_db


class Vendor(HTTPServer):
    """Answers every GET with `status` and `body`, dated `ahead` seconds in the future."""

    status, body, ahead = 200, b'{"UserData": {"balance": "KES 1234.50"}}', 0.0


class _Answer(BaseHTTPRequestHandler):
    server: Vendor

    def do_GET(self) -> None:
        self.send_response_only(self.server.status)
        self.send_header("Date", formatdate(time.time() + self.server.ahead, usegmt=True))
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    server = Vendor(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def staff() -> Browser:
    browser = Browser()
    browser.force_login(User.objects.create_superuser("staff@else.test", "correct-horse-7"))
    return browser


@pytest.fixture
def sender():
    return make_sender()


def url_of(vendor: Vendor) -> str:
    return f"http://127.0.0.1:{vendor.server_address[1]}"


def road_page(account: ProviderAccount) -> str:
    return reverse("admin:messaging_provider_road", args=[account.pk])


def told(browser: Browser, path: str, **fields: object) -> str:
    return browser.post(path, fields, follow=True).content.decode()


class TestFigures:
    def test_what_was_taken_delivered_failed_and_paid(self, sender):
        road = make_road()
        ids = accept(sender, 5)
        submit(road)
        taken = [Outcome(pk, "accepted", provider_message_id=f"AT{pk}", provider_cost="KES 0.8000") for pk in ids[:3]]
        lost, refused = outcome(ids[3], "ambiguous"), outcome(ids[4], "rejected", code="invalid_number")
        record_outcomes([*taken, lost, refused])
        run_sql("UPDATE messaging_message SET sent_at = sent_at")
        report(road, f"AT{ids[0]}", "Success")
        report(road, f"AT{ids[1]}", "Failed", reason="UserIsInactive")
        process_callbacks()
        for melt in (False, True):
            if melt:
                merge_provider_tallies()
                assert not ProviderTally.objects.filter(merged=False).exists()
            (line,) = provider_board.board("1h")
            fared = line.fared
            assert (fared.accepted, fared.unconfirmed, fared.delivered, fared.unreported) == (4, 1, 1, 2)
            assert fared.delivered_share == 25.0
            assert dict(fared.failed) == {"invalid_number": 1, "inactive": 1}
            assert dict(fared.causes) == {"Number does not exist": 1, "Number is not in use": 1}
            assert fared.costs == {"KES": 2_400_000}
            assert fared.median is not None
            assert fared.median < 30
            assert [name for name, _ in line.networks] == ["KE Safaricom"]

    def test_times_to_delivery(self):
        fared = provider_board.Fared()
        assert fared.median is None
        for seconds, count in ((2, 90), (60, 10)):
            fared.take(f"seconds:{bucket_of(seconds)}", count)
        assert fared.median == pytest.approx(2, rel=0.13)
        assert fared.p95 == pytest.approx(60, rel=0.13)

    def test_retries_are_counted_and_only_the_period_is(self, sender):
        road = make_road()
        (pk,) = accept(sender)
        submit(road)
        record_outcomes([outcome(pk, "retry", code="provider_busy")])
        (line,) = provider_board.board("1h")
        assert (line.fared.retried, line.fared.accepted, line.waiting) == (1, 0, 1)
        ProviderTally.objects.update(slot=slot_of(database_now() - timedelta(hours=3)))
        assert provider_board.board("1h")[0].fared.retried == 0
        assert provider_board.board("24h")[0].fared.retried == 1

    def test_older_slots_become_hours_and_the_sum_stays(self, sender):
        road = make_road()
        send_one(sender, road)
        send_one(sender, road, "AT2")
        merge_provider_tallies()
        end = database_now() - timedelta(hours=7)
        ProviderTally.objects.update(slot=end.replace(minute=20, second=0, microsecond=0))
        before = ProviderTally.objects.filter(measure="accepted").get().amount
        assert coarsen_provider_tallies() > 0
        merge_provider_tallies()
        row = ProviderTally.objects.filter(measure="accepted").get()
        assert (row.amount, row.slot.minute) == (before, 0)
        ProviderTally.objects.update(slot=database_now() - timedelta(days=36))
        coarsen_provider_tallies()
        assert not ProviderTally.objects.exists()

    @pytest.mark.parametrize(
        ("words", "cost"),
        [("KES 0.8000", ("KES", 800_000)), ("USD 0.01", ("USD", 10_000)), ("0", None), ("", None), ("KES x", None)],
    )
    def test_costs_as_providers_write_them(self, words, cost):
        assert read_cost(words) == cost


class TestBoard:
    def test_the_board_shows_every_account_and_the_decisions(self, staff, sender):
        road, other = make_road(preference=1), make_road(name="Other", preference=2)
        send_one(sender, road)
        rest_account(account_id=other.pk, reason="Connection refused")
        ProviderAccount.objects.filter(pk=other.pk).update(rest_until=database_now() + timedelta(minutes=5))
        page = staff.get(reverse("admin:messaging_provider_board"), {"period": "7d"}).content.decode()
        for words in ("Carrier", "Other", "Out of use", "Connection refused", "Taken out of use", "KE Safaricom"):
            assert words in page, words

    def test_queries_do_not_grow_with_messages(self, staff, sender):
        road = make_road()
        path = reverse("admin:messaging_provider_board")
        accept(sender, 2)
        with CaptureQueriesContext(connection) as few:
            staff.get(path)
        accept(sender, 200, first=10)
        with CaptureQueriesContext(connection) as many:
            staff.get(path)
        assert len(few) == len(many)
        assert "202" in staff.get(road_page(road)).content.decode()

    def test_without_accounts_it_says_so(self, staff):
        assert "No provider account is set up." in staff.get(reverse("admin:messaging_provider_board")).content.decode()

    def test_who_is_not_staff_sees_nothing(self):
        browser = Browser()
        road = make_road()
        browser.force_login(User.objects.create_user("amina@acme.test", "correct-horse-7"))
        for path in (reverse("admin:messaging_provider_board"), road_page(road)):
            assert browser.get(path).status_code == 302
        assistant = User.objects.create_user("helper@else.test", "correct-horse-7", is_staff=True)
        browser.force_login(assistant)
        for path in (reverse("admin:messaging_provider_board"), road_page(road)):
            assert browser.get(path).status_code == 403

    def test_the_preview_says_where_the_queue_would_go_and_for_how_much(self, staff, sender):
        road, other = make_road(preference=1), make_road(name="Other", preference=2)
        accept(sender, 3)
        ids = accept(sender, 2, first=10)
        submit(road)
        record_outcomes([Outcome(pk, "accepted", provider_message_id=str(pk), provider_cost="KES 0.8") for pk in ids])
        MessageLease.objects.all().delete()
        (effect,) = provider_board.preview(road)
        assert (effect.messages, effect.to) == (3, (("Other", 3),))
        assert effect.cost_here == "KES\u00a02.40"
        assert effect.cost_there == ""
        Route.objects.filter(account=other).delete()
        assert provider_board.preview(road)[0].to is None
        assert "Nowhere: they would wait" in staff.get(road_page(road)).content.decode()
        page = staff.get(road_page(road), {"to": other.pk}).content.decode()
        assert f"Move the queue to {other}" in page


class TestActs:
    def test_pause_gives_the_queue_away_and_resume_takes_it_up(self, staff, sender):
        road, other = make_road(preference=1), make_road(name="Other", preference=2)
        accept(sender, 3)
        page = told(staff, road_page(road), act="pause", reason="unpaid invoice")
        assert "Carrier is paused." in page
        assert "unpaid invoice" in page
        assert set(Message.objects.unscoped().values_list("provider_account_id", flat=True)) == {other.pk}
        assert "is in use again" in told(staff, road_page(road), act="resume")
        road.refresh_from_db()
        assert road.is_active
        assert [row.kind for row in road.decisions.order_by("pk")] == ["paused", "moved", "resumed"]
        assert {row.by.email for row in road.decisions.all()} == {"staff@else.test"}

    def test_move_and_share(self, staff, sender):
        road, other = make_road(preference=1), make_road(name="Other", preference=2)
        accept(sender, 3)
        assert "3 messages were moved." in told(staff, road_page(road), act="move", to=other.pk)
        assert "Choose another account" in told(staff, road_page(road), act="move", to="x")
        route = other.routes.get()
        assert "has the share 40" in told(staff, road_page(other), act="weight", route=route.pk, weight=40)
        assert "between 0 and 1000" in told(staff, road_page(other), act="weight", route=route.pk, weight=4000)
        assert "does not know what was asked" in told(staff, road_page(other), act="explode")

    def test_who_may_only_look_changes_nothing(self, sender):
        road = make_road()
        viewer = User.objects.create_user("viewer@else.test", "correct-horse-7", is_staff=True)
        viewer.user_permissions.add(Permission.objects.get(codename="view_provideraccount"))
        browser = Browser()
        browser.force_login(viewer)
        assert "Send a sample" not in browser.get(road_page(road)).content.decode()
        assert browser.post(road_page(road), {"act": "pause"}).status_code == 403
        road.refresh_from_db()
        assert road.is_active

    def test_a_sample_goes_by_this_account_whatever_the_routes_say(self, staff, sender):
        make_road(preference=1)
        other = make_road(name="Other", preference=2)
        fields = {"act": "sample", "client": sender.pk, "to": "0712345678", "text": "Hello", "sender": ""}
        assert "Sent as" in told(staff, road_page(other), **fields)
        sent = Message.objects.unscoped().get()
        assert (sent.provider_account_id, sent.text) == (other.pk, "Hello")
        refused = staff.post(road_page(other), fields | {"to": "12"})
        assert refused.status_code == 422
        assert 'value="12"' in refused.content.decode()
        assert Message.objects.unscoped().count() == 1

    def test_routes_are_checked_and_a_changed_share_is_a_decision(self, staff):
        road = make_road()
        path = reverse("admin:messaging_route_add")
        good = {
            "channel": "sms", "country": "ke", "network": "Airtel", "prefix": "25473", "sender": "", "account": road.pk,
            "preference": 5, "weight": 50, "window": "Mon-Fri 08:00-18:00", "time_zone": "Africa/Nairobi",
        }  # fmt: skip
        for wrong in ({"window": "office hours"}, {"time_zone": "Mars"}, {"prefix": "+x"}, {"channel": "email"}):
            assert staff.post(path, good | wrong).status_code == 200, wrong
        assert staff.post(path, good).status_code == 302
        route = Route.objects.get(country="KE")
        assert (route.prefix, route.window) == ("+25473", "Mon-Fri 08:00-18:00")
        change = reverse("admin:messaging_route_change", args=[route.pk])
        assert staff.post(change, good | {"weight": 10}).status_code == 302
        route.refresh_from_db()
        assert route.weight == 10
        assert road.decisions.get().facts == {"route": route.pk, "before": 50, "after": 10}


class TestTrials:
    def test_an_account_that_works_says_its_balance(self, staff, vendor):
        road = make_road(url_of(vendor))
        assert "knows the account: balance KES 1,234.50" in told(staff, road_page(road), act="try")
        road.refresh_from_db()
        assert (road.balance_micros, road.balance_currency) == (1_234_500_000, "KES")

    @pytest.mark.parametrize(
        ("status", "body", "words", "advice"),
        [
            (401, b"The supplied API key is invalid", "refuses the credentials (HTTP 401: The supplied", "Correct the"),
            (500, b"oops", "cannot be read (HTTP 500: oops)", "Check the address"),
        ],
    )
    def test_what_the_provider_says_is_shown_with_what_to_do(self, vendor, status, body, words, advice):
        vendor.status, vendor.body = status, body
        trial = try_account(make_road(url_of(vendor)))
        assert words in trial.words
        assert trial.advice.startswith(advice)

    def test_nobody_there(self):
        trial = try_account(make_road("http://127.0.0.1:9"))
        assert trial.serious
        assert "127.0.0.1:9 cannot be reached" in trial.words

    def test_a_clock_that_is_wrong(self, vendor):
        vendor.ahead = 600.0
        trial = try_account(make_road(url_of(vendor)))
        assert "its clock differs from ours by 600 seconds" in trial.words or "by 599 seconds" in trial.words
        assert trial.advice == "Set this host's clock by NTP."

    def test_missing_credentials_are_named_before_anybody_is_asked(self):
        road = make_road()
        road.credentials = {"username": "acme"}
        trial = try_account(road)
        assert trial.serious
        assert "needs" in trial.words

    def test_balances_are_read_every_ten_minutes_and_a_fall_is_told_once(self, vendor, staff):
        road = make_road(url_of(vendor))
        assert accounts_to_ask_for_balance() == [road.pk]
        assert accounts_to_ask_for_balance() == []
        ProviderAccount.objects.filter(pk=road.pk).update(balance_alarm_micros=1_000_000_000)
        read_balance(account_id=road.pk)
        assert mail.outbox == []
        vendor.body = json.dumps({"UserData": {"balance": "KES 12.00"}}).encode()
        read_balance(account_id=road.pk)
        read_balance(account_id=road.pk)
        assert [letter.to for letter in mail.outbox] == [["staff@else.test"]]
        assert "balance KES 12.00" in mail.outbox[0].body
        assert road.decisions.get().kind == "balance"
        assert "⚠" in staff.get(reverse("admin:messaging_provider_board")).content.decode()
        vendor.body = json.dumps({"UserData": {"balance": "KES 5000.00"}}).encode()
        read_balance(account_id=road.pk)
        vendor.body = json.dumps({"UserData": {"balance": "KES 1.00"}}).encode()
        read_balance(account_id=road.pk)
        assert len(mail.outbox) == 2

    def test_the_alarm_is_an_amount_in_the_form(self, staff):
        road = make_road()
        fields = {
            "name": "Main", "adapter": "africastalking", "is_active": "on", "base_url": "", "batch_size": "",
            "balance_alarm": "250.50", "rate_per_second": "20", "most_at_once": "5",
        }  # fmt: skip
        change = reverse("admin:messaging_provideraccount_change", args=[road.pk])
        assert staff.post(change, fields).status_code == 302
        road.refresh_from_db()
        assert road.balance_alarm_micros == 250_500_000
        assert (road.rate_per_second, road.most_at_once) == (20, 5)
        assert 'value="250.50"' in staff.get(change).content.decode()
        del fields["is_active"]
        assert staff.post(change, fields).status_code == 302
        road.refresh_from_db()
        assert not road.is_active
        assert road.decisions.get().kind == "paused"


class TestAfterThreeDays:
    def sent_long_ago(self, sender, road, kind="accepted", hours=73):
        (pk,) = accept(sender)
        submit(road)
        record_outcomes([outcome(pk, kind, "AT1" if kind == "accepted" else "")])
        moment = database_now() - timedelta(hours=hours)
        Message.objects.unscoped().filter(pk=pk).update(sent_at=moment)
        return pk

    def test_D2_sent_becomes_final_and_stays_paid(self, sender):
        road = make_road()
        pk = self.sent_long_ago(sender, road)
        money = balance(sender)
        assert close_unreported() == 1
        assert close_unreported() == 0
        assert (message(pk).status, message(pk).closed, balance(sender)) == ("sent", True, money)
        assert MessageEvent.objects.unscoped().filter(message_id=pk, kind="unreported").count() == 1
        check_books()

    def test_before_three_days_nothing_is_final(self, sender):
        self.sent_long_ago(sender, make_road(), hours=71)
        assert close_unreported() == 0

    @pytest.mark.parametrize("refunds", [False, True])
    def test_a_lost_answer_is_refunded_where_the_account_says_so(self, sender, refunds):
        road = make_road()
        ProviderAccount.objects.filter(pk=road.pk).update(refund_unconfirmed=refunds)
        money = balance(sender)
        pk = self.sent_long_ago(sender, road, kind="ambiguous")
        close_unreported()
        assert message(pk).status == ("failed" if refunds else "sent")
        assert movements(sender, "refund") == int(refunds)
        assert (balance(sender) == money) is refunds
        check_books()


def test_amounts_are_exact(vendor):
    assert try_account(make_road(url_of(vendor))).balance.amount == Decimal("1234.50")


def test_every_step_of_a_timeline_has_words():
    assert set(EVENT_WORDS) == set(EventKind)
