"""The page of a campaign: whom it comes to, saved by itself, approved by a second person, results in words."""

import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from contacts.services.import_runs import run_import
from crm.common.sql import database_now
from messaging.models import Campaign, Message
from messaging.services.audience import quote_campaign
from messaging.services.campaigns import get_campaign, version_of
from messaging.services.expansion import expand_campaign
from messaging.services.rules import set_approval_policy, set_endings
from tests.messaging.pages.conftest import FRAGMENT, fill_group
from tests.web.conftest import add_member

pytestmark = pytest.mark.django_db


def words(answer) -> str:
    text = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return re.sub(r"\s+", " ", text).replace("\u00a0", " ")


def posted(**fields):
    return {"name": "Karibu", "text": "Habari", "sender": "HOSPITAL", "when": "now"} | fields


def test_the_audience_is_counted_before_anything_is_saved(acme, browser, parents):
    other = fill_group(acme, "Teachers", 2, start=100)
    answer = browser.post(
        "/app/campaigns/audience",
        posted(groups=[parents.pk, other.pk], excluded=[other.pk], numbers="0712000000, 0799000001 abc"),
        headers=FRAGMENT,
    )
    shown = words(answer)
    assert "5 people" in shown  # four parents who did not opt out, and a number of nobody
    assert "Named twice 1" in shown
    assert "Opted out, left out 1" in shown
    assert "Excluded 2" in shown
    assert "Not a number abc" in shown
    assert "Safaricom 5" in shown
    assert "Cost KES 5.00" in shown
    assert Campaign.objects.for_client(acme).count() == 0


def test_pasted_numbers_and_exclusions_are_saved_and_what_is_sent(acme, browser, parents, provider):
    other = fill_group(acme, "Teachers", 2, start=200)
    browser.post(
        "/app/campaigns/new",
        posted(groups=[parents.pk, other.pk], excluded=[other.pk], numbers="0799000001", action="review"),
    )
    draft = Campaign.objects.for_client(acme).get()
    assert quote_campaign(draft).recipients == 5


def test_a_draft_saves_itself_and_refuses_to_overwrite_a_newer_one(acme, browser, parents):
    answer = browser.post("/app/campaigns/new", posted(action="autosave", step="message"), headers=FRAGMENT)
    draft = Campaign.objects.for_client(acme).get()
    assert (answer.status_code, answer["HX-Replace-Url"]) == (200, f"/app/campaigns/{draft.pk}/message")
    seen = version_of(draft)
    assert f'value="{seen}"' in answer.content.decode()
    again = posted(action="autosave", step="message", draft=draft.pk, version=seen, text="Pili")
    assert browser.post("/app/campaigns/new", again, headers=FRAGMENT).status_code == 200
    assert Campaign.objects.for_client(acme).get().text == "Pili"
    conflict = browser.post("/app/campaigns/new", again | {"text": "Tatu"}, headers=FRAGMENT)
    assert conflict.status_code == 409
    assert "Nothing was overwritten" in words(conflict)
    assert "Pili" in words(conflict)
    assert "Tatu" in words(conflict)
    assert Campaign.objects.for_client(acme).get().text == "Pili"


def test_a_list_is_uploaded_into_a_group_of_the_campaign(acme, browser, parents, provider):
    file = SimpleUploadedFile("wateja.csv", b"Name,Phone\nJuma,0722000001\nMary,0722000002\n")
    browser.post("/app/campaigns/new", posted(action="upload", upload=file))
    draft = Campaign.objects.for_client(acme).get()
    group = draft.groups.get()
    assert group.name == "wateja"
    assert "still being read" in words(browser.get(f"/app/campaigns/{draft.pk}/review"))
    from contacts.models import ContactImport

    run_import(import_id=ContactImport.objects.for_client(acme).get().pk)
    assert quote_campaign(draft).recipients == 2
    assert "still being read" not in words(browser.get(f"/app/campaigns/{draft.pk}/review"))


def test_a_test_is_what_the_first_person_reads(acme, browser, parents, provider):
    fields = posted(
        groups=[parents.pk], text="Habari {first_name|mzazi}", action="test", test_to="0722000009", test_token="t1"
    )
    answer = browser.post("/app/campaigns/new", fields)
    message = Message.objects.for_client(acme).get()
    assert answer.url == f"/app/send/{message.pk}"
    assert (message.recipient, message.text) == ("+254722000009", "Habari Amina")


def test_contacts_read_the_language_they_prefer_and_the_price_is_exact(acme, browser, parents, provider):
    from contacts.models import Contact

    Contact.objects.for_client(acme).filter(phone="+254712000001").update(attributes={"Language": "Kiswahili"})
    browser.post(
        "/app/campaigns/new",
        posted(groups=[parents.pk], text="Hello {name|you}", text_sw="Habari {name|wewe}", action="review"),
    )
    draft = Campaign.objects.for_client(acme).get()
    quote = quote_campaign(draft)
    assert quote.by_language == {"": 3, "sw": 1}
    shown = words(browser.get(f"/app/campaigns/{draft.pk}/review"))
    assert "Swahili 1 person" in shown
    assert "Habari Baraka Otieno" in shown
    browser.post(
        f"/app/campaigns/{draft.pk}/send", {"expected_recipients": 4, "expected_cost_micros": quote.cost_micros}
    )
    expand_campaign(campaign_id=draft.pk)
    sent = dict(Message.objects.for_client(acme).values_list("recipient", "text"))
    assert sent["+254712000001"] == "Habari Baraka Otieno"
    assert sent["+254712000000"] == "Hello Amina Wanjiru"


