"""A campaign's money and people: quoted, reserved, charged to the micro, each recipient once (D9, M1, M2, M9)."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from contacts.models import Contact, GroupMember
from contacts.services import add_to_group, create_contact, create_rule_group, record_opt_out, remove_from_group
from crm.common.errors import InvalidInput, NotFound, WrongState
from crm.common.sql import database_now
from messaging import wake
from messaging.errors import ClientSuspended, QuoteChanged
from messaging.models import Campaign, Message
from messaging.queries import progress_of
from messaging.sending.recording import record_outcomes
from messaging.sending.simulation import advance_simulated
from messaging.sending.sweep import sweep
from messaging.services import expansion
from messaging.services.audience import quote_campaign
from messaging.services.campaigns import (
    cancel_campaign,
    confirm_campaign,
    delete_draft,
    finish_campaigns,
    get_campaign,
    pause_campaign,
    resume_campaign,
    save_draft,
)
from messaging.services.expansion import campaigns_to_expand, expand_campaign
from tests.messaging.core.world import (
    ONE,
    age_leases,
    balance,
    check_books,
    confirm,
    leases,
    make_contacts,
    make_draft,
    make_group,
    make_road,
    make_sender,
    message,
    number,
    outcome,
    reserved,
    run_loop,
    run_sql,
    statuses,
    submit,
    timeline,
)
from wallet.errors import InsufficientBalance
from wallet.models import Rate, Wallet
from wallet.pricing import load_prices
from wallet.services import create_price_plan, set_price_plan

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def figures_add_up(db):
    """After each test the books agree and every campaign's figures are its audience."""
    yield
    check_books()
    for campaign in Campaign.objects.unscoped():
        shown = progress_of([campaign])[campaign.pk]
        parts = shown.queued + shown.sent + shown.delivered + shown.failed + shown.not_sent + shown.unexpanded
        assert parts == shown.audience


def fresh(campaign):
    return Campaign.objects.unscoped().get(pk=campaign.pk)


def deliver_all(road):
    record_outcomes([outcome(pk, "accepted", f"AT{pk}") for pk in submit(road, 5000)])


NAMES = ["Amina", "Zuri Wanjiru", "Nyambura", "Ngũgĩ", "李小龙", "👩🏾‍🌾 Mama", "", "x" * 150]


@pytest.mark.parametrize("rule", ["per_160", "segments"])
@pytest.mark.parametrize("price", ["0.8", "1.234567"])
def test_quote_reservation_and_ledger_are_one_figure(acme, road, rule, price):
    plan = create_price_plan(name="Plan", currency="KES", price_per_unit=Decimal(price), unit_rule=rule)
    set_price_plan(client=acme, plan=plan)
    people = make_contacts(acme, 40, name=lambda n: NAMES[n % 8], attributes=lambda n: {"Deni": f"{n * 1000}^"})
    text = "Habari {name|rafiki}, deni lako ni {deni}. " + "Asante kwa kuwa nasi. " * 5
    campaign = make_draft(acme, make_group(acme, people), text=text)
    quote = quote_campaign(campaign)
    assert quote.recipients == 40
    assert len(quote.by_units) > 1
    assert quote.unicode_recipients == 15
    confirm(campaign)
    assert (balance(acme), reserved(acme)) == (1000 * ONE, quote.cost_micros)
    assert expand_campaign(campaign_id=campaign.pk) == 40
    assert (1000 * ONE - balance(acme), reserved(acme)) == (quote.cost_micros, 0)
    messages = Message.objects.for_client(acme).filter(campaign=campaign)
    assert sum(messages.values_list("units", flat=True)) == quote.units == fresh(campaign).quoted_units
    assert sum(messages.values_list("cost_micros", flat=True)) == quote.cost_micros
    assert messages.get(recipient=number(3)).text.startswith("Habari Ngũgĩ, deni lako ni 3000^.")
    assert messages.get(recipient=number(6)).text.startswith("Habari rafiki,")
    deliver_all(road)
    assert finish_campaigns() == [campaign.pk]
    assert (fresh(campaign).state, progress_of([campaign])[campaign.pk].spent_micros) == ("done", quote.cost_micros)


