"""Review and start: every figure on one screen, money moves exactly as shown, once, or not at all."""

import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.services.clients import suspend_client
from contacts import services as contacts
from messaging.models import Campaign, KeptQuote, Message
from messaging.services.campaigns import save_draft
from messaging.services.expansion import expand_campaign
from messaging.services.quoting import work_out
from tests.messaging.pages.conftest import add_member, fill_group, sign_in
from wallet.models import LedgerEntry, PricePlan, Rate
from wallet.queries import balance_of


def review(browser, draft):
    return browser.get(f"/app/campaigns/{draft.pk}/review")


def shown(page: str) -> dict:
    """The figures that the confirm form would post."""
    return {name: re.search(rf'name="{name}" value="(\d+)"', page)[1]
            for name in ("expected_recipients", "expected_cost_micros")}  # fmt: skip


def confirm(browser, draft, **changes):
    posted = shown(review(browser, draft).content.decode()) | changes
    return browser.post(f"/app/campaigns/{draft.pk}/send", posted)


def nothing_moved(draft, balance=Decimal("1049.00")):
    draft.refresh_from_db()
    money = balance_of(draft.client_id)
    return (
        draft.state == "draft"
        and (money.balance, money.reserved) == (balance, 0)
        and not Message.objects.for_client(draft.client_id).exists()
    )


def test_everything_is_on_one_screen(browser, draft):
    page = review(browser, draft).content.decode()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("\u00a0", " ")
    assert "4 people" in text
    assert "In these groups 5 Opted out 1, left out" in text
    assert "1 SMS each 3 people 2 SMS each 1 person SMS in all 5" in text
    assert "Available now KES 1,049.00 Available after KES 1,044.00" in text
    assert "For 1 of them the filled-in text has letters outside the standard SMS alphabet" in text
    assert text.count("· 1 SMS") + text.count("· 2 SMS") == 3
    assert "Send to 4 people for KES 5.00" in text
    assert 'name="sure"' not in page


def test_confirm_reserves_and_then_takes_exactly_what_was_shown(acme, browser, draft):
    page = review(browser, draft).content.decode()
    assert shown(page) == {"expected_recipients": "4", "expected_cost_micros": "5000000"}
    started = browser.post(f"/app/campaigns/{draft.pk}/send", shown(page))
    assert started.url == f"/app/campaigns/{draft.pk}"
    money = balance_of(acme.pk)
    assert (money.balance, money.reserved) == (Decimal("1049.00"), Decimal("5.00"))
    expand_campaign(campaign_id=draft.pk)
    money = balance_of(acme.pk)
    assert (money.balance, money.reserved) == (Decimal("1044.00"), 0)
    debits = LedgerEntry.objects.for_client(acme).filter(kind="debit").values_list("amount_micros", flat=True)
    assert sorted(debits) == [-2_000_000, -1_000_000, -1_000_000, -1_000_000]


def test_confirming_twice_starts_once_and_shows_the_campaign(acme, browser, draft):
    posted = shown(review(browser, draft).content.decode())
    for _ in range(2):
        answer = browser.post(f"/app/campaigns/{draft.pk}/send", posted)
        assert answer.url == f"/app/campaigns/{draft.pk}"
        expand_campaign(campaign_id=draft.pk)
    assert "Nothing was sent a second time" in browser.get(answer.url).content.decode()
    assert Message.objects.for_client(acme).count() == 4
    assert balance_of(acme.pk).balance == Decimal("1044.00")
    assert review(browser, draft).url == f"/app/campaigns/{draft.pk}"


def test_changed_recipients_show_the_new_figures_and_move_nothing(acme, browser, draft, parents):
    posted = shown(review(browser, draft).content.decode())
    late = contacts.create_contact(client=acme, phone="0712888888", name="Zawadi")
    contacts.add_to_group(group=parents, contact_ids=[late.pk])
    answer = browser.post(f"/app/campaigns/{draft.pk}/send", posted)
    page = answer.content.decode().replace("\u00a0", " ")
    assert answer.status_code == 409
    assert "Then 4 people for KES 5.00, now 5 for KES 6.00" in page
    assert shown(page) == {"expected_recipients": "5", "expected_cost_micros": "6000000"}
    assert nothing_moved(draft)


def test_a_changed_price_shows_the_new_figures(acme, browser, draft):
    posted = shown(review(browser, draft).content.decode())
    Rate.objects.filter(plan__wallets__client=acme).update(unit_price_micros=2_000_000)
    answer = browser.post(f"/app/campaigns/{draft.pk}/send", posted)
    assert (answer.status_code, nothing_moved(draft)) == (409, True)
    assert "now 4 for KES 10.00" in answer.content.decode().replace("\u00a0", " ")


