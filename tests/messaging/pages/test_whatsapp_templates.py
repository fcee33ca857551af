"""The pages of WhatsApp templates: every state in words with what can be done, drafts, submitting, one per channel."""

from datetime import timedelta

import pytest

from crm.common.sql import database_now
from messaging.errors import TemplateNotTaken
from messaging.models import SenderId, WhatsAppTemplate, WhatsAppTemplateEvent
from messaging.services import whatsapp_templates as service
from messaging.services.senders import approve_sender
from messaging.services.templates import save_template
from messaging.views import whatsapp_templates as views

pytestmark = pytest.mark.django_db
LIST = "/app/templates?channel=whatsapp"
NEW = "/app/templates/whatsapp/new"
TYPED = {
    "name": "bill_due", "language": "en", "category": "utility", "body": "Dear {{1}}, your bill is ready now.",
    "samples": "Amina", "header": "Bill", "footer": "Sunshine", "replies": "Paid already\nCall me",
    "url_text": "Pay", "url": "https://acme.test/pay", "phone_text": "", "phone": "",
}  # fmt: skip


@pytest.fixture
def number(acme) -> SenderId:
    return approve_sender(client=acme, channel="whatsapp", name="+254709000001")


def make(client, **fields) -> WhatsAppTemplate:
    values = {"name": "bill_due", "language": "en", "body": "Dear {{1}}, your bill is ready.", "provider_id": "7"}
    return WhatsAppTemplate.objects.create(client=client, **(values | fields))


def address(template: WhatsAppTemplate, act: str = "") -> str:
    return f"/app/templates/whatsapp/{template.pk}{act}"


class TestStates:
    @pytest.mark.parametrize(
        ("fields", "word", "button"),
        [
            ({"state": "draft", "provider_id": ""}, "Draft", "Submit to WhatsApp"),
            ({"state": "review"}, "In review (up to 24 h)", "Duplicate"),
            ({"state": "approved", "quality": "medium"}, "Approved, quality medium", "Edit & resubmit"),
            ({"state": "paused", "reason": "FIRST_PAUSE"}, "complained or blocked you", "Edit & resubmit"),
            (
                {"state": "rejected", "reason": "INVALID_FORMAT"},
                "not written as WhatsApp wants it",
                "Edit & resubmit",
            ),
            ({"state": "appeal"}, "Appeal sent", "Duplicate"),
            ({"state": "disabled"}, "Disabled", "Duplicate"),
        ],
    )
    def test_each_is_said_in_words_with_a_button_for_what_can_be_done(self, acme, browser, fields, word, button):
        template = make(acme, **fields)
        page = browser.get(address(template)).content.decode()
        assert word in page
        assert button in page
        assert bool(fields["state"] in service.CHANGEABLE) == ("Edit & resubmit" in page)
        assert browser.get(LIST).status_code == 200

    def test_a_pause_has_its_end_and_a_rejection_says_how_to_appeal(self, acme, browser):
        paused = make(acme, state="paused", paused_until=database_now() + timedelta(hours=3))
        assert "until" in browser.get(address(paused)).content.decode()
        rejected = make(acme, name="other", state="rejected", reason="SCAM")
        page = browser.get(address(rejected)).content.decode()
        assert "takes it for a fraud" in page
        assert "appeal in WhatsApp Manager" in page

    def test_a_change_of_category_shows_its_price(self, acme, browser):
        template = make(acme, state="approved", category="marketing")
        WhatsAppTemplateEvent.objects.create(
            client=acme, template=template, kind="category", before="utility", after="marketing",
            price_micros=3_000_000, at=database_now(),
        )  # fmt: skip
        page = browser.get(address(template)).content.decode()
        assert "changed the category from utility to marketing" in page
        assert "KES\xa03.00" in page


def test_home_says_which_template_is_stopped_and_why(acme, browser):
    paused = make(acme, state="paused", reason="FIRST_PAUSE")
    make(acme, name="fine", state="approved")
    page = browser.get("/app").content.decode()
    assert "WhatsApp paused the template “bill_due (en)”" in page
    assert "complained or blocked you" in page
    assert address(paused) in page
    assert "“fine (en)”" not in page


