"""WhatsApp campaigns: an approved template filled in for each person and in their language, at the price of its
category, and nothing where WhatsApp does not take it.
"""

from decimal import Decimal

import pytest

from accounts.models import Client, User
from contacts import services as contacts
from contacts.models import Group
from crm.common.errors import InvalidInput
from messaging.models import (
    Campaign,
    CampaignState,
    Message,
    ProviderAccount,
    Route,
    SendingRules,
    WhatsAppTemplate,
    WhatsAppTemplateEvent,
)
from messaging.services import again
from messaging.services import campaigns as service
from messaging.services import template_news as news
from messaging.services.audience import problems_of, quote_campaign
from messaging.services.expansion import expand_campaign
from messaging.services.scheduling import set_timing
from messaging.services.senders import approve_sender
from messaging.services.testing import send_test
from messaging.services.watching import watch_campaigns
from tests.messaging.core import world
from wallet.models import PricePlan
from wallet.services import set_rate

pytestmark = pytest.mark.django_db
BILL = {"1": "{first_name|mzazi}", "2": "KES {fee|500}"}


@pytest.fixture
def acme(acme: Client, road: ProviderAccount) -> Client:
    plan = PricePlan.objects.get(wallets__client=acme)
    for category, price, country in (
        ("", "0.5", ""),
        ("utility", "0.8", ""),
        ("marketing", "3", ""),
        ("utility", "2", "TZ"),
    ):
        set_rate(plan=plan, channel="whatsapp", price_per_unit=Decimal(price), category=category, country=country)
    approve_sender(client=acme, channel="whatsapp", name="+254709000001")
    Route.objects.filter(account=road).update(channel="whatsapp")
    return acme


@pytest.fixture
def bill(acme, road) -> WhatsAppTemplate:
    return make_template(acme, road)


def make_template(client: Client, account: ProviderAccount, **fields) -> WhatsAppTemplate:
    values = {
        "name": "bill", "language": "en", "category": "utility", "state": "approved",
        "body": "Dear {{1}}, your bill of {{2}} is ready.",
    }  # fmt: skip
    return WhatsAppTemplate.objects.create(client=client, account=account, **(values | fields))


@pytest.fixture
def people(acme) -> Group:
    """Amina, somebody without a name who reads Kiswahili, and Juma with a fee of his own."""
    names, more = ["Amina Wanjiru", "", "Juma Ali"], [{}, {"language": "sw"}, {"fee": "900"}]
    ids = world.make_contacts(acme, 3, name=lambda n: names[n], attributes=lambda n: more[n])
    return world.make_group(acme, ids)


def draft(client: Client, group: Group | None = None, **whatsapp) -> Campaign:
    chosen = {"template": "bill", "language": "en", "variables": BILL} | whatsapp
    groups = [group.pk] if group else []
    return service.save_draft(
        client=client, by=None, name="Bills", text="", group_ids=groups, channel="whatsapp", whatsapp=chosen
    )


def said(campaign: Campaign) -> list[str]:
    """What keeps it from being sent."""
    return [problem.sentence for problem in problems_of(campaign, quote_campaign(campaign))]


def sent(client: Client) -> dict[str, str]:
    return dict(Message.objects.for_client(client).order_by("pk").values_list("recipient", "text"))


def test_each_person_gets_the_template_filled_in_at_exactly_the_price_shown(acme, bill, people, books):
    campaign = draft(acme, people)
    assert campaign.text == "Dear {first_name|mzazi}, your bill of KES {fee|500} is ready."
    quote = quote_campaign(campaign)
    assert problems_of(campaign, quote) == []
    assert (quote.recipients, quote.units, quote.cost_micros) == (3, 3, 2_400_000)
    assert quote.fallbacks == {("first_name", "mzazi"): 1, ("fee", "500"): 2}
    before = world.balance(acme)
    world.confirm(campaign)
    expand_campaign(campaign_id=campaign.pk)
    assert sent(acme) == {
        world.number(0): "Dear Amina, your bill of KES 500 is ready.",
        world.number(1): "Dear mzazi, your bill of KES 500 is ready.",
        world.number(2): "Dear Juma, your bill of KES 900 is ready.",
    }
    message = Message.objects.for_client(acme).order_by("pk")[2]
    assert message.content == {"template": "bill", "language": "en", "parameters": ["Juma", "KES 900"]}
    assert (message.channel, message.sender, message.units) == ("whatsapp", "+254709000001", 1)
    assert before - world.balance(acme) == quote.cost_micros
    assert world.reserved(acme) == 0