def test_too_little_money_names_the_exact_shortage_and_blocks(acme, browser, draft):
    PricePlan.objects.filter(wallets__client=acme).get().rates.update(unit_price_micros=300_000_000)
    page = review(browser, draft).content.decode().replace("\u00a0", " ")
    text = re.sub(r"<[^>]+>", "", page)
    assert "KES 451.00 is missing" in text
    assert "Ask your account manager to add credit" in text
    assert re.search(r'<button class="btn btn-primary" type="submit" disabled', page)
    answer = browser.post(f"/app/campaigns/{draft.pk}/send", shown(page) | {"sure": "yes"})
    assert answer.status_code == 422
    assert "Your account balance is too low" in answer.content.decode()
    assert nothing_moved(draft)


def test_problems_come_first_each_with_its_remedy(acme, browser, parents):
    empty = save_draft(client=acme, by=None, name="Empty", text="", group_ids=[parents.pk])
    gaps = save_draft(client=acme, by=None, name="Gaps", text="Habari {name}", group_ids=[parents.pk])
    nobody = save_draft(client=acme, by=None, name="Nobody", text="Habari", group_ids=[])
    for draft, sentence in (
        (empty, "Write the text of the message."),
        (gaps, "1 person has no value for {name}. Write a fallback, such as {name|customer}."),
        (nobody, "Nobody in these groups can be written to"),
    ):
        page = review(browser, draft).content.decode()
        assert sentence in page
        assert page.index("Before it can be sent") < page.index('id="who-title"')
        assert 'type="submit" disabled' in page
        assert confirm(browser, draft).status_code == 422
        assert nothing_moved(draft)


def test_without_a_provider_nobody_can_be_sent_to(acme, browser):
    group = fill_group(acme, "Staff", 2)
    draft = save_draft(client=acme, by=None, name="Staff", text="Habari", group_ids=[group.pk])
    page = review(browser, draft).content.decode()
    assert "No provider is set up for this destination yet." in page
    assert confirm(browser, draft, expected_recipients="1").status_code == 422


def test_a_tick_is_asked_for_above_half_the_balance(acme, browser, draft):
    Rate.objects.filter(plan__wallets__client=acme).update(unit_price_micros=150_000_000)
    assert 'name="sure"' in review(browser, draft).content.decode()
    assert confirm(browser, draft).status_code == 422
    assert nothing_moved(draft)
    assert confirm(browser, draft, sure="yes").status_code == 302
    assert balance_of(acme.pk).reserved == Decimal("750.00")


def test_a_tick_is_asked_for_above_a_thousand_people(acme, browser, provider):
    acme.simulation = True
    acme.save()
    group = fill_group(acme, "Town", 1001)
    draft = save_draft(client=acme, by=None, name="Town", text="Habari", group_ids=[group.pk])
    assert confirm(browser, draft).status_code == 422
    assert confirm(browser, draft, sure="yes").status_code == 302


def test_simulation_costs_nothing_and_says_so(acme, browser, draft):
    acme.simulation = True
    acme.save()
    page = review(browser, draft).content.decode().replace("\u00a0", " ")
    assert "This is a simulation" in page
    assert shown(page)["expected_cost_micros"] == "0"
    assert confirm(browser, draft).status_code == 302
    expand_campaign(campaign_id=draft.pk)
    assert balance_of(acme.pk).balance == Decimal("1049.00")
    assert set(Message.objects.for_client(acme).values_list("simulated", flat=True)) == {True}
    assert "Simulated" in browser.get(f"/app/campaigns/{draft.pk}").content.decode()


@pytest.mark.parametrize("posted", [
    {}, {"expected_recipients": "4"}, {"expected_recipients": "x", "expected_cost_micros": "y"},
    {"expected_recipients": "9" * 40, "expected_cost_micros": "5000000"},
    {"expected_recipients": "4", "expected_cost_micros": "9" * 40},
    {"expected_recipients": "-4", "expected_cost_micros": "-1"}, {"expected_recipients": "\x00"},
])  # fmt: skip
def test_a_form_that_names_no_figures_sends_nothing(browser, draft, posted):
    assert browser.post(f"/app/campaigns/{draft.pk}/send", posted).status_code == 422
    assert nothing_moved(draft)


def test_a_suspended_client_can_look_but_not_send(acme, browser, draft):
    suspend_client(client=acme, reason="Unpaid invoice")
    page = review(browser, draft).content.decode()
    assert "This account is suspended (Unpaid invoice)" in page
    assert 'type="submit" disabled' in page
    assert confirm(browser, draft).status_code == 422
    assert nothing_moved(draft)


