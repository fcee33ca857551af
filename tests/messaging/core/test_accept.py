"""What accept_messages takes, refuses and charges (D1, M5, M7, M9, D10)."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.services.clients import suspend_client
from contacts.services import record_opt_out
from crm.common.errors import InvalidInput
from crm.common.text_units import EmptyText, UnreadableText
from messaging import wake
from messaging.errors import (
    ChannelNotAvailable,
    ClientSuspended,
    InvalidSchedule,
    NoRoute,
    NoSender,
    SenderNotApproved,
    TextTooLong,
)
from messaging.models import Message, Route, SenderId, SenderState
from messaging.sending.simulation import advance_simulated
from messaging.sending.sweep import queue_due, sweep
from messaging.services.accept import Accepted, Draft, Refused, accept_messages
from messaging.services.providers import connect_provider
from messaging.services.senders import approve_sender_id
from tests.messaging.core.world import (
    ONE,
    accept,
    age_leases,
    balance,
    check_books,
    make_road,
    make_sender,
    message,
    movements,
    number,
    run_sql,
    statuses,
    timeline,
)
from wallet.errors import InsufficientBalance
from wallet.models import Rate
from wallet.services import create_price_plan, set_price_plan

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books")]


def nothing_moved(client, before=1000 * ONE):
    assert Message.objects.for_client(client).count() == 0
    assert balance(client) == before
    assert movements(client, "debit") == 0


def draft(to="+254710000001", text="Habari"):
    return Draft(recipient=to, text=text)


@pytest.mark.parametrize(
    ("expected", "options"),
    [
        (EmptyText, {"drafts": [draft(), draft(number(2), " \n ")]}),
        (UnreadableText, {"drafts": [draft(), draft(number(2), "a\x00b")]}),
        (UnreadableText, {"drafts": [draft(text="half \ud83d of a face")]}),
        (TextTooLong, {"drafts": [draft(), draft(number(2), "x" * 481)]}),
        (ChannelNotAvailable, {"channel": "whatsapp"}),
        (ChannelNotAvailable, {"channel": ""}),
        (SenderNotApproved, {"sender": "PENDING"}),
        (SenderNotApproved, {"sender": "UNKNOWN"}),
        (SenderNotApproved, {"sender": "ZURI"}),
        (InvalidSchedule, {"schedule_at": timezone.now() - timedelta(seconds=1)}),
        (InvalidSchedule, {"schedule_at": timezone.now() + timedelta(days=367)}),
        (InsufficientBalance, {"drafts": [draft(number(n), "x" * 480) for n in range(334)]}),
    ],
)
def test_a_refused_call_moves_nothing(acme, zuri, road, woken, expected, options):
    SenderId.objects.create(client=acme, name="PENDING", state=SenderState.PENDING)
    with pytest.raises(expected):
        accept_messages(**{"client": acme, "drafts": [draft()]} | options)
    nothing_moved(acme)
    nothing_moved(zuri)
    assert woken == []


def test_a_suspended_client_and_one_without_a_sender_send_nothing(acme, road):
    SenderId.objects.for_client(acme).update(is_default=False)
    with pytest.raises(NoSender):
        accept_messages(client=acme, drafts=[draft()])
    suspend_client(client=acme, reason="Unpaid")
    with pytest.raises(ClientSuspended):
        accept_messages(client=acme, drafts=[draft()], sender="ACME")
    nothing_moved(acme)


def test_results_come_in_the_order_of_the_drafts_and_the_total_is_what_left_the_wallet(acme, zuri, road, woken):
    record_opt_out(client_id=acme.pk, channel="sms", address=number(3), sender="ACME", source="stop")
    record_opt_out(client_id=acme.pk, channel="sms", address=number(4), sender="OTHER", source="stop")
    record_opt_out(client_id=zuri.pk, channel="sms", address=number(1), source="stop")
    drafts = [
        draft(number(1)),
        draft("no number"),
        draft("0710000001"),  # number(1) once more, as people write it
        draft(number(3)),
        draft(number(4), "x" * 161),
        draft(""),
        draft("254710000005"),
    ]
    results = accept_messages(client=acme, drafts=drafts)
    assert [type(result) for result in results] == [Accepted, Refused, Refused, Refused, Accepted, Refused, Accepted]
    assert [r.error.code for r in results if isinstance(r, Refused)] == [
        "invalid_phone", "duplicate_recipient", "opted_out", "invalid_phone"
    ]  # fmt: skip
    assert [r.recipient for r in results if isinstance(r, Refused)] == ["no number", "0710000001", number(3), ""]
    taken = [r for r in results if isinstance(r, Accepted)]
    assert [(r.recipient, r.cost_micros, r.units) for r in taken] == [
        (number(1), ONE, 1), (number(4), 2 * ONE, 2), (number(5), ONE, 1)
    ]  # fmt: skip
    assert 1000 * ONE - balance(acme) == sum(r.cost_micros for r in taken)
    assert movements(acme, "debit") == 3
    assert balance(zuri) == 1000 * ONE
    stored = message(taken[1].id)
    assert (stored.message_id, stored.recipient, stored.sender) == (taken[1].message_id, number(4), "ACME")
    assert timeline(stored.pk) == ["queued"]


def test_a_call_of_refusals_alone_costs_nothing_and_wakes_nobody(acme, road, django_capture_on_commit_callbacks, woken):
    with django_capture_on_commit_callbacks(execute=True):
        results = accept_messages(client=acme, drafts=[draft("x"), draft("+254")])
    assert [result.error.code for result in results] == ["invalid_phone"] * 2
    nothing_moved(acme)
    assert woken == []


def test_an_empty_call_is_harmless(acme, road):
    assert accept_messages(client=acme, drafts=[]) == []


def test_the_sender_is_the_default_or_the_one_named_whatever_its_case(acme, road):
    approve_sender_id(client=acme, name="Taarifa")
    assert message(accept(acme)[0]).sender == "ACME"
    assert message(accept(acme, sender="TAARIFA", first=5)[0]).sender == "Taarifa"
    approve_sender_id(client=acme, name="TAARIFA")
    with pytest.raises(SenderNotApproved):  # two differ by case alone: which one is meant?
        accept(acme, sender="taarifa")
    assert message(accept(acme, sender="Taarifa", first=6)[0]).sender == "Taarifa"


def test_the_workers_are_woken_after_the_commit_with_ids_only(acme, road, django_capture_on_commit_callbacks, woken):
    with django_capture_on_commit_callbacks(execute=True):
        accept(acme, 3)
        assert woken == []
    assert woken == [(wake.DISPATCH, road.pk)]


def test_M7_the_price_is_fixed_when_the_message_is_accepted(acme, road):
    (pk,) = accept(acme)
    Rate.objects.update(unit_price_micros=5 * ONE)
    assert message(pk).cost_micros == ONE
    set_price_plan(client=acme, plan=create_price_plan(name="Dear", currency="KES", price_per_unit=Decimal("7.25")))
    (later,) = accept(acme, first=1)
    assert message(later).cost_micros == 7_250_000
    assert balance(acme) == 1000 * ONE - ONE - 7_250_000


def test_a_destination_without_price_or_route_is_refused_alone(acme, road):
    Rate.objects.update(country="KE")
    Route.objects.update(country="KE")
    results = accept_messages(client=acme, drafts=[draft("+255712345678"), draft()])
    assert results[0].error.code == "no_price"
    assert isinstance(results[1], Accepted)
    Rate.objects.update(country="")
    assert isinstance(accept_messages(client=acme, drafts=[draft("+255712345678")])[0].error, NoRoute)
    assert balance(acme) == 999 * ONE


def test_simulated_messages_cost_nothing_leave_nowhere_and_arrive():
    acme = make_sender(credit=0, simulation=True)
    (pk,) = accept(acme)  # without any road
    assert (message(pk).simulated, message(pk).cost_micros, message(pk).provider_account_id) == (True, 0, None)
    assert advance_simulated() == (1, True)
    assert message(pk).status == "sent"
    run_sql("UPDATE messaging_message SET sent_at = '2026-01-01 00:00:00+00:00'")
    assert advance_simulated() == (1, False)
    assert (message(pk).status, timeline(pk)) == ("delivered", ["queued", "sent", "delivered"])
    assert advance_simulated() == (0, False)


def test_a_schedule_waits_and_is_paid_for_at_once(acme, road, woken, django_capture_on_commit_callbacks):
    (pk,) = accept(acme, schedule_at=timezone.now() + timedelta(hours=2))
    assert (message(pk).status, message(pk).queued_at, timeline(pk)) == ("scheduled", None, ["scheduled"])
    assert balance(acme) == 999 * ONE
    age_leases()
    sweep()
    assert message(pk).status == "scheduled"
    run_sql("UPDATE messaging_message SET schedule_at = '2026-01-01 00:00:00+00:00'")
    assert queue_due() == 1
    assert queue_due() == 0
    assert (message(pk).status, timeline(pk)) == ("queued", ["scheduled", "queued"])
    assert message(pk).queued_at is not None
    with django_capture_on_commit_callbacks(execute=True):
        sweep()
    assert (wake.DISPATCH, road.pk) in woken


def test_queries_do_not_grow_with_the_drafts(acme, road):
    def queries(count, first):
        with CaptureQueriesContext(
            connection,
        ) as captured:
            accept(acme, count, first=first)
        return len(captured)

    accept(acme, 1, first=900)
    assert queries(5, 0) == queries(500, 100)
    assert statuses(acme)["queued"] == 506
    check_books()


def test_a_price_of_zero_writes_no_entry(acme, road):
    Rate.objects.update(unit_price_micros=0)
    accept(acme, 2)
    assert movements(acme, "debit") == 0


def test_a_provider_account_without_its_key_is_not_connected():
    with pytest.raises(InvalidInput):
        connect_provider(name="X", adapter="africastalking", credentials={"username": "x"})
    with pytest.raises(InvalidInput):
        connect_provider(name="X", adapter="nobody", credentials={})


def test_two_roads_wake_two_workers(road, django_capture_on_commit_callbacks, woken):
    acme = make_sender()
    other = make_road(name="Tanzania", country="TZ")
    with django_capture_on_commit_callbacks(execute=True):
        accept_messages(client=acme, drafts=[draft(), draft("+255712345678")])
    assert sorted(woken) == sorted([(wake.DISPATCH, road.pk), (wake.DISPATCH, other.pk)])