def test_signature_and_opt_out_text_are_shown_counted_and_sent(acme, browser, parents, provider):
    set_endings(client=acme, signature="Shule ya Acme", opt_out_text="STOP to 20880")
    fields = posted(groups=[parents.pk], text="x" * 150, message_class="promotion")
    shown = browser.post("/app/campaigns/preview", fields, headers=FRAGMENT).content.decode()
    assert 'class="added"' in shown
    assert "STOP to 20880" in shown
    browser.post("/app/campaigns/new", fields | {"action": "review"})
    draft = Campaign.objects.for_client(acme).get()
    assert quote_campaign(draft).units == 8
    assert quote_campaign(draft).samples[0][2].endswith("\nShule ya Acme\nSTOP to 20880")


def test_above_the_limit_the_button_submits_and_a_second_person_approves_or_returns(acme, browser, draft):
    set_approval_policy(client=acme, above_people=3, above_micros=None)
    review = f"/app/campaigns/{draft.pk}/review"
    assert "Submit for approval: 4 people for KES 5.00" in words(browser.get(review))
    figures = {"expected_recipients": 4, "expected_cost_micros": 5_000_000}
    browser.post(f"/app/campaigns/{draft.pk}/send", figures)
    assert get_campaign(client=acme, campaign_id=draft.pk).state == "awaiting"
    refused = browser.post(f"/app/campaigns/{draft.pk}/send", figures)
    assert "Somebody else must approve it" in words(refused)
    approver = add_member(acme, "approver")
    assert "Approve: send to 4 people for KES 5.00" in words(approver.get(review))
    approver.post(f"/app/campaigns/{draft.pk}/return", {"note": "Wrong day"})
    assert "Wrong day" in words(browser.get(review))
    browser.post(f"/app/campaigns/{draft.pk}/send", figures)
    assert approver.post(f"/app/campaigns/{draft.pk}/send", figures).status_code == 302
    assert get_campaign(client=acme, campaign_id=draft.pk).state == "sending"


def test_a_series_shows_its_next_runs_and_is_stopped(acme, browser, parents, provider):
    first = (database_now() + timedelta(days=1)).strftime("%Y-%m-%dT09:00")
    fields = posted(
        groups=[parents.pk], when="repeat", schedule_at=first, repeat="weekly", repeat_times="3", action="review"
    )
    browser.post("/app/campaigns/new", fields)
    draft = Campaign.objects.for_client(acme).get()
    review = browser.get(f"/app/campaigns/{draft.pk}/review")
    assert review.content.decode().count("<time") >= 3
    browser.post(f"/app/campaigns/{draft.pk}/send", {"expected_recipients": 4, "expected_cost_micros": 4_000_000})
    shown = words(browser.get(f"/app/campaigns/{draft.pk}"))
    assert "Every week" in shown
    assert "Next runs:" in shown
    browser.post(f"/app/campaigns/{draft.pk}/stop")
    assert get_campaign(client=acme, campaign_id=draft.pk).state == "cancelled"


def test_the_same_text_again_warns_on_the_review(acme, browser, draft, parents):
    plain = "Mkutano ni kesho"
    for number in (1, 2):
        browser.post("/app/campaigns/new", posted(name=f"C{number}", groups=[parents.pk], text=plain, action="review"))
        campaign = Campaign.objects.for_client(acme).order_by("-pk").first()
        shown = words(browser.get(f"/app/campaigns/{campaign.pk}/review"))
        assert ("The same text was sent to 4 of them" in shown) is (number == 2)
        if number == 1:
            browser.post(
                f"/app/campaigns/{campaign.pk}/send", {"expected_recipients": 4, "expected_cost_micros": 4_000_000}
            )
            expand_campaign(campaign_id=campaign.pk)


def test_the_send_page_warns_of_the_same_text_within_minutes(acme, browser, parents, provider):
    fields = {"to": "0722000009", "text": "Mara moja", "sender": "HOSPITAL", "token": "once"}
    browser.post("/app/send", fields | {"expected_recipients": 1, "expected_cost_micros": 1_000_000})
    shown = words(browser.post("/app/send/check", fields, headers=FRAGMENT))
    assert "The same text was sent to 1 of them" in shown


def test_only_owner_and_admin_set_the_rules(acme, browser):
    fields = {"signature": "Acme", "above_people": "100", "above_money": "250.50"}
    assert browser.post("/app/settings/sending", fields).status_code == 302
    shown = browser.get("/app/settings/sending").content.decode()
    assert 'value="100"' in shown
    assert 'value="250.50"' in shown or "250.5" in shown
    assert add_member(acme, "sender").get("/app/settings/sending").status_code == 403
