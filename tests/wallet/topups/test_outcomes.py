"""Every result code and every fault of a callback, through the sandbox as a real process: state, sentence and money."""

from decimal import Decimal

import pytest
from django.utils import translation
from django.utils.translation import gettext

from accounts.delivery.letters import send_waiting
from accounts.models import Membership, Notice, User
from accounts.services.notices import save_settings
from tests.wallet.topups.world import PHONE, World
from wallet.models import EventVerdict, MpesaEvent, TopUp
from wallet.reconciliation import CHECKS
from wallet.topups.outcomes import words_of
from wallet.topups.sweeping import sweep_top_ups

# UX.md §10: code → the reason that programs read, and what the sentence on screen begins with.
FAILURES = {
    "1": ("insufficient_funds", "There is not enough money in M-Pesa"),
    "17": ("service_busy", "M-Pesa could not process this right now. No payment was recorded."),
    "26": ("service_busy", "M-Pesa could not process this right now. No payment was recorded."),
    "1001": ("phone_busy", "Another M-Pesa or USSD screen is open"),
    "1019": ("expired", "The prompt expired before the PIN."),
    "1025": ("service_busy", "M-Pesa could not process this right now. No payment was recorded."),
    "1037": ("no_answer", "The phone did not answer"),
    "2028": ("configuration", "Our M-Pesa account is not set up for this."),
    "7777": ("declined", "M-Pesa declined the payment."),
    "8006": ("pin_locked", "The M-Pesa PIN of that number is locked."),
    "9999": ("service_busy", "M-Pesa could not process this right now. No payment was recorded."),
}


def books_agree() -> bool:
    own = ("wallets", "running balances", "top-ups and their credits")
    return not [found for check in CHECKS if check.name in own for found in check.find()]


def is_failed_with(top_up: TopUp, code: str, world: World) -> None:
    assert (top_up.state, top_up.result_code) == ("failed", code)
    assert (world.balance(), world.credits(), top_up.receipt) == (Decimal(0), 0, None)
    assert top_up.live_phone is None


def test_a_paid_prompt_is_credited(world):
    world.phone(act="pay")
    top_up = world.settle(world.start(1000), until="completed")

    paid = world.sandbox.call("GET", "payments")[0]
    assert top_up.receipt == paid["receipt"]
    assert (world.balance(), world.credits()) == (Decimal(1000), 1)
    assert paid["account"] == top_up.account_reference
    assert books_agree()


@pytest.mark.parametrize("code", FAILURES)
def test_each_failure_code_ends_in_its_sentence(world, code):
    reason, sentence = FAILURES[code]
    top_up = world.settle(world.start(phone=f"+25470010{int(code):04}"), until="failed")

    is_failed_with(top_up, code, world)
    assert words_of(top_up).reason == reason
    assert words_of(top_up).sentence.startswith(sentence)
    assert words_of(top_up).next


def test_the_reason_is_told_in_the_readers_language(world):
    owner = Membership.objects.get(client=world.acme)
    save_settings(membership=owner, phone="", choices={"topup.failed": ["email"]})
    User.objects.filter(pk=owner.user_id).update(language="fr")
    top_up = world.settle(world.start(phone="+254700101037"), until="failed")

    letter = Notice.objects.for_client(world.acme).get(event="topup.failed").text
    words = words_of(top_up)
    assert words.sentence not in letter
    with translation.override("fr"):
        assert letter.startswith(f"{gettext(words.sentence)} {gettext(words.next)}\n")


def test_cancel_and_wrong_pin(world):
    world.phone(act="cancel")
    top_up = world.settle(world.start(), until="failed")
    is_failed_with(top_up, "1032", world)
    assert words_of(top_up).sentence == "The request was cancelled on the phone. You were not charged."

    world.phone(act="pay", pin="0000")
    top_up = world.settle(world.start(), until="failed")
    is_failed_with(top_up, "2001", world)
    assert words_of(top_up).sentence.startswith("The PIN was not correct.")


def test_a_phone_without_enough_money(world):
    world.phone(number=PHONE, act="pay", money=499)
    is_failed_with(world.settle(world.start(500), until="failed"), "1", world)


def test_a_prompt_left_alone_ends_as_no_answer(world):
    world.sandbox.set_faults(prompt_seconds=0.2)
    is_failed_with(world.settle(world.start(), until="failed"), "1037", world)


def test_a_payment_that_never_ends_is_not_a_failure(world):
    top_up = world.settle(world.start(phone="+254700104999"), seconds=1)
    assert (top_up.state, world.credits()) == ("pending", 0)
    assert {event.verdict for event in world.events("query")} == {EventVerdict.PENDING}


def test_P5_a_missing_callback_is_made_up_for_by_query_and_statement(world):
    world.account.has_statement = True
    world.account.save()
    world.sandbox.set_faults(missing_callbacks=1)
    world.phone(act="pay")
    top_up = world.settle(world.start(), until="completed")
    assert (world.balance(), world.credits(), world.events("callback")) == (Decimal(500), 1, [])
    assert top_up.receipt == world.sandbox.call("GET", "payments")[0]["receipt"]


def test_success_by_query_waits_for_the_receipt_where_no_statement_can_be_pulled(world):
    world.sandbox.set_faults(missing_callbacks=1)
    world.phone(act="pay")
    top_up = world.settle(world.start(), seconds=1.5)
    assert (top_up.state, world.credits()) == ("processing", 0)


def test_P5_a_missing_callback_of_a_failure_is_believed_when_the_query_repeats_it(world):
    world.sandbox.set_faults(missing_callbacks=1)
    world.phone(act="cancel")
    top_up = world.settle(world.start(), until="failed")
    is_failed_with(top_up, "1032", world)
    assert world.calls("stkpushquery/v1/query") >= 2


