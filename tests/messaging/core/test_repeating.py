"""Series: each run once, with its own people and reservation, at the client's local time, until it ends."""

from datetime import UTC, date, datetime, timedelta

import pytest

from crm.common.errors import InvalidInput
from crm.common.sql import database_now
from messaging.models import Campaign
from messaging.sending.sweep import sweep
from messaging.services import repeating
from messaging.services.campaigns import cancel_campaign, get_campaign
from messaging.services.repeating import fire_due_runs, next_runs, runs_of, set_repeat
from messaging.services.scheduling import set_timing
from tests.crowd import at_once
from tests.messaging.core.world import (
    ONE,
    balance,
    check_books,
    confirm,
    make_contacts,
    make_draft,
    make_group,
    make_road,
    make_sender,
    reserved,
)

pytestmark = pytest.mark.django_db
SOON = timedelta(hours=1)


@pytest.fixture(autouse=True)
def the_books_agree(db):
    yield
    check_books()


def series(client, people=3, repeat="daily", **end):
    draft = make_draft(client, make_group(client, make_contacts(client, people)))
    set_timing(client=client, campaign_id=draft.pk, schedule_at=database_now() + SOON)
    set_repeat(client=client, campaign_id=draft.pk, repeat=repeat, **end)
    return confirm(get_campaign(client=client, campaign_id=draft.pk))


def due(campaign, ago=timedelta(seconds=1), days=0):
    """The clock comes to the first run (and further days): the whole series is moved into the past."""
    Campaign.objects.unscoped().filter(pk=campaign.pk).update(
        schedule_at=database_now() - ago - timedelta(days=days), starts_at=database_now() - ago
    )


def fresh(campaign):
    return Campaign.objects.unscoped().get(pk=campaign.pk)


def runs(campaign):
    return list(Campaign.objects.unscoped().filter(series=campaign).order_by("run"))


def plan(first, repeat, zone="Africa/Nairobi", count=3, **end):
    campaign = Campaign(schedule_at=first, repeat=repeat, **end)
    campaign.client = make_client_in(zone)
    return [moment for _, moment in zip(range(count), (moment for _, moment in runs_of(campaign)), strict=False)]


def make_client_in(zone):
    from accounts.models import Client

    return Client(name="Acme", time_zone=zone)


def test_local_time_stays_when_daylight_saving_begins_and_ends():
    spring = plan(datetime(2027, 3, 27, 8, 0, tzinfo=UTC), "daily", "Europe/Paris")
    assert [moment.hour for moment in spring] == [8, 7, 7]  # 09:00 in Paris each day
    skipped = plan(datetime(2027, 3, 27, 1, 30, tzinfo=UTC), "daily", "Europe/Paris")
    assert [moment.isoformat() for moment in skipped] == [
        "2027-03-27T01:30:00+00:00", "2027-03-28T01:30:00+00:00", "2027-03-29T00:30:00+00:00",
    ]  # fmt: skip
    doubled = plan(datetime(2026, 10, 24, 0, 30, tzinfo=UTC), "daily", "Europe/Paris")
    assert [moment.isoformat()[8:16] for moment in doubled] == ["24T00:30", "25T00:30", "26T01:30"]


def test_months_without_that_day_use_their_last_one_and_the_others_keep_it():
    found = plan(datetime(2027, 1, 31, 6, 0, tzinfo=UTC), "monthly", count=4)
    assert [moment.date().isoformat() for moment in found] == ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"]


def test_it_ends_after_so_many_times_or_on_a_day():
    first = datetime(2027, 1, 4, 6, 0, tzinfo=UTC)
    assert len(plan(first, "weekly", count=9, repeat_times=2)) == 2
    assert len(plan(first, "weekly", count=9, repeat_until=date(2027, 1, 18))) == 3


