"""Real threads, real commits, a database file or PostgreSQL: each of these happens once (C).

`database is locked` or a deadlock that reaches a caller is a failure: every result is looked at.
"""

import contextlib
import random
import threading
from collections import Counter

import pytest

from crm.common.errors import WrongState
from messaging.models import Campaign, Message, MessageEvent
from messaging.sending.claims import claim, give_back, mark_submitting, new_owner
from messaging.sending.recording import cancel_messages, record_outcomes
from messaging.sending.simulation import advance_simulated
from messaging.sending.sweep import sweep
from messaging.services.accept import Draft, accept_messages
from messaging.services.campaigns import cancel_campaign, finish_campaigns, pause_campaign, resume_campaign
from messaging.services.expansion import expand_campaign
from messaging.services.queues import move_queue
from messaging.services.reports import process_callbacks
from tests.crowd import at_once
from tests.messaging.core.world import (
    ONE,
    accept,
    age_leases,
    balance,
    check_books,
    confirm,
    leases,
    make_contacts,
    make_draft,
    make_due,
    make_group,
    make_road,
    make_sender,
    movements,
    number,
    outcome,
    report,
    reserved,
    run_loop,
    send_one,
    statuses,
    submit,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books"),
    pytest.mark.xdist_group("crowd"),  # many connections: not beside another module that wants many
]


def no_errors(results):
    errors = [result for result in results if isinstance(result, Exception)]
    assert errors == []
    return results


def test_D4_eight_claimers_submit_each_of_3000_rows_once(acme, road):
    accept(make_sender("Rich", credit=3000), 3000)

    def work(_index):
        owner, mine = new_owner(), []
        while rows := claim(account_id=road.pk, owner=owner, limit=100):
            ids = [row.id for row in rows]
            give_back(owner=owner, ids=ids[1::10])
            mine += mark_submitting(owner=owner, ids=ids)
        return mine

    submitted = Counter(pk for mine in no_errors(at_once(8, work)) for pk in mine)
    submitted.update(submit(road, 3000))
    assert set(submitted.values()) == {1}
    assert len(submitted) == 3000
    assert set(leases()) == set(submitted)
    record_outcomes([outcome(pk, "accepted", f"AT{pk}") for pk in submitted])
    assert set(Message.objects.unscoped().values_list("status", "attempts")) == {("sent", 1)}


def test_D4_what_is_taken_back_is_not_written_and_what_is_written_is_not_taken_back(acme, road):
    """Cancelled, moved to another road, or held with its client, while claimers mark: one of the two has it."""
    other = make_road(name="Other")
    ids = accept(make_sender("Rich", credit=600), 600)
    ended = threading.Event()

    def act(index):
        mine: set[int] = set()
        if index < 3:
            owner = new_owner()
            while not ended.is_set():
                rows = claim(account_id=road.pk, owner=owner, limit=20)
                mine |= mark_submitting(owner=owner, ids=random.sample([row.id for row in rows], len(rows)))
            return index, mine
        for _ in range(15):
            if index == 3:
                mine |= {row.id for row in cancel_messages(ids=random.sample(ids, 40))}
            else:
                move_queue(account_id=other.pk, to=road.pk, by=None)
                move_queue(account_id=road.pk, to=other.pk, by=None)
        if index == 3:
            ended.set()
        return index, mine

    found = dict(no_errors(at_once(5, act)))
    marked, cancelled = [found[index] for index in range(3)], found[3]
    written = set().union(*marked)
    assert sum(map(len, marked)) == len(written)
    assert not written & cancelled
    assert {pk for pk, phase in leases().items() if phase == "submitting"} == written
    sent = Message.objects.unscoped().filter(pk__in=written)
    assert set(sent.values_list("status", "provider_account_id")) <= {("queued", road.pk)}
    assert set(Message.objects.unscoped().filter(pk__in=cancelled).values_list("status", flat=True)) == {"cancelled"}


@pytest.mark.parametrize("round_", range(3))
def test_M5_fifty_sends_with_money_for_twenty(road, round_):
    acme = make_sender(credit=20)
    results = at_once(50, lambda n: len(accept_messages(client=acme, drafts=[Draft(number(n), "Habari")])))
    assert Counter(str(getattr(result, "code", result)) for result in results) == {"1": 20, "insufficient_balance": 30}
    assert (balance(acme), statuses()) == (0, {"queued": 20})


def test_two_clients_accept_at_once_and_keep_their_own(acme, zuri, road):
    results = at_once(12, lambda n: len(accept([acme, zuri][n % 2], 25, first=100 * n)))
    assert no_errors(results) == [25] * 12
    assert (balance(acme), balance(zuri)) == (850 * ONE, 850 * ONE)
    assert Message.objects.for_client(acme).count() == 150


@pytest.mark.parametrize("round_", range(3))
def test_a_campaign_is_confirmed_once(road, round_):
    acme = make_sender(credit=25)
    campaign = make_draft(acme, make_group(acme, make_contacts(acme, 10)))
    results = at_once(8, lambda n: confirm(campaign).state)
    assert Counter(str(getattr(result, "code", result)) for result in results) == {"sending": 1, "conflict": 7}
    assert reserved(acme) == 10 * ONE


@pytest.mark.parametrize("round_", range(3))
def test_D9_eight_workers_expand_a_campaign_once(road, monkeypatch, round_):
    monkeypatch.setattr("messaging.services.audience.CHUNK", 50)
    acme = make_sender(credit=1000)
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 400))))
    results = no_errors(at_once(8, lambda n: expand_campaign(campaign_id=campaign.pk)))
    assert sum(results) == 400
    assert Message.objects.unscoped().values("recipient").distinct().count() == 400 == sum(statuses().values())
    assert (balance(acme), reserved(acme)) == (600 * ONE, 0)


