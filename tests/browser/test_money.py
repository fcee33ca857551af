"""Top-ups as a person meets them: acceptance checks 15 and 16 (UX.md §18)."""

import re
import time

import pytest

SENTENCES = {
    "0001": "There is not enough money in M-Pesa on that number.",
    "0017": "M-Pesa could not process this right now. No payment was recorded.",
    "1001": "Another M-Pesa or USSD screen is open on that phone.",
    "1019": "The prompt expired before the PIN.",
    "1037": "The phone did not answer: off, no signal, or screen locked.",
    "7777": "M-Pesa declined the payment. You were not charged as far as M-Pesa tells.",
}


def ask(window, phone: str, amount: int) -> None:
    window.goto(f"/app/wallet/topup?amount={amount}")
    window.fill("[name=phone]", phone)
    window.click("main form button[type=submit]")
    window.wait_for_url(re.compile(r"/app/wallet/topups/\d+"))


def heading(window, words: str) -> None:
    """Waits, on the open page, until the answer's heading is `words`."""
    window.locator("#topup h2", has_text=words).wait_for(timeout=60_000)


@pytest.fixture
def payer(windows):
    return windows.open("neema")


def test_15_every_end_of_a_prompt_has_its_own_sentence_and_no_bare_code(payer):
    for n, (fate, words) in enumerate(SENTENCES.items()):
        begun = time.monotonic()
        ask(payer, f"070010{fate}", 300 + n)
        assert time.monotonic() - begun < 10  # a second on a quiet machine
        heading(payer, words)
        assert not re.search(r"\d{3,}", payer.inner_text("#topup h2"))
        assert payer.locator("#topup .actions a").count() >= 1


def test_15_a_cancelled_prompt_and_a_wrong_pin(payer, server):
    ask(payer, "0712345151", 321)
    server.sandbox("POST", "prompts", {"number": "+254712345151", "act": "cancel"})
    heading(payer, "The request was cancelled on the phone. You were not charged.")
    ask(payer, "0712345152", 322)
    server.sandbox("POST", "prompts", {"number": "+254712345152", "act": "pay", "pin": "0000"})
    heading(payer, "The PIN was not correct. M-Pesa locks after several tries.")


def test_15_the_open_page_turns_to_paid_and_the_credit_comes_once(payer, server):
    neema = server.cast["neema"]
    before = neema.balance()
    ask(payer, "0712345153", 323)
    loads = []
    payer.on("framenavigated", lambda frame: loads.append(frame.url))
    server.sandbox("POST", "prompts", {"number": "+254712345153", "act": "pay", "pin": "1234"})
    payer.locator("#topup h2", has_text="received. New balance").wait_for(timeout=60_000)
    assert loads == []
    assert round(neema.balance() - before, 2) == 323


def test_16_the_same_amount_again_within_two_minutes_is_asked_about(payer):
    ask(payer, "0700104999", 333)  # a prompt that never ends
    payer.goto("/app/wallet/topup?amount=333")
    payer.fill("[name=phone]", "0712345161")
    payer.click("main form button[type=submit]")
    payer.locator("#twice", has_text="Do not pay twice").wait_for()
    assert "Ask again, I want to pay twice" in payer.inner_text("main")
