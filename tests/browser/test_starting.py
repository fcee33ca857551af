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
    acts, loads, begun = [], [], time.monotonic()
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
    assert time.monotonic() - begun + 1.5 * len(acts) < 180


def reload_until(window, words: str, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while words not in window.inner_text("main").replace("\u00a0", " "):
        assert time.monotonic() < until, window.inner_text("main")
        window.wait_for_timeout(500)
        window.reload()


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
    window.fill("[name=new_group]", "Wazazi")
    window.click("button[name=start]")
    reload_until(window, "Undo import")
    assert neema.api("GET", "contacts")["meta"]["total"] == 100

    window.goto("/app/campaigns/new")
    window.fill("#id_name", "Bila JavaScript")
    window.get_by_label("Wazazi").first.check()
    window.click(".form-actions button[value=message]")
    window.fill("#id_text", "Habari wazazi, karibuni.")
    window.click(".form-actions button[value=when]")
    window.click(".form-actions button[value=review]")
    assert "100 people" in window.inner_text("main")
    if (tick := window.locator("[name=sure]")).count():
        tick.check()
    window.click("form[action$='/send'] button[type=submit]")
    window.wait_for_url(re.compile(r"/app/campaigns/\d+$"))
    reload_until(window, "Finished")
    ended = neema.api("GET", f"campaigns/{window.url.rpartition('/')[2]}")
    assert ended["sent"] + ended["delivered"] == 100

    window.goto("/app/wallet/topup?amount=500")
    window.fill("[name=phone]", "0712345014")
    window.click("main form button[type=submit]")
    window.wait_for_url(re.compile(r"/app/wallet/topups/\d+"))
    server.sandbox("POST", "prompts", {"number": "+254712345014", "act": "pay", "pin": "1234"})
    reload_until(window, "KES 500.00 received. New balance")

    window.goto("/app/settings/api-webhooks/keys/new")
    window.fill("[name=name]", "Till")
    window.click("main form button[type=submit]")
    assert window.inner_text("#api-key").startswith("tk_")


def focus(window, selector: str) -> None:
    """Tabs on until the control that `selector` names has the focus, which must be seen wherever it rests."""
    for _ in range(120):
        found, name, is_seen = window.evaluate(
            """(selector) => {
              const at = document.activeElement, style = getComputedStyle(at);
              // The calendar within a field for a date has a ring of its own, which is not the field's.
              const within = at.type === "datetime-local" && !at.matches(":focus-visible");
              const ring = within || style.outlineStyle !== "none" || style.boxShadow !== "none";
              return [at.matches(selector), at.outerHTML.slice(0, 90),
                      ring || at === document.body || (at.closest("label")?.matches(":focus-within") ?? false)];
            }""",
            selector,
        )
        assert is_seen, f"no focus to be seen on {name}"
        if found:
            return
        window.keyboard.press("Tab")
    raise AssertionError(f"no key leads to {selector}")


def test_23_by_keys_alone_from_the_palette_to_a_campaign_that_is_sent(windows):
    window = windows.open("halima")
    window.goto("/app")
    window.keyboard.press("Control+k")
    window.locator("#palette[open]").wait_for()
    window.keyboard.type("New camp")
    window.keyboard.press("Enter")  # at once: the list has yet to catch up
    window.wait_for_url("**/app/campaigns/new**")
    focus(window, "#id_name")
    window.keyboard.type("Kwa kibodi")
    focus(window, "#id_groups input[type=checkbox]")
    window.keyboard.press("Space")
    for control, step in (
        (".form-actions [value=message]", "message"), (".form-actions [value=when]", "when"),
        (".form-actions [value=review]", "review"),
    ):  # fmt: skip
        if step == "when":
            focus(window, "#id_text")
            window.keyboard.type("Habari {first_name|mzazi}")
        focus(window, control)
        window.keyboard.press("Enter")
        window.wait_for_url(f"**/{step}")
    focus(window, "form[action$='/send'] button[type=submit]")
    window.keyboard.press("Enter")
    window.wait_for_url(re.compile(r"/app/campaigns/\d+$"))
    window.locator(".chip", has_text="Done").first.wait_for(timeout=90_000)


def test_23_keys_are_listed_rest_while_one_types_and_can_be_switched_off(windows):
    window = windows.open("halima")
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
    window.keyboard.press("Control+k")  # comes after it, and always works
    window.locator("#palette[open]").wait_for()
    assert window.locator("#keys[open]").count() == 0
    window.goto("/app/settings/profile")
    window.check("[name=single_keys]")
    window.click("main form button[type=submit]")
