"""Home: figures, what waits for a person, what runs, first steps; and what it costs."""

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.utils import timezone

from accounts.models import ApiKey, Role, WebhookEndpoint
from contacts.models import Contact, ContactImport
from crm.opening import open_ready_client
from messaging.models import Campaign, Message
from messaging.services.tallies import count_steps
from messaging.services.trial import start_trial
from tests.web.conftest import PASSWORD, add_member, sign_in
from wallet.queries import TRIAL, has_added_credit
from wallet.services import credit_wallet

FRAGMENT = {"HX-Request": "true"}


def add_campaign(client, **fields):
    return Campaign.objects.create(
        client=client, name="Karibu", text="Habari", confirmed_at=timezone.now(), quoted_recipients=10, **fields
    )


def add_messages(client, status, count, **fields):
    start = Message.objects.for_client(client).count()
    added = Message.objects.bulk_create(
        Message(
            client=client,
            recipient=f"+2547120{start + number:05d}",
            sender="HOSPITAL",
            text="Habari",
            status=status,
            created_at=timezone.now(),
            **fields,
        )
        for number in range(count)
    )
    count_steps((client.pk, row.created_at, "sms", "", row.status, row.cost_micros) for row in added)


def add_import(client, **fields):
    return ContactImport.objects.create(
        client=client, stored_as="a", filename="wazazi.csv", size=1, encoding="utf-8", delimiter=",", has_header=True,
        **fields,
    )  # fmt: skip


def test_a_new_client_sees_its_balance_and_first_steps(browser):
    page = browser.get("/app").content.decode()
    assert "1,049 SMS at the present price" in page
    assert "No messages yet" in page
    assert page.index("Import your contacts") < page.index("Write a campaign") < page.index("Connect your software")
    assert "every 3s" not in page


def test_first_steps_tick_themselves_and_go_when_done(acme, browser):
    Contact.objects.create(client=acme, phone="+254712345678")
    add_campaign(acme)
    page = browser.get("/app").content.decode()
    assert page.count('<li class="done">') == 3
    ApiKey.objects.for_client(acme).update(last_used_at=timezone.now())
    add_member(acme, Role.VIEWER)
    assert "First steps" not in browser.get("/app").content.decode()


def test_a_first_step_is_skipped_for_good_and_by_this_member_alone(acme, browser):
    browser.post("/app/steps", {"step": "api"})
    assert "Connect your software" not in browser.get("/app").content.decode()
    assert "Connect your software" in add_member(acme, Role.ADMIN).get("/app").content.decode()
    browser.post("/app/steps", {"step": "all"})
    assert "First steps" not in browser.get("/app").content.decode()


def test_the_chart_says_what_it_shows_and_has_a_table(acme, browser):
    assert "days-title" not in browser.get("/app").content.decode()
    add_messages(acme, "delivered", 9)
    add_messages(acme, "failed", 1)
    add_messages(acme, "delivered", 5, simulated=True)
    page = browser.get("/app").content.decode()
    assert "Delivered 90 % in 14 days" in page
    assert page.count('<tr><th scope="row">') == 14
    assert "9 Delivered, 0 Sent, not confirmed yet, 1 Failed" in page


def test_the_balance_tile_says_how_long_it_lasts(acme, browser):
    add_messages(acme, "delivered", 7, cost_micros=100_000_000)  # 700 shillings a week of 1,049
    page = browser.get("/app").content.decode()
    assert "lasts 10 days at this pace" in page
    add_messages(acme, "sent", 21, cost_micros=150_000_000)
    assert "The balance lasts 1 more day at this pace" in browser.get("/app").content.decode()


def test_what_is_planned_next_is_named(acme, browser):
    assert "Nothing is planned" in browser.get("/app").content.decode()
    soon = timezone.now() + timedelta(days=2)
    add_campaign(acme, state="scheduled", starts_at=soon + timedelta(days=1))
    Campaign.objects.create(client=acme, name="Kwanza", text="a", state="scheduled", starts_at=soon)
    page = browser.get("/app").content.decode()
    assert '<span class="note">Kwanza</span>' in page


def test_webhooks_and_keys_in_trouble_need_attention(acme, browser):
    WebhookEndpoint.objects.create(
        client=acme, url="https://hooks.test/a", events=["*"], secret="s", failing_since=timezone.now()
    )
    ApiKey.objects.for_client(acme).update(expires_at=timezone.now() + timedelta(days=2))
    page = browser.get("/app").content.decode()
    assert "The webhook https://hooks.test/a is failing" in page
    assert "ends soon" in page


def test_delivery_counts_final_words_and_leaves_simulation_out(acme, browser):
    add_messages(acme, "delivered", 3)
    add_messages(acme, "failed", 1)
    add_messages(acme, "queued", 4)
    add_messages(acme, "delivered", 5, simulated=True)
    page = browser.get("/app").content.decode()
    assert "75 %" in page
    assert "3 delivered, 1 failed" in page


