"""Mails on the pages: written, shown as one person reads them, tried, reviewed, sent; templates with subjects."""

import re

import pytest

from contacts import services as contacts
from contacts.models import Contact
from messaging.models import Campaign, Message, Template
from messaging.services.expansion import expand_campaign
from tests.messaging.core.world import make_mail_road
from tests.messaging.pages.conftest import FRAGMENT
from tests.web.conftest import add_member

pytestmark = pytest.mark.django_db

NEW = "/app/campaigns/new"


@pytest.fixture
def readers(acme, provider):
    make_mail_road(acme)
    group = contacts.create_group(client=acme, name="Readers")
    rows = [
        Contact.objects.create(client=acme, name=name, email=email, phone=None)
        for name, email in (("Amina <i>", "amina@acme.test"), ("Baraka", "baraka@acme.test"))
    ]
    contacts.add_to_group(group=group, contact_ids=[row.pk for row in rows])
    return group


def fields(group, **changes):
    return {
        "channel": "email", "name": "News", "groups": [group.pk], "sender": "news@acme.test", "when": "now",
        "subject": "News for {first_name}", "text": "", "html": "<h1>Dear {name}</h1>", **changes,
    }  # fmt: skip


def words(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode())).replace("\u00a0", " ")


def test_a_mail_is_written_reviewed_and_sent_for_the_price_shown(acme, browser, readers):
    page = browser.get(f"{NEW}?channel=email&group={readers.pk}&step=message").content.decode()
    assert 'name="subject"' in page
    assert "Acme &lt;news@acme.test&gt;" in page
    saved = browser.post(NEW, fields(readers, numbers="zuri@acme.test nobody", action="review"))
    campaign = Campaign.objects.for_client(acme).get()
    assert (campaign.channel, campaign.content["subject"]) == ("email", "News for {first_name}")
    review = words(browser.get(saved.url))
    assert "KES 1.50" in review
    assert "has no value for {first_name}" in review
    browser.post(f"/app/campaigns/{campaign.pk}/audience", fields(readers, action="review"))
    review = browser.get(saved.url)
    assert "Dear Amina &lt;i&gt;" in review.content.decode()
    assert "Mails 2" in words(review)
    assert "SMS in all" not in words(review)
    sent = browser.post(
        f"/app/campaigns/{campaign.pk}/send", {"expected_recipients": "2", "expected_cost_micros": "1000000"}
    )
    assert sent.status_code == 302
    expand_campaign(campaign_id=campaign.pk)
    assert Message.objects.for_client(acme).filter(channel="email").count() == 2
    assert browser.get(f"/app/campaigns/{campaign.pk}").status_code == 200


def test_the_preview_fills_in_for_one_person_and_the_frame_may_do_nothing(acme, browser, readers):
    answer = browser.post("/app/campaigns/preview", fields(readers, person="1"), headers=FRAGMENT)
    assert "News for Baraka" in words(answer)
    frame = browser.post("/app/campaigns/mail", fields(readers, html="<p>{name}</p><script>x</script>"))
    assert "<p>Amina &lt;i&gt;</p>" in frame.content.decode()
    assert "<script" not in frame.content.decode()
    policy = frame["Content-Security-Policy"]
    assert (frame["X-Frame-Options"], "sandbox" in policy, "script-src 'none'" in policy) == ("SAMEORIGIN", True, True)
    assert "frame-src 'self'" in browser.get(f"{NEW}?channel=email")["Content-Security-Policy"]
    assert "frame-src" not in browser.get("/app/templates")["Content-Security-Policy"]


def test_the_audience_counts_addresses(acme, browser, readers):
    shown = words(browser.post("/app/campaigns/audience", fields(readers, numbers="x@acme.test, no"), headers=FRAGMENT))
    assert "3 people" in shown
    assert "Not an address no" in shown
    assert "Cost KES 1.50 3 mails" in shown


def test_what_cannot_be_kept_is_said_and_what_was_typed_stays(acme, browser, readers):
    answer = browser.post(NEW, fields(readers, reply_to="nobody", subject="Hi"))
    assert answer.status_code == 422
    assert "is not an email address" in words(answer)
    assert "&lt;h1&gt;Dear {name}" in answer.content.decode()
    assert not Campaign.objects.for_client(acme).exists()


def test_a_test_goes_to_oneself_and_says_so(acme, browser, readers):
    browser.post(NEW, fields(readers, action="test", test_to="me@acme.test", test_token="t" * 20))
    mail = Message.objects.for_client(acme).get()
    assert (mail.recipient, mail.content["subject"]) == ("me@acme.test", "[Test] News for Amina")
    assert "News for Amina" in browser.get(f"/app/messages?open={mail.pk}").content.decode()


def test_a_draft_of_a_mail_keeps_its_channel_and_other_languages(acme, browser, readers):
    browser.post(NEW, fields(readers, action="save", subject_fr="Nouvelles", html_fr="<p>Bonjour</p>"))
    campaign = Campaign.objects.for_client(acme).get()
    page = browser.get(f"/app/campaigns/{campaign.pk}/message").content.decode()
    assert 'value="Nouvelles"' in page
    browser.post(f"/app/campaigns/{campaign.pk}/message", fields(readers, action="save", channel="sms"))
    campaign.refresh_from_db()
    assert campaign.channel == "email"


def test_templates_for_mails_fill_the_fields_of_a_mail(acme, browser, readers):
    made = browser.post(
        "/app/templates/new?channel=email",
        {"channel": "email", "name": "News", "subject_en": "Hi {name}", "text_en": "Text", "html_en": "<p>H</p>",
         "subject_fr": "Salut", "text_fr": "Texte"},
    )  # fmt: skip
    assert made.status_code == 302
    template = Template.objects.for_client(acme).get()
    assert "Hi {name}" in browser.get("/app/templates").content.decode()
    page = browser.post(NEW, fields(readers, use_template=template.pk)).content.decode()
    assert 'value="Hi {name}"' in page
    assert 'value="Salut"' in page
    assert f'value="{template.pk}"' not in browser.get(NEW).content.decode().split("use_template")[-1][:200]


def test_who_may_not_write_is_refused(acme, readers):
    viewer = add_member(acme, "viewer")
    assert viewer.post("/app/campaigns/mail", fields(readers)).status_code == 403
    assert viewer.get(f"{NEW}?channel=email").status_code == 403
