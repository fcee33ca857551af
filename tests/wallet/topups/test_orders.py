"""The figure of every release: 1,000 random orders of push answer, callbacks, queries, failures and repeats, with no
double and no missing credit (P3, P4, M1). M-Pesa is played by a method that knows the truth; rows and commits are real.
"""

import json
import random
import threading
from decimal import Decimal

import pytest
from django.db import connection, connections, transaction

from crm.common.crypto import digest
from crm.common.sql import database_now
from tests.factories import make_client
from tests.wallet.topups.world import PHONE, World, make_account
from wallet import queries
from wallet.models import Asked, LedgerEntry, MpesaEvent, TopUp
from wallet.payments.base import Finding, Prompted
from wallet.payments.mpesa import Mpesa
from wallet.topups import settling
from wallet.topups.arriving import take_notice
from wallet.topups.settling import complete_top_up, settle_top_up
from wallet.topups.starting import record_prompted, start_top_up

ORDERS, BATCH = 1_000, 100
AMOUNT = 700


def notice(merchant, checkout, code, *, amount=AMOUNT, receipt="UC14ABCDEF"):
    told = {"MerchantRequestID": merchant, "CheckoutRequestID": checkout, "ResultCode": code, "ResultDesc": "words"}
    if code == 0:
        items = [{"Name": "Amount", "Value": amount}, {"Name": "MpesaReceiptNumber", "Value": receipt}]
        told["CallbackMetadata"] = {"Item": items}
    return json.dumps({"Body": {"stkCallback": told}}).encode()


class Truth:
    """What really became of each prompt, as the status query tells it."""

    def __init__(self, monkeypatch):
        self.codes: dict[str, str] = {}
        self.quiet = 0.3
        monkeypatch.setattr(Mpesa, "find", lambda _, request_id: self.find(request_id))

    def find(self, request_id):
        assert not connection.in_atomic_block or getattr(connection.atomic_blocks[0], "_from_testcase", False)
        code = self.codes.get(request_id, "")
        if not code or random.random() < self.quiet:
            return Finding(random.choice(["pending", "unknown"]))
        return Finding("ended", code, "words")


def run_one(rng, client, truth, number):
    """One top-up's life in a random order. Returns it and whether money really moved."""
    phone = f"+2547{number:08}"
    with transaction.atomic():
        started = start_top_up(client=client, amount=AMOUNT, phone=phone, sure=True)
    top_up = started.top_up
    ids = (f"m-{number}", f"ws_CO_{number}")
    is_paid = rng.random() < 0.5
    truth.codes[ids[1]] = "0" if is_paid else rng.choice(["1032", "1037", "1", "2001"])
    code = 0 if is_paid else int(truth.codes[ids[1]])
    receipt = f"R{number:09}"
    lost = rng.random() < 0.2
    news = [("answer", Prompted("unknown") if lost else Prompted("accepted", *ids))]
    news += [("notice", notice(*ids, code, receipt=receipt))] * rng.choice([1, 1, 2, 5])
    if rng.random() < 0.4:  # a failure that is not true, or not the last word
        news.append(("notice", notice(*ids, 1037)))
    if rng.random() < 0.3:
        news.append(("notice", notice(*ids, 0, receipt=f"F{number:09}", amount=AMOUNT + 1)))
    if rng.random() < 0.2 and not is_paid:
        news.append(("notice", notice(*ids, 0, receipt=f"F{number:09}")))  # forged, and all but right
    news += [("look", None)] * rng.choice([1, 2, 4])
    rng.shuffle(news)
    for kind, what in news:
        if kind == "answer":
            record_prompted(top_up_id=top_up.pk, prompted=what)
        elif kind == "notice":
            assert take_notice(token=started.token, body=what, address="")
        else:
            World.skip_waits(top_up)
            settle_top_up(top_up_id=top_up.pk)
    return top_up, is_paid


