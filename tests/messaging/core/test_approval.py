"""Campaigns above the limits of the organisation's policy wait for a second person; nothing is overwritten unseen."""

import pytest

from accounts.models import Membership, Notice
from crm.common.errors import InvalidInput, WrongState
from messaging.errors import EditedMeanwhile, OwnCampaign, QuoteChanged
from messaging.services.approval import approve_campaign, return_campaign
from messaging.services.audience import quote_campaign
from messaging.services.campaigns import confirm_campaign, get_campaign, save_draft, version_of
from messaging.services.expansion import expand_campaign
from messaging.services.rules import set_approval_policy
from tests.messaging.core.world import balance, check_books, confirm, make_contacts, make_draft, make_group, reserved

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(acme, django_user_model):
    """Amina writes, Baraka approves."""
    found = []
    for email, role in (("amina@acme.test", "sender"), ("baraka@acme.test", "approver")):
        user = django_user_model.objects.create_user(email)
        Membership.objects.create(client=acme, user=user, role=role)
        found.append(user)
    return found


def submit(client, by, people=11, **policy):
    set_approval_policy(client=client, **({"above_people": 10, "above_micros": None} | policy))
    draft = make_draft(
        client, make_group(client, make_contacts(client, people, first=100 * people), f"{people} people"), by=by
    )
    quote = quote_campaign(draft)
    return confirm_campaign(
        client=client, campaign_id=draft.pk, by=by, expected_recipients=quote.recipients,
        expected_cost_micros=quote.cost_micros,
    )  # fmt: skip


def approve(client, campaign, by, recipients=11):
    return approve_campaign(
        client=client, campaign_id=campaign.pk, by=by, expected_recipients=recipients,
        expected_cost_micros=recipients * 1_000_000,
    )  # fmt: skip


def test_a_large_campaign_waits_and_its_money_is_reserved_when_it_is_approved(acme, road, people):
    amina, baraka = people
    campaign = submit(acme, amina)
    assert (campaign.state, campaign.quoted_recipients, reserved(acme)) == ("awaiting", 11, 0)
    told = Notice.objects.for_client(acme).filter(event="campaign.approval")
    assert list(told.values_list("user__email", flat=True)) == ["baraka@acme.test"]
    assert expand_campaign(campaign_id=campaign.pk) == 0
    approved = approve(acme, campaign, baraka)
    assert (approved.state, approved.confirmed_by, reserved(acme)) == ("sending", baraka, 11_000_000)
    assert expand_campaign(campaign_id=campaign.pk) == 11
    assert (reserved(acme), balance(acme)) == (0, 989_000_000)
    check_books()


def test_the_limit_may_be_one_of_money(acme, road, people):
    assert submit(acme, people[0], people=5, above_people=None, above_micros=4_999_999).state == "awaiting"
    assert submit(acme, people[0], people=4, above_people=None, above_micros=4_000_000).state == "sending"


def test_the_author_cannot_approve_the_own_campaign(acme, road, people):
    amina, baraka = people
    campaign = submit(acme, amina)
    with pytest.raises(OwnCampaign):
        approve(acme, campaign, amina)
    assert (get_campaign(client=acme, campaign_id=campaign.pk).state, reserved(acme)) == ("awaiting", 0)


def test_an_approval_of_other_figures_moves_nothing(acme, road, people):
    campaign = submit(acme, people[0])
    with pytest.raises(QuoteChanged):
        approve(acme, campaign, people[1], recipients=12)
    assert (get_campaign(client=acme, campaign_id=campaign.pk).state, reserved(acme)) == ("awaiting", 0)


def test_it_is_returned_with_a_note_and_approved_once(acme, road, people):
    amina, baraka = people
    campaign = submit(acme, amina)
    with pytest.raises(InvalidInput):
        return_campaign(client=acme, campaign_id=campaign.pk, by=baraka)
    returned = return_campaign(client=acme, campaign_id=campaign.pk, by=baraka, note="The date is wrong")
    assert (returned.state, returned.returned_note) == ("draft", "The date is wrong")
    with pytest.raises(WrongState):
        approve(acme, campaign, baraka)
    assert confirm(returned).state == "awaiting"  # it needs the approval again
    taken_back = return_campaign(client=acme, campaign_id=campaign.pk, by=amina, note="")
    assert taken_back.state == "draft"


def test_a_draft_that_a_colleague_changed_meanwhile_is_not_overwritten(acme, road, people):
    amina, baraka = people
    draft = make_draft(acme, by=amina)
    seen = version_of(draft)

    def save(by, text, version):
        return save_draft(
            client=acme, by=by, name="Sale", text=text, group_ids=[], campaign_id=draft.pk, version=version
        )

    newer = save(baraka, "Baraka's words", seen)
    with pytest.raises(EditedMeanwhile) as refused:
        save(amina, "Amina's words", seen)
    assert refused.value.facts["campaign"].updated_by == baraka
    assert get_campaign(client=acme, campaign_id=draft.pk).text == "Baraka's words"
    assert save(amina, "Amina's words", version_of(newer)).text == "Amina's words"
