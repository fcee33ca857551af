"""Every page as it lies there: acceptance checks 20, 21, 22, 24 and 25 (UX.md §18) in one walk.

A page is loaded once for each language and looked at for all of them at once. The list of pages is the URL map, opened
with the numbers of Acme's rows. BROWSER_ALL=1 looks at the variants that seldom differ too;
BROWSER_SHOTS=<folder> keeps pictures.
"""

import csv
import io
import os
import re
from pathlib import Path

import pytest

from crm.common.text_units import forcing_unicode
from tests.browser import looking
from tests.browser.conftest import PHONE
from tests.browser.rows import ROW
from tests.web.test_url_walk import PAGES, path_of

ALL = bool(os.environ.get("BROWSER_ALL"))
pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

# What people open day by day: in three languages. The rest of the map asks before something is done, mostly.
MAIN = [
    "/app", "/app/send", "/app/inbox", f"/app/inbox/{ROW}", "/app/campaigns", "/app/campaigns/new",
    f"/app/campaigns/{ROW}/message", f"/app/campaigns/{ROW}/when", "/app/scheduled",
    f"/app/campaigns/{ROW}/review", "/app/contacts", f"/app/contacts/{ROW}", "/app/contacts/groups",
    "/app/contacts/fields", "/app/contacts/opt-outs", "/app/contacts/import", f"/app/contacts/import/{ROW}",
    "/app/messages", f"/app/messages?open={ROW}", "/app/templates", f"/app/templates/{ROW}", "/app/wallet",
    "/app/wallet/topup", f"/app/wallet/topups/{ROW + 6}", "/app/wallet/orders", "/app/wallet/bills",
    "/app/wallet/statement", "/app/settings/api-webhooks", "/app/settings/api-webhooks/keys/new",
    "/app/settings/api-webhooks/compat", f"/app/settings/api-webhooks/webhooks/{ROW}",
    "/app/settings/api-webhooks/requests", "/app/settings/profile", "/app/settings/organisation",
    "/app/settings/senders", f"/app/settings/senders/{ROW}", "/app/settings/team", "/app/settings/notifications",
    "/app/settings/simulation", "/app/settings/security", "/app/settings/audit", "/app/settings/sending",
    "/app/settings/privacy", "/app/settings/data", "/app/exports", "/app/search?q=Amina",
]  # fmt: skip
PUBLIC = [
    "/", "/pricing", "/sms-counter", "/status", "/login", "/register", "/password/forgotten", "/docs",
    "/docs/quick-start", "/docs/reference/messages", "/docs/errors/INSUFFICIENT_BALANCE", "/docs/api",
    "/docs/search?q=key", "/invite/never-was",
]  # fmt: skip
EMPTY = ["/app", "/app/contacts", "/app/campaigns", "/app/messages", "/app/inbox", "/app/templates", "/app/wallet"]
LOCALES = {"en": "en-GB", "fr": "fr-FR", "sw": "sw-KE"}
KEYS = "/app/settings/api-webhooks"
A_PART = "/app/contacts/import/chip"  # of other pages; nobody opens it
# What a mail looks like, and nothing else. No script runs there, not even one that looks: a measure would never end.
FRAMES = ("/app/campaigns/mail", "/app/templates/mail")


def the_rest(window) -> list[str]:
    """The pages of the URL map that open for Acme's owner and are not in MAIN or PUBLIC."""
    found = []
    for route, _view in PAGES:
        path = path_of(route, ROW)
        if "^" in path or path in (*MAIN, *PUBLIC, *FRAMES, A_PART):
            continue
        answer = window.context.request.get(path, max_redirects=0)
        assert answer.status < 500, path
        if answer.status == 200 and is_html(answer):
            found.append(path)
    return found


def is_html(answer) -> bool:
    return answer.headers.get("content-type", "").startswith("text/html")


