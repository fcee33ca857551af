"""Pieces of a long work: begun beside each other, ended one after another, and none after one that failed."""

import threading
import time

import pytest
from django.db import connection

from crm.common.in_turns import in_turns
from crm.common.sql import on_postgres

pytestmark = pytest.mark.django_db(transaction=True)


def test_pieces_end_in_order_and_begin_beside_each_other():
    ended: list[int] = []
    at_work: set[int] = set()
    most = 0
    guard = threading.Lock()

    def work(piece, my_turn):
        nonlocal most
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        with guard:
            at_work.add(piece)
            most = max(most, len(at_work))
        time.sleep(0.02 if piece % 2 else 0.06)
        assert my_turn()
        ended.append(piece)
        with guard:
            at_work.discard(piece)
        return piece * 10

    assert list(in_turns(work, iter(range(7)), threads=2)) == [n * 10 for n in range(7)]
    assert ended == list(range(7))
    assert most == (2 if on_postgres() else 1)


@pytest.mark.parametrize("ends", ["with an error", "with nothing"])
def test_nothing_is_done_after_a_piece_that_was_not(ends):
    done: list[int] = []

    def work(piece, my_turn):
        if piece == 2 and ends == "with an error":
            raise ValueError("two")
        if piece == 2 or not my_turn():
            return None
        done.append(piece)
        return piece

    came = []
    try:
        for result in in_turns(work, range(9), threads=2):
            came.append(result)
            if result is None:
                break
    except ValueError:
        came.append(None)
    assert (came, done) == ([0, 1, None], [0, 1])
    assert not [one for one in threading.enumerate() if one.name == "in-turns"]
