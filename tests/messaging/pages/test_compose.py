"""Writing a campaign: drafts, what is refused, and the preview that counts as the charge will."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from contacts import services as contacts
from contacts.models import Contact
from messaging.models import Campaign, SenderId
from tests.messaging.pages.conftest import FRAGMENT, fill_group

NEW = "/app/campaigns/new"


def fields(group, **changes):
    return {"name": "Karibu", "text": "Habari {name}", "groups": [group.pk], "sender": "HOSPITAL", **changes}


def test_a_group_in_the_address_is_ticked_and_a_wrong_one_is_not(browser, parents):
    page = browser.get(f"{NEW}?group={parents.pk}").content.decode()
    assert f'value="{parents.pk}" id="id_groups_0" checked' in page
    for wrong in ("999999", "9" * 30, "x", "", "-1"):
        answer = browser.get(NEW, {"group": wrong})
        assert (answer.status_code, b'id="id_groups_0" checked' in answer.content) == (200, False)


def test_save_keeps_a_draft_and_continue_goes_to_review(acme, browser, parents):
    saved = browser.post(NEW, fields(parents, action="save"))
    campaign = Campaign.objects.for_client(acme).get()
    assert saved.url == f"/app/campaigns/{campaign.pk}/audience"
    assert (campaign.state, campaign.name, campaign.sender.name) == ("draft", "Karibu", "HOSPITAL")
    again = browser.post(saved.url, fields(parents, name="Karibu tena", action="review"))
    assert again.url == f"/app/campaigns/{campaign.pk}/review"
    assert list(Campaign.objects.for_client(acme).values_list("name", flat=True)) == ["Karibu tena"]


def test_a_refused_form_says_what_is_wrong_and_keeps_what_was_typed(acme, browser, parents):
    answer = browser.post(NEW, fields(parents, name=" ", text="Habari <b>{name}"))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'class="error-summary"' in page
    assert "Give the campaign a name." in page
    assert "Habari &lt;b&gt;{name}" in page
    assert f'value="{parents.pk}" id="id_groups_0" checked' in page
    assert not Campaign.objects.for_client(acme).exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "x" * 121}, "at most 120 characters"),
        ({"text": "x" * 481}, "The text has 481 characters; at most 480 are allowed."),
        ({"text": "a\x00b"}, "Null characters are not allowed."),
        ({"groups": ["999999"]}, "One of these groups does not exist any more."),
        ({"groups": ["9" * 40]}, "One of these groups does not exist any more."),
        ({"groups": ["abc"]}, "One of these groups does not exist any more."),
        ({"sender": "NOBODY"}, "This sender ID is not approved for your account."),
    ],
)
def test_what_cannot_be_saved_is_named(acme, browser, parents, changes, sentence):
    answer = browser.post(NEW, fields(parents, **changes))
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not Campaign.objects.for_client(acme).exists()


def test_without_a_sender_a_draft_can_be_kept(acme, browser, parents):
    SenderId.objects.for_client(acme).delete()
    assert "No sender ID is approved" in browser.get(f"{NEW}?step=message").content.decode()
    assert browser.post(NEW, fields(parents, sender="", action="save")).status_code == 302
    campaign = Campaign.objects.for_client(acme).get()
    assert campaign.sender is None
    assert "Choose a sender ID." in browser.get(f"/app/campaigns/{campaign.pk}/review").content.decode()


def test_the_group_of_another_client_cannot_be_chosen(acme, browser, stranger, parents):
    theirs = contacts.create_group(client=stranger, name="Secret")
    assert "Secret" not in browser.get(NEW).content.decode()
    assert browser.post(NEW, fields(theirs)).status_code == 422
    page = browser.post("/app/campaigns/preview", fields(theirs), headers=FRAGMENT).content.decode()
    assert "Choose a group with contacts" in page


def test_preview_shows_the_first_person_with_units_price_and_forcing_characters(browser, parents):
    text = "Habari {first_name|mzazi}, ada ya ç ç ni ’200’."
    answer = browser.post("/app/campaigns/preview", fields(parents, text=text), headers=FRAGMENT)
    page = answer.content.decode()
    assert "<html" not in page
    assert answer["Cache-Control"] == "no-store"
    assert {"HX-Request", "HX-History-Restore-Request"} <= {part.strip() for part in answer["Vary"].split(",")}
    assert (
        '<div class="bubble">Habari Amina, ada ya <mark>ç</mark> <mark>ç</mark> ni <mark>’</mark>200<mark>’</mark>.'
        in page
    )
    assert "“ç” latin small letter c with cedilla × 2" in page
    assert "“’” right single quotation mark × 2" in page
    assert "KES\u00a01.00" in page
    assert "Unicode, shorter" in page


def test_preview_is_a_page_without_javascript_and_never_by_address(browser, parents):
    page = browser.post("/app/campaigns/preview", fields(parents)).content.decode()
    assert "<html" in page
    assert "Habari Amina Wanjiru" in page
    assert browser.get("/app/campaigns/preview?text=siri").url == NEW


def test_preview_of_anything_is_an_answer(browser, parents):
    for posted in ({}, {"text": "a\x00b"}, {"sender": "\x00"}, {"groups": ["9" * 5000, "x"]}):
        answer = browser.post("/app/campaigns/preview", fields(parents) | posted, headers=FRAGMENT)
        assert answer.status_code == 200
    form = "application/x-www-form-urlencoded"
    assert browser.post("/app/campaigns/preview", "text=%ED%A0%BDx%FF", content_type=form).status_code == 200


def test_preview_names_a_field_that_would_leave_a_gap(browser, parents):
    posted = fields(parents, text="Salio: {balance}")
    page = browser.post("/app/campaigns/preview", posted, headers=FRAGMENT).content.decode()
    assert "This person has no value for {balance}" in page


def test_columns_of_the_chosen_group_are_offered_as_fields(acme, browser, parents):
    person = contacts.create_contact(
        client=acme, phone="0712999999", name="Zawadi", attributes={"Class": "4B", "Fee (KES)": "200"}
    )
    contacts.add_to_group(group=parents, contact_ids=[person.pk])
    page = browser.get(f"{NEW}?group={parents.pk}&step=message").content.decode()
    assert 'data-insert="{Class}"' in page
    assert "Fee (KES)" not in page.replace("&quot;", '"').split('id="merge-fields"')[1].split("</div>")[0]


def test_texts_and_names_are_escaped(acme, browser, parents):
    evil = '"><script>alert(1)</script>'
    contacts.update_contact(contact=Contact.objects.for_client(acme).earliest("pk"), name=evil)
    group = contacts.create_group(client=acme, name=evil)
    page = browser.get(f"{NEW}?group={parents.pk}").content.decode()
    shown = browser.post("/app/campaigns/preview", fields(parents, text="{name}" + evil), headers=FRAGMENT)
    assert group.name == evil
    assert "<script>alert" not in page
    assert "<script>alert" not in shown.content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown.content.decode()


def test_queries_do_not_grow_with_contacts(acme, browser, parents, django_assert_num_queries):
    with CaptureQueriesContext(connection) as few:
        browser.get(f"{NEW}?group={parents.pk}")
    fill_group(acme, "Many", 300, start=1000)
    many = fill_group(acme, "More", 300, start=5000)
    with django_assert_num_queries(len(few)):
        browser.get(f"{NEW}?group={many.pk}")


def test_a_viewer_cannot_write(viewer, draft):
    assert viewer.get(NEW).status_code == 403
    assert viewer.post(NEW, {"name": "x"}).status_code == 403
    assert viewer.post("/app/campaigns/preview", {"text": "x"}).status_code == 403
    for step in ("edit", "audience", "message", "when"):
        assert viewer.get(f"/app/campaigns/{draft.pk}/{step}").status_code == 403
    assert viewer.get(f"/app/campaigns/{draft.pk}").url == f"/app/campaigns/{draft.pk}/review"