def visit(window, paths, look) -> None:
    """Opens each and looks. Raises: AssertionError with every finding of all of them."""
    found = []
    looking.bring(window.context)
    for path in paths:
        answer = window.goto(path)
        if answer.status >= 500:
            found.append(f"{path}: answered {answer.status}")
        found += [f"{path}: {each}" for each in look(window)]
    assert not found, "\n".join(found)


def look_closely(window) -> list[str]:
    return looking.everything(window) + (looking.the_other_colours(window) if ALL else [])


def test_20_21_22_main_pages_are_open_to_everybody_and_light(windows):
    visit(windows.open("amina", locale="en-GB", reduced_motion="reduce"), MAIN, look_closely)


def test_20_21_22_so_are_the_pages_that_ask_before_something_is_done(windows):
    window = windows.open("amina", locale="en-GB", reduced_motion="reduce")
    paths = the_rest(window)
    assert len(paths) > 30
    if not ALL:
        window.set_viewport_size(PHONE)
        window.emulate_media(color_scheme="dark", reduced_motion="reduce")
    visit(window, paths, look_closely if ALL else looking.on_a_phone_in_full)


def test_20_21_22_so_are_pages_for_visitors_and_pages_without_rows(windows):
    visit(windows.open(locale="en-GB", reduced_motion="reduce"), PUBLIC, look_closely)
    visit(windows.open("zuri", locale="en-GB", reduced_motion="reduce"), EMPTY, look_closely)


@pytest.mark.parametrize("language", ["fr", "sw"])
def test_20_21_24_in_other_languages_nothing_breaks_and_no_english_is_left(windows, language):
    def look(window):
        return looking.in_another_language(window, language)

    options = {"locale": LOCALES[language], "viewport": PHONE, "reduced_motion": "reduce"}
    visit(windows.open("amina", **options), MAIN, look)
    visit(windows.open(**options), [path for path in PUBLIC if not path.startswith("/docs")], look)


def test_20_dialogs_and_pages_of_errors_are_open_to_everybody(windows):
    window = windows.open("amina", reduced_motion="reduce")
    found = []

    def look(state):
        looking.put_in(window)
        window.evaluate("looking.settle()")
        found.extend(f"{state}: {each}" for each in window.evaluate("looking.axe()"))

    window.goto("/app")
    window.keyboard.press("Control+k")
    window.locator("#palette[open]").wait_for()
    look("palette")
    window.keyboard.press("Escape")
    window.locator("#palette[open]").wait_for(state="detached")
    window.keyboard.press("?")
    window.locator("#keys[open]").wait_for()
    look("list of keys")
    window.goto("/app/settings/api-webhooks/keys/new")
    window.fill("[name=name]", "")
    window.evaluate("document.querySelector('main form').noValidate = true")
    window.click("main form button[type=submit]")
    window.locator(".error-summary").first.wait_for()
    look("errors of a form")
    for path, button in (
        ("/app/send", "#send-answer button[type=submit]"), ("/app/wallet/topup?amount=999999", "main form.form button"),
        ("/app/contacts/new", "main form button[type=submit]"), ("/app/templates/new", "main form .btn-primary"),
        ("/app/settings/senders/new", "main form button[type=submit]"),
    ):  # fmt: skip
        window.goto(path)
        window.evaluate("for (const form of document.forms) form.noValidate = true")
        window.locator(button).first.click()
        window.locator("[role=alert]:visible, .has-error:visible").first.wait_for()
        look(f"errors of {path}")
    window.goto(f"{KEYS}/webhooks/{ROW}?open={ROW}")
    look("a delivery beside the log")
    window.goto("/docs/api")
    window.click("#swagger-open")
    window.locator(".opblock-tag").nth(1).click()
    window.locator(".opblock-summary-control").first.click()
    window.locator(".try-out__btn").first.click()
    look("calls to be tried")
    window.locator("#swagger .btn.authorize").first.click()
    window.locator(".modal-ux").wait_for()
    look("the key for them")
    window.goto("/app/nothing-is-here")
    look("404")
    window.goto("/app/contacts")
    window.route("**/app/contacts?*", lambda route: route.fulfill(status=500, body="broken"))
    window.fill("main input[type=search]", "Amina")
    window.locator("#failure").wait_for()
    look("a part of the page failed")
    window.unroute("**/app/contacts?*")
    window.context.set_offline(True)
    window.evaluate("dispatchEvent(new Event('offline'))")
    window.locator("#offline").wait_for(state="visible")
    look("offline")
    window.context.set_offline(False)
    window.set_viewport_size(PHONE)
    window.goto("/app")
    window.click("nav.bottom summary")
    look("menu on a phone")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", ["/app", "/app/send", "/app/wallet", "/"])