class TestList:
    def test_languages_of_a_name_stand_side_by_side(self, acme, browser, number):
        make(acme, state="approved")
        make(acme, language="sw", state="rejected", body="Mzazi {{1}}, ankara iko tayari.")
        page = browser.get(LIST).content.decode()
        assert page.count('<h2 id="name-') == 1
        assert page.count('class="bubble"') == 2
        assert "Mzazi {{1}}" in page

    def test_channels_have_a_tab_each_where_there_is_a_whatsapp_number(self, acme, browser):
        save_template(client=acme, by=None, name="Fees", texts={"en": "Pay"})
        assert "channel=whatsapp" not in browser.get("/app/templates").content.decode()
        approve_sender(client=acme, channel="whatsapp", name="+254709000001")
        assert "channel=whatsapp" in browser.get("/app/templates").content.decode()
        assert "Fees" in browser.get("/app/templates?channel=sms").content.decode()
        assert "Fees" not in browser.get("/app/templates?channel=email").content.decode()

    def test_a_viewer_reads_only(self, acme, viewer):
        template = make(acme, state="draft", provider_id="")
        page = viewer.get(address(template)).content.decode()
        assert "Submit to WhatsApp" not in page
        assert viewer.post(address(template), TYPED | {"action": "submit"}).status_code == 302
        template.refresh_from_db()
        assert (template.state, template.body) == ("draft", "Dear {{1}}, your bill is ready.")


class TestWriting:
    def test_a_draft_is_kept_with_all_its_parts(self, acme, browser):
        saved = browser.post(NEW, TYPED | {"action": "save"})
        template = WhatsAppTemplate.objects.for_client(acme).get()
        assert saved["Location"] == address(template)
        assert (template.header, template.samples) == ("Bill", {"1": "Amina"})
        assert [(button["kind"], button["text"]) for button in template.buttons] == [
            ("reply", "Paid already"), ("reply", "Call me"), ("url", "Pay"),
        ]  # fmt: skip
        page = browser.get(address(template)).content.decode()
        assert "Paid already\nCall me" in page

    def test_problems_stand_beside_their_fields_and_nothing_is_submitted(self, acme, browser, number, monkeypatch):
        monkeypatch.setattr(service, "_hand_in", lambda *args: pytest.fail("it was handed in"))
        answer = browser.post(NEW, TYPED | {"action": "submit", "body": "{{1}}, pay at bit.ly/x please", "samples": ""})
        page = answer.content.decode()
        assert answer.status_code == 422
        for words in ("cannot be the first thing", "bit.ly hides where its links lead", "Give a sample value"):
            assert words in page
        assert WhatsAppTemplate.objects.for_client(acme).get().state == "draft"  # what was typed is kept
        assert f'action="{address(WhatsAppTemplate.objects.for_client(acme).get())}"' in page

    def test_doubts_are_shown_with_a_tick_to_go_on(self, acme, browser, number, monkeypatch):
        taken = []
        monkeypatch.setattr(views.service, "submit_template", _spy(taken, service.submit_template))
        offer = TYPED | {"action": "submit", "body": "Our sale begins: a discount for {{1}} is waiting."}
        page = browser.post(NEW, offer).content.decode()
        assert "make this marketing to WhatsApp" in page
        assert 'name="despite_doubts"' in page

    def test_what_whatsapp_says_against_it_is_shown(self, acme, browser, number, monkeypatch):
        def refuse(**_):
            raise TemplateNotTaken("Content in this language already exists.")

        monkeypatch.setattr(views.service, "submit_template", refuse)
        answer = browser.post(NEW, TYPED | {"action": "submit"})
        assert answer.status_code == 422
        assert "Content in this language already exists." in answer.content.decode()

    def test_one_that_whatsapp_knows_keeps_name_and_language(self, acme, browser):
        template = make(acme, state="rejected")
        page = browser.get(address(template) + "?edit=1").content.decode()
        assert 'name="name"' not in page
        assert 'name="body"' in page
        assert 'name="category"' in page
        approved = make(acme, name="other", state="approved")
        assert 'name="category"' not in browser.get(address(approved) + "?edit=1").content.decode()

    def test_a_copy_and_a_removal(self, acme, browser):
        template = make(acme, state="disabled", provider_id="")
        answer = browser.post(address(template, "/copy"), {"language": "fr"})
        copy = WhatsAppTemplate.objects.for_client(acme).get(language="fr")
        assert (answer["Location"], copy.state) == (address(copy), "draft")
        assert browser.get(address(copy, "/delete")).status_code == 200
        assert browser.post(address(copy, "/delete"))["Location"] == LIST
        assert not WhatsAppTemplate.objects.for_client(acme).filter(pk=copy.pk).exists()


def _spy(taken: list, real):
    def call(**given):
        taken.append(given)
        return real(**given)

    return call
