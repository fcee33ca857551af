"""Campaigns and the composer in a browser: acceptance checks 6 to 13 (UX.md §18)."""

import re
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from crm.common.text_units import count_units
from tests.browser.conftest import PHONE
from tests.browser.rows import A_SECOND, SLOW
from tests.messaging.pages.test_unit_cases import RULES, many_texts

QUEUED = 3  # of the figures of a live campaign, by their place
MEETING = "Habari {first_name|mzazi}, shule inafunguliwa Jumatatu saa mbili asubuhi. Karibu sana, asante."


def amount(text: str) -> float:
    return float(re.search(r"[\d,]+\.\d\d", text.replace("\u00a0", " "))[0].replace(",", ""))


def units(page) -> str:
    return page.inner_text("#meter [data-units]")


@pytest.fixture
def acme(server):
    """Halima's, with five parents of whom two have names that no standard letters spell."""
    return server.cast["halima"]


@pytest.fixture
def signed_in(windows):
    return windows.open("halima")


def write(page, text: str, name: str = "") -> None:
    page.goto("/app/campaigns/new")
    if name:
        page.fill("#id_name", name)
    page.get_by_label("Parents").first.check()
    to_step(page, "message")
    page.fill("#id_text", text)


def to_step(page, step: str) -> None:
    page.click(f"#campaign-steps button[value={step}]")
    page.wait_for_url(f"**/{step}")


def to_review(page) -> None:
    to_step(page, "review")


def test_2_a_test_to_oneself_takes_three_interactions_and_shows_its_price_before_the_last(signed_in):
    page = signed_in
    page.goto("/app")
    page.click("text=Send me a test")
    page.fill("#id_to", "0722000001")
    button = page.locator("button[value=send]")
    button.wait_for()
    assert "KES" in button.inner_text()
    button.click()
    page.wait_for_url(re.compile(r"/app/send/\d+"))


def test_6_letters_are_counted_and_named_offline_and_made_plain(signed_in):
    page = signed_in
    page.goto("/app/campaigns/new?step=message")
    text = "a" * 100
    page.fill("#id_text", text)
    page.context.set_offline(True)
    for letter, name in (("ç", "c with cedilla"), ("’", "right single quotation mark")):
        took = page.evaluate(
            """([text]) => {
              const box = document.getElementById("id_text");
              const begun = performance.now();
              box.value = text;
              box.dispatchEvent(new Event("input", { bubbles: true }));
              const shown = document.querySelector("#meter [data-encoding]").textContent;
              return [performance.now() - begun, shown];
            }""",
            [text + letter],
        )
        assert took[0] <= 100
        assert "Unicode" in took[1]
        assert name in page.inner_text("#meter [data-forcing]")
        assert units(page) == "2"
        page.click("[data-plain]")
        assert page.input_value("#id_text") == text + {"ç": "c", "’": "'"}[letter]
        assert (units(page), page.inner_text("#meter [data-encoding]")) == ("1", "Standard letters")
        page.click("[data-undo]")
        assert page.input_value("#id_text") == text + letter
    page.context.set_offline(False)


def test_6_so_is_each_language_of_a_template_beside_its_own_box(windows):
    page = windows.open("amina")
    page.goto("/app/templates/new")
    page.context.set_offline(True)
    page.fill("#id_text_en", "a" * 161)
    page.fill("#id_text_fr", "ç" + "a" * 70)
    shown = [page.inner_text(f"#meter_{code} [data-units]") for code in ("en", "fr", "sw")]
    assert shown == ["2", "2", "0"]
    french = page.locator("[data-composed]", has=page.locator("#id_text_fr"))
    french.locator("[data-plain]").click()
    assert (page.input_value("#id_text_fr")[0], page.inner_text("#meter_fr [data-units]")) == ("c", "1")
    french.locator("[data-undo]").click()
    assert page.input_value("#id_text_fr") == "ç" + "a" * 70
    page.context.set_offline(False)
    page.focus("#id_text_en")
    page.locator("#preview .tag", has_text="English").wait_for()
    page.locator("#preview .bubble", has_text="a" * 153).wait_for()


