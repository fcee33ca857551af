"""The inbox's pages: the list, a thread, answering at the price shown, what each role may do; without JavaScript."""

import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.common.sql import later_sql
from messaging.models import (
    AutoReply,
    InboundNumber,
    Message,
    SavedReply,
    Thread,
    ThreadEvent,
    WhatsAppTemplate,
)
from messaging.providers.base import InboundNotice
from messaging.services import inbound
from messaging.services.providers import add_route
from messaging.services.senders import approve_sender, approve_sender_id
from messaging.services.threads import save_reply
from tests.messaging.core.world import run_sql
from tests.messaging.pages.conftest import FRAGMENT, add_member, sign_in
from wallet.models import PricePlan
from wallet.services import set_rate

INBOX = "/app/inbox"
PERSON = "+254712000001"


def words(response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())).replace("\u00a0", " ")


def field(response, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]*)"', response.content.decode())[1]


def write(provider, text="Habari", person=PERSON, to="22384", message_id="in-1", channel="sms"):
    told = InboundNotice(sender=person, recipient=to, text=text, provider_message_id=message_id, channel=channel)
    inbound.receive(account_id=provider.pk, notices=[told])


@pytest.fixture
def code(acme, provider):
    return approve_sender_id(client=acme, name="22384")


@pytest.fixture
def thread(acme, provider, code) -> Thread:
    write(provider, "Mko wapi?")
    return Thread.objects.for_client(acme).get()


class TestList:
    def test_nobody_can_write_to_names(self, browser, acme, provider):
        page = words(browser.get(INBOX))
        assert "Nobody has written yet" in page
        assert "short code, or for WhatsApp" in page

    def test_the_numbers_that_people_can_write_to_are_named(self, browser, code):
        assert "People can write to: 22384 (SMS)" in words(browser.get(INBOX))

    def test_a_thread_shows_who_what_and_that_it_is_unread(self, browser, thread, parents):
        page = words(browser.get(INBOX))
        for part in ("Baraka Otieno", "Mko wapi?", "1 unread", "SMS", "to 22384"):
            assert part in page
        assert "<title>(1) Inbox" in browser.get(INBOX).content.decode()

    def test_tabs_channel_and_search_narrow(self, browser, acme, provider, thread):
        write(provider, "Bei gani?", person="+254712000009", message_id="in-2")
        browser.post(f"{INBOX}/{thread.pk}/act", {"action": "take"})
        browser.get(f"{INBOX}/{thread.pk}")

        assert "Bei gani" in words(browser.get(f"{INBOX}?show=unread"))
        assert "Mko wapi" not in words(browser.get(f"{INBOX}?show=unread"))
        assert "Mko wapi" in words(browser.get(f"{INBOX}?show=mine"))
        assert "Mko wapi" not in words(browser.get(f"{INBOX}?show=unassigned"))
        assert "No thread matches" in words(browser.get(f"{INBOX}?channel=whatsapp"))
        assert "Bei gani" in words(browser.get(f"{INBOX}?q=0712000009"))
        assert "No thread matches" in words(browser.get(f"{INBOX}?q=%00x"))

    def test_the_list_asks_again_every_five_seconds_as_a_fragment(self, browser, thread):
        page = browser.get(INBOX)
        assert 'hx-trigger="every 5s"' in page.content.decode()
        part = browser.get(INBOX, headers=FRAGMENT)
        assert "<html" not in part.content.decode()
        assert "<title>(1) Inbox" in part.content.decode()
        assert part["Cache-Control"] == "no-store"

    def test_queries_do_not_grow_with_the_threads(self, browser, acme, provider, code):
        browser.get(INBOX)
        counts = []
        for size in (2, 40):
            now = timezone.now()
            Thread.objects.bulk_create(
                Thread(client=acme, channel="sms", person=f"+2547130{size:02d}{n:03d}", own="22384", last_at=now,
                       last_inbound_at=now, last_text="Habari", unread=1)
                for n in range(size)
            )  # fmt: skip
            with CaptureQueriesContext(connection) as taken:
                browser.get(INBOX)
            counts.append(len(taken))
        assert counts[0] == counts[1]
        with CaptureQueriesContext(connection) as taken:
            browser.get(INBOX, headers=FRAGMENT)
        assert len(taken) <= 8

    def test_older_pages_are_reached_by_a_link(self, browser, acme, provider, code):
        now = timezone.now()
        Thread.objects.bulk_create(
            Thread(client=acme, channel="sms", person=f"+254713000{n:03d}", own="22384", last_at=now,
                   last_inbound_at=now, last_text=f"Text {n:03d}")
            for n in range(31)
        )  # fmt: skip
        first = browser.get(INBOX)
        assert "Text 000" not in words(first)
        older = re.search(r'rel="next" href="([^"]+)"', first.content.decode())[1]
        second = browser.get(INBOX + older.replace("&amp;", "&"))
        assert re.findall(r"Text \d+", words(second)) == ["Text 000"]


