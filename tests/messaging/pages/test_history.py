"""The history: filters in any spelling, pages by id without counting, one message opened with its money."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import WebhookDelivery
from accounts.services.events import record_events
from accounts.services.webhooks import create_endpoint
from messaging.models import Message
from messaging.sending.recording import Receipt, record_receipts
from messaging.services.accept import Draft, accept_messages
from messaging.services.timeline import write_events
from tests.messaging.pages.conftest import FRAGMENT, add_member, sign_in
from tests.messaging.pages.test_live import start, submit

HISTORY = "/app/messages"


def add(client, count=1, *, start=0, **fields):
    """Messages to +254713000000 and on, oldest first."""
    values = {"sender": "HOSPITAL", "text": "Habari", "status": "sent", "created_at": timezone.now()} | fields
    return Message.objects.bulk_create(
        Message(client=client, **{"recipient": f"+254713{start + n:06d}"} | values) for n in range(count)
    )


def listed(response) -> list[int]:
    return [int(pk) for pk in re.findall(r'<tr id="message-(\d+)"', response.content.decode())]


def test_rows_show_what_became_of_each_message(acme, browser, draft, provider):
    start(draft)
    submit(provider, "accepted", "ambiguous", "invalid_number")
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", browser.get(HISTORY).content.decode())).replace("\u00a0", " ")
    for words in ("+254 712 000 000 Amina Wanjiru", "Queued", "Sent", "Unconfirmed", "Failed", "HOSPITAL", "SMS"):
        assert words in page
    assert "KES 2.00 given back" in page  # Aïssatou's two units


def test_both_empty_states(browser, acme):
    assert "No message yet" in browser.get(HISTORY).content.decode()
    filtered = browser.get(f"{HISTORY}?status=failed").content.decode()
    assert "No message matches these filters" in filtered
    assert "Clear the filters" in filtered


@pytest.mark.parametrize("typed", ["0713000002", "713 000 002", "+254713000002", "254-713-000-002", "00254713000002"])
def test_a_number_is_found_however_it_is_written(acme, browser, typed):
    rows = add(acme, 4)
    assert listed(browser.get(HISTORY, {"number": typed})) == [rows[2].pk]


def test_filters_narrow_and_combine(acme, browser, draft):
    start(draft)
    campaign = set(Message.objects.for_client(acme).values_list("pk", flat=True))
    [failed] = add(acme, status="failed", reference="INV-7")
    [delivered] = add(acme, start=1, status="delivered", sender="OTHER")
    add(acme, start=2, status="held")
    for query, wanted in (
        ({"status": "failed"}, {failed.pk}),
        ({"status": "delivered"}, {delivered.pk}),
        ({"reference": "INV-7"}, {failed.pk}),
        ({"campaign": str(draft.pk)}, campaign),
        ({"campaign": str(draft.pk), "status": "failed"}, set()),
        ({"number": "+2547130"}, {failed.pk, delivered.pk, delivered.pk + 1}),
        ({"sender": "HOSPITAL", "status": "failed"}, {failed.pk}),
    ):
        assert set(listed(browser.get(HISTORY, query))) == wanted, query


def test_cause_channel_and_simulation_narrow_the_list(acme, browser):
    [off] = add(acme, status="failed", error_code="unreachable")
    [wrong] = add(acme, start=1, status="failed", error_code="invalid_number")
    [gone] = add(acme, start=2, status="failed", error_code="unknown_subscriber")
    [safe] = add(acme, start=3, status="delivered", simulated=True)
    [mail] = add(acme, start=4, status="sent", channel="email")
    for query, wanted in (
        ({"cause": "unreachable"}, {off.pk}),
        ({"cause": "invalid_number"}, {wrong.pk, gone.pk}),  # both are read as "Number does not exist"
        ({"simulated": "yes"}, {safe.pk}),
        ({"simulated": "no", "status": "failed"}, {off.pk, wrong.pk, gone.pk}),
        ({"channel": "email"}, {mail.pk}),
    ):
        assert set(listed(browser.get(HISTORY, query))) == wanted, query
    assert browser.get(HISTORY, {"cause": "nonsense"}).status_code == 422


def test_days_are_those_of_the_clients_time_zone(acme, browser):
    # Nairobi is three hours ahead: its 20 November begins at 21:00 UTC on the 19th.
    [before] = add(acme, created_at=datetime(2026, 11, 19, 20, 59, tzinfo=UTC))
    [first] = add(acme, start=1, created_at=datetime(2026, 11, 19, 21, 0, tzinfo=UTC))
    [last] = add(acme, start=2, created_at=datetime(2026, 11, 20, 20, 59, tzinfo=UTC))
    [after] = add(acme, start=3, created_at=datetime(2026, 11, 20, 21, 0, tzinfo=UTC))
    day = {"from": "2026-11-20", "to": "2026-11-20"}
    assert listed(browser.get(HISTORY, day)) == [last.pk, first.pk]
    assert listed(browser.get(HISTORY, {"from": "2026-11-20"})) == [after.pk, last.pk, first.pk]
    assert listed(browser.get(HISTORY, {"to": "2026-11-19"})) == [before.pk]


@pytest.mark.parametrize("query", [
    "from=x", "to=2026-02-30", "from=2026-11-20&to=2026-11-19", "status=zz", "number=12", "number=abc", "campaign=x",
    "campaign=999999", "campaign=" + "9" * 30, "sender=zz", "number=%00", "reference=%00", "status=%00",
    "reference=" + "x" * 101,
])  # fmt: skip
def test_a_filter_that_cannot_be_read_is_named_and_shows_nothing(acme, browser, query):
    add(acme, 3)
    response = browser.get(f"{HISTORY}?{query}")
    assert response.status_code == 422
    assert "Please check the filters" in response.content.decode()
    assert listed(response) == []


@pytest.mark.parametrize("query", [
    "before=x", "after=" + "9" * 30, "open=x", "open=" + "9" * 30, "open=%00", "before=0", "from=0001-01-01",
    "to=9999-12-31", "from=9999-12-31", "to=0001-01-01", "number=%2B254", "number=+",
    "unknown=%00", "before=%ED%A0%BD", "reference=%ED%A0%BD", "campaign=", "open=-1&before=-5",
])  # fmt: skip
def test_odd_addresses_are_pages(acme, browser, query):
    add(acme, 3)
    assert browser.get(f"{HISTORY}?{query}").status_code in (200, 422)
    assert browser.get(f"{HISTORY}?{query}", headers=FRAGMENT).status_code in (200, 422)


def test_pages_go_by_id_and_keep_the_filters(acme, browser):
    rows = [row.pk for row in add(acme, 120, status="failed")][::-1]
    add(acme, 3, start=500, status="sent")

    def follow(page, rel):
        found = re.search(rf'rel="{rel}" href="([^"]+)"', page.content.decode())
        return browser.get(HISTORY + found[1].replace("&amp;", "&")) if found else None

    first = browser.get(f"{HISTORY}?status=failed")
    second = follow(first, "next")
    third = follow(second, "next")
    assert [listed(page) for page in (first, second, third)] == [rows[:50], rows[50:100], rows[100:]]
    assert follow(third, "next") is None
    assert follow(first, "prev") is None
    assert listed(follow(third, "prev")) == rows[50:100]
    assert listed(follow(follow(third, "prev"), "prev")) == rows[:50]
    assert follow(follow(follow(third, "prev"), "prev"), "prev") is None


def test_queries_neither_grow_with_rows_nor_count_them(acme, browser):
    add(acme, 5)
    with CaptureQueriesContext(connection) as few:
        browser.get(HISTORY)
    add(acme, 45, start=100)
    with CaptureQueriesContext(connection) as many:
        assert len(listed(browser.get(HISTORY))) == 50
    assert len(few) == len(many)
    assert not [query["sql"] for query in many if "COUNT(" in query["sql"] and "messaging_message" in query["sql"]]


def test_the_fragment_has_the_list_and_announces_how_many(acme, browser):
    add(acme, 2)
    part = browser.get(HISTORY, headers=FRAGMENT)
    text = part.content.decode()
    assert text.lstrip().startswith('<div id="history"')
    assert '<span hx-swap-oob="innerHTML:#announce">2 messages shown</span>' in text
    assert part["Cache-Control"] == "no-store"
    assert {"HX-Request", "HX-History-Restore-Request"} <= set(re.split(r",\s*", part["Vary"]))
    assert "<html" in browser.get(HISTORY, headers=FRAGMENT | {"HX-History-Restore-Request": "true"}).content.decode()


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
@pytest.mark.parametrize("query", ["", "?status=sent&number=0713000001"])
def test_a_row_opens_its_message_and_closing_goes_back_to_the_list(acme, browser, headers, query):
    pk = add(acme, 2)[1].pk
    page = browser.get(HISTORY + query, headers=headers).content.decode()
    links = re.findall(rf'href="(\?[^"]*open={pk})" hx-get="([^"]+)"', page)
    assert len(links) == 1
    assert links[0][0] == links[0][1]
    drawer = browser.get(HISTORY + links[0][0].replace("&amp;", "&"), headers=headers)
    assert f"MSG-{pk:06d}</h2>" in drawer.content.decode()
    back = re.search(r'id="drawer-close"[^>]* href="([^"]+)"', drawer.content.decode())[1].replace("&amp;", "&")
    again = browser.get(HISTORY + back, headers=headers)
    assert '<aside id="drawer"' not in again.content.decode()
    assert listed(again) == listed(browser.get(HISTORY + query))


# --- one message ------------------------------------------------------------------------------------------------------


def opened(browser, pk) -> str:
    page = browser.get(f"{HISTORY}?open={pk}").content.decode()
    return re.sub(r"\s+", " ", page[page.index('<aside id="drawer"') : page.index("</aside>")]).replace("\u00a0", " ")


def words(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", markup))


def test_a_failure_is_told_in_words_with_its_refund(browser, draft, provider):
    start(draft)
    [pk] = submit(provider, "blocked")
    text = words(opened(browser, pk))
    assert "Blocked promotions or opted out" in text
    assert "Sending the same again will not help." in text
    assert "KES 1.00 was charged and given back." in text
    assert "Accepted and queued" in text
    assert "Failed : Blocked promotions or opted out" in text
    assert "&lt;b&gt;vendor&lt;/b&gt;" in text


def test_a_failure_that_may_pass_says_so(browser, draft, provider):
    start(draft)
    [pk] = submit(provider, "accepted")
    record_receipts([Receipt(pk, "failed", code="unreachable", detail="AbsentSubscriber")])
    text = words(opened(browser, pk))
    assert "Phone off or out of reach" in text
    assert "Sending it again later may succeed." in text
    assert "AbsentSubscriber" in text
    assert f"ATX{pk}" in text


def test_gaps_of_the_timeline_are_words(acme, browser):
    [message] = add(acme)
    began = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
    for seconds, kind in ((0, "queued"), (14, "sent"), (14 + 180, "report"), (14 + 180 + 7200, "delivered")):
        line = (message.pk, acme.pk, kind, "", "")
        write_events([line], at=began + timedelta(seconds=seconds))
    text = words(opened(browser, message.pk))
    assert "Accepted and queued 20 Nov 2026, 09:00 EAT With the network" in text
    assert "14 seconds later" in text
    assert "3 minutes later" in text
    assert "2 hours later" in text


def test_an_unconfirmed_message_is_explained(browser, draft, provider):
    start(draft)
    [pk] = submit(provider, "ambiguous")
    text = words(opened(browser, pk))
    assert "The provider's answer was lost" in text.replace("&#x27;", "'")
    assert "Charged." in text
    assert "Sending it again" not in text


def test_a_message_shows_what_webhooks_were_told_of_it(acme, browser):
    hook = create_endpoint(
        client=acme, url="https://example.com/hook", events=["message.sent", "message.failed"]
    ).endpoint
    message, other = (row for row in add(acme, 2))
    for row in (message, other):
        record_events(acme.pk, [("message.sent", {"message_id": row.message_id, "recipient": "254713000000"})])
    (delivery,) = WebhookDelivery.objects.for_client(acme).filter(about=message.message_id)
    page = browser.get(f"{HISTORY}?open={message.pk}").content.decode()
    assert f'href="/app/settings/api-webhooks/webhooks/{hook.pk}?open={delivery.pk}"' in page
    assert page.count("message.sent") == 1
    page = add_member(acme, "viewer").get(f"{HISTORY}?open={message.pk}").content.decode()
    assert "message.sent" not in page


def test_a_long_text_shows_where_its_units_end(acme, browser, provider):
    [accepted] = accept_messages(client=acme, drafts=[Draft("0712345678", "a" * 200, reference="INV-9")])
    markup = opened(browser, accepted.id)
    assert f'<div class="bubble"><span class="unit-end">{"a" * 153}</span>{"a" * 47}</div>' in markup
    assert "INV-9" in markup
    assert "2 SMS on air" in words(markup)


def test_a_strangers_message_looks_like_none(acme, browser, stranger):
    [theirs] = add(stranger, text="siri")
    [mine] = add(acme)
    for pk in (theirs.pk, theirs.pk + 1000):
        markup = opened(browser, pk)
        assert "There is no such message in your organisation." in words(markup)
        assert "siri" not in markup
    zuri = sign_in("zuri@else.test")
    assert listed(zuri.get(HISTORY)) == [theirs.pk]
    assert listed(zuri.get(HISTORY, {"number": mine.recipient})) == [theirs.pk]


def test_opening_costs_the_same_with_any_list(acme, browser):
    rows = add(acme, 5)
    with CaptureQueriesContext(connection) as few:
        browser.get(f"{HISTORY}?open={rows[0].pk}")
    add(acme, 45, start=100)
    with CaptureQueriesContext(connection) as many:
        browser.get(f"{HISTORY}?open={rows[0].pk}")
    assert len(few) == len(many)


def test_who_may_read_messages(acme, browser, viewer):
    assert viewer.get(HISTORY).status_code == 200
    assert add_member(acme, "finance", "imani@acme.test").get(HISTORY).status_code == 403