# The orders are the same on either database; PostgreSQL takes twice as long, and CI has 25 minutes for both.
@pytest.mark.parametrize("seed", range(ORDERS // BATCH if connection.vendor == "sqlite" else 4))
def test_P3_P4_a_thousand_random_orders(db, monkeypatch, seed):
    rng = random.Random(seed)
    random.seed(seed)
    truth = Truth(monkeypatch)
    make_account(base_url="http://127.0.0.1:9")
    client = make_client()
    lives = [run_one(rng, client, truth, seed * BATCH + n) for n in range(BATCH)]
    truth.quiet = 0
    for _ in range(4):  # M-Pesa answers again, time passes
        for top_up, _ in lives:
            World.skip_waits(top_up)
            settle_top_up(top_up_id=top_up.pk)
    for top_up, is_paid in lives:
        top_up.refresh_from_db()
        credits = LedgerEntry.objects.for_client(client).filter(reference=top_up.reference).count()
        history = list(top_up.events.values_list("kind", "result_code", "verdict", "note"))
        assert (top_up.state, credits) == (("completed", 1) if is_paid else ("failed", 0)), history
        assert top_up.receipt is None or top_up.receipt.startswith("R")
    paid = sum(is_paid for _, is_paid in lives)
    assert queries.balance_of(client.pk).balance == Decimal(AMOUNT) * paid
    assert queries.check_wallets() == []
    assert queries.check_running_balances() == []


def confirmed(monkeypatch):
    monkeypatch.setattr(Mpesa, "find", lambda *_: Finding("ended", "0", "words"))


@pytest.fixture
def asked(transactional_db):
    """A committed top-up whose prompt is on the phone, and its callback's token."""
    make_account(base_url="http://127.0.0.1:9")
    started = start_top_up(client=make_client(), amount=AMOUNT, phone=PHONE)
    record_prompted(top_up_id=started.top_up.pk, prompted=Prompted("accepted", "m-1", "ws_CO_1"))
    return started


def in_threads(count, act):
    """Run `act(n)` in so many threads at once, each on a connection of its own; returns what they raised."""
    raised, barrier = [], threading.Barrier(count)

    def run(n):
        try:
            barrier.wait()
            act(n)
        except Exception as error:
            raised.append(repr(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_P3_twenty_parallel_callbacks_and_settlements_are_one_credit(asked, monkeypatch):
    confirmed(monkeypatch)

    def bring(n):
        take_notice(token=asked.token, body=notice("m-1", "ws_CO_1", 0), address="")
        settle_top_up(top_up_id=asked.top_up.pk)

    assert in_threads(20, bring) == []
    assert LedgerEntry.objects.for_client(asked.top_up.client).count() == 1
    assert queries.balance_of(asked.top_up.client_id).balance == AMOUNT
    assert MpesaEvent.objects.filter(kind="callback").count() == 20
    settle_top_up(top_up_id=asked.top_up.pk)
    verdicts = list(MpesaEvent.objects.filter(kind="callback").values_list("verdict", flat=True))
    assert set(verdicts) == {"applied", "repeated"}
    assert queries.check_wallets() == []


def test_P3_one_receipt_pays_one_of_two_top_ups_at_once(asked, monkeypatch):
    second = start_top_up(client=asked.top_up.client, amount=AMOUNT, phone="+254711000001", sure=True).top_up
    both = (asked.top_up, second)
    assert in_threads(2, lambda n: complete_top_up(top_up_id=both[n].pk, receipt="UC14ABCDEF")) == []
    assert LedgerEntry.objects.for_client(asked.top_up.client).count() == 1
    states = sorted(TopUp.objects.unscoped().values_list("state", flat=True))
    assert states == ["completed", "pending"]
    assert TopUp.objects.unscoped().get(state="pending").review


def test_one_live_prompt_for_a_phone_whoever_asks_at_once(transactional_db):
    make_account(base_url="http://127.0.0.1:9")
    clients = [make_client(email=f"amina{n}@acme.test") for n in range(4)]
    refused = in_threads(4, lambda n: start_top_up(client=clients[n], amount=500, phone=PHONE))
    assert len(refused) == 3
    assert all("PromptOpen" in error for error in refused), refused
    assert TopUp.objects.unscoped().count() == 1


def test_numbers_of_a_day_are_unique_when_taken_at_once(transactional_db):
    make_account(base_url="http://127.0.0.1:9")
    client = make_client()
    start = lambda n: start_top_up(client=client, amount=500 + n, phone=f"+25471100000{n}")  # noqa: E731
    assert in_threads(6, start) == []
    ids = sorted(TopUp.objects.for_client(client).values_list("transaction_id", flat=True))
    assert [found[-3:] for found in ids] == [f"{n:03}" for n in range(1, 7)]


def test_a_credit_that_breaks_in_the_middle_leaves_nothing_and_comes_later(asked, monkeypatch):
    """As a process killed between the state and the ledger would: one transaction holds both."""
    confirmed(monkeypatch)
    take_notice(token=asked.token, body=notice("m-1", "ws_CO_1", 0), address="")

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(settling, "record_events", die)
        with pytest.raises(Killed):
            settle_top_up(top_up_id=asked.top_up.pk)
    asked.top_up.refresh_from_db()
    assert (asked.top_up.state, LedgerEntry.objects.for_client(asked.top_up.client).count()) == ("pending", 0)
    settle_top_up(top_up_id=asked.top_up.pk)
    asked.top_up.refresh_from_db()
    assert (asked.top_up.state, LedgerEntry.objects.for_client(asked.top_up.client).count()) == ("completed", 1)


def test_P1_the_row_is_committed_with_its_token_before_anything_is_asked(asked):
    assert len(asked.token) == 64
    assert TopUp.objects.unscoped().get().token_hash == digest(asked.token)
    assert asked.token not in str(vars(TopUp.objects.unscoped().get()))
    assert asked.token not in repr(asked)


def test_P5_after_a_day_it_goes_to_a_person_with_a_reason(asked, monkeypatch):
    monkeypatch.setattr(Mpesa, "find", lambda *_: Finding("pending"))
    day_ago = database_now() - settling.timedelta(hours=24, minutes=1)
    TopUp.objects.unscoped().update(created_at=day_ago, next_check_at=day_ago)
    top_up = settle_top_up(top_up_id=asked.top_up.pk)
    assert (top_up.state, top_up.next_check_at) == ("pending", None)
    assert "within a day" in top_up.review


def test_P5_times_of_the_schedule():
    times, at = [], 0.0
    while at < settling.LAST_CHECK:
        at = settling.next_check_after(at)
        times.append(at)
    assert times[:6] == [60, 120, 300, 900, 3600, 7200]
    assert len(times) == 5 + 23
    assert times[-1] == 24 * 3600


def test_a_process_that_died_while_asking_does_not_ask_again(transactional_db, monkeypatch):
    confirmed(monkeypatch)
    make_account(base_url="http://127.0.0.1:9")
    started = start_top_up(client=make_client(), amount=AMOUNT, phone=PHONE)
    long_ago = database_now() - settling.timedelta(minutes=5)
    TopUp.objects.unscoped().update(created_at=long_ago, next_check_at=long_ago)
    take_notice(token=started.token, body=notice("m-9", "ws_CO_9", 0), address="")
    top_up = settle_top_up(top_up_id=started.top_up.pk)
    assert (top_up.asked, top_up.state, top_up.checkout_request_id) == (Asked.NOT_YET, "completed", "ws_CO_9")