def test_6_and_each_language_of_a_campaign(signed_in):
    page = signed_in
    page.goto("/app/campaigns/new?step=message")
    page.fill("#id_text", "a" * 10)
    page.click("#id_variants summary")
    page.context.set_offline(True)
    page.fill("#id_text_fr", "ç" + "a" * 70)
    french = page.locator("[data-composed]", has=page.locator("#id_text_fr"))
    assert [page.inner_text(f"{meter} [data-units]") for meter in ("#meter", "#meter_fr")] == ["1", "2"]
    french.locator("[data-plain]").click()
    assert (page.input_value("#id_text_fr")[0], page.inner_text("#meter_fr [data-units]")) == ("c", "1")
    french.locator("[data-undo]").click()
    assert (page.input_value("#id_text_fr"), page.input_value("#id_text")) == ("ç" + "a" * 70, "a" * 10)
    page.context.set_offline(False)
    page.focus("#id_text")
    page.locator("#preview .bubble", has_text="a" * 10).wait_for()
    french.locator("button[name=show]").click()
    page.locator("#preview .tag", has_text="French").wait_for()
    assert units(page) == "1"


def test_7_the_meter_shows_for_two_hundred_texts_what_is_billed(signed_in):
    """The rest of the check, preview, stored units and ledger: tests/messaging/pages/test_unit_cases.py."""
    page, texts = signed_in, [text for text in many_texts() if "\r" not in text]
    assert len(texts) >= 200
    page.goto("/app/campaigns/new?step=message")
    shown = page.evaluate(
        """([texts, rules]) => {
          const [box, meter] = [document.getElementById("id_text"), document.getElementById("meter")];
          meter.dataset.values = "null";
          return rules.map((rule) => texts.map((text) => {
            meter.dataset.rule = rule;
            box.value = text;
            box.dispatchEvent(new Event("input", { bubbles: true }));
            return Number(meter.querySelector("[data-units]").textContent);
          }));
        }""",
        [texts, RULES],
    )
    assert shown == [[count_units(text, rule).units for text in texts] for rule in RULES]


def test_8_names_that_cost_two_are_counted_and_the_review_is_the_charge(signed_in, acme):
    page = signed_in
    write(page, MEETING, "Names")
    to_review(page)
    shown = page.inner_text("main").replace("\u00a0", " ")
    assert re.search(r"2 SMS each\s+2 people", shown)
    total = amount(page.inner_text("[aria-labelledby=price-title] .big-figure"))
    assert total == 7.00
    before = acme.balance()
    page.click("form[action$='/send'] button[type=submit]")
    page.wait_for_url(re.compile(r"/app/campaigns/\d+$"))
    page.locator(".chip", has_text="Done").first.wait_for(timeout=90_000)
    assert round(before - acme.balance(), 2) == total


def test_9_too_little_money_leads_to_the_topup_and_back_to_the_draft(server, windows):
    page, poor = windows.open("otieno"), server.cast["otieno"]
    write(page, "Habari {first_name|mzazi}", "Short")
    to_review(page)
    review = page.url
    assert "KES 1.00 is missing" in page.inner_text("main").replace("\u00a0", " ")
    assert page.locator("form[action$='/send'] button[type=submit]").is_disabled()
    page.click("a:has-text('Top up KES')")
    page.wait_for_url(re.compile("/topup"))
    assert float(page.input_value("[name=amount]")) >= 1
    page.fill("[name=phone]", "0712345191")
    page.click("main form.form button[type=submit]")
    page.wait_for_url(re.compile(r"/app/wallet/topups/\d+"))
    server.sandbox("POST", "prompts", {"number": "+254712345191", "act": "pay", "pin": "1234"})
    page.locator("#topup h2", has_text="received. New balance").wait_for(timeout=60_000)
    page.click("text=Back to what you were doing")
    page.wait_for_url(review)
    assert "is missing" not in page.inner_text("main")
    assert page.locator("form[action$='/send'] button[type=submit]").is_enabled()
    draft = poor.api("GET", f"campaigns/{re.search('[0-9]+', review.partition('campaigns/')[2])[0]}")
    assert (draft["name"], draft["message"]) == ("Short", "Habari {first_name|mzazi}")


def test_10_a_promotion_in_the_evening_is_moved_by_one_click_and_information_passes(signed_in):
    page = signed_in
    evening = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT20:30")
    for kind, refused in (("promotion", True), ("information", False)):
        write(page, "Bei nafuu leo", f"Evening {kind}")
        page.check(f"input[name=message_class][value={kind}]")
        to_step(page, "when")
        page.check("input[name=when][value=later]")
        page.fill("#id_schedule_at", evening)
        to_review(page)
        notice = page.locator("#hours-title")
        assert (notice.count() == 1) is refused
        if refused:
            page.click("form[action$='/move'] button")
            notice.wait_for(state="detached")
            assert "08:00" in page.inner_text("[aria-labelledby=when-title]")
        assert page.locator("form[action$='/send'] button[type=submit]").is_enabled()


