"""How fast one account may be written to, over all processes and hosts: messages a second, and requests in flight.

Rate: a process takes a slice of the future for what it is about to send, by one conditional UPDATE for up to a quarter
of a second's messages, and sends within its slice at even steps. Slices never overlap, so the sum keeps the rate.
In flight: each loop holds a share of the limit beside its sign of life; nobody takes what another still holds.
"""

import time

from django.db import connection, transaction

from crm.common.sql import later_sql, now_sql, on_postgres
from messaging.models import ProviderPace
from messaging.sending.claims import UNSEEN_SECONDS

SLICE_SECONDS = 0.25
HEADROOM = 0.95  # steps this much longer than the rate asks for: a late step and a punctual one may share a second
LATEST = 0.25  # seconds after its end in which a slice may still be used; what is later is given up


def _clock_sql() -> str:
    """The database's clock as epoch seconds, of this moment and not of the transaction's beginning."""
    if on_postgres():
        return "EXTRACT(EPOCH FROM CLOCK_TIMESTAMP())::double precision"
    return "((JULIANDAY('now') - 2440587.5) * 86400.0)"


def take_slice(*, account_id: int, rate: float, messages: int) -> float:
    """Reserve the next free stretch of time for so many messages; the seconds until it begins."""
    length = messages / (rate * HEADROOM)
    greatest = "GREATEST" if on_postgres() else "MAX"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO messaging_providerpace AS p (account_id, free_at) VALUES (%s, {_clock_sql()} + %s)
                ON CONFLICT (account_id) DO UPDATE SET free_at = {greatest}(p.free_at, {_clock_sql()}) + %s
                RETURNING free_at - %s - {_clock_sql()}""",
            [account_id, length, length, length],
        )
        return max(0.0, float(cursor.fetchone()[0]))


@transaction.atomic
def take_share(*, account_id: int, owner: str, limit: int, flying: int) -> int:
    """Up to how many requests in flight `owner` may start more, until it asks again; 0 where the others hold all.

    flying: how many it has now. What it holds beyond an equal part is counted as its own until it has landed, so that
    nobody takes what is still in use.
    """
    alive = f"seen_at > {later_sql(-UNSEEN_SECONDS)}"
    ProviderPace.objects.get_or_create(account_id=account_id)
    with connection.cursor() as cursor:  # the row is the lock under which shares are counted
        cursor.execute("UPDATE messaging_providerpace SET free_at = free_at WHERE account_id = %s", [account_id])
        cursor.execute(
            f"""SELECT COALESCE(SUM(share), 0), COUNT(*) FROM messaging_sendingprocess
                WHERE account_id = %s AND owner <> %s AND share IS NOT NULL AND {alive}""",
            [account_id, owner],
        )
        held, others = cursor.fetchone()
        share = max(0, min(-(-limit // (others + 1)), limit - held))
        cursor.execute(
            f"""INSERT INTO messaging_sendingprocess (owner, seen_at, account_id, share)
                VALUES (%s, {now_sql()}, %s, %s) ON CONFLICT (owner) DO UPDATE
                SET seen_at = excluded.seen_at, account_id = excluded.account_id, share = excluded.share""",
            [owner, account_id, max(share, flying)],
        )
    return share


class Pace:
    """Of one loop. rate: messages a second; most: requests in flight; None for no limit."""

    def __init__(self, *, account_id: int, owner: str, rate: float | None, most: int | None) -> None:
        self.account_id, self.owner = account_id, owner
        self.rate, self.most = rate, most
        self.share = 0
        self._left = 0  # messages of the slice that were not sent yet
        self._given = 0
        self._begins = self._ends = 0.0

    def renew(self, flying: int) -> None:
        """Take our part of the requests in flight anew; `flying`: how many are ours now."""
        if self.most is not None:
            self.share = take_share(account_id=self.account_id, owner=self.owner, limit=self.most, flying=flying)

    def reserve(self, wanted: int) -> int:
        """How many of `wanted` messages belong into the next slice, which is then ours."""
        if self.rate is None:
            return wanted
        messages = min(wanted, max(1, int(self.rate * SLICE_SECONDS)))
        wait = take_slice(account_id=self.account_id, rate=self.rate, messages=messages)
        self._begins = time.monotonic() + wait
        self._given = self._left = messages
        self._ends = self._begins + messages / (self.rate * HEADROOM)
        return messages

    def may_start(self, messages: int, requests_flying: int) -> bool:
        """Whether a request with so many messages may leave now."""
        if self.most is not None and requests_flying >= self.share:
            return False
        if self.rate is None:
            return True
        now = time.monotonic()
        if now > self._ends + LATEST:  # held up: the time that was ours has gone to waste
            wait = take_slice(account_id=self.account_id, rate=self.rate, messages=max(self._left, 1))
            self._begins, self._given = now + wait, max(self._left, 1)
            self._ends = self._begins + self._given / (self.rate * HEADROOM)
        used = self._given - self._left
        return now >= self._begins + used / (self.rate * HEADROOM)

    def started(self, messages: int) -> None:
        if self.rate is not None:
            self._left = max(0, self._left - messages)