def test_22_on_a_slow_line_the_first_content_comes_within_four_seconds(windows, path):
    window = windows.open("amina" if path.startswith("/app") else "", viewport=PHONE)
    line = window.context.new_cdp_session(window)
    line.send("Network.enable")
    line.send("Network.setCacheDisabled", {"cacheDisabled": True})
    line.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000},
    )
    window.goto(path)
    paint = window.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    looking.put_in(window)
    assert paint <= 4000
    assert window.evaluate("looking.shift()") < looking.MOST_SHIFT


def test_24_west_african_francs_and_merged_amounts_are_written_as_they_should(windows, server):
    window, koffi = windows.open("koffi", locale="fr-FR"), server.cast["koffi"]
    window.goto("/app/wallet")
    assert "10\u00a0000\u00a0F\u00a0CFA" in window.inner_text("main").replace("\u202f", "\u00a0")
    contact = {
        "name": "Yao",
        "phone": "2250712345678",
        "attributes": {"montant": "12\u202f500\u00a0F CFA", "date": "3\u00a0déc. 2026"},
    }
    who = koffi.api("POST", "contacts", contact)["id"]
    text = "Bonjour {name}, il reste {montant} à payer avant le {date}."
    made = koffi.api("POST", "campaigns", {"name": "Solde", "message": text, "contacts": [who]})
    window.goto(f"/app/campaigns/{made['id']}/review")
    assert "Bonjour Yao, il reste 12 500 F CFA à payer avant le 3 déc. 2026." in window.inner_text(".samples")
    window.click("form[action$='/send'] button[type=submit]")
    window.wait_for_url(re.compile(r"/app/campaigns/\d+$"))
    window.locator(".chip-ok").first.wait_for(timeout=90_000)
    (sent,) = server.sandbox("GET", "messages?number=%2B2250712345678&limit=5")
    assert sent["text"] == "Bonjour Yao, il reste 12 500 F CFA à payer avant le 3 déc. 2026."
    assert not forcing_unicode(sent["text"])
    assert round(10_000 - koffi.balance()) == 10


def test_25_simulation_is_said_on_every_page_and_in_the_file(windows):
    window, missing, looked = windows.open("juma"), [], 0
    for path in dict.fromkeys([*MAIN, *(path_of(route, ROW) for route, _view in PAGES)]):
        if not path.startswith("/app") or path in (*FRAMES, A_PART):
            continue
        answer = window.request.get(path, max_redirects=0)
        if answer.status == 200 and "<html" in (text := answer.text() if is_html(answer) else ""):
            looked += 1
            missing += [] if "band-sim" in text else [path]
    assert (missing, looked > 40) == ([], True)
    window.goto("/app/messages")
    assert "Simulation: nothing is sent or charged" in window.inner_text(".band-sim")
    assert re.search("simulated", window.inner_text("main table tbody"), re.IGNORECASE)
    with window.expect_download() as started:
        window.locator("main button[value=csv]").first.click()
    rows = list(csv.DictReader(io.StringIO(Path(started.value.path()).read_text("utf-8-sig"))))
    assert rows
    assert {row["Simulated"] for row in rows} == {"yes"}