class TestThread:
    def test_looking_at_it_marks_it_read(self, browser, thread, acme):
        page = browser.get(f"{INBOX}/{thread.pk}")
        assert "Mko wapi?" in words(page)
        assert Thread.objects.for_client(acme).get().unread == 0

    def test_answering_without_javascript_asks_for_the_price_first(self, browser, thread, acme):
        page = browser.get(f"{INBOX}/{thread.pk}")
        form = {"token": field(page, "token"), "text": "Tuko Westlands"}
        priced = browser.post(f"{INBOX}/{thread.pk}/reply", form)
        assert priced.status_code == 200
        assert "Look at the price, then press again to send." in words(priced)
        assert "1 SMS · KES 1.00 · balance after: KES 1,048.00" in words(priced)
        assert Message.objects.for_client(acme).count() == 0

        form["expected_cost_micros"] = field(priced, "expected_cost_micros")
        done = browser.post(f"{INBOX}/{thread.pk}/reply", form)
        assert (done.status_code, done["Location"]) == (302, f"{INBOX}/{thread.pk}")
        again = browser.post(f"{INBOX}/{thread.pk}/reply", form, follow=True)
        assert "Nothing was sent a second time" in words(again)
        sent = Message.objects.for_client(acme).get()
        assert (sent.recipient, sent.sender, sent.text) == (PERSON, "22384", "Tuko Westlands")
        shown = words(again)
        assert "Tuko Westlands" in shown
        assert "amina@acme.test" in shown

    def test_nothing_typed_is_said_and_not_sent(self, browser, thread, acme):
        empty = browser.post(f"{INBOX}/{thread.pk}/reply", {"token": "t", "text": "  "})
        assert (empty.status_code, "Write the text first." in words(empty)) == (422, True)
        assert Message.objects.for_client(acme).count() == 0

    def test_the_live_check_prices_and_colleagues_see_who_is_replying(self, browser, thread, acme):
        baraka = add_member(acme, "sender")
        part = baraka.post(f"{INBOX}/{thread.pk}/check", {"text": "x" * 161}, headers=FRAGMENT)
        assert "2 SMS · KES 2.00" in words(part)
        assert "<html" not in part.content.decode()
        assert "baraka@acme.test is replying…" in words(browser.get(f"{INBOX}/{thread.pk}", headers=FRAGMENT))
        assert "is replying" not in words(baraka.get(f"{INBOX}/{thread.pk}", headers=FRAGMENT))
        run_sql(f"UPDATE messaging_thread SET replying_at = {later_sql(-60)}")
        assert "is replying" not in words(browser.get(f"{INBOX}/{thread.pk}", headers=FRAGMENT))

    def test_a_changed_price_and_a_refusal_keep_the_text(self, browser, thread, acme, provider):
        form = {"token": "t", "text": "Tuko <b>Westlands</b>", "expected_cost_micros": "5"}
        changed = browser.post(f"{INBOX}/{thread.pk}/reply", form)
        assert changed.status_code == 409
        assert "Tuko &lt;b&gt;Westlands&lt;/b&gt;" in changed.content.decode()
        write(provider, "STOP", message_id="in-9")
        refused = browser.post(f"{INBOX}/{thread.pk}/reply", form | {"expected_cost_micros": "1000000"})
        assert refused.status_code == 422
        assert "opted out" in words(refused)
        assert "Tuko &lt;b&gt;" in refused.content.decode()
        assert Message.objects.for_client(acme).count() == 0

    def test_a_saved_reply_is_put_into_the_box_by_a_button(self, browser, thread, acme):
        saved = save_reply(client=acme, name="hours", text="Open 8 to 5.")
        page = browser.post(f"{INBOX}/{thread.pk}/reply", {"token": "t", "text": "Habari.", "insert": saved.pk})
        assert "Habari. Open 8 to 5.</textarea>" in page.content.decode()
        assert Message.objects.for_client(acme).count() == 0

    def test_notes_and_assignment(self, browser, thread, acme, viewer):
        browser.post(f"{INBOX}/{thread.pk}/act", {"action": "note", "note": "Pays late"})
        browser.post(f"{INBOX}/{thread.pk}/act", {"action": "take"})
        page = words(browser.get(f"{INBOX}/{thread.pk}"))
        assert "Pays late" in page
        assert "Given to amina@acme.test" in page
        empty = browser.post(f"{INBOX}/{thread.pk}/act", {"action": "note", "note": " "})
        assert (empty.status_code, "Write the note." in words(empty)) == (422, True)
        assert ThreadEvent.objects.for_client(acme).count() == 2

    def test_marking_unread_leads_back_to_the_list(self, browser, thread, acme):
        browser.get(f"{INBOX}/{thread.pk}")
        assert browser.post(f"{INBOX}/{thread.pk}/act", {"action": "unread"})["Location"] == INBOX
        assert Thread.objects.for_client(acme).get().unread == 1

    def test_a_reader_reads_and_does_not_write(self, viewer, thread, acme):
        page = viewer.get(f"{INBOX}/{thread.pk}")
        assert page.status_code == 200
        assert "Your role reads only." in words(page)
        assert "<textarea" not in page.content.decode()
        for path, form in (("reply", {"text": "x"}), ("check", {"text": "x"}), ("act", {"action": "take"})):
            assert viewer.post(f"{INBOX}/{thread.pk}/{path}", form).status_code == 403
        assert viewer.get(f"{INBOX}/replies").status_code == 403

    def test_finance_sees_no_inbox_and_a_stranger_no_thread(self, acme, stranger, thread):
        assert add_member(acme, "finance").get(INBOX).status_code == 403
        zuri = sign_in("zuri@else.test")
        for path in ("", "/reply", "/template", "/check", "/act"):
            call = zuri.get if not path else zuri.post
            assert call(f"{INBOX}/{thread.pk}{path}").status_code == 404

    def test_whatsapp_says_how_long_and_closes_the_box_after_a_day(self, browser, acme, provider, code):
        run_sql("UPDATE messaging_senderid SET channel = 'whatsapp' WHERE name = '22384'")
        write(provider, channel="whatsapp")
        row = Thread.objects.for_client(acme).get()
        open_page = browser.get(f"{INBOX}/{row.pk}")
        assert "You can write freely for 23 h 59 min" in words(open_page)
        assert 'name="text"' in open_page.content.decode()

        run_sql(f"UPDATE messaging_thread SET last_inbound_at = {later_sql(-86_401)}")
        closed = browser.get(f"{INBOX}/{row.pk}")
        assert "The 24 hours are over" in words(closed)
        assert 'name="text"' not in closed.content.decode()
        polled = browser.get(f"{INBOX}/{row.pk}?window=open", headers=FRAGMENT).content.decode()
        assert 'id="reply" class="card stack" aria-labelledby="reply-title" hx-swap-oob="outerHTML"' in polled
        still = browser.get(f"{INBOX}/{row.pk}?window=closed", headers=FRAGMENT).content.decode()
        assert 'id="reply"' not in still

    @pytest.fixture
    def late(self, acme, provider) -> Thread:
        """A thread of WhatsApp whose 24 hours are over, and a template for it."""
        add_route(account=provider, channel="whatsapp")
        approve_sender(client=acme, channel="whatsapp", name="+254709000001")
        plan = PricePlan.objects.get(wallets__client=acme)
        set_rate(plan=plan, channel="whatsapp", price_per_unit=Decimal("0.8"), category="utility")
        write(provider, channel="whatsapp", to="254709000001")
        run_sql(f"UPDATE messaging_thread SET last_inbound_at = {later_sql(-86_401)}")
        run_sql(f"UPDATE messaging_inboundmessage SET received_at = {later_sql(-86_401)}")
        for name, state in (("follow_up", "approved"), ("not_yet", "review")):
            WhatsAppTemplate.objects.create(
                client=acme, name=name, language="en", state=state, body="Dear {{1}}, about {{2}}: may we call you?",
                samples={"1": "Amina", "2": "your order"},
            )  # fmt: skip
        return Thread.objects.for_client(acme).get()

    def test_a_closed_window_offers_the_approved_templates_instead_of_the_box(self, browser, late):
        page = browser.get(f"{INBOX}/{late.pk}").content.decode()
        assert "<textarea" not in page.partition('id="reply"')[2].partition("</section>")[0]
        assert ("follow_up" in page, "not_yet" in page) == (True, False)

    def test_the_picked_template_asks_for_its_variables_and_goes_at_the_price_shown(self, browser, acme, late):
        template = WhatsAppTemplate.objects.for_client(acme).get(name="follow_up")
        picked = browser.post(f"{INBOX}/{late.pk}/template", {"template": template.pk})
        assert "KES 0.80" in words(picked)
        assert Message.objects.unscoped().count() == 0
        sending = {
            "template": template.pk, "token": field(picked, "token"),
            "expected_cost_micros": field(picked, "expected_cost_micros"),
        }  # fmt: skip
        gap = browser.post(f"{INBOX}/{late.pk}/template", sending | {"variable_1": "Amina"})
        assert (gap.status_code, Message.objects.unscoped().count()) == (422, 0)
        filled = sending | {"variable_1": "Amina", "variable_2": "your fees"}
        for _ in range(2):
            assert browser.post(f"{INBOX}/{late.pk}/template", filled).status_code in (302, 204, 200)
        message = Message.objects.for_client(acme).get()
        assert message.text == "Dear Amina, about your fees: may we call you?"
        assert message.content == {"template": "follow_up", "language": "en", "parameters": ["Amina", "your fees"]}
        assert (message.cost_micros, message.sender) == (800_000, "+254709000001")
        assert "about your fees" in words(browser.get(f"{INBOX}/{late.pk}"))

    def test_another_price_and_another_template_send_nothing(self, browser, acme, late):
        template = WhatsAppTemplate.objects.for_client(acme).get(name="follow_up")
        filled = {
            "template": template.pk,
            "variable_1": "A",
            "variable_2": "B",
            "expected_cost_micros": "1",
            "token": "t",
        }
        assert browser.post(f"{INBOX}/{late.pk}/template", filled).status_code == 409
        other = WhatsAppTemplate.objects.for_client(acme).get(name="not_yet")
        for wrong in (other.pk, 999_999, "x"):
            assert browser.post(f"{INBOX}/{late.pk}/template", filled | {"template": wrong}).status_code == 422
        assert Message.objects.unscoped().count() == 0

    def test_answers_from_a_name_say_that_nobody_can_write_back(self, browser, acme, provider):
        approve_sender_id(client=acme, name="22384")
        write(provider)
        run_sql("UPDATE messaging_thread SET sender = 'HOSPITAL'")
        row = Thread.objects.for_client(acme).get()
        assert "Answers go out from HOSPITAL, a name that nobody can write back to" in words(
            browser.get(f"{INBOX}/{row.pk}")
        )

    def test_a_poll_takes_few_queries_however_long_the_thread(self, browser, provider, thread):
        counts = []
        for size in (1, 30):
            for number in range(size):
                write(provider, message_id=f"more-{size}-{number}")
            browser.get(f"{INBOX}/{thread.pk}")
            with CaptureQueriesContext(connection) as taken:
                browser.get(f"{INBOX}/{thread.pk}", headers=FRAGMENT)
            counts.append(len(taken))
        assert counts[0] == counts[1] <= 10