def test_pausing_and_resuming_while_it_expands_and_sends(carrier, monkeypatch):
    monkeypatch.setattr("messaging.services.audience.CHUNK", 40)
    carrier.delay = 0.01
    acme, road = make_sender(), make_road(carrier.url)
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 600))))
    ended = threading.Event()

    def act(index):
        if index == 0:
            with contextlib.suppress(WrongState):  # everybody was written to before the last time
                for _ in range(12):
                    pause_campaign(client=acme, campaign_id=campaign.pk)
                    expand_campaign(campaign_id=campaign.pk)
                    resume_campaign(client=acme, campaign_id=campaign.pk)
                    expand_campaign(campaign_id=campaign.pk)
            ended.set()
        else:
            while not ended.is_set():
                run_loop(road, slots=16)
                finish_campaigns()

    no_errors(at_once(4, act))
    expand_campaign(campaign_id=campaign.pk)
    run_loop(road)
    finish_campaigns()
    assert carrier.accepted == {number(n): 1 for n in range(600)}
    assert statuses() == {"sent": 600}
    assert Campaign.objects.unscoped().get().state == "done"
    assert (balance(acme), reserved(acme)) == (400 * ONE, 0)


def test_nothing_leaves_after_pausing(carrier):
    carrier.delay = 0.01
    acme, road = make_sender(), make_road(carrier.url)
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 300))))
    expand_campaign(campaign_id=campaign.pk)

    def act(index):
        if index:
            return run_loop(road, slots=8).submitted
        while carrier.requests < 30:
            pass
        pause_campaign(client=acme, campaign_id=campaign.pk)
        return Message.objects.unscoped().exclude(status="held").count()

    results = no_errors(at_once(3, act))
    assert sum(carrier.accepted.values()) < 300
    assert statuses() == {"sent": sum(carrier.accepted.values()), "held": 300 - sum(carrier.accepted.values())}
    assert sum(carrier.accepted.values()) in results
    cancel_campaign(client=acme, campaign_id=campaign.pk)
    no_errors(at_once(4, lambda n: expand_campaign(campaign_id=campaign.pk)))
    assert balance(acme) == (1000 - sum(carrier.accepted.values())) * ONE


@pytest.mark.parametrize("round_", range(3))
def test_M6_twenty_equal_failure_reports_refund_once(acme, road, round_):
    pk = send_one(acme, road)
    for _ in range(20):
        report(road, "AT1", "Failed", number(0))
    no_errors(at_once(8, lambda n: process_callbacks(limit=3)))
    while process_callbacks():
        pass
    assert (statuses(), movements(acme, "refund"), balance(acme)) == ({"failed": 1}, 1, 1000 * ONE)
    events = Counter(MessageEvent.objects.unscoped().filter(message_id=pk).values_list("kind", flat=True))
    assert events == {"queued": 1, "sent": 1, "failed": 1, "report": 19}


def test_contradicting_reports_answers_and_sweeps_at_once(acme, zuri, road):
    """Everything that may move the same messages, each in its own order."""
    ids = accept(acme, 60) + accept(zuri, 60)
    submit(road)
    record_outcomes([outcome(pk, "accepted", f"AT{pk}") for pk in ids[::2]])
    age_leases()
    for pk in random.sample(ids, len(ids)):
        for word in random.sample(["Failed", "Success", "Sent"], 3):
            report(road, f"AT{pk}", word)

    def act(index):
        order = random.sample(ids, len(ids))
        if index % 3 == 0:
            while process_callbacks(limit=25):
                pass
        elif index % 3 == 1:
            record_outcomes([outcome(pk, ["accepted", "rejected", "retry"][pk % 3], f"AT{pk}") for pk in order])
        else:
            sweep()

    for _ in range(3):
        no_errors(at_once(9, act))
        make_due()
    assert sum(statuses().values()) == 120
    assert set(statuses()) <= {"sent", "delivered", "failed", "queued"}
    check_books()


def test_simulated_messages_take_each_step_once():
    acme = make_sender(simulation=True, credit=0)
    ids = accept(acme, 300)

    def act(_index):
        for _ in range(3):
            advance_simulated()

    no_errors(at_once(6, act))
    kinds = Counter(MessageEvent.objects.unscoped().filter(message_id__in=ids).values_list("kind", flat=True))
    assert kinds == {"queued": 300, "sent": 300}


def test_pausing_against_claims_and_records_never_deadlocks(road):
    acme = make_sender(credit=2000)
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 800))))
    expand_campaign(campaign_id=campaign.pk)

    def act(index):
        for _ in range(15):
            if index == 0:
                pause_campaign(client=acme, campaign_id=campaign.pk)
                resume_campaign(client=acme, campaign_id=campaign.pk)
                continue
            owner = new_owner()
            ids = [row.id for row in claim(account_id=road.pk, owner=owner, limit=120)]
            random.shuffle(ids)
            ours = list(mark_submitting(owner=owner, ids=ids[:80]))
            random.shuffle(ours)
            record_outcomes([outcome(pk, random.choice(["retry", "accepted"]), f"AT{pk}") for pk in ours])
            give_back(owner=owner, ids=ids[80:])

    no_errors(at_once(6, act))
    assert sum(statuses().values()) == 800
    assert set(statuses()) <= {"queued", "sent"}