def test_11_pressed_twice_sends_once_and_failures_keep_the_text(signed_in, acme):
    page = signed_in
    before = acme.balance()
    page.goto("/app/send")
    page.fill("#id_to", "0722000009")
    page.fill("#id_text", "Mara moja tu")
    button = page.locator("button[value=send]")
    button.wait_for()
    page.route("**/app/send", lambda route: route.fulfill(status=500, body="broken"))
    button.click()
    page.locator("#failure").wait_for()
    assert page.input_value("#id_text") == "Mara moja tu"
    page.unroute("**/app/send")
    page.context.set_offline(True)
    page.locator("button[value=send]").click()
    page.locator("#offline").wait_for(state="visible")
    assert page.input_value("#id_text") == "Mara moja tu"
    page.context.set_offline(False)
    assert acme.balance() == before
    page.locator("button[value=send]").dblclick()
    page.wait_for_url(re.compile(r"/app/send/\d+"))
    assert round(before - acme.balance(), 2) == 1.00


def test_11_enter_with_a_click_and_back_with_a_resubmit_are_one_run_and_one_charge(signed_in, acme):
    page, before = signed_in, acme.balance()
    page.goto("/app/send")
    page.fill("#id_to", "0722000010")
    page.fill("#id_text", "Mara moja tu tena")
    button = page.locator("button[value=send]")
    button.wait_for()
    button.focus()
    page.evaluate("addEventListener('keydown', () => document.querySelector('button[value=send]').click())")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/app/send/\d+"))
    page.go_back()
    page.wait_for_url("**/app/send")
    with page.expect_response(lambda answer: answer.request.method == "POST" and answer.url.endswith("/app/send")):
        page.click("#send-answer button[type=submit]")
    page.locator("#send-answer", has_text="0 people").wait_for()  # the text is kept, whom it went to is not
    assert page.input_value("#id_text") == "Mara moja tu tena"
    assert round(before - acme.balance(), 2) == 1.00


def test_11_a_campaign_is_started_once(signed_in, acme):
    page, before = signed_in, acme.balance()
    write(page, "Mara moja kwa kila mzazi", "Once")
    to_review(page)
    page.locator("form[action$='/send'] button[type=submit]").dblclick()
    page.wait_for_url(re.compile(r"/app/campaigns/\d+$"))
    campaign = page.url.rpartition("/")[2]
    page.locator(".chip", has_text="Done").first.wait_for(timeout=90_000)
    page.go_back()
    page.wait_for_load_state()
    assert page.locator("form[action$='/send'] button:enabled").count() == 0
    assert round(before - acme.balance(), 2) == 5.00
    assert acme.api("GET", f"campaigns/{campaign}")["recipients"] == 5


