"""How much a client may send, to whom and where, whichever way it sends (L2)."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Membership, Notice, User
from accounts.services.people import set_phone
from crm.common.sql import later_sql, on_postgres
from messaging.errors import CountryClosed, DailyLimit, RecipientLimit, TrialNumber
from messaging.models import Campaign, ForeignCount, Message, ProviderAccount
from messaging.sending.recording import record_outcomes
from messaging.services.accept import Accepted, Draft, Refused, accept_messages
from messaging.services.audience import quote_campaign
from messaging.services.campaigns import list_recipients, resume_campaign
from messaging.services.expansion import expand_campaign
from messaging.services.guards import Guard, repeated_lately
from messaging.services.rules import set_limits
from messaging.services.tallies import recount
from messaging.services.watching import watch_campaigns
from tests.crowd import at_once
from tests.messaging.core.world import (
    accept,
    balance,
    check_books,
    confirm,
    make_contacts,
    make_draft,
    make_group,
    make_road,
    make_sender,
    number,
    outcome,
    reserved,
    run_sql,
    statuses,
    submit,
)
from wallet.errors import InsufficientBalance

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def the_books_agree(db):
    yield
    check_books()


def send(client, *texts, to=None, **options):
    drafts = [Draft(recipient=to or number(1), text=text) for text in texts]
    return accept_messages(client=client, drafts=drafts, **options)


def refusal(results):
    assert [type(result) for result in results] == [Refused]
    return results[0].error


def test_the_twenty_first_equal_text_to_a_number_is_refused_and_costs_nothing(acme, road):
    for _ in range(20):
        assert isinstance(send(acme, "Habari")[0], Accepted)
    before = balance(acme)
    error = refusal(send(acme, "Habari"))
    assert (type(error), error.facts["retry_after"]) == (RecipientLimit, 3600)
    assert (balance(acme), Message.objects.for_client(acme).count()) == (before, 20)
    assert isinstance(send(acme, "Habari tena")[0], Accepted)
    assert isinstance(send(acme, "Habari", to=number(2))[0], Accepted)


def test_an_hour_later_the_same_text_may_go_again(acme, road):
    for _ in range(20):
        send(acme, "Habari")
    run_sql(f"UPDATE messaging_message SET created_at = {later_sql(-3660)}")
    recount(client_id=acme.pk)
    assert isinstance(send(acme, "Habari")[0], Accepted)


def test_a_hundred_messages_of_any_text_in_an_hour_and_within_one_call(acme, road):
    results = send(acme, *[f"Habari {n}" for n in range(130)])
    kinds = [type(result) for result in results]
    assert kinds == [Accepted] * 100 + [Refused] * 30
    assert isinstance(refusal(send(acme, "Moja zaidi")), RecipientLimit)
    assert 1000 - balance(acme) // 1_000_000 == 100


def test_what_failed_does_not_count(acme, road):
    for _ in range(20):
        send(acme, "Habari")
    pks = submit(road)
    record_outcomes([outcome(pk, "rejected", code="invalid_number") for pk in pks])
    assert isinstance(send(acme, "Habari")[0], Accepted)


def test_who_cannot_pay_hears_that_before_any_limit(acme, road):
    poor = make_sender("Poor", credit=20, sender="POOR")
    for _ in range(20):
        send(poor, "Habari")
    with pytest.raises(InsufficientBalance):
        send(poor, "Habari")


def test_limits_are_settable_per_client_and_zero_means_none(acme, zuri, road):
    set_limits(client=acme, equal_per_hour=2)
    assert [type(result) for result in (send(acme, "A") + send(acme, "A") + send(acme, "A"))] == [
        Accepted, Accepted, Refused,
    ]  # fmt: skip
    set_limits(client=zuri, equal_per_hour=0, any_per_hour=0, any_per_day=3)
    for _ in range(3):
        assert isinstance(send(zuri, "A")[0], Accepted)
    assert refusal(send(zuri, "A")).facts["retry_after"] == 86400


def test_the_guards_cost_two_queries_however_many_recipients(acme, road):
    accept(acme, 3)
    few, many = [], []
    for counted, size, start in ((few, 2, 10), (many, 500, 1000)):
        with CaptureQueriesContext(
            connection,
        ) as seen:
            accept(acme, size, first=start)
        counted.extend(query["sql"] for query in seen.captured_queries)
    assert len(few) == len(many)
    assert sum("messaging_sendingrules" in sql for sql in many) == 1
    assert sum("OFFSET" in sql for sql in many if "m.recipient" in sql) <= 2


@pytest.mark.xdist_group("crowd")
@pytest.mark.django_db(transaction=True)
def test_calls_at_the_same_time_do_not_pass_the_limit_together(transactional_db):
    make_road()
    client = make_sender()
    results = at_once(30, lambda index: send(client, "Habari"))
    accepted = [result for batch in results for result in batch if isinstance(result, Accepted)]
    assert len(accepted) == 20
    assert Message.objects.for_client(client).count() == 20


def test_only_opened_countries_are_written_to(acme, road):
    assert isinstance(send(acme, "Habari", to="+255712345678")[0], Accepted)
    set_limits(client=acme, countries=[])
    before = balance(acme)
    assert isinstance(refusal(send(acme, "Habari 2", to="+255712345678")), CountryClosed)
    assert balance(acme) == before
    assert isinstance(send(acme, "Habari")[0], Accepted)
    set_limits(client=acme, countries=["TZ"])
    assert isinstance(send(acme, "Habari 2", to="+255712345678")[0], Accepted)
    assert isinstance(refusal(send(acme, "Habari", to="+256712345678")), CountryClosed)


def test_a_trial_account_writes_to_its_own_people_only(acme, road):
    set_limits(client=acme, trial=True)
    assert isinstance(refusal(send(acme, "Habari")), TrialNumber)
    person = User.objects.create_user("amina@acme.test")
    Membership.objects.create(client=acme, user=person, role="owner")
    set_phone(user=person, phone=number(1), verified=False)
    assert isinstance(refusal(send(acme, "Habari")), TrialNumber)
    set_phone(user=person, phone=number(1), verified=True)
    assert isinstance(send(acme, "Habari")[0], Accepted)


def test_messages_spending_and_foreign_messages_of_a_day_are_capped(acme, road):
    set_limits(client=acme, messages_per_day=5)
    accept(acme, 4)
    with pytest.raises(DailyLimit) as refused:
        accept(acme, 2, first=100)
    assert 0 < refused.value.facts["retry_after"] <= 86400
    accept(acme, 1, first=200)
    assert Message.objects.for_client(acme).count() == 5
    set_limits(client=acme, spend_per_day_micros=6_000_000)
    accept(acme, 1, first=300)
    with pytest.raises(DailyLimit):
        accept(acme, 1, first=400)
    set_limits(client=acme, foreign_per_day=1)
    send(acme, "Habari", to="+255712345678")
    with pytest.raises(DailyLimit):
        send(acme, "Habari", to="+256712345678")
    assert sum(ForeignCount.objects.for_client(acme).values_list("messages", flat=True)) == 1
    accept(acme, 1, first=500)


def test_simulated_messages_reach_nobody_and_have_no_limits(acme):
    set_limits(client=acme, equal_per_hour=1, countries=[], trial=True, messages_per_day=1)
    acme.simulation = True
    acme.save()
    assert [type(result) for result in send(acme, "A") + send(acme, "A")] == [Accepted, Accepted]


# --- campaigns --------------------------------------------------------------------------------------------------------


def fresh(campaign):
    return Campaign.objects.unscoped().select_related("client").get(pk=campaign.pk)


def foreigners(client, count):
    numbers = [f"+25571{1_000_000 + 37 * n}" for n in range(count)]
    campaign = make_draft(client, text="Habari")
    list_recipients(client=client, campaign_id=campaign.pk, recipients=numbers)
    return campaign


def test_a_campaign_leaves_out_whom_the_rules_leave_out_and_its_price_is_exact(acme, road):
    set_limits(client=acme, countries=[])
    campaign = foreigners(acme, 3)
    assert quote_campaign(campaign).left_out == {"country_closed": 3}
    group = make_group(acme, make_contacts(acme, 4))
    campaign.groups.add(group)
    quote = quote_campaign(campaign)
    assert (quote.recipients, quote.left_out["country_closed"]) == (4, 3)
    confirm(campaign)
    assert expand_campaign(campaign_id=campaign.pk) == 4
    assert (1000_000_000 - balance(acme), reserved(acme)) == (quote.cost_micros, 0)


def test_many_people_in_a_country_that_is_new_wait_for_a_person_and_the_owner_is_told(acme, road, django_user_model):
    owner = django_user_model.objects.create_user("amina@acme.test")
    Membership.objects.create(client=acme, user=owner, role="owner")
    campaign = confirm(foreigners(acme, 50))
    assert Notice.objects.for_client(acme).get(event="campaign.paused").user == owner
    assert (campaign.state, campaign.pause_kind) == ("paused", "burst")
    assert "TZ" in campaign.pause_reason
    assert reserved(acme) == 50_000_000
    resume_campaign(client=acme, campaign_id=campaign.pk)
    assert expand_campaign(campaign_id=campaign.pk) == 50
    assert confirm(foreigners(acme, 60)).state == "sending"


def test_a_daily_limit_pauses_the_rest_of_a_campaign(acme, road, monkeypatch):
    from messaging.services import audience, expansion

    monkeypatch.setattr(audience, "CHUNK", 10)
    monkeypatch.setattr(expansion, "CHUNK", 10)
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 30))))
    set_limits(client=acme, messages_per_day=20)
    assert expand_campaign(campaign_id=campaign.pk) == 20
    assert (fresh(campaign).state, fresh(campaign).pause_kind) == ("paused", "daily_limit")
    set_limits(client=acme)
    resume_campaign(client=acme, campaign_id=campaign.pk)
    assert expand_campaign(campaign_id=campaign.pk) == 10
    assert statuses() == {"queued": 30}


def run_campaign(client, road, people, failing):
    campaign = confirm(make_draft(client, make_group(client, make_contacts(client, people))))
    expand_campaign(campaign_id=campaign.pk)
    pks = submit(road, failing * 4)
    bad, good = pks[:failing], pks[failing:]
    record_outcomes([outcome(pk, "rejected", code="unreachable") for pk in bad])
    record_outcomes([outcome(pk, "accepted", f"AT{pk}") for pk in good])
    return campaign


def test_more_than_a_fifth_of_failures_pauses_a_campaign_and_says_why(acme, road):
    campaign = run_campaign(acme, road, 300, 41)
    assert watch_campaigns() == 1
    paused = fresh(campaign)
    assert (paused.state, paused.pause_kind) == ("paused", "failures")
    assert paused.pause_reason == "41 of the first 200 messages failed, most of them: Phone off or out of reach."
    assert statuses()["held"] == 300 - 164
    resume_campaign(client=acme, campaign_id=campaign.pk)  # a person has seen it
    assert watch_campaigns() == 0
    assert fresh(campaign).state == "sending"


def test_a_fifth_of_failures_or_less_pauses_nothing(acme, road):
    campaign = run_campaign(acme, road, 300, 40)
    assert watch_campaigns() == 0
    assert fresh(campaign).state == "sending"


def test_a_campaign_whose_provider_takes_nothing_is_paused(acme, road):
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 5))))
    expand_campaign(campaign_id=campaign.pk)
    assert watch_campaigns() == 0
    ProviderAccount.objects.update(is_active=False)
    assert watch_campaigns() == 1
    assert "switched off" in fresh(campaign).pause_reason
    assert statuses() == {"held": 5}


def test_who_got_the_same_text_lately_is_counted(acme, zuri, road):
    accept(acme, 3, text="Habari")
    pairs = [(number(n), "Habari") for n in range(5)]
    found = repeated_lately(acme, pairs)
    assert found.people == 3
    assert repeated_lately(acme, [(number(1), "Nyingine")]) is None
    assert repeated_lately(zuri, pairs) is None


@pytest.mark.skipif(not on_postgres(), reason="SQLite plans without statistics of single clients")
def test_a_number_is_looked_up_by_its_index_also_for_a_client_newer_than_the_statistics(acme, zuri, road):
    accept_messages(client=acme, drafts=[Draft(f"07{n:08d}", "Hello") for n in range(20_000_000, 20_000_900)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE messaging_message", [])
        part = Guard(zuri).near_parts(["+254712345678"])["near"]
        cursor.execute(f"EXPLAIN SELECT {part.columns[0]} FROM {part.source}", part.params)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "message_by_recipient" in plan, plan