def test_each_person_once_however_many_groups_and_workers(acme, road):
    people = make_contacts(acme, 30)
    groups = [make_group(acme, people[:20], "A"), make_group(acme, people[10:], "B"), make_group(acme, people, "C")]
    campaign = confirm(make_draft(acme, *groups))
    assert campaign.quoted_recipients == 30
    assert expand_campaign(campaign_id=campaign.pk) == 30
    assert expand_campaign(campaign_id=campaign.pk) == 0
    assert statuses() == {"queued": 30}


def test_a_draft_that_was_edited_is_confirmed_like_any_other(acme, road):
    group = make_group(acme, make_contacts(acme, 3))
    campaign = make_draft(acme, group)
    campaign = save_draft(
        client=acme, by=None, name="Sale 2", text="Bei", group_ids=[group.pk], campaign_id=campaign.pk
    )
    assert confirm(campaign).state == "sending"


def test_a_confirmation_of_what_was_changed_meanwhile_moves_nothing(acme, road, monkeypatch):
    from messaging.services.campaigns import confirming

    group = make_group(acme, make_contacts(acme, 3))
    campaign = make_draft(acme, group)
    real = confirming.problems_of

    def edited_meanwhile(*arguments):
        save_draft(client=acme, by=None, name="Sale", text="x" * 161, group_ids=[group.pk], campaign_id=campaign.pk)
        return real(*arguments)

    monkeypatch.setattr(confirming, "problems_of", edited_meanwhile)
    with pytest.raises(WrongState):
        confirm(campaign)
    assert (reserved(acme), fresh(campaign).state) == (0, "draft")


def test_what_keeps_a_campaign_back_moves_nothing(acme, zuri, road):
    people = make_contacts(acme, 3)
    group = make_group(acme, people)

    def refuse(error, campaign, recipients=3, cost=3 * ONE, client=acme):
        with pytest.raises(error):
            confirm_campaign(
                client=client,
                campaign_id=campaign.pk,
                by=None,
                expected_recipients=recipients,
                expected_cost_micros=cost,
            )
        assert (reserved(acme), balance(acme), fresh(campaign).state) == (0, 1000 * ONE, "draft")

    refuse(QuoteChanged, make_draft(acme, group), recipients=2)
    refuse(QuoteChanged, make_draft(acme, group), cost=ONE)
    refuse(NotFound, make_draft(acme, group), client=zuri)
    refuse(InvalidInput, make_draft(acme, group, text=""))
    refuse(InvalidInput, make_draft(acme))
    refuse(InvalidInput, make_draft(acme, group, text="{surname}"))
    refuse(InvalidInput, make_draft(acme, make_group(acme, [], "Empty")))
    run_sql("UPDATE messaging_senderid SET state = 'rejected' WHERE name = 'ACME'")
    refuse(InvalidInput, Campaign.objects.for_client(acme).first())
    acme.state = "suspended"
    refuse(ClientSuspended, Campaign.objects.for_client(acme).first())


def test_money_for_part_of_it_reserves_nothing(road):
    acme = make_sender(credit=4)
    campaign = make_draft(acme, make_group(acme, make_contacts(acme, 5)))
    with pytest.raises(InsufficientBalance):
        confirm(campaign)
    assert (reserved(acme), fresh(campaign).state) == (0, "draft")


def test_what_is_reserved_cannot_be_spent_elsewhere(road):
    from tests.messaging.core.world import accept

    acme = make_sender(credit=5)
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 5))))
    with pytest.raises(InsufficientBalance):
        accept(acme, first=99)
    assert expand_campaign(campaign_id=campaign.pk) == 5
    assert (balance(acme), reserved(acme)) == (0, 0)


