"""Campaigns and the composer in a browser: acceptance checks 6 to 13 (UX.md §18)."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.browser.conftest import PHONE, sign_in

MEETING = "Habari {first_name|mzazi}, shule inafunguliwa Jumatatu saa mbili asubuhi. Karibu sana, asante."


def amount(text: str) -> float:
    return float(re.search(r"[\d,]+\.\d\d", text.replace("\u00a0", " "))[0].replace(",", ""))


def units(page) -> str:
    return page.inner_text("#meter [data-units]")


@pytest.fixture(scope="module")
def acme(server):
    client = server.open_client("Acme", "--credit", "5000")
    people = ("Amina Wanjiru", "Baraka Otieno", "Juma Ali", "Aïssatou Diop", "N’Guessan Koffi")
    client.group("Parents", [(name, f"25471200000{number}") for number, name in enumerate(people)])
    return client


@pytest.fixture
def signed_in(page, acme):
    sign_in(page, acme)
    return page


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


def test_9_too_little_money_leads_to_the_topup_and_back_to_the_draft(server, page):
    poor = server.open_client("Poor", "--credit", "1")
    poor.group("Parents", [("Amina", "254712000000"), ("Baraka", "254712000001")])
    sign_in(page, poor)
    write(page, "Habari {first_name|mzazi}", "Short")
    to_review(page)
    review = page.url
    assert "KES 1.00 is missing" in page.inner_text("main").replace("\u00a0", " ")
    assert page.locator("form[action$='/send'] button[type=submit]").is_disabled()
    page.click("a:has-text('Top up KES')")
    page.wait_for_url(re.compile("/topup"))
    assert float(page.input_value("[name=amount]")) >= 1
    page.goto(review)
    assert "KES 1.00 is missing" in page.inner_text("main").replace("\u00a0", " ")


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
            page.wait_for_load_state()
            assert page.locator("#hours-title").count() == 0
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
    page.go_back()
    page.wait_for_load_state()
    assert round(before - acme.balance(), 2) == 1.00


def test_12_a_live_campaign_adds_up_and_pauses_and_sends_each_once(signed_in, acme):
    page = signed_in
    numbers = [f"2547130{n:05d}" for n in range(2000)]
    made = acme.api("POST", "campaigns", {"name": "Live", "message": "Habari {name|rafiki}", "recipients": numbers})
    acme.api("POST", f"campaigns/{made['id']}/send", {})
    page.goto(f"/app/campaigns/{made['id']}")
    seen = []

    def sample() -> list[int]:
        figures = [int(text.replace(",", "")) for text in page.locator(".figures dd").all_inner_texts()]
        assert sum(figures[:-1]) == figures[-1] == 2000
        seen.append(figures)
        return figures

    until = time.monotonic() + 60
    while time.monotonic() < until and not 20 < sum(sample()[:3]) < 1900:
        page.wait_for_timeout(300)
    page.click("button:has-text('Pause')")
    page.locator(".chip", has_text="Paused").first.wait_for()
    page.wait_for_timeout(5000)
    held = sample()[3]
    assert held > 0, "it was over before it could be paused"
    page.wait_for_timeout(6000)
    assert sample()[3] == held
    page.click("button:has-text('Resume')")
    until = time.monotonic() + 120
    while time.monotonic() < until and sample()[3]:
        page.wait_for_timeout(1000)
    assert len({tuple(figures) for figures in seen}) > 2
    history = acme.api("GET", f"campaigns/{made['id']}")
    assert history["delivered"] + history["sent"] + history["failed"] == 2000


def test_13_lists_come_back_as_they_were_and_every_address_is_a_document(signed_in):
    page = signed_in
    page.goto("/app/campaigns?state=done")
    address = page.url
    listed = page.inner_text("main table")
    page.locator("main table a").first.click()
    page.wait_for_load_state()
    page.go_back()
    page.wait_for_load_state()
    assert (page.url, page.inner_text("main table")) == (address, listed)
    for path in ("/app/campaigns", "/app/campaigns/new", "/app/scheduled", "/app/send", "/app/templates"):
        assert "<html" in page.request.get(path).text()


def test_drafts_save_themselves_and_never_overwrite_a_colleague(signed_in, acme):
    page = signed_in
    with page.expect_response(lambda answer: "autosave" in (answer.request.post_data or "")):
        write(page, "Maneno ya kwanza", "Kept")
    page.locator("#autosave", has_text="Saved").wait_for()
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
