"""From a visitor to a first message, by keyboard alone, and without JavaScript: acceptance checks 1, 14 and 23."""

import re
import time

from tests.browser.conftest import sign_in
from tests.factories import PASSWORD

PERSON, LOCAL = "+254722555001", "0722555001"


def code_sent_to(server, number: str) -> str:
    """The six digits of the newest SMS to `number`, as its handset shows them."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for message in server.sandbox("GET", f"messages?number=%2B{number[1:]}&limit=5"):
            if found := re.search(r"\b\d{6}\b", message["text"]):
                return found[0]
        time.sleep(0.3)
    raise AssertionError("no code came")


def test_1_from_registering_to_a_delivered_message_in_twenty_acts_and_six_pages(server, page):
    acts, loads = [], []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    page.goto("/register")

    def act(deed, *words) -> None:
        deed(*words)
        acts.append(words)

    act(page.fill, "#id_name", "Farida Hassan")
    act(page.fill, "#id_organisation", "Farida Foods")
    act(page.fill, "#id_phone", PERSON)
    act(page.fill, "#id_email", "farida@foods.test")
    act(page.fill, "#id_password1", PASSWORD)
    act(page.click, "main form button[type=submit]")
    page.locator("#id_code").wait_for()
    act(page.fill, "#id_code", code_sent_to(server, PERSON))
    act(page.click, "button:has-text('Confirm')")
    page.wait_for_url("**/app/send?test=1")
    button = page.locator("button[value=send]")
    button.wait_for()
    act(button.click)
    page.wait_for_url(re.compile(r"/app/send/\d+"))
    page.locator(".chip", has_text="Delivered").first.wait_for(timeout=60_000)
    assert len(acts) <= 20
    assert len(loads) <= 6, loads


def test_14_without_javascript_the_outcomes_are_there(server, windows):
    window = windows.open(java_script_enabled=False)
    neema = server.cast["neema"]
    sign_in(window, neema)

    window.goto("/app/send")
    window.fill("#id_to", "0722000014")
    window.fill("#id_text", "Habari bila JavaScript")
    window.click("main form button[type=submit]:has-text('See the price')")
    window.click("button[value=send]")
    window.wait_for_url(re.compile(r"/app/send/\d+"))

    window.goto("/app/contacts/import")
    rows = "".join(f"Mzazi {n},07330{n * 7:05d}\n" for n in range(100))
    window.set_input_files(
        "input[type=file]", {"name": "l.csv", "mimeType": "text/csv", "buffer": b"Name,Phone\n" + rows.encode()}
    )
    window.click("button:has-text('Upload and check')")
    window.wait_for_url(re.compile(r"/check$"))
    window.click("button[name=start]")
    until = time.monotonic() + 60
    while time.monotonic() < until and "Undo import" not in window.inner_text("main"):
        window.wait_for_timeout(500)
        window.reload()
    assert neema.api("GET", "contacts")["meta"]["total"] == 100

    window.goto("/app/wallet/topup?amount=500")
    window.fill("[name=phone]", "0712345014")
    window.click("main form button[type=submit]")
    window.wait_for_url(re.compile(r"/app/wallet/topups/\d+"))
    server.sandbox("POST", "prompts", {"number": "+254712345014", "act": "pay", "pin": "1234"})
    until = time.monotonic() + 60
    while time.monotonic() < until and "received. New balance" not in window.inner_text("main"):
        window.wait_for_timeout(1000)
        window.reload()
    assert "KES 500.00 received. New balance" in window.inner_text("main").replace("\u00a0", " ")

    window.goto("/app/settings/api-webhooks/keys/new")
    window.fill("[name=name]", "Till")
    window.click("main form button[type=submit]")
    assert window.inner_text("#api-key").startswith("tk_")


def test_23_keys_lead_to_a_campaign_and_rest_while_one_types(windows):
    window = windows.open("amina")
    window.goto("/app")
    window.keyboard.press("Control+k")
    window.locator("#palette[open]").wait_for()
    window.keyboard.type("New camp")
    window.keyboard.press("Enter")  # at once: the list has yet to catch up
    window.wait_for_url("**/app/campaigns/new**")
    seen = set()
    for _ in range(40):
        window.keyboard.press("Tab")
        ring = window.evaluate(
            """() => { const at = document.activeElement, style = getComputedStyle(at);
              return [at === document.body ? "BODY" : at.outerHTML.slice(0, 90),
                      style.outlineStyle !== "none" || style.boxShadow !== "none",
                      at.closest("label")?.matches(":focus-within") ?? false]; }"""
        )
        if ring[0] == "BODY":
            continue  # past the last control, before the first
        seen.add(ring[0])
        assert ring[1] or ring[2], f"no focus to be seen on {ring[0]}"
    assert len(seen) > 10

    window.goto("/app/contacts")
    window.keyboard.press("?")
    window.locator("#keys[open]").wait_for()
    window.keyboard.press("Escape")
    window.keyboard.press("/")
    assert window.evaluate("document.activeElement.type") == "search"
    window.keyboard.type("n?gi")
    assert window.locator("#keys[open]").count() == 0
    assert "/app/contacts" in window.url
    assert window.evaluate("document.activeElement.value") == "n?gi"

    window.goto("/app/settings/profile")
    window.uncheck("[name=single_keys]")
    window.click("main form button[type=submit]")
    window.goto("/app")
    window.keyboard.press("?")
    window.wait_for_timeout(200)
    assert window.locator("#keys[open]").count() == 0
    window.goto("/app/settings/profile")
    window.check("[name=single_keys]")
    window.click("main form button[type=submit]")