def test_who_prefers_another_language_that_is_approved_reads_that(acme, bill, people, road):
    swahili = make_template(acme, road, language="sw", body="Mpendwa {{1}}, ankara yako ya {{2}} iko tayari.")
    campaign = draft(acme, people)
    assert quote_campaign(campaign).by_language == {"": 2, "sw": 1}
    WhatsAppTemplate.objects.for_client(acme).filter(pk=swahili.pk).update(state="review")
    assert quote_campaign(campaign).by_language == {"": 3}
    WhatsAppTemplate.objects.for_client(acme).filter(pk=swahili.pk).update(state="approved")
    world.confirm(campaign)
    expand_campaign(campaign_id=campaign.pk)
    assert sent(acme)[world.number(1)] == "Mpendwa mzazi, ankara yako ya KES 500 iko tayari."


def test_countries_have_prices_of_their_own(acme, bill):
    SendingRules.objects.update_or_create(client=acme, defaults={"countries": ["KE", "TZ"]})
    campaign = draft(acme)
    service.list_recipients(client=acme, campaign_id=campaign.pk, recipients=["0712345678", "+255754123456"])
    quote = quote_campaign(campaign)
    assert (quote.recipients, quote.cost_micros) == (2, 2_800_000)


@pytest.mark.parametrize("state", ["draft", "review", "paused", "rejected", "appeal", "disabled"])
def test_one_that_is_not_approved_is_refused_with_a_sentence_and_moves_nothing(acme, bill, people, state):
    campaign = draft(acme, people)
    WhatsAppTemplate.objects.for_client(acme).update(state=state)
    before = world.balance(acme)
    with pytest.raises(InvalidInput) as refused:
        world.confirm(campaign)
    (sentence,) = refused.value.errors["campaign"]
    assert "bill (en)" in sentence
    assert said(campaign) == [sentence]
    assert (world.balance(acme), world.reserved(acme)) == (before, 0)


def test_what_is_missing_is_asked_for(acme, bill, people):
    empty = service.save_draft(client=acme, by=None, name="B", text="x", group_ids=[people.pk], channel="whatsapp")
    assert (empty.text, empty.content) == ("", {})
    assert said(empty) == ["Choose a WhatsApp template."]
    half = draft(acme, people, variables={"1": "{first_name|mzazi}"})
    assert said(half) == ["Say what {{2}} of the template stands for."]
    gap = draft(acme, people, variables={"1": "{first_name}", "2": "x"})
    (problem,) = said(gap)
    assert "no value for {first_name}" in problem


@pytest.mark.parametrize(
    ("whatsapp", "field"),
    [
        ({"template": "nothing"}, "template"),
        ({"language": "fr"}, "language"),
        ({"variables": {"9": "x"}}, "variables"),
        ({"variables": {"1": "x" * 1025}}, "variables"),
    ],
)
def test_what_the_template_does_not_have_is_named(acme, bill, whatsapp, field):
    with pytest.raises(InvalidInput) as refused:
        draft(acme, **whatsapp)
    assert list(refused.value.errors) == [field]


def test_another_clients_template_is_none(acme, bill, zuri):
    WhatsAppTemplate.objects.for_client(acme).update(client=zuri)
    with pytest.raises(InvalidInput):
        draft(acme)


def test_marketing_is_a_promotion(acme, bill, people):
    WhatsAppTemplate.objects.for_client(acme).update(category="marketing")
    campaign = draft(acme, people)
    (problem,) = said(campaign)
    assert "promotion" in problem
    set_timing(client=acme, campaign_id=campaign.pk, message_class="promotion", schedule_at=None, spread_hours=0)
    campaign = service.get_campaign(client=acme, campaign_id=campaign.pk)
    assert said(campaign) == []


def test_one_that_needs_a_file_is_sent_by_the_api_alone(acme, bill, people):
    campaign = draft(acme, people)
    WhatsAppTemplate.objects.for_client(acme).update(needs="file")
    (problem,) = said(campaign)
    assert "by the API" in problem