def test_whoever_leaves_the_groups_is_left_out_and_the_rest_is_freed(acme, road):
    people = make_contacts(acme, 10)
    group = make_group(acme, people)
    campaign = confirm(make_draft(acme, group))
    remove_from_group(group=group, contact_ids=people[:3])
    record_opt_out(client_id=acme.pk, channel="sms", address=number(5), source="stop")
    Contact.objects.for_client(acme).filter(phone=number(6)).delete()
    assert expand_campaign(campaign_id=campaign.pk) == 5
    assert (balance(acme), reserved(acme)) == (995 * ONE, 0)
    assert fresh(campaign).stop_reason == ""
    shown = progress_of([fresh(campaign)])[campaign.pk]
    assert (shown.audience, shown.queued, shown.not_sent, shown.unexpanded) == (10, 5, 5, 0)


def test_who_joins_after_confirming_is_not_written_to_beyond_the_price(acme, road):
    people = make_contacts(acme, 10)
    group = make_group(acme, people[:6])
    campaign = confirm(make_draft(acme, group))
    add_to_group(group=group, contact_ids=people[6:])
    newcomer = create_contact(client=acme, phone=number(500))
    add_to_group(group=group, contact_ids=[newcomer.pk])
    assert expand_campaign(campaign_id=campaign.pk) == 6
    assert (balance(acme), reserved(acme)) == (994 * ONE, 0)
    assert fresh(campaign).stop_reason
    assert not Message.objects.for_client(acme).filter(recipient=number(500)).exists()


def test_a_number_that_changed_hands_is_written_to_once(acme, road, monkeypatch):
    monkeypatch.setattr("messaging.services.audience.CHUNK", 1)
    people = make_contacts(acme, 2)
    campaign = confirm(make_draft(acme, make_group(acme, people)))
    real = expansion._store_chunk

    def swap_numbers(*arguments):
        stored = real(*arguments)
        run_sql("UPDATE contacts_contact SET phone = '+254799999999' WHERE id = %s", [people[0]])
        run_sql("UPDATE contacts_contact SET phone = %s WHERE id = %s", [number(0), people[1]])
        return stored

    monkeypatch.setattr(expansion, "_store_chunk", swap_numbers)
    expand_campaign(campaign_id=campaign.pk)
    assert [row.recipient for row in Message.objects.for_client(acme)] == [number(0)]
    assert (balance(acme), reserved(acme)) == (999 * ONE, 0)


@pytest.mark.django_db(transaction=True)
def test_D9_chunks_written_beside_each_other_reach_everybody_once_within_the_price(acme, road, monkeypatch):
    monkeypatch.setattr("messaging.services.audience.CHUNK", 3)
    people = make_contacts(acme, 30)
    group = make_group(acme, people[:20])
    campaign = confirm(make_draft(acme, group))
    add_to_group(group=group, contact_ids=people[20:])
    assert expand_campaign(campaign_id=campaign.pk) == 20
    reached = Message.objects.for_client(acme).order_by("recipient").values_list("recipient", flat=True)
    assert list(reached) == [number(n) for n in range(20)]
    assert (balance(acme), reserved(acme)) == (980 * ONE, 0)
    assert fresh(campaign).expanded_at
    assert fresh(campaign).stop_reason


def test_a_dearer_price_after_confirming_takes_no_more_than_was_confirmed(acme, road):
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 10))))
    plan = create_price_plan(name="Dear", currency="KES", price_per_unit=Decimal(3))
    set_price_plan(client=acme, plan=plan)
    expand_campaign(campaign_id=campaign.pk)
    assert balance(acme) >= 990 * ONE
    assert reserved(acme) == 0


def test_M7_a_rate_that_begins_after_confirming_changes_nothing_of_it(acme, road):
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 10))))
    plan = Wallet.objects.for_client(acme).get().price_plan
    Rate.objects.create(plan=plan, valid_from=database_now(), unit_price_micros=3 * ONE)
    assert load_prices(acme.pk).unit_price_micros("sms", "KE") == 3 * ONE
    assert expand_campaign(campaign_id=campaign.pk) == 10
    assert (balance(acme), reserved(acme)) == (990 * ONE, 0)
    assert Message.objects.for_client(acme).filter(cost_micros=ONE).count() == 10


