"""A draft to many people is counted by a worker: shown as it goes on, kept for a while, confirmed as it was shown."""

from datetime import timedelta
from decimal import Decimal

import pytest

from contacts.services import add_to_group, create_contact, record_opt_out
from messaging import wake
from messaging.errors import QuoteChanged
from messaging.models import KeptQuote, Message
from messaging.services import quoting
from messaging.services.campaigns import confirm_campaign, get_campaign, save_draft
from messaging.services.expansion import expand_campaign
from messaging.services.quoting import Counting, Figures, figures_of, forget_quotes, kept_figures, work_out
from messaging.services.rules import set_limits
from tests.messaging.core.world import (
    ONE,
    balance,
    check_books,
    make_contacts,
    make_draft,
    make_group,
    number,
    reserved,
)
from wallet.services import set_rate

pytestmark = pytest.mark.django_db

TEXT = "Habari {name|rafiki}, {deni}"


@pytest.fixture
def asked(monkeypatch):
    """The campaigns that a worker was woken for; everything is many here."""
    woken = []
    monkeypatch.setattr(quoting, "WHILE_ONE_WAITS", 2)
    monkeypatch.setattr(wake, "quote", woken.append)
    return woken


@pytest.fixture
def many(acme, road, asked):
    people = make_contacts(acme, 5, name=lambda n: ["", "Zuri", "Ngũgĩ"][n % 3], attributes=lambda n: {"Deni": "5"})
    return make_draft(acme, make_group(acme, people), text=TEXT)


def fresh(campaign):
    return get_campaign(client=campaign.client, campaign_id=campaign.pk)


def counted(campaign) -> Figures:
    found = figures_of(fresh(campaign))
    assert isinstance(found, Figures)
    return found


def confirm(campaign, figures):
    return confirm_campaign(
        client=campaign.client,
        campaign_id=campaign.pk,
        by=None,
        expected_recipients=figures.quote.recipients,
        expected_cost_micros=figures.quote.cost_micros,
    )


def test_what_a_worker_counted_is_what_counting_at_once_gives(monkeypatch, acme, many, asked):
    assert figures_of(many) == Counting(0, 0)
    assert figures_of(many) == Counting(0, 0)
    assert asked == [many.pk]  # once
    assert work_out(campaign_id=many.pk)
    found = counted(many)
    monkeypatch.setattr(quoting, "WHILE_ONE_WAITS", 100)
    assert found == counted(many)
    assert (found.quote.recipients, found.quote.cost_micros, found.reach.people) == (5, 5 * ONE, 5)
    assert found.quote.fallbacks == {("name", "rafiki"): 2}
    assert not work_out(campaign_id=many.pk)


def test_few_are_counted_at_once(acme, road, asked):
    draft = make_draft(acme, make_group(acme, make_contacts(acme, 2)))
    assert counted(draft).quote.recipients == 2
    assert asked == []
    assert not KeptQuote.objects.for_client(acme).exists()


def test_confirmed_as_it_was_shown_without_counting_again(monkeypatch, acme, many):
    figures_of(many)
    work_out(campaign_id=many.pk)
    figures = counted(many)
    joined = make_contacts(acme, 1, first=9)
    add_to_group(group=many.groups.get(), contact_ids=joined)
    monkeypatch.setattr("messaging.services.campaigns.confirming.quote_campaign", None)
    confirm(many, figures)
    assert (balance(acme), reserved(acme)) == (1000 * ONE, 5 * ONE)
    expand_campaign(campaign_id=many.pk)
    assert (balance(acme), reserved(acme)) == (995 * ONE, 0)
    assert number(9) not in Message.objects.for_client(acme).values_list("recipient", flat=True)
    check_books()


def test_whoever_opts_out_meanwhile_gets_nothing_and_costs_nothing(acme, many):
    figures_of(many)
    work_out(campaign_id=many.pk)
    figures = counted(many)
    record_opt_out(client_id=acme.pk, channel="sms", address=number(1), source="stop")
    confirm(many, figures)
    assert expand_campaign(campaign_id=many.pk) == 4
    assert (balance(acme), reserved(acme)) == (996 * ONE, 0)


def test_a_changed_draft_price_or_rule_is_counted_anew(acme, many, asked):
    figures_of(many)
    work_out(campaign_id=many.pk)
    figures = counted(many)
    plan = acme.wallet.price_plan
    set_rate(plan=plan, channel="sms", price_per_unit=Decimal(2))
    assert kept_figures(fresh(many)) is None
    with pytest.raises(QuoteChanged):
        confirm(many, figures)
    assert figures_of(fresh(many)) == Counting(0, 0)
    work_out(campaign_id=many.pk)
    assert counted(many).quote.cost_micros == 10 * ONE
    save_draft(client=acme, by=None, campaign_id=many.pk, text="Habari")
    assert figures_of(fresh(many)) == Counting(0, 0)
    assert asked == [many.pk] * 3


def test_a_draft_changed_while_it_is_counted_is_left(acme, many):
    figures_of(many)
    save_draft(client=acme, by=None, campaign_id=many.pk, text="Habari")
    assert not work_out(campaign_id=many.pk)
    assert KeptQuote.objects.for_client(acme).get().done_at is None


def test_a_worker_that_died_is_followed_by_another(acme, many, asked):
    figures_of(many)
    rows = KeptQuote.objects.for_client(acme)
    past = rows.get().asked_at - timedelta(minutes=2)
    rows.update(lease_until=past, people=5, people_done=3)
    assert figures_of(many) == Counting(3, 5)
    assert asked == [many.pk] * 2
    assert work_out(campaign_id=many.pk)
    rows.update(done_at=past - quoting.FRESH)
    assert kept_figures(many) is None


def test_nothing_is_kept_for_longer_than_its_hour(acme, many):
    figures_of(many)
    work_out(campaign_id=many.pk)
    assert forget_quotes() == 0
    KeptQuote.objects.for_client(acme).update(asked_at=many.created_at - quoting.KEPT)
    assert forget_quotes() == 1


def test_a_code_that_several_countries_share_is_looked_at_number_by_number(acme, road):
    people = [create_contact(client=acme, phone=phone) for phone in ("+14165550123", "+12125550123", "+14165550124")]
    set_limits(client=acme, countries=["CA"])
    quote = counted(make_draft(acme, make_group(acme, [person.pk for person in people]), text="Hello")).quote
    assert (quote.by_country, quote.left_out) == ({"CA": 2}, {"country_closed": 1})