def test_a_pause_by_whatsapp_pauses_the_campaign_and_the_rest_waits(acme, bill, people, road):
    campaign = draft(acme, people)
    world.confirm(campaign)
    expand_campaign(campaign_id=campaign.pk)
    news.note(bill, state="PAUSED", reason="FIRST_PAUSE")
    assert watch_campaigns() == 1
    campaign.refresh_from_db()
    assert (campaign.state, campaign.pause_kind) == (CampaignState.PAUSED, "template")
    assert "paused the template bill (en)" in campaign.pause_reason
    assert world.statuses(acme) == {"held": 3}
    news.note(bill, state="APPROVED")
    service.resume_campaign(client=acme, campaign_id=campaign.pk)
    assert world.statuses(acme) == {"queued": 3}
    assert watch_campaigns() == 0


def test_a_campaign_whose_template_is_gone_when_it_begins_writes_nobody(acme, bill, people, books):
    campaign = draft(acme, people)
    world.confirm(campaign)
    news.note(bill, state="REJECTED", reason="SCAM")
    assert expand_campaign(campaign_id=campaign.pk) == 0
    campaign.refresh_from_db()
    assert (campaign.state, sum(world.statuses(acme).values())) == ("paused", 0)
    service.cancel_campaign(client=acme, campaign_id=campaign.pk)
    assert world.reserved(acme) == 0


def test_M7_a_category_that_changes_after_confirming_alters_no_price(acme, bill, people, books):
    campaign = draft(acme, people)
    world.confirm(campaign)
    news.note(bill, category="MARKETING")
    assert WhatsAppTemplateEvent.objects.for_client(acme).get().price_micros == 3 * world.ONE
    expand_campaign(campaign_id=campaign.pk)
    costs = Message.objects.for_client(acme).values_list("cost_micros", flat=True)
    assert list(costs) == [800_000] * 3


def test_D10_who_opted_out_of_whatsapp_gets_nothing(acme, bill, people):
    contacts.record_opt_out(client_id=acme.pk, channel="whatsapp", address=world.number(2), source="staff")
    contacts.record_opt_out(client_id=acme.pk, channel="sms", address=world.number(0), source="staff")
    assert quote_campaign(draft(acme, people)).recipients == 2


def test_in_simulation_any_template_can_be_tried_and_nothing_leaves(acme, bill, people):
    WhatsAppTemplate.objects.for_client(acme).update(state="draft")
    Client.objects.filter(pk=acme.pk).update(simulation=True)
    acme.refresh_from_db()
    campaign = draft(acme, people)
    assert said(campaign) == []
    world.confirm(campaign)
    expand_campaign(campaign_id=campaign.pk)
    rows = Message.objects.for_client(acme).values_list("simulated", "cost_micros", "provider_account_id")
    assert list(rows) == [(True, 0, None)] * 3


def test_a_copy_keeps_the_template_and_another_channel_its_words(acme, bill, people, road):
    campaign = draft(acme, people)
    copy = again.duplicate_campaign(client=acme, campaign_id=campaign.pk, by=None)
    assert (copy.channel, copy.content) == ("whatsapp", campaign.content)
    world.confirm(campaign)
    expand_campaign(campaign_id=campaign.pk)
    Message.objects.for_client(acme).update(status="failed", error_code="not_on_whatsapp")
    Route.objects.create(account=road, channel="sms")
    assert again.other_channels(campaign) == ["sms"]
    text = again.reach_again(client=acme, campaign_id=campaign.pk, channel="sms", by=None)
    assert (text.channel, text.text, text.content) == ("sms", campaign.text, {})


def test_a_test_is_the_first_persons_message(acme, bill, people):
    amina = User.objects.create_user("amina@acme.test")
    campaign = draft(acme, people)
    run = send_test(client=acme, by=amina, campaign_id=campaign.pk, to="0711000009", token="t1")  # noqa: S106
    message = world.message(run.first_id)
    assert (message.recipient, message.channel) == ("+254711000009", "whatsapp")
    assert message.text == "Dear Amina, your bill of KES 500 is ready."
    assert send_test(client=acme, by=amina, campaign_id=campaign.pk, to="0711000009", token="t1").is_repeat  # noqa: S106