def test_who_may_not_send_sees_the_button_disabled_and_is_refused(viewer, draft):
    page = review(viewer, draft).content.decode()
    assert "Your role cannot send campaigns" in page
    assert 'type="submit" disabled' in page
    assert not any(f"/{step}" in page for step in ("edit", "audience", 'message"', "when"))
    assert confirm(viewer, draft).status_code == 403
    assert nothing_moved(draft)


def test_an_approver_may_send_what_others_wrote(acme, draft):
    approver = add_member(acme, "approver", "neema@acme.test")
    assert approver.get(f"/app/campaigns/{draft.pk}/edit").status_code == 403
    assert confirm(approver, draft).status_code == 302


def test_a_stranger_sees_no_difference_to_no_campaign(draft, stranger):
    zuri = sign_in("zuri@else.test")
    for step in (
        "",
        "/edit",
        "/audience",
        "/message",
        "/when",
        "/review",
        "/send",
        "/pause",
        "/resume",
        "/cancel",
        "/delete",
    ):
        theirs = zuri.get(f"/app/campaigns/{draft.pk}{step}")
        none = zuri.get(f"/app/campaigns/{draft.pk + 999}{step}")
        assert (theirs.status_code, none.status_code) == (404, 404), step
        assert zuri.get(f"/app/campaigns/{'9' * 30}{step}").status_code == 404
        if step not in ("", "/edit", "/review"):
            assert zuri.post(f"/app/campaigns/{draft.pk}{step}").status_code == 404
    draft.refresh_from_db()
    assert draft.state == "draft"


def test_names_and_texts_are_escaped(acme, browser, parents):
    evil = "<script>alert(1)</script>"
    group = contacts.create_group(client=acme, name=evil)
    person = contacts.create_contact(client=acme, phone="0712777777", name=evil)
    contacts.add_to_group(group=group, contact_ids=[person.pk])
    draft = save_draft(client=acme, by=None, name=evil, text=evil + " {name}", group_ids=[group.pk])
    page = review(browser, draft).content.decode()
    confirm(browser, draft)
    expand_campaign(campaign_id=draft.pk)
    pages = page + "".join(
        browser.get(path).content.decode()
        for path in (
            f"/app/campaigns/{draft.pk}",
            "/app/campaigns",
            "/app/messages",
            f"/app/campaigns/{draft.pk}/cancel",
        )
    )
    assert evil not in pages
    assert pages.count("&lt;script&gt;") >= 8


def test_queries_do_not_grow_with_people(acme, browser, draft, django_assert_max_num_queries):
    with CaptureQueriesContext(connection) as few:
        review(browser, draft)
    group = fill_group(acme, "Many", 500, start=5000)
    many = save_draft(client=acme, by=None, name="Many", text="Habari {name|x}", group_ids=[group.pk])
    with django_assert_max_num_queries(len(few)):
        review(browser, many)


def test_a_draft_is_deleted_and_a_started_campaign_is_not(acme, browser, draft):
    assert "Delete the draft" in browser.get(f"/app/campaigns/{draft.pk}/delete").content.decode()
    confirm(browser, draft)
    assert browser.post(f"/app/campaigns/{draft.pk}/delete").url == f"/app/campaigns/{draft.pk}"
    other = save_draft(client=acme, by=None, name="Other", text="", group_ids=[])
    assert browser.post(f"/app/campaigns/{other.pk}/delete").url == "/app/campaigns"
    assert list(Campaign.objects.for_client(acme)) == [draft]


def test_many_people_are_counted_while_the_page_shows_how_far(monkeypatch, acme, browser, draft):
    monkeypatch.setattr("messaging.services.quoting.WHILE_ONE_WAITS", 1)
    page = review(browser, draft).content.decode()
    assert "It begins in a moment." in page
    assert "expected_cost_micros" not in page
    again = browser.get(f"/app/campaigns/{draft.pk}/review", headers={"HX-Request": "true"})
    assert "It begins in a moment." in again.content.decode()
    assert "<html" not in again.content.decode()
    work_out(campaign_id=draft.pk)
    again = browser.get(f"/app/campaigns/{draft.pk}/review", headers={"HX-Request": "true"})
    assert again["HX-Redirect"] == f"/app/campaigns/{draft.pk}/review"
    assert shown(review(browser, draft).content.decode()) == {
        "expected_recipients": "4",
        "expected_cost_micros": "5000000",
    }
    KeptQuote.objects.for_client(acme).delete()  # as after its ten minutes
    figures = {"expected_recipients": 4, "expected_cost_micros": 5_000_000}
    late = browser.post(f"/app/campaigns/{draft.pk}/send", figures)
    assert late.status_code == 409
    assert "It begins in a moment." in late.content.decode()
    work_out(campaign_id=draft.pk)
    assert confirm(browser, draft).url == f"/app/campaigns/{draft.pk}"
    assert balance_of(acme.pk).reserved == Decimal("5.00")