class TestPauseResumeCancel:
    def start(self, client, count=10):
        campaign = confirm(make_draft(client, make_group(client, make_contacts(client, count))))
        expand_campaign(campaign_id=campaign.pk)
        return campaign

    def test_pausing_holds_what_is_not_written_yet_and_resuming_sends_only_that(self, acme, carrier):
        road = make_road(carrier.url)
        campaign = self.start(acme)
        sent = submit(road, 3)
        claimed = expansion.new_owner()
        from messaging.sending.claims import claim, mark_submitting

        rows = claim(account_id=road.pk, owner=claimed, limit=2)
        pause_campaign(client=acme, campaign_id=campaign.pk)
        assert mark_submitting(owner=claimed, ids=[row.id for row in rows]) == set()
        assert statuses() == {"queued": 3, "held": 7}
        assert leases() == dict.fromkeys(sent, "submitting")
        record_outcomes([outcome(pk, "accepted", f"AT{pk}") for pk in sent])
        assert run_loop(road).submitted == 0
        assert finish_campaigns() == []
        resume_campaign(client=acme, campaign_id=campaign.pk)
        run_loop(road)
        assert statuses() == {"sent": 10}
        assert set(carrier.accepted.values()) == {1}
        assert len(carrier.accepted) == 7
        assert finish_campaigns() == [campaign.pk]

    @pytest.mark.parametrize("end", [pause_campaign, cancel_campaign])
    def test_a_refused_attempt_does_not_slip_out_of_a_stopped_campaign(self, acme, road, end):
        campaign = self.start(acme, 2)
        flying = submit(road)
        end(client=acme, campaign_id=campaign.pk)
        record_outcomes([outcome(pk, "retry", code="provider_busy") for pk in flying])
        age_leases()
        assert submit(road) == []
        assert statuses() == {"held": 2}
        if end is cancel_campaign:
            assert campaigns_to_expand() == [campaign.pk]
            expand_campaign(campaign_id=campaign.pk)
            assert (statuses(), balance(acme)) == ({"cancelled": 2}, 1000 * ONE)

    def test_the_time_on_hold_is_not_time_spent_trying(self, acme, road):
        campaign = self.start(acme, 1)
        (pk,) = submit(road)
        record_outcomes([outcome(pk, "retry")])
        pause_campaign(client=acme, campaign_id=campaign.pk)
        run_sql("UPDATE messaging_message SET queued_at = '2026-01-01 00:00:00+00:00'")
        resume_campaign(client=acme, campaign_id=campaign.pk)
        age_leases()
        submit(road)
        record_outcomes([outcome(pk, "retry")])
        assert message(pk).status == "queued"

    def test_pausing_in_the_middle_of_expansion(self, acme, road, monkeypatch):
        monkeypatch.setattr("messaging.services.audience.CHUNK", 4)
        campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 10))))
        real = expansion._store_chunk

        def pause_after_first(*arguments):
            stored = real(*arguments)
            if fresh(campaign).state == "sending" and Message.objects.unscoped().count() == 4:
                pause_campaign(client=acme, campaign_id=campaign.pk)
            return stored

        monkeypatch.setattr(expansion, "_store_chunk", pause_after_first)
        assert expand_campaign(campaign_id=campaign.pk) == 4
        assert (statuses(), reserved(acme)) == ({"held": 4}, 6 * ONE)
        assert expand_campaign(campaign_id=campaign.pk) == 0
        monkeypatch.setattr(expansion, "_store_chunk", real)
        resume_campaign(client=acme, campaign_id=campaign.pk)
        assert campaigns_to_expand() == [campaign.pk]
        assert expand_campaign(campaign_id=campaign.pk) == 6, "without waiting for the old lease to run out"
        assert (statuses(), reserved(acme)) == ({"queued": 10}, 0)

    def test_cancelling_gives_back_what_has_not_left_once(self, acme, road):
        campaign = self.start(acme)
        flying = submit(road, 3)
        cancel_campaign(client=acme, campaign_id=campaign.pk)
        assert balance(acme) == 990 * ONE
        assert expand_campaign(campaign_id=campaign.pk) == 7
        assert expand_campaign(campaign_id=campaign.pk) == 0
        assert balance(acme) == 997 * ONE
        record_outcomes([outcome(flying[0], "accepted", "AT1"), outcome(flying[1], "rejected", code="blocked")])
        assert balance(acme) == 998 * ONE
        assert statuses() == {"cancelled": 7, "sent": 1, "failed": 1, "queued": 1}
        assert leases() == {flying[2]: "submitting"}
        cancelled = Message.objects.unscoped().filter(status="cancelled").first()
        assert timeline(cancelled.pk) == ["queued", "cancelled"]

    def test_cancelling_before_expansion_frees_the_reservation_although_no_worker_comes(self, acme, road):
        campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 5))))
        assert reserved(acme) == 5 * ONE
        cancel_campaign(client=acme, campaign_id=campaign.pk)
        assert (reserved(acme), balance(acme)) == (0, 1000 * ONE)
        assert expand_campaign(campaign_id=campaign.pk) == 0
        assert Message.objects.unscoped().count() == 0

    def test_the_sweep_gives_back_what_a_lost_worker_did_not(self, acme, road, woken):
        campaign = self.start(acme, 3)
        pause_campaign(client=acme, campaign_id=campaign.pk)
        cancel_campaign(client=acme, campaign_id=campaign.pk)
        woken.clear()
        assert sweep().campaigns == 1
        assert woken == [(wake.EXPAND, campaign.pk)]
        expand_campaign(campaign_id=campaign.pk)
        assert sweep().campaigns == 0

    def test_steps_that_make_no_sense_are_refused(self, acme, zuri, road):
        campaign = make_draft(acme, make_group(acme, make_contacts(acme, 1)))
        for step in (pause_campaign, resume_campaign, cancel_campaign):
            with pytest.raises(WrongState):
                step(client=acme, campaign_id=campaign.pk)
            with pytest.raises(NotFound):
                step(client=zuri, campaign_id=campaign.pk)
        confirm(campaign)
        with pytest.raises(WrongState):
            resume_campaign(client=acme, campaign_id=campaign.pk)
        with pytest.raises(WrongState):
            delete_draft(client=acme, campaign_id=campaign.pk)
        with pytest.raises(WrongState):
            save_draft(client=acme, by=None, name="x", text="y", group_ids=[], campaign_id=campaign.pk)
        with pytest.raises(WrongState):
            confirm(get_campaign(client=acme, campaign_id=campaign.pk))
        cancel_campaign(client=acme, campaign_id=campaign.pk)
        with pytest.raises(WrongState):
            cancel_campaign(client=acme, campaign_id=campaign.pk)

    def test_a_simulated_campaign_pauses_and_goes_on(self, road):
        acme = make_sender(simulation=True, credit=0)
        campaign = self.start(acme, 3)
        pause_campaign(client=acme, campaign_id=campaign.pk)
        assert advance_simulated() == (0, False)
        resume_campaign(client=acme, campaign_id=campaign.pk)
        assert advance_simulated() == (3, True)
        assert finish_campaigns() == [campaign.pk]


