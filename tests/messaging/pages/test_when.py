"""When a campaign leaves: at a time of the client's zone, by the database's clock, inside the hours, and stoppable."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from accounts.services.clients import suspend_client
from contacts import services as contacts
from crm.common.errors import InvalidInput, WrongState
from crm.common.sql import database_now
from messaging.models import Campaign, Message, MessageClass, SendingHours
from messaging.services import scheduling
from messaging.services.campaigns import cancel_campaign, resume_campaign
from messaging.services.expansion import expand_campaign
from messaging.services.hours import HoursBook, OutsideHours
from messaging.views import reviewing
from tests.messaging.core import world
from tests.messaging.pages.conftest import add_member, sign_in
from tests.messaging.pages.test_review import confirm, review, shown
from tests.messaging.pages.test_send import words
from wallet.queries import balance_of

NAIROBI = ZoneInfo("Africa/Nairobi")


def today() -> date:
    return datetime.now(NAIROBI).date()


@pytest.fixture
def hold(monkeypatch):
    monkeypatch.setattr(reviewing, "HOLD_SECONDS", 10)


@pytest.fixture
def rules(db):
    """What the migration wrote, whatever other tests emptied."""
    SendingHours.objects.all().delete()
    for country, closes in (("", 20), ("KE", 18)):
        SendingHours.objects.create(
            country=country, message_class="promotion", opens=time(8), closes=time(closes), valid_from=date(2020, 1, 1)
        )


def nairobi(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=NAIROBI)


def schedule(draft: Campaign, **timing) -> Campaign:
    return scheduling.set_timing(client=draft.client, campaign_id=draft.pk, **timing)


def its_time_came(campaign: Campaign, minutes: float = 0) -> None:
    Campaign.objects.for_client(campaign.client).filter(pk=campaign.pk).update(
        starts_at=database_now() - timedelta(minutes=minutes, seconds=1)
    )


def money(client) -> tuple[Decimal, Decimal]:
    found = balance_of(client.pk)
    return found.balance, found.reserved


# --- hours ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "span", "countries", "slot"),
    [
        (nairobi(20, 9), 0, ["KE"], nairobi(20, 9)),
        (nairobi(20, 20, 30), 0, ["KE"], nairobi(21, 8)),
        (nairobi(20, 7, 59), 0, ["KE"], nairobi(20, 8)),
        (nairobi(20, 18), 0, ["KE"], nairobi(21, 8)),
        (nairobi(20, 17, 59), 0, ["KE"], nairobi(20, 17, 59)),
        (nairobi(20, 17), 2, ["KE"], nairobi(21, 8)),
        (nairobi(20, 19), 0, ["TZ"], nairobi(20, 19)),
        (nairobi(20, 8), 0, ["KE", "NG"], nairobi(20, 10)),  # eight in Lagos
        (nairobi(20, 8), 12, ["KE"], None),
        (nairobi(20, 3), 0, [], nairobi(20, 3)),
    ],
)
def test_promotions_wait_for_the_hours_of_every_country(rules, at, span, countries, slot):
    book = HoursBook("promotion", "Africa/Nairobi")
    assert book.next_slot(at, countries, span=timedelta(hours=span)) == slot
    assert book.allows(at, countries, span=timedelta(hours=span)) == (slot == at)


def test_information_may_leave_at_all_hours(rules):
    assert HoursBook("information", "Africa/Nairobi").allows(nairobi(20, 3), ["KE", "NG"])


def test_the_rule_of_the_day_holds(rules):
    SendingHours.objects.create(
        country="KE", message_class="promotion", opens=time(9), closes=time(17), valid_from=date(2026, 11, 21)
    )
    book = HoursBook("promotion", "Africa/Nairobi")
    assert book.allows(nairobi(20, 8), ["KE"])
    assert not book.allows(nairobi(21, 8), ["KE"])
    assert book.next_slot(nairobi(20, 19), ["KE"]) == nairobi(21, 9)


# --- scheduling -------------------------------------------------------------------------------------------------------


def test_a_time_is_typed_in_the_clients_zone_and_kept_in_utc(acme, browser, parents):
    form = {"name": "Karibu", "text": "Habari", "groups": parents.pk, "sender": "HOSPITAL", "when": "later",
            "schedule_at": f"{today() + timedelta(days=3)}T09:00", "message_class": "information",
            "spread_hours": "2"}  # fmt: skip
    saved = browser.post("/app/campaigns/new", form | {"action": "review"})
    campaign = Campaign.objects.for_client(acme).get()
    expected = datetime.combine(today() + timedelta(days=3), time(6), UTC)
    assert (campaign.schedule_at, campaign.spread_hours) == (expected, 2)
    assert "09:00 EAT , spread over 2 hours" in words(browser.get(saved.url).content.decode())
    edit = browser.get(f"/app/campaigns/{campaign.pk}/when").content.decode()
    assert f'value="{today() + timedelta(days=3)}T09:00"' in edit


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schedule_at": ""}, "Choose the day and time"),
        ({"schedule_at": "2020-01-01T09:00"}, "must lie in the future"),
        ({"schedule_at": "2126-01-01T09:00"}, "within one year"),
        ({"schedule_at": "tomorrow"}, "Write the day and time like"),
        ({"schedule_at": "0001-01-01T00:00"}, "must lie in the future"),
    ],
)
def test_a_time_that_cannot_be_is_refused_beside_its_field(acme, browser, parents, changes, says):
    form = {"name": "Karibu", "text": "Habari", "groups": parents.pk, "sender": "HOSPITAL", "when": "later"}
    answer = browser.post("/app/campaigns/new", form | changes)
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not Campaign.objects.for_client(acme).exists()


def test_D9_a_schedule_reserves_at_once_and_fires_once(acme, browser, draft):
    schedule(draft, schedule_at=database_now() + timedelta(days=1))
    confirm(browser, draft)
    draft.refresh_from_db()
    assert (draft.state, draft.starts_at) == ("scheduled", draft.schedule_at)
    assert money(acme) == (Decimal("1049.00"), Decimal("5.00"))
    assert expand_campaign(campaign_id=draft.pk) == 0
    assert scheduling.fire_due_campaigns() == 0
    listed = words(browser.get("/app/scheduled").content.decode())
    assert "Karibu" in listed
    assert "KES 5.00" in listed
    its_time_came(draft)
    assert [scheduling.fire_due_campaigns() for _ in range(2)] == [1, 0]
    expand_campaign(campaign_id=draft.pk)
    assert Message.objects.for_client(acme).count() == 4
    assert money(acme) == (Decimal("1044.00"), 0)


def test_a_schedule_missed_by_half_an_hour_waits_for_a_person(acme, browser, draft):
    schedule(draft, schedule_at=database_now() + timedelta(days=1))
    confirm(browser, draft)
    its_time_came(draft, minutes=31)
    assert scheduling.fire_due_campaigns() == 0
    page = browser.get(f"/app/campaigns/{draft.pk}").content.decode()
    assert "missed by more than 30 minutes" in page
    assert not Message.objects.for_client(acme).exists()
    browser.post(f"/app/campaigns/{draft.pk}/resume")
    expand_campaign(campaign_id=draft.pk)
    assert Message.objects.for_client(acme).count() == 4
    assert "missed by more" not in browser.get(f"/app/campaigns/{draft.pk}").content.decode()


def test_what_changed_meanwhile_is_checked_again_at_its_time(acme, browser, draft):
    schedule(draft, schedule_at=database_now() + timedelta(days=1))
    confirm(browser, draft)
    suspend_client(client=acme, reason="unpaid")
    its_time_came(draft)
    scheduling.fire_due_campaigns()
    draft.refresh_from_db()
    assert (draft.state, "suspended" in draft.pause_reason) == ("paused", True)


# --- ten seconds ------------------------------------------------------------------------------------------------------


def test_ten_seconds_to_stop_and_send_again(acme, browser, draft, hold):
    for _ in range(2):  # once stopped, it can be confirmed and stopped anew
        confirm(browser, draft)
        page = browser.get(f"/app/campaigns/{draft.pk}").content.decode()
        assert "Starting…" in page
        assert 'hx-trigger="every 2s"' in page
        assert expand_campaign(campaign_id=draft.pk) == 0
        assert money(acme) == (Decimal("1049.00"), Decimal("5.00"))
        browser.post(f"/app/campaigns/{draft.pk}/stop")
        draft.refresh_from_db()
        assert (draft.state, draft.confirmed_at, draft.quoted_cost_micros) == ("draft", None, 0)
        assert money(acme) == (Decimal("1049.00"), 0)
    confirm(browser, draft)
    its_time_came(draft)
    scheduling.fire_due_campaigns()
    expand_campaign(campaign_id=draft.pk)
    browser.post(f"/app/campaigns/{draft.pk}/stop")
    with pytest.raises(WrongState):
        scheduling.withdraw_campaign(client=acme, campaign_id=draft.pk)
    assert Message.objects.for_client(acme).count() == 4
    assert money(acme) == (Decimal("1044.00"), 0)
    world.check_books()


def test_a_scheduled_campaign_can_be_cancelled(acme, browser, draft, hold):
    confirm(browser, draft)
    cancel_campaign(client=acme, campaign_id=draft.pk)
    expand_campaign(campaign_id=draft.pk)
    assert money(acme) == (Decimal("1049.00"), 0)
    assert not Message.objects.for_client(acme).exists()


def test_T2_T3_only_who_may_send_stops(acme, browser, draft, stranger, hold):
    confirm(browser, draft)
    assert sign_in("zuri@else.test").post(f"/app/campaigns/{draft.pk}/stop").status_code == 404
    assert add_member(acme, "viewer").post(f"/app/campaigns/{draft.pk}/stop").status_code == 403
    draft.refresh_from_db()
    assert draft.state == "scheduled"


# --- promotions -------------------------------------------------------------------------------------------------------


def night(draft: Campaign, message_class: str) -> Campaign:
    at = datetime.combine(today() + timedelta(days=2), time(20, 30), NAIROBI)
    return schedule(draft, message_class=message_class, schedule_at=at)


def test_a_promotion_at_night_is_refused_with_a_button_that_mends_it(acme, browser, draft, rules):
    night(draft, MessageClass.PROMOTION)
    page = review(browser, draft).content.decode()
    morning = datetime.combine(today() + timedelta(days=3), time(8), NAIROBI)
    assert f"Send it {morning:%-d %b %Y}, 08:00 EAT" in words(page)
    refused = browser.post(f"/app/campaigns/{draft.pk}/send", shown(page))
    assert refused.status_code == 422
    assert money(acme) == (Decimal("1049.00"), 0)
    browser.post(f"/app/campaigns/{draft.pk}/move")
    page = review(browser, draft).content.decode()
    assert "Promotions may not be sent" not in page
    browser.post(f"/app/campaigns/{draft.pk}/send", shown(page))
    draft.refresh_from_db()
    assert (draft.state, draft.starts_at) == ("scheduled", morning)


def test_the_same_as_information_passes(acme, browser, draft, rules):
    night(draft, MessageClass.INFORMATION)
    page = review(browser, draft).content.decode()
    assert "Promotions may not" not in page
    browser.post(f"/app/campaigns/{draft.pk}/send", shown(page))
    draft.refresh_from_db()
    assert draft.state == "scheduled"


def test_a_paused_promotion_is_not_resumed_at_a_forbidden_hour(acme, browser, draft):
    SendingHours.objects.all().delete()
    now = database_now().astimezone(NAIROBI)
    opens = time((now.hour + 2) % 23)  # never the present hour
    SendingHours.objects.create(
        country="KE", message_class="promotion", opens=opens, closes=time(opens.hour, 59), valid_from=date(2020, 1, 1)
    )
    confirm(browser, draft)
    Campaign.objects.for_client(acme).update(state="paused", message_class="promotion")
    with pytest.raises(OutsideHours):
        resume_campaign(client=acme, campaign_id=draft.pk)


# --- spread -----------------------------------------------------------------------------------------------------------


def test_spread_over_hours_leaves_evenly(acme, browser, draft):
    schedule(draft, spread_hours=4)
    confirm(browser, draft)
    expand_campaign(campaign_id=draft.pk)
    draft.refresh_from_db()
    moments = Message.objects.for_client(acme).order_by("pk").values_list("next_attempt_at", flat=True)
    gaps = [round((moment - draft.starts_at).total_seconds()) for moment in moments]
    assert gaps == [0, 3600, 7200, 10800]
    page = words(browser.get(f"/app/campaigns/{draft.pk}").content.decode())
    assert "It is spread over time" in page


@pytest.mark.parametrize(("field", "value"), [("spread_hours", 13), ("spread_hours", -1), ("message_class", "spam")])
def test_timing_that_cannot_be_is_refused(draft, field, value):
    with pytest.raises(InvalidInput) as refused:
        schedule(draft, **{field: value})
    assert list(refused.value.errors) == [field]


def test_people_who_join_after_confirming_are_not_written_to(acme, browser, draft, parents):
    schedule(draft, schedule_at=database_now() + timedelta(days=1))
    confirm(browser, draft)
    late = contacts.create_contact(client=acme, phone="0733000001", name="Late")
    contacts.add_to_group(group=parents, contact_ids=[late.pk])
    its_time_came(draft)
    scheduling.fire_due_campaigns()
    expand_campaign(campaign_id=draft.pk)
    assert "+254733000001" not in Message.objects.for_client(acme).values_list("recipient", flat=True)