class TestElsewhere:
    def test_home_counts_what_is_unread(self, browser, thread):
        home = browser.get("/app").content.decode()
        assert '<a class="tile" href="/app/inbox?show=unread">' in home

    def test_a_message_leads_to_its_thread(self, browser, thread, acme):
        [message] = Message.objects.bulk_create(
            [Message(client=acme, recipient=PERSON, sender="22384", text="Habari", created_at=timezone.now())]
        )
        assert f'href="/app/inbox/{thread.pk}"' in browser.get(f"/app/messages?open={message.pk}").content.decode()

    def test_the_bar_of_a_phone_has_the_inbox(self, browser, acme):
        bar = browser.get(INBOX).content.decode().split('<nav class="bottom"')[1]
        assert re.findall(r'<a href="([^"]+)"', bar)[:4] == ["/app", "/app/contacts", "/app/send", "/app/inbox"]


class TestKeptWords:
    def test_saved_replies_are_kept_changed_and_deleted(self, browser, acme):
        browser.post(f"{INBOX}/replies", {"name": "/Hours", "text": "Open 8 to 5."})
        row = SavedReply.objects.for_client(acme).get()
        assert (row.name, row.text) == ("hours", "Open 8 to 5.")
        twice = browser.post(f"{INBOX}/replies", {"name": "hours", "text": "Other"})
        assert (twice.status_code, "already" in words(twice)) == (422, True)
        browser.post(f"{INBOX}/replies", {"name": "hours", "text": "Open 9 to 5.", "reply": row.pk})
        assert SavedReply.objects.for_client(acme).get().text == "Open 9 to 5."
        browser.post(f"{INBOX}/replies/{row.pk}/delete")
        assert not SavedReply.objects.for_client(acme).exists()

    def test_anothers_saved_reply_is_not_touched(self, acme, stranger, browser):
        row = save_reply(client=acme, name="hours", text="Open")
        zuri = sign_in("zuri@else.test")
        assert zuri.post(f"{INBOX}/replies/{row.pk}/delete").status_code == 404
        taken = zuri.post(f"{INBOX}/replies", {"name": "mine", "text": "x", "reply": row.pk})
        assert taken.status_code == 422
        assert SavedReply.objects.for_client(acme).get().text == "Open"

    def test_automatic_answers_are_set_and_ended(self, browser, acme):
        browser.post(f"{INBOX}/replies", {"form": "auto", "stop_en": "Bye", "help_sw": "Piga 0700"})
        kept = AutoReply.objects.for_client(acme).values_list("word", "language", "text")
        assert set(kept) == {("stop", "en", "Bye"), ("help", "sw", "Piga 0700")}
        assert "Piga 0700" in browser.get(f"{INBOX}/replies").content.decode()
        browser.post(f"{INBOX}/replies", {"form": "auto", "stop_en": "", "help_sw": "Piga 0700"})
        assert AutoReply.objects.for_client(acme).get().word == "help"


def test_the_operator_gives_numbers_and_keywords(admin_client, acme):
    add = "/staff/messaging/inboundnumber/add/"
    form = {"client": acme.pk, "channel": "sms", "number": "40404", "keyword": "Shule"}
    assert admin_client.post(add, form).status_code == 302
    assert str(InboundNumber.objects.unscoped().get()) == "40404 shule"
    again = admin_client.post(add, form)
    assert (again.status_code, "given with this keyword already" in again.content.decode()) == (200, True)
    assert admin_client.get("/staff/messaging/inboundnumber/").status_code == 200
    assert admin_client.get("/staff/messaging/inboundmessage/?client__isempty=1").status_code == 200
    row = InboundNumber.objects.unscoped().get()
    admin_client.post(f"/staff/messaging/inboundnumber/{row.pk}/delete/", {"post": "yes"})
    assert not InboundNumber.objects.unscoped().exists()