def test_a_series_reserves_nothing_and_each_run_its_own(acme, road):
    campaign = series(acme, times=2)
    assert (campaign.state, reserved(acme), balance(acme)) == ("repeating", 0, 1000 * ONE)
    assert len(next_runs(campaign)) == 2
    assert fire_due_runs() == 0
    due(campaign)
    assert fire_due_runs() == 1
    assert fire_due_runs() == 0
    (run,) = runs(campaign)
    assert (run.state, run.run, run.quoted_recipients, reserved(acme)) == ("sending", 1, 3, 3 * ONE)
    assert fresh(campaign).starts_at > database_now()
    due(campaign, days=1)
    assert fire_due_runs() == 1
    assert [run.run for run in runs(campaign)] == [1, 2]
    assert fresh(campaign).state == "done"


def test_a_series_stops_cleanly_when_money_is_short_and_says_so(acme, road):
    poor = make_sender("Poor", credit=4, sender="POOR")
    campaign = series(poor)
    due(campaign)
    sweep()
    due(campaign, days=1)
    sweep()
    stopped = fresh(campaign)
    assert stopped.state == "stopped"
    assert stopped.stop_reason.startswith("Run 2 was not sent: Your account balance is too low.")
    assert [run.state for run in runs(campaign)] == ["sending", "draft"]
    due(campaign, days=2)
    assert (fire_due_runs(), len(runs(campaign))) == (0, 2)
    assert reserved(poor) == 3 * ONE


def test_a_run_missed_by_more_than_half_an_hour_waits_for_a_person(acme, road):
    campaign = series(acme)
    due(campaign, ago=timedelta(minutes=31))
    assert fire_due_runs() == 0
    (run,) = runs(campaign)
    assert (run.state, run.pause_kind) == ("paused", "missed")
    assert "missed by more than 30 minutes" in run.pause_reason
    assert fresh(campaign).state == "repeating"


def test_days_missed_in_an_outage_are_one_run_not_many(acme, road):
    campaign = series(acme)
    due(campaign, days=3, ago=timedelta(hours=2))
    fire_due_runs()
    assert [(run.run, run.state) for run in runs(campaign)] == [(4, "paused")]


def test_a_cancelled_series_runs_no_more(acme, road):
    campaign = series(acme)
    cancel_campaign(client=acme, campaign_id=campaign.pk)
    due(campaign)
    assert (fire_due_runs(), runs(campaign), fresh(campaign).state) == (0, [], "cancelled")


def test_a_sweeper_that_died_between_writing_and_starting_loses_no_run(acme, road, monkeypatch):
    campaign = series(acme)
    due(campaign)
    with monkeypatch.context() as broken:
        broken.setattr(repeating, "_start", lambda run, now: False)
        fire_due_runs()
    assert [run.state for run in runs(campaign)] == ["draft"]
    assert fire_due_runs() == 1
    assert [run.state for run in runs(campaign)] == ["sending"]


@pytest.mark.django_db(transaction=True)
def test_many_sweepers_fire_one_run(transactional_db):
    make_road()
    client = make_sender()
    campaign = series(client)
    due(campaign)
    results = at_once(6, lambda index: fire_due_runs())
    assert [result for result in results if isinstance(result, Exception)] == []
    assert [run.state for run in runs(campaign)] == ["sending"]
    assert reserved(client) == 3 * ONE


def test_what_makes_no_sense_is_refused(acme):
    draft = make_draft(acme)
    with pytest.raises(InvalidInput):
        set_repeat(client=acme, campaign_id=draft.pk, repeat="daily")  # no time
    set_timing(client=acme, campaign_id=draft.pk, schedule_at=database_now() + SOON)
    for wrong in (
        {"repeat": "hourly"},
        {"repeat": "daily", "times": 1},
        {"repeat": "daily", "until": date(2020, 1, 1)},
    ):
        with pytest.raises(InvalidInput):
            set_repeat(client=acme, campaign_id=draft.pk, **wrong)
