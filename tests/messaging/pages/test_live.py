"""The list and the live page: figures that add up, steps that act, polling that ends."""

import re
from datetime import timedelta

import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.services.clients import suspend_client
from messaging.models import Campaign, Message
from messaging.providers.base import Outcome
from messaging.sending.claims import claim, mark_submitting, new_owner
from messaging.sending.recording import Receipt, record_outcomes, record_receipts
from messaging.services.campaigns import confirm_campaign, finish_campaigns, save_draft
from messaging.services.expansion import expand_campaign
from tests.messaging.pages.conftest import FRAGMENT, add_member
from wallet.queries import balance_of

WORDS = ("Delivered", "Sent", "Failed", "Queued", "Not sent", "People")


def start(campaign, *, recipients=4, cost=5_000_000, expand=True):
    confirm_campaign(
        client=campaign.client, campaign_id=campaign.pk, by=None, expected_recipients=recipients,
        expected_cost_micros=cost,
    )  # fmt: skip
    if expand:
        expand_campaign(campaign_id=campaign.pk)


def submit(account, *outcomes: str) -> list[int]:
    """One message to the provider for each word: accepted, ambiguous, or the code of a refusal."""
    owner = new_owner()
    ids = [row.id for row in claim(account_id=account.pk, owner=owner, limit=len(outcomes))]
    assert mark_submitting(owner=owner, ids=ids) == set(ids)
    record_outcomes([
        Outcome(pk, word, provider_message_id=f"ATX{pk}") if word in ("accepted", "ambiguous")
        else Outcome(pk, "rejected", error_code=word, error_message="<b>vendor</b>")
        for pk, word in zip(ids, outcomes, strict=True)
    ])  # fmt: skip
    return ids


def figures(page: str) -> dict[str, int]:
    found = dict(re.findall(r"<dt>([A-Za-z ]+)</dt><dd class=\"num\">([\d,]+)</dd>", page))
    return {word: int(found[word].replace(",", "")) for word in WORDS}


def live(browser, campaign, **headers):
    return browser.get(f"/app/campaigns/{campaign.pk}", headers=headers).content.decode()


def adds_up(page: str) -> bool:
    counted = figures(page)
    return sum(counted.values()) - counted["People"] == counted["People"]


def test_figures_add_up_at_every_sample(browser, draft, provider):
    start(draft, expand=False)
    page = live(browser, draft)
    assert figures(page) == {"Delivered": 0, "Sent": 0, "Failed": 0, "Queued": 4, "Not sent": 0, "People": 4}
    assert "Waiting to start" in page
    expand_campaign(campaign_id=draft.pk)
    assert adds_up(live(browser, draft))
    ids = submit(provider, "accepted", "ambiguous", "blocked")
    page = live(browser, draft)
    assert figures(page) == {"Delivered": 0, "Sent": 2, "Failed": 1, "Queued": 1, "Not sent": 0, "People": 4}
    assert "1 message counted as sent is unconfirmed" in page
    assert "Blocked promotions or opted out" in page
    assert "messages a second: the last one leaves in about" in page
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        assert "No message left in the last minute." in live(browser, draft)
    record_receipts([Receipt(ids[0], "delivered"), Receipt(ids[1], "delivered")])
    submit(provider, "accepted")
    finish_campaigns()
    page = live(browser, draft)
    assert figures(page) == {"Delivered": 2, "Sent": 1, "Failed": 1, "Queued": 0, "Not sent": 0, "People": 4}
    assert "unconfirmed" not in page
    assert "Done" in page


def test_polling_is_set_by_the_server_and_ends(browser, draft, provider):
    start(draft)
    assert 'hx-trigger="every 2s" hx-swap="morph:outerHTML"' in live(browser, draft)
    ids = submit(provider, *["accepted"] * 4)
    finish_campaigns()
    assert 'hx-trigger="every 5s"' in live(browser, draft)
    Campaign.objects.for_client(draft.client_id).update(finished_at=timezone.now() - timedelta(hours=2))
    page = live(browser, draft)
    assert 'hx-trigger="every' not in page
    assert "No delivery report came for 4 messages yet" in page
    Campaign.objects.for_client(draft.client_id).update(finished_at=timezone.now())
    record_receipts([Receipt(pk, "delivered") for pk in ids])
    assert 'hx-trigger="every' not in live(browser, draft)


def test_the_fragment_is_what_the_page_includes(browser, draft):
    start(draft)
    path = f"/app/campaigns/{draft.pk}"
    part, whole = browser.get(path, headers=FRAGMENT), browser.get(path)
    restored = browser.get(path, headers=FRAGMENT | {"HX-History-Restore-Request": "true"})
    assert part.content.decode().lstrip().startswith('<div id="campaign-live"')
    assert part["Cache-Control"] == "no-store"
    assert b"<html" in whole.content
    assert b"<html" in restored.content
    for response in (part, whole):
        assert {"HX-Request", "HX-History-Restore-Request"} <= set(re.split(r",\s*", response["Vary"]))


def test_the_balance_in_the_top_bar_follows(browser, draft, provider):
    start(draft)
    path = f"/app/campaigns/{draft.pk}"
    left = balance_of(draft.client_id).balance
    shown = browser.get(path, headers=FRAGMENT).content.decode()
    pill = re.search(r'<a class="pill[^>]*hx-swap-oob="outerHTML:.pill">.*?</a>', shown)[0]
    assert f"{left:,.2f}" in pill
    assert "hx-swap-oob" not in browser.get(path).content.decode()