def test_12_a_live_campaign_adds_up_and_pauses_and_sends_each_once(server, windows):
    moraa, page, people = server.cast["moraa"], windows.open("moraa"), 15 * A_SECOND
    numbers = [f"2547130{n * 7:05d}" for n in range(people)]
    made = moraa.api("POST", "campaigns", {"name": "Live", "message": "Habari", "recipients": numbers})
    moraa.api("POST", f"campaigns/{made['id']}/send", {})
    page.goto(f"/app/campaigns/{made['id']}")
    loads, seen, intervals = [], [], set()
    page.on("framenavigated", lambda frame: loads.append(frame.url))

    def queued() -> int:
        """What is left to send; every figure of the page is looked at."""
        figures, every = page.evaluate(
            """() => [[...document.querySelectorAll(".figures dd")].map((each) => Number(each.textContent)),
                      document.getElementById("campaign-live").getAttribute("hx-trigger")]"""
        )
        assert sum(figures[:-1]) == figures[-1] == people
        seen.append(tuple(figures))
        if every:
            intervals.add(int(re.fullmatch(r"every (\d+)s", every)[1]))
        return figures[QUEUED]

    def wait_until(reached, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not reached(queued()):
            assert time.monotonic() < until, seen[-3:]
            page.wait_for_timeout(200)

    wait_until(lambda left: 0 < left < people - A_SECOND, 90)
    page.click("button:has-text('Pause')")
    page.locator(".chip", has_text="Paused").first.wait_for()
    page.wait_for_timeout(5000)  # what the check grants
    taken = server.taken(SLOW)
    held = queued()
    assert 0 < held < people
    page.wait_for_timeout(2000)  # two seconds of this road's pace
    assert server.taken(SLOW) == taken

    page.click("button:has-text('Resume')")
    wait_until(lambda left: left == 0, 120)
    page.locator(".chip", has_text="Done").first.wait_for(timeout=60_000)
    assert len(loads) == 2, loads  # by the two buttons
    assert len(set(seen)) > 5
    assert min(intervals) <= 3  # longer where the machine is busy with something else
    assert Counter(server.taken(SLOW)) == Counter(f"+{number}" for number in numbers)
    history = moraa.api("GET", f"campaigns/{made['id']}")
    assert history["delivered"] + history["sent"] + history["failed"] == people


def test_13_a_list_searched_filtered_sorted_and_turned_comes_back_as_it_was(windows):
    """That every address which a page put into the history is a document: conftest.py, for all tests."""
    page = windows.open("amina")
    page.goto("/app/contacts")
    for act, changed in (
        (lambda: page.select_option("select[name=group]", label="Parents"), "group="),
        (lambda: page.select_option("select[name=sort]", "name"), "sort=name"),
        (lambda: page.fill("#q", "a"), "q=a"),
        (lambda: page.click("#contact-table a[rel=next]"), "page=2"),
        (lambda: page.click("#contact-table a[rel=next]"), "page=3"),
    ):
        act()
        page.wait_for_url(re.compile(changed))
        # The address goes before the list: what is pressed next is a link of the list that it names.
        first = {"page=2": "51–", "page=3": "101–"}.get(changed, "1–")
        page.locator("#contact-table:not(.htmx-request) .num", has_text=re.compile(rf"^\D*{first}")).wait_for()
    address, listed = page.url, page.inner_text("main table")
    assert all(part in address for part in ("q=a", "group=", "sort=name", "page=3"))
    names = page.locator("main table .main-cell").all_inner_texts()
    assert names == sorted(names, key=str.lower)
    page.locator("main table .main-cell a").nth(2).click()
    page.wait_for_url(re.compile(r"/app/contacts/\d+$"))
    page.go_back()
    page.wait_for_url(address)
    assert page.inner_text("main table") == listed
    page.reload()
    assert page.inner_text("main table") == listed
    fresh = page.context.new_page()
    fresh.goto(address)
    assert fresh.inner_text("main table") == listed


def test_drafts_save_themselves_and_never_overwrite_a_colleague(signed_in, acme):
    page = signed_in
    write(page, "", "Kept")

    def is_saving(answer) -> bool:
        posted = answer.request.post_data or ""
        return "autosave" in posted and "kwanza" in posted

    with page.expect_response(is_saving) as saved:
        page.fill("#id_text", "Maneno ya kwanza")
    assert "Saved" in saved.value.text()
    draft = re.search(r"/(\d+)/message", page.url)[1]
    assert acme.api("GET", f"campaigns/{draft}")["message"] == "Maneno ya kwanza"
    acme.api("PATCH", f"campaigns/{draft}", {"message": "Maneno ya mwenzako"})
    page.fill("#id_text", "Maneno ya pili")
    page.locator("#autosave [role=alert]").wait_for()
    assert "Maneno ya mwenzako" in page.inner_text("#autosave")
    assert "Maneno ya pili" in page.inner_text("#autosave")
    assert acme.api("GET", f"campaigns/{draft}")["message"] == "Maneno ya mwenzako"
    page.click(".form-actions button[value=save]")
    page.wait_for_load_state()
    assert acme.api("GET", f"campaigns/{draft}")["message"] == "Maneno ya pili"


@pytest.mark.parametrize(
    "path",
    [
        "/app/campaigns/new",
        "/app/campaigns/new?step=message",
        "/app/campaigns/new?step=when",
        "/app/send",
        "/app/campaigns",
        "/app/settings/sending",
    ],
)
def test_21_no_page_scrolls_sideways_on_a_phone(signed_in, path):
    page = signed_in
    page.set_viewport_size(PHONE)
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
