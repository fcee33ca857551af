"""The four pages of a campaign: each keeps its own part, says what is missing, and gets its own errors back."""

import re
from datetime import timedelta

import pytest

from crm.common.sql import database_now
from messaging.models import Campaign, CampaignRecipient
from messaging.services import scheduling
from messaging.services.campaigns import get_campaign, list_recipients, save_draft, version_of
from messaging.services.templates import save_template
from messaging.views import sketching
from tests.messaging.pages.conftest import FRAGMENT, add_member
from tests.messaging.pages.test_send import words

NEW = "/app/campaigns/new"
STEPS = ("audience", "message", "when", "review")


def at(draft: Campaign, step: str) -> str:
    return f"/app/campaigns/{draft.pk}/{step}"


def bar(page: str) -> str:
    return words(re.search(r'<ol class="steps".*?</ol>', page, re.DOTALL)[0])


def fresh(draft: Campaign) -> Campaign:
    return get_campaign(client=draft.client, campaign_id=draft.pk)


def test_a_campaign_is_written_page_by_page_without_scripts(acme, browser, parents):
    first = browser.get(f"{NEW}?group={parents.pk}").content.decode()
    assert re.search(r'<button type="submit" form="compose" name="action" value="when">', first)
    audience = {"step": "audience", "name": "Karibu", "groups": [parents.pk], "numbers": "0799000001"}
    moved = browser.post(NEW, audience | {"action": "message"})
    draft = Campaign.objects.for_client(acme).get()
    assert moved.url == at(draft, "message")
    assert draft.sender.name == "HOSPITAL"  # the default, before anybody chose
    message = {"step": "message", "text": "Habari {name|wewe}", "text_sw": "Hujambo", "sender": "HOSPITAL",
               "message_class": "promotion"}  # fmt: skip
    assert browser.post(moved.url, message | {"action": "when"}).url == at(draft, "when")
    tomorrow = (database_now() + timedelta(days=1)).strftime("%Y-%m-%dT09:00")
    when = {"step": "when", "when": "repeat", "schedule_at": tomorrow, "repeat": "weekly", "repeat_times": "3",
            "spread_hours": "2"}  # fmt: skip
    assert browser.post(at(draft, "when"), when | {"action": "review"}).url == at(draft, "review")
    kept = fresh(draft)
    assert (kept.name, kept.text, kept.variants) == ("Karibu", "Habari {name|wewe}", {"sw": "Hujambo"})
    assert (kept.message_class, kept.repeat, kept.repeat_times, kept.spread_hours) == ("promotion", "weekly", 3, 2)
    assert list(kept.groups.all()) == [parents]
    assert "5 people" in words(browser.get(at(draft, "review")).content.decode())


@pytest.mark.parametrize(
    ("step", "fields", "changed"),
    [
        ("audience", {"name": "Mpya"}, {"audience": ("Mpya", 0, [])}),
        ("message", {"text": "Mpya", "sender": "HOSPITAL"}, {"message": ("Mpya", "HOSPITAL", "promotion")}),
        ("when", {"when": "now", "spread_hours": "4"}, {"when": (None, 4)}),
    ],
)
def test_a_page_keeps_what_the_other_pages_hold(acme, browser, draft, step, fields, changed):
    list_recipients(client=acme, campaign_id=draft.pk, recipients=["0799000001"])
    due = database_now() + timedelta(days=1)
    scheduling.set_timing(client=acme, campaign_id=draft.pk, schedule_at=due, message_class="promotion")
    before = parts_of(draft)
    browser.post(at(draft, step), fields | {"action": "save"})
    assert parts_of(draft) == before | changed


def parts_of(draft: Campaign) -> dict[str, tuple]:
    kept = fresh(draft)
    return {
        "audience": (kept.name, kept.groups.count(), listed(kept)),
        "message": (kept.text, kept.sender_name, kept.message_class),
        "when": (kept.schedule_at, kept.spread_hours),
    }


def listed(draft: Campaign) -> list[str]:
    rows = CampaignRecipient.objects.for_client(draft.client).filter(campaign=draft).order_by("pk")
    return list(rows.values_list("address", flat=True))


def test_the_bar_says_what_is_missing_and_the_old_address_leads_there(acme, browser, parents, provider):
    new = bar(browser.get(NEW).content.decode())
    assert "1. Audience Nobody chosen yet" in new
    assert "2. Message Nothing written yet" in new
    draft = save_draft(client=acme, by=None, name="Karibu", group_ids=[parents.pk])
    shown = bar(browser.get(at(draft, "when")).content.decode())
    assert "Nobody chosen yet" not in shown
    assert "2. Message Nothing written yet" in shown
    assert browser.get(at(draft, "edit")).url == at(draft, "message")
    save_draft(client=acme, by=None, campaign_id=draft.pk, text="Habari")
    Campaign.objects.for_client(acme).update(schedule_at=database_now() - timedelta(hours=1))
    assert browser.get(at(draft, "edit")).url == at(draft, "when")
    assert "3. When The time has passed" in bar(browser.get(at(draft, "audience")).content.decode())
    Campaign.objects.for_client(acme).update(schedule_at=None)
    assert browser.get(at(draft, "edit")).url == at(draft, "audience")