def test_milestones_change_at_quarters_only(browser, draft, provider):
    start(draft)
    said = []
    for _ in range(4):
        said.append(re.search(r'role="status">(.*?)</p>', live(browser, draft, **FRAGMENT))[1])
        submit(provider, "accepted")
    assert said == ["", *(f"{quarter} percent of the messages have left." for quarter in (25, 50, 75))]


def test_pause_holds_back_resume_sends_the_rest_cancel_gives_back(acme, browser, draft, provider):
    start(draft)
    submit(provider, "accepted")
    path = f"/app/campaigns/{draft.pk}"
    assert browser.post(f"{path}/pause").url == path
    page = live(browser, draft)
    assert "3 messages are kept back" in page
    assert claim(account_id=provider.pk, owner=new_owner(), limit=10) == []
    assert browser.post(f"{path}/resume").url == path
    assert Message.objects.for_client(acme).filter(status="queued").count() == 3
    assert "3 people who have not been written to will not be" in browser.get(f"{path}/cancel").content.decode()
    assert browser.get(path).status_code == 200
    assert browser.post(f"{path}/cancel").url == path
    expand_campaign(campaign_id=draft.pk)
    page = live(browser, draft)
    assert figures(page) == {"Delivered": 0, "Sent": 1, "Failed": 0, "Queued": 0, "Not sent": 3, "People": 4}
    cost = Message.objects.for_client(acme).get(status="sent").cost_micros
    money = balance_of(acme.pk)
    assert ((1049 - money.balance) * 1_000_000, money.reserved) == (cost, 0)
    assert browser.get(f"{path}/cancel").url == path


def test_a_step_that_came_too_late_says_so(browser, draft):
    start(draft)
    for _ in range(2):
        browser.post(f"/app/campaigns/{draft.pk}/pause")
    assert "Only a running campaign can be paused." in live(browser, draft)


def test_a_look_changes_nothing(browser, draft):
    start(draft)
    for step in ("pause", "resume", "cancel", "delete", "send", "edit"):
        browser.get(f"/app/campaigns/{draft.pk}/{step}")
    draft.refresh_from_db()
    assert draft.state == "sending"


def test_a_suspended_client_cannot_resume(acme, browser, draft):
    start(draft)
    browser.post(f"/app/campaigns/{draft.pk}/pause")
    suspend_client(client=acme, reason="Unpaid invoice")
    assert 'type="submit" disabled' in live(browser, draft)
    browser.post(f"/app/campaigns/{draft.pk}/resume")
    draft.refresh_from_db()
    assert draft.state == "paused"
    assert not Message.objects.for_client(acme).filter(status="queued").exists()


def test_a_viewer_watches_but_does_not_touch(viewer, draft):
    start(draft)
    page = live(viewer, draft)
    assert "/pause" not in page
    for step in ("pause", "resume", "cancel", "delete"):
        assert viewer.post(f"/app/campaigns/{draft.pk}/{step}").status_code == 403
    draft.refresh_from_db()
    assert draft.state == "sending"


def test_finance_sees_the_figures_but_no_way_to_the_texts(acme, draft, provider):
    start(draft)
    submit(provider, "blocked")
    page = live(add_member(acme, "finance", "imani@acme.test"), draft)
    assert figures(page)["Failed"] == 1
    assert "/app/messages" not in page


def test_why_it_stopped_is_shown(browser, draft):
    start(draft)
    Campaign.objects.for_client(draft.client_id).update(stop_reason="The groups changed after you confirmed.")
    assert "The groups changed after you confirmed." in live(browser, draft)


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_filters_by_state_and_has_both_empty_states(acme, browser, draft):
    start(draft)
    page = browser.get("/app/campaigns").content.decode()
    assert "Karibu" in page
    assert "KES\u00a05.00" in page
    assert "No campaign here under “drafts”" in browser.get("/app/campaigns?state=draft").content.decode()
    assert "Karibu" in browser.get("/app/campaigns?state=sending").content.decode()
    Campaign.objects.for_client(acme).exclude(pk=draft.pk).delete()
    part = browser.get("/app/campaigns?state=sending", headers=FRAGMENT).content.decode()
    assert part.lstrip().startswith('<div id="campaign-table"')


def test_an_empty_list_offers_the_first_campaign_to_who_may_write(acme, browser, viewer):
    assert "Write your first campaign" in browser.get("/app/campaigns").content.decode()
    page = viewer.get("/app/campaigns").content.decode()
    assert "/app/campaigns/new" not in page
    assert "Your role cannot make campaigns" in page


def test_bad_states_and_pages_are_forgiven(browser, draft):
    for query in ("state=zz", "state=%00", "page=x", "page=-1", "page=" + "9" * 30, "page=%00"):
        assert browser.get(f"/app/campaigns?{query}").status_code == 200


def test_queries_do_not_grow_with_rows(acme, browser, draft, parents):
    start(draft)

    def count(rows: int) -> int:
        Campaign.objects.bulk_create(
            Campaign(
                client=acme, name=f"No {n}", text="x", state="done", sender_id=draft.sender_id, quoted_recipients=3
            )
            for n in range(rows)
        )
        with CaptureQueriesContext(connection) as seen:
            assert browser.get("/app/campaigns").status_code == 200
        return len(seen)

    assert count(4) == count(45)


def test_a_draft_opens_in_the_composer(acme, browser):
    draft = save_draft(client=acme, by=None, name="Draft", text="", group_ids=[])
    assert browser.get(f"/app/campaigns/{draft.pk}").url == f"/app/campaigns/{draft.pk}/edit"