def test_a_foreign_group_is_not_found_and_not_written_to(acme, zuri, road):
    theirs = make_group(zuri, make_contacts(zuri, 3))
    with pytest.raises(InvalidInput):
        make_draft(acme, theirs)
    mine = make_group(acme, make_contacts(acme, 1, first=50))
    campaign = make_draft(acme, mine)
    campaign.groups.add(theirs)  # as if a bug had let it in
    assert quote_campaign(campaign).recipients == 1
    confirm(campaign)
    expand_campaign(campaign_id=campaign.pk)
    assert [row.recipient for row in Message.objects.unscoped()] == [number(50)]
    assert GroupMember.objects.for_client(zuri).count() == 3


def test_D9_a_dead_worker_is_replaced_when_its_lease_ends(acme, road, woken, monkeypatch):
    monkeypatch.setattr("messaging.services.audience.CHUNK", 2)
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 5))))
    monkeypatch.setattr(expansion, "_finish", lambda *arguments: None)
    assert expand_campaign(campaign_id=campaign.pk) == 5
    monkeypatch.undo()
    assert campaigns_to_expand() == [], "its lease is live"
    assert expand_campaign(campaign_id=campaign.pk) == 0
    age_leases()
    assert campaigns_to_expand() == [campaign.pk]
    assert expand_campaign(campaign_id=campaign.pk) == 0, "nobody twice"
    assert (statuses(), reserved(acme)) == ({"queued": 5}, 0)
    assert campaigns_to_expand() == []


