"""Work that threads share: who comes while somebody works is worked on together, and each hears its own answer."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import transaction

from crm.common.together import Alone, Together, Undone

WAIT = 30


class Desk:
    """Work that can be held: the first batch begins only when `go` is set. batches: what each was asked."""

    def __init__(self, answer=lambda asked: asked * 2):
        self.answer, self.batches, self.busy, self.go = answer, [], threading.Event(), threading.Event()
        self.together = Together(self.work, most=4)

    def work(self, asked):
        self.batches.append(list(asked))
        if len(self.batches) == 1:
            self.busy.set()
            assert self.go.wait(WAIT)
        return [self.answer(one) for one in asked]

    def crowd(self, first, others, keys="k"):
        """The results of `first`, while which is worked on `others` came, and of these."""
        with ThreadPoolExecutor(1 + len(others)) as pool:
            futures = [pool.submit(self.together.ask, "k", first)]
            assert self.busy.wait(WAIT)
            futures += [pool.submit(self.together.ask, "k", one) for one in others]
            while len(self.together._waiting["k"]) < len(others):
                threading.Event().wait(0.001)
            self.go.set()
            return [future.exception(WAIT) or future.result() for future in futures]


@pytest.fixture
def desk():
    return Desk()


pytestmark = pytest.mark.django_db(transaction=True)


def test_a_lone_caller_waits_for_nobody(desk):
    desk.go.set()
    assert [desk.together.ask("k", 1), desk.together.ask("k", 2)] == [2, 4]
    assert desk.batches == [[1], [2]]


def test_who_comes_meanwhile_is_worked_on_together_at_most_so_many_at_once(desk):
    assert desk.crowd(1, [2, 3, 4, 5, 6]) == [2, 4, 6, 8, 10, 12]
    assert [len(batch) for batch in desk.batches] == [1, 4, 1]
    assert desk.together._waiting == {}


def test_who_had_company_waits_for_as_many_to_come_back_and_for_a_moment_only(desk, monkeypatch):
    desk.crowd(1, [2, 3, 4])
    monkeypatch.setattr("crm.common.together._MOMENT", WAIT)
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(desk.together.ask, "k", 5)]
        while "k" not in desk.together._gathering:
            threading.Event().wait(0.001)
        assert desk.together.ask("other", 9) == 18
        futures += [pool.submit(desk.together.ask, "k", one) for one in (6, 7)]
        assert sorted(future.result(WAIT) for future in futures) == [10, 12, 14]
    assert [sorted(batch) for batch in desk.batches] == [[1], [2, 3, 4], [9], [5, 6, 7]]
    monkeypatch.setattr("crm.common.together._MOMENT", 0.01)
    assert desk.together.ask("k", 8) == 16
    assert (desk.together._usual, desk.together._gathering) == ({}, {})  # alone again


def test_other_keys_wait_for_nobody(desk):
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(desk.together.ask, "k", 1)
        assert desk.busy.wait(WAIT)
        assert desk.together.ask("other", 5) == 10
        desk.go.set()
        assert held.result(WAIT) == 2


def test_an_error_in_the_place_of_an_answer_is_one_callers(desk):
    desk.answer = lambda asked: ValueError("three") if asked == 3 else asked
    results = desk.crowd(1, [2, 3, 4])
    assert [str(result) for result in results] == ["1", "2", "three", "4"]


def test_what_must_be_alone_is_worked_on_once_more_by_itself(desk):
    desk.answer = lambda asked: Alone() if asked == 3 and len(desk.batches[-1]) > 1 else asked
    assert desk.crowd(1, [2, 3]) == [1, 2, 3]
    assert desk.batches[-1] == [3]


def test_undone_lets_each_try_alone_and_any_other_error_is_everybodys():
    def answer(asked):
        if len(desk.batches[-1]) > 1:
            raise Undone
        return asked

    desk = Desk(answer)
    assert desk.crowd(1, [2, 3]) == [1, 2, 3]
    assert sorted(desk.batches[2:]) == [[2], [3]]
    broken = Desk(lambda asked: 1 // (len(broken.batches) - 2))
    results = broken.crowd(1, [2, 3])
    assert [type(result) for result in results] == [int, ZeroDivisionError, ZeroDivisionError]
    assert len(broken.batches) == 2
    assert broken.together._waiting == {}


def test_inside_a_transaction_nobody_is_waited_for(desk):
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(desk.together.ask, "k", 1)
        assert desk.busy.wait(WAIT)
        with transaction.atomic():
            assert desk.together.ask("k", 7) == 14
        desk.go.set()
        held.result(WAIT)
