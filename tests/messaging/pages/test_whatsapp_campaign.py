"""A WhatsApp campaign on the pages: a template is chosen, its variables are said, the review shows what is read."""

import re
from decimal import Decimal

import pytest

from messaging.models import Campaign, Message, WhatsAppTemplate
from messaging.services import campaigns as service
from messaging.services.expansion import expand_campaign
from messaging.services.providers import add_route
from messaging.services.senders import approve_sender
from wallet.models import PricePlan
from wallet.services import set_rate

pytestmark = pytest.mark.django_db
NEW = "/app/campaigns/new"


@pytest.fixture
def template(acme, provider) -> WhatsAppTemplate:
    add_route(account=provider, channel="whatsapp")
    approve_sender(client=acme, channel="whatsapp", name="+254709000001")
    plan = PricePlan.objects.get(wallets__client=acme)
    set_rate(plan=plan, channel="whatsapp", price_per_unit=Decimal("0.8"), category="utility")
    return WhatsAppTemplate.objects.create(
        client=acme, account=provider, name="bill", language="en", state="approved", samples={"1": "Asha"},
        body="Dear {{1}}, your bill of {{2}} is ready.", footer="Sunshine School",
    )  # fmt: skip


@pytest.fixture
def draft(acme, parents, template) -> Campaign:
    return service.save_draft(
        client=acme, by=None, name="Bills", group_ids=[parents.pk], channel="whatsapp",
        whatsapp={"template": "bill", "variables": {"1": "{first_name|parent}", "2": "KES 500"}},
    )  # fmt: skip


def words(response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())).replace("\u00a0", " ")


def address(campaign: Campaign, step: str) -> str:
    return f"/app/campaigns/{campaign.pk}/{step}"


def test_whatsapp_is_a_channel_to_choose_and_its_page_offers_approved_templates(acme, browser, template):
    WhatsAppTemplate.objects.create(client=acme, name="not_yet", language="en", body="Hello there", state="review")
    assert "channel=whatsapp" in browser.get(NEW).content.decode()
    page = browser.get(f"{NEW}?channel=whatsapp&step=message").content.decode()
    assert (">bill <" in page, "not_yet" in page) == (True, False)
    assert 'id="id_text"' not in page
    assert "data-composer" not in page


def test_the_chosen_template_asks_for_its_variables_and_is_saved_with_them(acme, browser, parents, template):
    first = {"channel": "whatsapp", "step": "audience", "name": "Bills", "groups": [parents.pk], "action": "message"}
    saved = browser.post(NEW, first)
    campaign = Campaign.objects.for_client(acme).get()
    assert saved["Location"] == address(campaign, "message")
    form = {"channel": "whatsapp", "step": "message", "message_class": "information", "sender": "+254709000001"}
    picked = browser.post(address(campaign, "message"), form | {"use_template": template.pk}).content.decode()
    assert 'name="variable_1"' in picked
    assert 'name="template" value="bill"' in picked
    assert "Such as: Asha" in picked
    form |= {
        "template": "bill",
        "template_language": "en",
        "variable_1": "{first_name|parent}",
        "variable_2": "KES 500",
    }
    assert browser.post(address(campaign, "message"), form | {"action": "review"}).status_code == 302
    campaign.refresh_from_db()
    assert campaign.content == {
        "template": "bill", "language": "en", "variables": {"1": "{first_name|parent}", "2": "KES 500"},
    }  # fmt: skip
    again = browser.get(address(campaign, "message")).content.decode()
    assert 'value="{first_name|parent}"' in again


def test_the_preview_is_what_one_person_reads_at_the_price_of_the_category(acme, browser, draft):
    page = browser.get(address(draft, "message"))
    assert "Dear Amina, your bill of KES 500 is ready. Sunshine School" in words(page)
    assert "KES 0.80" in words(page)
    form = {
        "channel": "whatsapp", "step": "message", "draft": draft.pk, "template": "bill", "template_language": "en",
        "variable_1": "{first_name}", "variable_2": "KES 900", "person": "2",
    }  # fmt: skip
    answer = browser.post("/app/campaigns/preview", form, headers={"HX-Request": "true"})
    assert "your bill of KES 900" in words(answer)
    plain = browser.post("/app/campaigns/preview", form)
    assert "<html" in plain.content.decode()


def test_the_review_shows_the_template_and_sends_for_what_it_says(acme, browser, draft):
    page = browser.get(address(draft, "review"))
    assert "bill (en)" in words(page)
    assert "Dear Baraka, your bill of KES 500 is ready." in words(page)
    assert "SMS in all" not in words(page)
    figures = dict(re.findall(r'name="(expected_\w+)" value="([^"]+)"', page.content.decode()))
    sent = browser.post(f"/app/campaigns/{draft.pk}/send", figures | {"sure": "yes"})
    assert sent.status_code == 302
    expand_campaign(campaign_id=draft.pk)
    texts = list(Message.objects.for_client(acme).order_by("pk").values_list("channel", "text"))
    assert len(texts) == 5  # who opted out of SMS did not opt out of WhatsApp
    assert texts[0] == ("whatsapp", "Dear Amina, your bill of KES 500 is ready.")


def test_a_template_that_is_paused_meanwhile_is_a_problem_of_the_review(acme, browser, draft):
    WhatsAppTemplate.objects.for_client(acme).update(state="paused")
    page = browser.get(address(draft, "review"))
    assert "WhatsApp paused the template bill (en)." in words(page)
    refused = browser.post(
        f"/app/campaigns/{draft.pk}/send", {"expected_recipients": 5, "expected_cost_micros": 4_000_000}
    )
    assert refused.status_code in (409, 422)
    assert Campaign.objects.for_client(acme).get().state == "draft"


def test_a_template_that_is_gone_is_said_beside_the_form(acme, browser, draft):
    form = {"channel": "whatsapp", "step": "message", "template": "other", "template_language": "en", "action": "save"}
    answer = browser.post(address(draft, "message"), form)
    assert answer.status_code == 422
    assert "There is no template other in en" in words(answer)