def test_the_bar_follows_what_is_saved_by_itself(acme, browser, parents):
    answer = browser.post(
        NEW, {"step": "audience", "name": "K", "groups": [parents.pk], "action": "autosave"}, headers=FRAGMENT
    )
    draft = Campaign.objects.for_client(acme).get()
    assert answer["HX-Replace-Url"] == at(draft, "audience")
    page = answer.content.decode()
    assert 'hx-swap-oob="true"' in page
    assert "Nobody chosen yet" not in bar(page)
    later = {"step": "message", "draft": draft.pk, "version": version_of(draft), "text": "Habari", "action": "autosave"}
    assert "Nothing written yet" not in bar(browser.post(NEW, later, headers=FRAGMENT).content.decode())
    assert list(fresh(draft).groups.all()) == [parents]


@pytest.mark.parametrize(
    ("step", "fields", "says"),
    [
        ("audience", {"name": " "}, "Give the campaign a name."),
        ("message", {"text": "x" * 481, "sender": "HOSPITAL"}, "at most 480 are allowed"),
        ("when", {"when": "later", "schedule_at": "2020-01-01T09:00"}, "must lie in the future"),
    ],
)
def test_an_error_comes_back_on_the_page_it_belongs_to(acme, browser, draft, step, fields, says):
    answer = browser.post(at(draft, step), fields | {"action": "review"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert says in page
    assert f'name="step" value="{step}"' in page
    assert fresh(draft).updated_at == draft.updated_at


def test_what_is_wrong_elsewhere_in_a_new_campaign_leads_to_its_page(acme, browser, parents):
    everything = {"name": "Karibu", "groups": [parents.pk], "text": "Habari", "when": "later", "schedule_at": "x"}
    page = browser.post(NEW, everything | {"step": "audience", "action": "review"}).content.decode()
    assert 'name="step" value="when"' in page
    assert "Write the day and time like" in page
    assert '<input type="hidden" name="text" value="Habari">' in page
    mended = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    mended |= {"when": "now", "schedule_at": "", "action": "review"}
    browser.post(NEW, mended)
    kept = Campaign.objects.for_client(acme).get()
    assert (kept.text, list(kept.groups.all())) == ("Habari", [parents])


def test_a_template_comes_along_from_the_first_page_to_the_draft(acme, browser, parents):
    template = save_template(client=acme, by=None, name="Fees", texts={"en": "Fees are due.", "sw": "Ada."})
    page = browser.get(f"{NEW}?template={template.pk}&step=audience").content.decode()
    carried = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    assert (carried["text"], carried["text_sw"]) == ("Fees are due.", "Ada.")
    browser.post(NEW, carried | {"name": "K", "groups": [parents.pk], "action": "message"})
    kept = Campaign.objects.for_client(acme).get()
    assert (kept.text, kept.variants) == ("Fees are due.", {"sw": "Ada."})


def test_a_list_too_long_for_the_box_stays_until_it_is_unticked(acme, browser, draft, monkeypatch):
    monkeypatch.setattr(sketching, "MOST_SHOWN", 2)
    numbers = [f"07990000{n:02d}" for n in range(5)]
    list_recipients(client=acme, campaign_id=draft.pk, recipients=numbers)
    page = browser.get(at(draft, "audience")).content.decode()
    assert "Keep the 5 numbers that are listed already" in page
    assert "0799" not in page.split('name="numbers"')[1].split("</textarea>")[0]
    fields = {"name": "K", "numbers": "0799000009", "action": "save"}
    browser.post(at(draft, "audience"), fields | {"keep_list": "yes"})
    assert len(listed(draft)) == 6
    browser.post(at(draft, "audience"), fields)
    assert listed(draft) == ["+254799000009"]


def test_a_colleagues_audience_is_shown_beside_ones_own_and_ones_own_window_is_no_colleague(
    acme, browser, draft, parents
):
    seen = version_of(draft)
    colleague = add_member(acme, "admin", "baraka@acme.test")
    colleague.post(
        at(draft, "audience"), {"name": "Yao", "groups": [parents.pk], "numbers": "0799000001", "action": "save"}
    )
    mine = {"step": "audience", "name": "Yangu", "version": seen, "action": "save"}
    conflict = browser.post(at(draft, "audience"), mine)
    shown = words(conflict.content.decode())
    assert conflict.status_code == 409
    assert "Changed by baraka@acme.test" in shown
    assert "Yao Parents +254799000001" in shown
    assert fresh(draft).name == "Yao"
    again = re.search(r'name="version" value="([^"]+)"', conflict.content.decode())[1]
    assert browser.post(at(draft, "audience"), mine | {"version": again}).status_code == 302
    assert browser.post(at(draft, "audience"), mine | {"name": "Tena"}).status_code == 302  # the first page, once more
    assert fresh(draft).name == "Tena"


def test_a_problem_on_the_review_leads_to_its_page(acme, browser, parents):
    draft = save_draft(client=acme, by=None, name="K", text="Habari {name}", group_ids=[parents.pk])
    page = browser.get(at(draft, "review")).content.decode()
    assert f'Write a fallback, such as {{name|customer}}. <a href="{at(draft, "message")}">Message</a>' in page
    assert "2. Message Needs a look" in bar(page)
    for step in STEPS[:3]:
        assert f'href="{at(draft, step)}"' in page


@pytest.mark.parametrize("step", STEPS[:3])
def test_what_was_started_is_not_written_any_more(acme, browser, draft, step):
    Campaign.objects.for_client(acme).update(state="done")
    for answer in (browser.get(at(draft, step)), browser.post(at(draft, step), {"action": "save", "name": "x"})):
        assert answer.url == f"/app/campaigns/{draft.pk}"
    assert fresh(draft).name == "Karibu"