def test_D3_a_lost_wake_up_is_found(acme, carrier, woken):
    road = make_road(carrier.url)
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 3))))
    woken.clear()  # the broker was wiped
    sweep()
    assert woken == [(wake.EXPAND, campaign.pk)]
    expand_campaign(campaign_id=campaign.pk)
    found = sweep()
    assert (found.accounts, found.campaigns) == (1, 0)
    run_loop(road)
    sweep()
    assert fresh(campaign).state == "done"


def test_queries_of_quote_and_expansion_do_not_grow_with_people(acme, road):
    def measure(count, first):
        campaign = make_draft(acme, make_group(acme, make_contacts(acme, count, first=first), f"G{count}"))
        with CaptureQueriesContext(connection) as quoting:
            confirm(campaign)
        with CaptureQueriesContext(connection) as expanding:
            assert expand_campaign(campaign_id=campaign.pk) == count
        return len(quoting), len(expanding)

    assert measure(3, 0) == measure(600, 100)


def test_campaign_finishes_only_when_nobody_waits(acme, road):
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 3))))
    assert finish_campaigns() == []
    expand_campaign(campaign_id=campaign.pk)
    assert finish_campaigns() == []
    pks = submit(road)
    assert finish_campaigns() == []
    record_outcomes([outcome(pks[0], "retry"), *(outcome(pk, "ambiguous") for pk in pks[1:])])
    assert finish_campaigns() == []
    age_leases()
    submit(road)
    record_outcomes([outcome(pks[0], "rejected")])
    assert finish_campaigns() == [campaign.pk]
    assert abs(fresh(campaign).finished_at - database_now()) < timedelta(seconds=5)
    shown = progress_of([fresh(campaign)])[campaign.pk]
    assert (shown.sent, shown.failed, shown.unconfirmed, shown.percent) == (2, 1, 2, 100)
    assert shown.spent_micros == 2 * ONE


def test_a_campaign_to_a_group_by_rule_leaves_out_an_excluded_group_and_whoever_came_or_went(acme, road):
    """From the draft to the delivered message: the rule is asked when the list is made, the exclusion too."""
    people = make_contacts(acme, 12)
    Contact.objects.for_client(acme).filter(pk__in=people[:8]).update(department="Sales")
    sales = create_rule_group(
        client=acme, name="Sales", match="all", conditions=[{"field": "department", "op": "is", "value": "Sales"}]
    )
    away = make_group(acme, people[6:10], "On leave")
    campaign = make_draft(acme, sales, text="Habari", excluded_ids=[away.pk])
    assert quote_campaign(campaign).recipients == 6

    Contact.objects.for_client(acme).filter(pk=people[10]).update(department="Sales")  # joins before the send
    Contact.objects.for_client(acme).filter(pk=people[0]).update(department="")  # leaves
    record_opt_out(client_id=acme.pk, channel="sms", address=number(1), source="stop")
    add_to_group(group=away, contact_ids=[people[2]])
    meant = sorted(number(n) for n in (3, 4, 5, 10))
    quote = quote_campaign(campaign)
    assert quote.recipients == len(meant)
    confirm(campaign)
    assert expand_campaign(campaign_id=campaign.pk) == len(meant)
    deliver_all(road)
    assert finish_campaigns() == [campaign.pk]

    messages = Message.objects.for_client(acme).filter(campaign=campaign)
    assert sorted(messages.values_list("recipient", flat=True)) == meant
    assert set(messages.values_list("status", flat=True)) == {"sent"}
    assert 1000 * ONE - balance(acme) == quote.cost_micros == sum(messages.values_list("cost_micros", flat=True))
    assert (fresh(campaign).state, reserved(acme)) == ("done", 0)
