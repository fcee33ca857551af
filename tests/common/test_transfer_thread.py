"""Requests are carried while nobody asks for them."""

import time

import pytest

from crm.common.transfer_thread import TransferThread
from crm.common.transfers import Transfers
from tests.common.test_transfers import heard  # noqa: F401 - the fixture


@pytest.fixture
def carried(heard):  # noqa: F811 - the fixture
    """(a thread, where it is to send, what came there)."""
    thread = TransferThread(Transfers(total_seconds=5))
    yield thread, *heard
    thread.close()


def start(thread, address, count):
    for number in range(count):
        thread.start(number, "POST", address, (), b"%d" % number)


def test_answers_are_taken_in_while_the_caller_does_something_else(carried):
    thread, address, asked = carried
    for burst in range(3):
        start(thread, address, 5)
        until = time.monotonic() + 5
        while len(thread._ended) < 5 and time.monotonic() < until:
            time.sleep(0.01)  # where the loop waits for the database
        assert {tag for tag, end in thread.ended() if end.status == 200} == set(range(5)), burst
        assert len(asked) == 5 * (burst + 1)
        assert thread.ended() == []


def test_it_waits_for_as_many_as_are_enough_or_for_all_there_are(carried):
    thread, address, _ = carried
    start(thread, address, 6)
    thread.wait(5, enough=4)
    assert len(thread._ended) >= 4
    began = time.monotonic()
    thread.wait(5, enough=40)
    thread.wait(5, enough=40)  # and at once where nothing flies
    assert time.monotonic() - began < 4
    assert len(thread.ended()) == 6


def test_what_no_request_can_be_made_of_is_told_to_who_asks(carried):
    thread, address, asked = carried
    with pytest.raises(UnicodeError):
        thread.start(0, "POST", address + "ü", (), b"")
    start(thread, address, 1)
    thread.wait(5)
    assert [tag for tag, _ in thread.ended()] == [0]
    assert len(asked) == 1


def test_whoever_waits_learns_that_the_thread_broke(carried, monkeypatch):
    thread, address, _ = carried
    monkeypatch.setattr(thread._transfers, "begin", lambda request: 1 / 0)
    start(thread, address, 1)
    thread.wait(5)
    with pytest.raises(RuntimeError, match="broke"):
        thread.ended()


def test_closing_ends_what_flies(carried):
    thread, _, _ = carried
    start(thread, "http://127.0.0.1:9", 3)
    thread.close()
    assert thread._thread
    assert not thread._thread.is_alive()