def test_P3_twenty_callbacks_at_once_are_one_credit(world):
    world.sandbox.set_faults(repeated_callbacks=1)
    world.phone(act="pay")
    top_up = world.start()
    world.wait_for_events(20)
    world.settle(top_up, until="completed")
    world.settle(top_up, seconds=0)
    assert (world.balance(), world.credits()) == (Decimal(500), 1)
    verdicts = [event.verdict for event in world.events("callback")]
    assert (verdicts.count(EventVerdict.APPLIED), verdicts.count(EventVerdict.REPEATED)) == (1, 19)


def test_P4_a_callback_before_the_answer_to_the_push_is_kept_and_applied(world):
    world.sandbox.set_faults(early_callbacks=1)
    top_up = world.start()
    world.settle(top_up, until="completed")
    assert (world.balance(), world.credits()) == (Decimal(500), 1)


def test_P2_a_forged_callback_to_the_right_address_credits_nothing(world):
    """With the right ids and amount: only the status query stands between it and the money."""
    world.sandbox.set_faults(forged_callbacks=1, missing_callbacks=1)
    world.phone(act="cancel", after=0.5)
    top_up = world.settle(world.start(), until="failed")
    is_failed_with(top_up, "1032", world)
    assert [event.verdict for event in world.events("callback")] == [EventVerdict.UNCONFIRMED]


def test_P2_a_callback_of_another_amount_credits_nothing_and_is_kept(world):
    world.sandbox.set_faults(wrong_amounts=1)
    world.phone(act="pay")
    top_up = world.start()
    world.wait_for_events(1)
    world.settle(top_up, seconds=1)
    assert world.credits() == 0
    assert [event.verdict for event in world.events("callback")] == [EventVerdict.MISMATCH]


def test_P1_a_push_whose_answer_is_lost_is_never_sent_again_and_settles(world):
    world.sandbox.set_faults(reset_after=1)
    world.phone(act="pay", after=0.2)
    top_up = world.start()
    assert (top_up.asked, top_up.state, top_up.checkout_request_id) == ("unknown", "pending", "")
    world.settle(top_up, until="completed")
    assert (world.balance(), world.credits(), world.calls("stkpush/v1/processrequest")) == (Decimal(500), 1, 1)


def test_P1_an_internal_error_of_the_push_is_an_unknown_outcome(world):
    world.sandbox.set_faults(error_after=1)
    world.phone(act="cancel", after=0.2)
    top_up = world.start()
    assert top_up.asked == "unknown"
    is_failed_with(world.settle(top_up, until="failed"), "1032", world)
    assert world.calls("stkpush/v1/processrequest") == 1


def test_a_push_that_is_refused_for_now_can_be_tried_again_at_once(world):
    world.sandbox.set_faults(busy_pushes={"next": 1})
    top_up = world.start()
    assert (top_up.state, top_up.asked) == ("failed", "unsent")
    assert words_of(top_up).wait_seconds == 30
    world.phone(act="pay")
    world.settle(world.start(), until="completed")


def test_P4_a_success_after_a_failure_is_credited_once_and_told(world, mailoutbox):
    world.sandbox.set_faults(late_callbacks=1, callback_seconds=1.5)
    world.phone(act="pay")
    top_up = world.start()
    TopUp.objects.unscoped().filter(pk=top_up.pk).update(next_check_at=None)
    from wallet.topups.settling import fail_top_up

    fail_top_up(top_up_id=top_up.pk, code="1037", text="DS timeout")
    world.wait_for_events(1)
    top_up = world.settle(top_up, until="completed")
    assert (world.balance(), world.credits()) == (Decimal(500), 1)
    settle = world.settle(top_up)
    assert settle.state == "completed"
    send_waiting()
    assert [letter.to for letter in mailoutbox] == [["amina@acme.test"]]
    assert mailoutbox[0].subject.startswith("KES 500.00 received for Acme after all")
    assert top_up.receipt in mailoutbox[0].body


def test_an_expired_token_is_replaced_and_the_prompt_is_shown_once(world):
    world.phone(act="pay")
    world.settle(world.start(), until="completed")
    world.sandbox.set_faults(expired_tokens={"next": 1})
    world.settle(world.start(600), until="completed")
    assert len(world.sandbox.call("GET", "payments")) == 2
    assert world.balance() == Decimal(1100)


def test_a_query_that_is_throttled_delays_and_loses_nothing(world):
    world.sandbox.set_faults(busy_queries={"next": 3})
    world.phone(act="pay")
    world.settle(world.start(), until="completed")
    assert world.credits() == 1


def test_wrong_keys_fail_the_top_up_and_ask_nobody(world):
    world.account.credentials = world.account.credentials | {"consumer_secret": "wrong"}
    world.account.save()
    top_up = world.start()
    assert (top_up.state, top_up.asked) == ("failed", "unsent")
    assert world.sandbox.call("GET", "payments") == []


def test_the_sweep_hands_each_due_top_up_out_once(world):
    top_up = world.start(phone="+254700104999")
    assert sweep_top_ups() == 0
    world.skip_waits(top_up)
    assert sweep_top_ups() == 1
    assert sweep_top_ups() == 0  # leased
    top_up.refresh_from_db()
    assert top_up.next_check_at is not None


def test_S2_nothing_secret_is_logged(world, caplog):
    world.phone(act="pay")
    with caplog.at_level("DEBUG"):
        world.settle(world.start(), until="completed")
    checkout = TopUp.objects.unscoped().get().checkout_request_id
    said = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("django.db"))
    for secret in ("a-secret-nobody-prints", PHONE[1:], checkout, "/callbacks/pay/"):
        assert secret not in said
    assert MpesaEvent.objects.exists()
