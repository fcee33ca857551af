"""What came of a campaign: each figure from messages, opt-outs and answers counted by hand; and its end told."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from accounts.models import Client, Membership, Notice
from contacts.models import Contact, OptOut
from contacts.services import record_opt_out
from crm.common.errors import NotFound, WrongState
from messaging import results
from messaging.models import Campaign, CampaignRecipient, InboundMessage, Message, SendingRules
from messaging.queries import failures_of, progress_of
from messaging.sending.recording import record_outcomes
from messaging.services import again
from messaging.services.campaigns import cancel_campaign, finish_campaigns
from messaging.services.expansion import expand_campaign
from messaging.services.repeating import stop_series
from tests.messaging.core import world
from wallet.models import PricePlan
from wallet.services import set_rate

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
SAFARICOM, AIRTEL, VODACOM = "+25471200000{}", "+25473300000{}", "+25575400000{}"


@pytest.fixture
def campaign(acme, road) -> Campaign:
    """Nine people: five of Safaricom, three of Airtel, one in Tanzania; nobody has been written to."""
    numbers = [SAFARICOM.format(n) for n in range(5)] + [AIRTEL.format(n) for n in range(3)] + [VODACOM.format(1)]
    people = [Contact.objects.create(client=acme, phone=number, name=f"P{n}") for n, number in enumerate(numbers)]
    draft = world.make_draft(acme, world.make_group(acme, [one.pk for one in people]))
    set_rate(plan=PricePlan.objects.get(wallets__client=acme), channel="sms", country="TZ", price_per_unit=Decimal("2"))
    SendingRules.objects.update_or_create(client=acme, defaults={"countries": ["TZ"]})
    world.confirm(draft)
    expand_campaign(campaign_id=draft.pk)
    Campaign.objects.for_client(acme).filter(pk=draft.pk).update(starts_at=START, confirmed_at=START)
    return Campaign.objects.for_client(acme).select_related("client", "sender").get(pk=draft.pk)


def ends(campaign: Campaign, number: str, status: str, *, after: float = 0, code: str = "") -> None:
    """The message to `number` left a minute after the start and came to `status` so many seconds later."""
    left = START + timedelta(minutes=1)
    at = left + timedelta(seconds=after)
    Message.objects.for_client(campaign.client).filter(campaign=campaign, recipient=number).update(
        status=status,
        error_code=code,
        sent_at=left if status != "cancelled" else None,
        delivered_at=at if status in ("delivered", "read") else None,
        failed_at=at if status == "failed" else None,
    )


@pytest.fixture
def over(campaign) -> Campaign:
    for number, seconds in ((0, 4), (1, 10), (2, 90)):
        ends(campaign, SAFARICOM.format(number), "read" if number == 1 else "delivered", after=seconds)
    ends(campaign, SAFARICOM.format(3), "failed", after=30, code="unreachable")
    ends(campaign, SAFARICOM.format(4), "sent")
    ends(campaign, AIRTEL.format(0), "delivered", after=7)
    ends(campaign, AIRTEL.format(1), "failed", after=7, code="invalid_number")
    ends(campaign, AIRTEL.format(2), "cancelled")
    ends(campaign, VODACOM.format(1), "failed", after=7, code="unreachable")
    return campaign


def test_networks_the_largest_first_with_median_time_and_net_cost(over):
    rows = {row.name: row for row in results.by_network(over)}
    assert [row.name for row in results.by_network(over)][:2] == ["Safaricom", "Airtel"]
    safaricom, airtel = rows["Safaricom"], rows["Airtel"]
    assert (safaricom.sent, safaricom.delivered, safaricom.failed, safaricom.percent) == (5, 3, 1, 75)
    assert (safaricom.seconds, safaricom.cost_micros) == (10, 4 * world.ONE)
    assert (airtel.sent, airtel.delivered, airtel.failed, airtel.percent) == (2, 1, 1, 50)
    assert (airtel.seconds, airtel.cost_micros) == (7, world.ONE)
    (abroad,) = [row for name, row in rows.items() if name not in ("Safaricom", "Airtel")]
    assert (abroad.sent, abroad.delivered, abroad.failed, abroad.percent) == (1, 0, 1, 0)
    assert (abroad.seconds, abroad.cost_micros) == (None, 0)
    assert sum(row.cost_micros for row in rows.values()) == progress_of([over])[over.pk].spent_micros


def test_a_network_whose_country_alone_is_known_goes_by_its_country(acme, campaign):
    Message.objects.for_client(acme).filter(recipient=VODACOM.format(1)).update(recipient="+35312345678")
    assert {row.name for row in results.by_network(campaign)} == {"Safaricom", "Airtel", "IE"}


def columns(campaign: Campaign) -> list[tuple[datetime, int, int]]:
    return [(column.at, *(part.count for part in column.parts)) for column in results.over_time(campaign)]


def test_arrivals_and_failures_by_minute_with_the_empty_minutes_between(over):
    first = START + timedelta(minutes=1)
    assert columns(over) == [(first, 3, 3), (first + timedelta(minutes=1), 1, 0)]
    ends(over, SAFARICOM.format(4), "delivered", after=4 * 60)
    assert columns(over)[1:] == [
        (first + timedelta(minutes=1), 1, 0),
        (first + timedelta(minutes=2), 0, 0),
        (first + timedelta(minutes=3), 0, 0),
        (first + timedelta(minutes=4), 1, 0),
    ]


@pytest.mark.parametrize(("minutes", "step"), [(23, 1), (24, 2), (40, 2), (60, 5), (200, 10), (300, 15)])
def test_what_takes_longer_goes_by_larger_steps(over, minutes, step):
    ends(over, SAFARICOM.format(4), "delivered", after=minutes * 60)
    bars = columns(over)
    assert len(bars) <= results.BARS
    assert {later[0] - earlier[0] for earlier, later in pairwise(bars)} == {timedelta(minutes=step)}
    assert (sum(bar[1] for bar in bars), sum(bar[2] for bar in bars), bars[-1][1]) == (5, 3, 1)


def test_what_takes_a_day_goes_by_hours_and_the_last_bar_holds_what_came_later(over):
    ends(over, SAFARICOM.format(4), "delivered", after=8 * 3600)
    assert columns(over) == [(START + timedelta(hours=n), *counts) for n, counts in
                             enumerate([(4, 3), *[(0, 0)] * 7, (1, 0)])]  # fmt: skip
    ends(over, SAFARICOM.format(4), "delivered", after=40 * 3600)
    bars = columns(over)
    assert (len(bars), bars[0], bars[-1]) == (24, (START, 4, 3), (START + timedelta(hours=23), 1, 0))


def test_nothing_has_come_of_what_has_not_begun(campaign):
    assert results.over_time(campaign) == []
    draft = Campaign(client=campaign.client, sender=campaign.sender)
    assert (results.opt_outs_after(draft), results.replies_to(draft), results.over_time(draft)) == (0, 0, [])


def test_failures_are_grouped_in_words_the_commonest_first(over):
    found = failures_of(over)
    assert [(row.failure.code, row.people) for row in found] == [("unreachable", 2), ("invalid_number", 1)]
    assert found[0].latest.recipient == VODACOM.format(1)


def test_opt_outs_are_those_of_its_people_and_channel_within_a_week(acme, zuri, over):
    def out(number: str, *, days: float, channel: str = "sms", client: Client = acme) -> None:
        record_opt_out(client_id=client.pk, channel=channel, address=number, source="stop")
        OptOut.objects.for_client(client).filter(address=number, channel=channel).update(
            created_at=START + timedelta(days=days)
        )

    out(SAFARICOM.format(0), days=0.5)
    out(SAFARICOM.format(1), days=6.9)
    out(SAFARICOM.format(2), days=7.1)  # too late to be of it
    out(SAFARICOM.format(3), days=-1)  # before it
    out("+254799999999", days=1)  # not one of its people
    out(AIRTEL.format(0), days=1, channel="whatsapp")
    out(AIRTEL.format(1), days=1, client=zuri)
    assert results.opt_outs_after(over) == 2


def test_replies_are_people_who_wrote_to_its_sender_within_a_week(acme, zuri, road, over):
    over.sender.name = "22384"
    made = 0

    def wrote(number: str, *, days: float = 1, to: str = "22384", word: str = "", client: Client = acme) -> None:
        nonlocal made
        made += 1
        InboundMessage.objects.create(
            client=client, account=road, channel="sms", sender=number, recipient=to, word=word, text="Ndiyo",
            provider_message_id=f"in-{made}", received_at=START + timedelta(days=days),
        )  # fmt: skip

    wrote(SAFARICOM.format(0))
    wrote(SAFARICOM.format(0), days=2)  # one person
    wrote(AIRTEL.format(0), word="help")
    wrote(SAFARICOM.format(1), word="stop")  # counted among the opt-outs
    wrote(SAFARICOM.format(2), days=8)
    wrote(SAFARICOM.format(3), days=-1)
    wrote(SAFARICOM.format(4), to="40404")
    wrote("+254799999999")
    wrote(AIRTEL.format(1), client=zuri)
    assert results.replies_to(over) == 2


# --- those not reached, by another channel ----------------------------------------------------------------------------


@pytest.fixture
def mail_road(acme):
    return world.make_mail_road(acme)


def address(client: Client, number: str, email: str) -> None:
    Contact.objects.for_client(client).filter(phone=number).update(email=email)


def test_those_not_reached_are_written_a_mail_where_the_book_has_an_address(acme, mail_road, over):
    address(acme, SAFARICOM.format(0), "arrived@acme.test")
    address(acme, SAFARICOM.format(3), "home@acme.test")
    address(acme, AIRTEL.format(1), "home@acme.test")  # the same household: one mail
    address(acme, AIRTEL.format(2), "cancelled@acme.test")
    assert again.other_channels(over) == ["email"]
    draft = again.reach_again(client=acme, campaign_id=over.pk, channel="email", by=None)
    assert (draft.state, draft.channel, draft.sender.name, draft.text) == (
        "draft", "email", "news@acme.test", over.text,
    )  # fmt: skip
    listed = CampaignRecipient.objects.for_client(acme).filter(campaign=draft).values_list("address", flat=True)
    assert list(listed) == ["home@acme.test"]
    assert Message.objects.for_client(acme).count() == 9
    assert not Message.objects.for_client(acme).filter(campaign=draft).exists()


def test_who_opted_out_of_it_is_not_chased_by_another_channel(acme, mail_road, over):
    address(acme, SAFARICOM.format(3), "home@acme.test")
    ends(over, SAFARICOM.format(3), "failed", code="opted_out")
    with pytest.raises(WrongState, match="no address of these people"):
        again.reach_again(client=acme, campaign_id=over.pk, channel="email", by=None)
    assert Campaign.objects.for_client(acme).count() == 1


@pytest.mark.parametrize("channel", ["sms", "whatsapp", "pigeon", ""])
def test_a_channel_that_cannot_be_used_makes_no_draft(acme, mail_road, over, channel):
    with pytest.raises(WrongState):
        again.reach_again(client=acme, campaign_id=over.pk, channel=channel, by=None)
    assert Campaign.objects.for_client(acme).count() == 1


def test_a_channel_without_a_road_is_not_offered(acme, over):
    assert again.other_channels(over) == []


def test_T1_a_stranger_reaches_nobody(zuri, mail_road, over):
    with pytest.raises(NotFound):
        again.reach_again(client=zuri, campaign_id=over.pk, channel="email", by=None)


# --- the end is told --------------------------------------------------------------------------------------------------


@pytest.fixture
def members(acme, django_user_model):
    for role in ("owner", "sender", "viewer"):
        user = django_user_model.objects.create_user(f"{role}@acme.test")
        Membership.objects.create(client=acme, user=user, role=role)


def told(client: Client, event: str = "campaign.finished") -> list[tuple[str, str]]:
    found = Notice.objects.for_client(client).filter(event=event).order_by("pk")
    return list(found.values_list("user__email", "subject"))


def test_the_end_of_a_campaign_is_told_once_to_those_who_send(acme, road, members):
    campaign = world.confirm(world.make_draft(acme, world.make_group(acme, world.make_contacts(acme, 3))))
    expand_campaign(campaign_id=campaign.pk)
    ids = world.submit(road)
    finish_campaigns()
    assert told(acme) == []
    record_outcomes([world.outcome(pk, "accepted", f"AT{pk}") for pk in ids[:2]])
    record_outcomes([world.outcome(ids[2], "rejected", code="invalid_number")])
    for _ in range(3):
        finish_campaigns()
    subject = "The campaign “Sale” has finished: 2 sent, 1 failed"
    assert told(acme) == [("owner@acme.test", subject), ("sender@acme.test", subject)]
    text = Notice.objects.for_client(acme).first().text
    assert f"/app/campaigns/{campaign.pk}" in text


def test_a_series_that_the_product_ends_is_told_once_with_the_reason(acme, road, members):
    campaign = world.make_draft(acme, world.make_group(acme, world.make_contacts(acme, 3)))
    Campaign.objects.for_client(acme).update(state="repeating")
    assert [stop_series(campaign=campaign, reason="Run 2 was not sent: no money.") for _ in range(2)] == [True, False]
    assert [subject for _, subject in told(acme)] == ["The campaign “Sale” was stopped"] * 2
    assert "Run 2 was not sent: no money." in Notice.objects.for_client(acme).first().text
    assert told(acme, "campaign.paused") == []


def test_whoever_cancels_is_told_nothing(acme, road, members):
    campaign = world.confirm(world.make_draft(acme, world.make_group(acme, world.make_contacts(acme, 3))))
    cancel_campaign(client=acme, campaign_id=campaign.pk)
    finish_campaigns()
    assert told(acme) == []