def test_25_simulation_is_left_only_after_a_question_that_names_what_becomes_real(windows, server):
    window = windows.open("juma")
    before, calls = server.cast["juma"].balance(), server.sandbox("GET", "messages?number=%2B254722000025&limit=5")
    window.goto("/app/send")
    window.fill("#id_to", "0722000025")
    window.fill("#id_text", "Habari")
    window.locator("button[value=send]").click()
    window.wait_for_url(re.compile(r"/app/send/\d+"))
    assert re.search("simulated", window.inner_text("main"), re.IGNORECASE)
    assert server.cast["juma"].balance() == before
    assert server.sandbox("GET", "messages?number=%2B254722000025&limit=5") == calls == []
    window.goto("/app/settings/simulation")
    window.click("main button:has-text('Turn off')")
    window.locator("text=Make messages real?").wait_for()
    window.click("text=Stay in simulation")
    window.locator("text=Simulation is on.").wait_for()


def test_25_a_suspended_account_reads_and_pays_but_does_not_send(windows, server):
    window, baraka, own = windows.open("baraka"), server.cast["baraka"], ROW + 900
    window.goto("/app/send")
    assert "The papers are missing" in window.inner_text(".band-bad")
    for path in (f"/app/campaigns/{own}/review", f"/app/inbox/{own}"):
        window.goto(path)
        assert "suspended" in window.inner_text("main")
        assert window.locator("main form[action$='/send'] button:enabled, #reply-form").count() == 0, path
    token = window.locator("input[name=csrfmiddlewaretoken]").first.input_value()
    one = {"to": "0722000026", "text": "Habari", "action": "send", "token": "t1"}
    priced = {"expected_recipients": "1", "expected_cost_micros": "1000000"}
    for path, form in (
        ("/app/send", one), ("/app/send", one | priced), (f"/app/campaigns/{own}/send", priced),
        (f"/app/campaigns/{own}/message",
         {"text": "Habari", "action": "test", "test_to": "0722000026", "test_token": "t"}),
        (f"/app/inbox/{own}/reply", {"text": "Ndiyo", "token": "t2", "expected_cost_micros": "1000000"}),
    ):  # fmt: skip
        headers = {"Referer": window.url, "Origin": server.url}
        answer = window.request.post(path, form={"csrfmiddlewaretoken": token, **form}, headers=headers)
        assert "The papers are missing" in answer.text(), path
    message = {"recipient": "254722000026", "channel": "sms", "body": "Habari"}
    for path, body in (
        ("sms/send", {"message": "Habari", "recipients": ["254722000026"]}), ("messages/send", message),
        (f"campaigns/{own}/send", {}),
    ):  # fmt: skip
        assert "The papers are missing" in str(baraka.api("POST", path, body)), path
    for number in ("+254722000026", "+254712000001"):
        assert "BARAKA" not in str(server.sandbox("GET", f"messages?number=%2B{number[1:]}&limit=50"))
    for path in ("/app/messages", f"/app/inbox/{own}", "/app/exports", "/app/wallet/statement.csv"):
        assert window.request.get(path).status == 200, path
    window.goto("/app/wallet")
    assert "KES 500.00" in window.inner_text("main").replace("\u00a0", " ")
    with window.expect_download() as started:
        window.locator("main button[value=csv]").first.click()
    assert "500" in Path(started.value.path()).read_text("utf-8-sig")
    window.goto("/app/wallet/topup?amount=500")
    window.fill("[name=phone]", "0712345126")
    window.click("main form.form button[type=submit]")
    window.wait_for_url(re.compile(r"/app/wallet/topups/\d+"))
    server.sandbox("POST", "prompts", {"number": "+254712345126", "act": "pay", "pin": "1234"})
    window.locator("#topup h2", has_text=re.compile(r"New balance KES.1,000\.00")).wait_for(timeout=60_000)