def test_what_waits_for_a_person_is_named(acme, browser):
    add_campaign(acme, state="paused")
    add_campaign(acme, state="stopped", stop_reason="The provider is down.")
    add_import(acme, state="failed", error="The file is no table.")
    acme.low_balance_micros = 2_000_000_000
    acme.save()
    page = browser.get("/app").content.decode()
    for words in (
        "The balance is low",
        "The campaign “Karibu” is paused",
        "The provider is down.",
        "The import of wazazi.csv failed",
        "The file is no table.",
    ):
        assert words in page


def test_no_link_of_home_is_dead(acme, browser):
    add_campaign(acme, state="sending")
    add_campaign(acme, state="paused")
    add_messages(acme, "sent", 1)
    add_import(acme, state="ready")
    add_import(acme, state="failed", error="The file is no table.")
    page = browser.get("/app").content.decode()
    links = {unescape(link) for link in re.findall(r'href="(/app[^"]*)"', page)}
    assert len(links) > 10
    assert {link: status for link in links if (status := browser.get(link).status_code) != 200} == {}


def test_an_old_failed_import_is_no_concern_after_a_good_one(acme, browser):
    add_import(acme, state="failed", error="The file is no table.")
    add_import(acme, state="done")
    assert "The file is no table." not in browser.get("/app").content.decode()


def test_what_runs_is_polled_and_polling_ends_with_it(acme, browser):
    campaign = add_campaign(acme, state="sending")
    add_messages(acme, "delivered", 6, campaign=campaign)
    add_messages(acme, "queued", 4, campaign=campaign)
    batch = add_import(acme, state="running", rows_total=2000, imported=700)
    fragment = browser.get("/app", headers=FRAGMENT)
    part = fragment.content.decode()
    assert part.lstrip().startswith('<div id="running" hx-get="/app" hx-trigger="every 3s"')
    assert 'class="seg-delivered" x="0.000%" width="60.000%"' in part
    assert '<progress value="700" max="2000"' in part
    assert "<html" not in part
    Campaign.objects.for_client(acme).filter(pk=campaign.pk).update(state="done")
    ContactImport.objects.for_client(acme).filter(pk=batch.pk).update(state="done")
    assert "hx-trigger" not in browser.get("/app", headers=FRAGMENT).content.decode()


def test_one_address_has_two_renderings_that_caches_keep_apart(browser):
    response = browser.get("/app", headers=FRAGMENT)
    assert {"HX-Request", "HX-History-Restore-Request"} <= {part.strip() for part in response["Vary"].split(",")}
    assert "no-store" in response["Cache-Control"]
    restored = browser.get("/app", headers=FRAGMENT | {"HX-History-Restore-Request": "true"})
    assert "<html" in restored.content.decode()


def test_home_shows_nothing_of_others(acme, stranger, browser):
    add_campaign(stranger, state="sending")
    add_messages(stranger, "delivered", 2)
    page = browser.get("/app").content.decode()
    assert "Karibu" not in page
    assert "No messages yet" in page


@pytest.mark.parametrize("role", list(Role))
def test_every_role_has_a_home_with_what_it_may_read(acme, role):
    page = add_member(acme, role).get("/app").content.decode()
    assert ("Recent messages" in page) == (role != Role.FINANCE)
    assert ("New campaign" in page) == (role in (Role.OWNER, Role.ADMIN, Role.SENDER))


def test_text_of_messages_is_escaped(acme, browser):
    add_messages(acme, "sent", 1)
    Message.objects.for_client(acme).update(text="<b>1 & 2</b>")
    assert "&lt;b&gt;1 &amp; 2&lt;/b&gt;" in browser.get("/app").content.decode()


def test_home_costs_the_same_however_much_there_is(acme, browser, django_assert_num_queries):
    def fill(times: int) -> None:
        for _ in range(times):
            campaign = add_campaign(acme, state="sending")
            add_messages(acme, "delivered", 3, campaign=campaign)
            add_import(acme, state="ready")

    fill(1)
    with django_assert_num_queries(28):
        browser.get("/app")
    fill(3)
    with django_assert_num_queries(28):
        browser.get("/app")
    with django_assert_num_queries(6):
        browser.get("/app", headers=FRAGMENT)


def test_the_free_units_of_a_trial_are_no_topup_and_not_called_low(acme, browser):
    assert has_added_credit(acme)
    tried = open_ready_client(name="Foods", email="farida@foods.test", password=PASSWORD).client
    start_trial(client=tried)
    credit_wallet(client=tried, amount=Decimal(5), reference=TRIAL, description="Trial credit")
    assert not has_added_credit(tried)
    page = sign_in("farida@foods.test").get("/app").content.decode()
    assert "Go live: 0 of 4 done" in page
    assert "The balance is low" not in page
    assert "pill-low" not in page
