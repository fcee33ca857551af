"""Top-ups as a person meets them: acceptance checks 15 and 16 (UX.md §18)."""

import re
import time

import pytest

# Last digits of the phone, which are the code: the sentence, and what is offered next.
ENDS = {
    "0017": ("M-Pesa could not process this right now. No payment was recorded.", "Pay by paybill"),
    "1001": ("Another M-Pesa or USSD screen is open on that phone.", "Try again in"),
    "1019": ("The prompt expired before the PIN.", "Try again"),
    "1037": ("The phone did not answer: off, no signal, or screen locked.", "Pay by paybill"),
    "7777": ("M-Pesa declined the payment. You were not charged as far as M-Pesa tells.", "Use another number"),
}
# Of a phone whose owner does this: the sentence, and what is offered next.
DEEDS = {
    "0712345150": ({"money": 5, "act": "pay", "pin": "1234"},
                   "There is not enough money in M-Pesa on that number.", "Another amount"),
    "0712345151": ({"act": "cancel"}, "The request was cancelled on the phone. You were not charged.", "Try again"),
    "0712345152": ({"act": "pay", "pin": "0000"},
                   "The PIN was not correct. M-Pesa locks after several tries.", "Try again"),
}  # fmt: skip
SHORTCODE = "174379"
AN_AGE = """
from datetime import timedelta
from wallet.models import TopUp
found = TopUp.objects.unscoped().filter(pk={pk})
found.update(created_at=found.get().created_at - timedelta(seconds=70))
"""


def ask(window, phone: str, amount: int) -> None:
    fill_in(window, phone, amount)
    press(window)


def fill_in(window, phone: str, amount: int) -> None:
    window.goto(f"/app/wallet/topup?amount={amount}")
    window.fill("[name=phone]", phone)


def press(window) -> None:
    """Asks for the prompt, up to the page that waits for it."""
    window.click("main form button[type=submit]")
    window.wait_for_url(re.compile(r"/app/wallet/topups/\d+"))


def heading(window, words: str) -> None:
    """Waits, on the open page, until the answer's heading is `words`."""
    window.locator("#topup h2", has_text=words).wait_for(timeout=60_000)


@pytest.fixture
def payer(windows):
    return windows.open("neema")


def test_15_every_end_of_a_prompt_has_its_own_sentence_and_next_act_and_no_bare_code(payer, server):
    payer.goto("/app/wallet/topup")
    windows = {}
    for n, (fate, expected) in enumerate(ENDS.items()):
        begun = time.monotonic()
        payer.reload()
        plain = time.monotonic() - begun
        windows[expected] = payer.context.new_page()
        fill_in(windows[expected], f"070010{fate}", 300 + n)
        begun = time.monotonic()
        press(windows[expected])
        # A second, or what three plain pages take where the machine is busy with something else.
        assert time.monotonic() - begun <= max(1, 3 * plain)
    for n, (phone, (habit, *expected)) in enumerate(DEEDS.items()):
        server.sandbox("PUT", "handsets", {"number": f"+254{phone[1:]}", "after": 0.5, **habit})
        windows[tuple(expected)] = payer.context.new_page()
        ask(windows[tuple(expected)], phone, 320 + n)
    for (sentence, act), window in windows.items():
        heading(window, sentence)
        assert not re.search(r"\d{3,}", window.inner_text("#topup h2"))
        assert act in window.inner_text("#topup .actions"), sentence
        window.close()


def test_15_a_success_after_the_time_is_over_turns_the_open_page_to_paid_and_is_credited_once(payer, server):
    neema = server.cast["neema"]
    before = neema.balance()
    ask(payer, "0712345153", 323)
    loads = []
    payer.on("framenavigated", lambda frame: loads.append(frame.url))
    server.manage("shell", "-c", AN_AGE.format(pk=payer.url.rpartition("/")[2]))
    heading(payer, "No answer yet, checking with M-Pesa")
    server.sandbox("PUT", "faults", {"username": SHORTCODE, "repeated_callbacks": 1})
    try:
        server.sandbox("POST", "prompts", {"number": "+254712345153", "act": "pay", "pin": "1234"})
        heading(payer, "received. New balance")
    finally:
        server.sandbox("PUT", "faults", {"username": SHORTCODE})
    assert loads == []
    assert round(neema.balance() - before, 2) == 323
    payer.goto("/app/wallet")
    assert len(re.findall(r"\b323\.00", payer.inner_text("main table"))) == 1


def test_16_the_same_amount_again_within_two_minutes_is_asked_about(payer):
    ask(payer, "0700104999", 333)  # a prompt that never ends
    payer.goto("/app/wallet/topup?amount=333")
    payer.fill("[name=phone]", "0712345161")
    payer.click("main form button[type=submit]")
    payer.locator("#twice", has_text="Do not pay twice").wait_for()
    assert "Ask again, I want to pay twice" in payer.inner_text("main")
