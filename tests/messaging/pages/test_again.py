"""A campaign once more: copies, and another try for those whom a passing cause kept from getting it."""

import csv
import io

import pytest

from messaging.models import Campaign, Message
from messaging.services.again import retryable
from messaging.services.campaigns import list_recipients
from messaging.services.expansion import expand_campaign
from tests.messaging.pages.conftest import add_member, sign_in
from tests.messaging.pages.test_review import confirm
from tests.messaging.pages.test_send import words


@pytest.fixture
def over(acme, browser, draft) -> Campaign:
    """Four messages: one failed for good, two for a passing cause, one arrived."""
    confirm(browser, draft)
    expand_campaign(campaign_id=draft.pk)
    ends = [("failed", "unreachable"), ("failed", "invalid_number"), ("failed", "expired"), ("delivered", "")]
    for message, (status, code) in zip(Message.objects.for_client(acme).order_by("pk"), ends, strict=True):
        Message.objects.for_client(acme).filter(pk=message.pk).update(status=status, error_code=code)
    Campaign.objects.for_client(acme).update(state="done")
    return draft


def test_another_try_is_for_passing_causes_and_shows_its_price_first(acme, browser, over):
    page = words(browser.get(f"/app/campaigns/{over.pk}").content.decode())
    assert "Try 2 people again" in page
    answer = browser.post(f"/app/campaigns/{over.pk}/retry")
    again = Campaign.objects.for_client(acme).get(state="draft")
    assert answer.url == f"/app/campaigns/{again.pk}/review"
    # The third of them is Aïssatou, whose name makes it two units.
    assert "Send to 2 people for KES 3.00" in words(browser.get(answer.url).content.decode())
    assert Message.objects.for_client(acme).count() == 4
    confirm(browser, again)
    expand_campaign(campaign_id=again.pk)
    sent = Message.objects.for_client(acme).filter(campaign=again).order_by("pk")
    first = Message.objects.for_client(acme).filter(campaign=over, error_code__in=["unreachable", "expired"])
    assert list(sent.values_list("recipient", "text")) == list(first.order_by("pk").values_list("recipient", "text"))


def test_whoever_was_tried_again_is_not_offered_a_second_time(acme, browser, over):
    browser.post(f"/app/campaigns/{over.pk}/retry")
    again = Campaign.objects.for_client(acme).get(state="draft")
    confirm(browser, again)
    expand_campaign(campaign_id=again.pk)
    assert not retryable(over).exists()
    answer = browser.post(f"/app/campaigns/{over.pk}/retry", follow=True)
    assert "Nobody is left" in answer.content.decode()
    Message.objects.for_client(acme).filter(campaign=again).update(status="failed", error_code="expired")
    assert retryable(over).count() == 2


def test_a_copy_has_the_same_people_and_words_but_no_time(acme, browser, over, parents):
    Campaign.objects.for_client(acme).filter(pk=over.pk).update(state="draft")
    list_recipients(client=acme, campaign_id=over.pk, recipients=["0799000001"])
    Campaign.objects.for_client(acme).filter(pk=over.pk).update(state="done", message_class="promotion")
    answer = browser.post(f"/app/campaigns/{over.pk}/duplicate")
    copy = Campaign.objects.for_client(acme).get(state="draft")
    assert answer.url == f"/app/campaigns/{copy.pk}/edit"
    assert (copy.name, copy.text, copy.sender, copy.message_class) == (
        "Copy of Karibu", over.text, over.sender, "promotion",
    )  # fmt: skip
    assert (copy.schedule_at, copy.confirmed_at) == (None, None)
    assert list(copy.groups.all()) == [parents]
    assert "5 people" in words(browser.get(f"/app/campaigns/{copy.pk}/review").content.decode())


def test_the_results_are_a_file_for_spreadsheets(acme, browser, stranger, over):
    page = browser.get(f"/app/campaigns/{over.pk}").content.decode()
    assert f'value="campaign={over.pk}"' in page
    wanted = {"kind": "campaign", "format": "csv", "query": f"campaign={over.pk}"}
    answer = browser.post("/app/exports/new", wanted, follow=True)
    assert 'filename="campaign-' in answer["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))
    assert [row[:6] for row in rows] == [
        ["Number", "Status", "Reason", "Units", "Cost", "Currency"],
        ["254712000003", "delivered", "", "1", "1.00", "KES"],
        ["254712000002", "failed", "Expired before the phone was reached", "2", "0.00", "KES"],
        ["254712000001", "failed", "Number does not exist", "1", "0.00", "KES"],
        ["254712000000", "failed", "Phone off or out of reach", "1", "0.00", "KES"],
    ]
    theirs = sign_in("zuri@else.test").post("/app/exports/new", wanted, follow=True)
    assert len(theirs.getvalue().decode().splitlines()) == 1
    assert add_member(acme, "finance").post("/app/exports/new", wanted).status_code == 404


@pytest.mark.parametrize("act", ["retry", "duplicate"])
def test_T2_T3_strangers_and_readers_make_no_draft(acme, browser, stranger, over, act):
    assert sign_in("zuri@else.test").post(f"/app/campaigns/{over.pk}/{act}").status_code == 404
    assert add_member(acme, "viewer").post(f"/app/campaigns/{over.pk}/{act}").status_code == 403
    assert browser.get(f"/app/campaigns/{over.pk}/{act}").url == f"/app/campaigns/{over.pk}"
    assert Campaign.objects.for_client(acme).count() == 1
