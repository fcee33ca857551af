"""The delivery loop: one per process, many requests in flight, few to one receiver.

    lease endpoints → send what is due → record outcomes in batches → again

A receiver has at most four requests open, and one while it fails; failing ones together have half of the slots. So
receivers that hang delay nobody but themselves (GUARANTEES.md W4).
"""

import logging
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import OperationalError

from accounts.delivery import claims
from accounts.delivery.recording import Attempted, record_attempts
from accounts.delivery.signing import headers_for
from accounts.delivery.targets import may_dial
from accounts.models import WebhookDelivery, WebhookEndpoint
from crm.common import tracing
from crm.common.sql import database_now
from crm.common.stopping import pause
from crm.common.transfers import Ended, Limits, Transfers, end_span

log = logging.getLogger(__name__)

SLOTS = 256  # requests in flight
MOST_AT_ONCE = 4  # of one endpoint
LOOK_EVERY = 0.2  # seconds between two looks for new work
RECORD_WITHIN = 0.1  # seconds an outcome may wait to be written
RECORD_SIZE = 64
CHUNK = 50  # deliveries of one endpoint read at a time
STAY_FOR = 7.0  # seconds: a retry that falls due so soon is waited for, the sweep would come too late
LAND_WITHIN = 2.0  # seconds that flying requests have when the process must end
PATIENCE = (0.2, 1.0, 4.0)


@dataclass(frozen=True, slots=True)
class Sending:
    """A request in flight."""

    delivery: WebhookDelivery
    url: str
    span: tracing.Span


LIMITS = Limits(
    connect_seconds=5,
    total_seconds=15,
    answer_bytes=64 << 10,
    cut_answers=True,
    may_dial=lambda sending, address: may_dial(sending.url, address),
)


@dataclass(slots=True)
class Held:
    """An endpoint in our hands. busy: deliveries that were started and are not recorded yet."""

    endpoint: WebhookEndpoint
    is_failing: bool
    ready: deque[WebhookDelivery] = field(default_factory=deque)
    busy: set[int] = field(default_factory=set)
    flying: int = 0
    looked_at: float = 0.0

    @property
    def room(self) -> int:
        return (1 if self.is_failing else MOST_AT_ONCE) - self.flying


class Deliverer:
    """Delivers what is due until nothing is, or `stop` says so."""

    def __init__(self, *, stop: Callable[[], bool]) -> None:
        self.stop = stop
        self.owner = new_owner()
        self.held: dict[int, Held] = {}
        self.ends: list[Attempted] = []
        self.made = 0
        self._transfers = Transfers(limits=LIMITS, most_per_host=64)
        self._oldest_end = self._looked_at = self._renewed_at = 0.0
        self._skew = timedelta()  # the database's clock before ours

    def run(self) -> int:
        """Deliver; returns how many requests were made."""
        try:
            self._run()
        finally:
            _close(self._transfers)
            claims.give_back(owner=self.owner, ids=self.held)
        return self.made

    def _run(self) -> None:
        landing_until = 0.0
        while True:
            if self.stop():
                landing_until = landing_until or time.monotonic() + LAND_WITHIN
            else:
                self._look()
                self._start()
            for sending, ended in self._transfers.ended():
                self._take(sending, ended)
            if self.ends and (
                len(self.ends) >= RECORD_SIZE
                or time.monotonic() - self._oldest_end > RECORD_WITHIN
                or not self._transfers
            ):
                self._record()
            if landing_until and (not self._transfers or time.monotonic() > landing_until):
                return
            if self._transfers:
                self._transfers.wait(0.05)
            elif not self.held and not self._wait_for_retry():
                return

    def _look(self) -> None:
        """Renew leases, take endpoints with work, read what is due for those in hand, give back the others."""
        now = time.monotonic()
        if self.held and now - self._renewed_at > claims.RENEW_EVERY:
            self._renew()
        if now - self._looked_at > LOOK_EVERY:
            self._looked_at = now
            self._take_endpoints()
        done = []
        for pk, held in self.held.items():
            if len(held.ready) < MOST_AT_ONCE and now - held.looked_at > LOOK_EVERY:
                besides = held.busy | {delivery.pk for delivery in held.ready}
                found = claims.due_deliveries(endpoint_id=pk, limit=CHUNK, besides=besides)
                held.ready.extend(found)
                held.looked_at = 0.0 if len(found) == CHUNK else now
                if not held.ready and not held.busy:
                    done.append(pk)
        if done:
            claims.give_back(owner=self.owner, ids=done)
            for pk in done:
                del self.held[pk]

    def _take_endpoints(self) -> None:
        due = claims.due_endpoints()
        if not due:
            return
        failing = sum(held.is_failing for held in self.held.values())
        rooms = {False: SLOTS - len(self.held), True: SLOTS // 2 - failing}
        wanted = []
        for pk, is_failing in due:
            if rooms[is_failing] > 0:
                rooms[is_failing] -= 1
                wanted.append(pk)
        if not self.held:
            self._renewed_at = time.monotonic()
            self._skew = database_now() - datetime.now(UTC)
        for endpoint in claims.take(owner=self.owner, ids=wanted):
            self.held[endpoint.pk] = Held(endpoint, is_failing=endpoint.failing_since is not None)

    def _renew(self) -> None:
        self._renewed_at = time.monotonic()
        kept = {endpoint.pk: endpoint for endpoint in claims.renew(owner=self.owner)}
        for pk, held in list(self.held.items()):
            if pk in kept:
                held.endpoint = kept[pk]
            elif held.flying:
                held.ready.clear()  # paused meanwhile: what flies lands
            else:
                del self.held[pk]

    def _start(self) -> None:
        """One of each endpoint in turn, so that none waits behind the backlog of another."""
        hungry = [held for held in self.held.values() if held.ready and held.room > 0]
        failing = sum(held.flying for held in self.held.values() if held.is_failing)
        while hungry and len(self._transfers) < SLOTS:
            for held in hungry:
                if len(self._transfers) >= SLOTS or (held.is_failing and failing >= SLOTS // 2):
                    continue
                failing += held.is_failing
                self._send(held, held.ready.popleft())
            hungry = [held for held in hungry if held.ready and held.room > 0 and not held.is_failing]

    def _send(self, held: Held, delivery: WebhookDelivery) -> None:
        start_request(self._transfers, held.endpoint, delivery, at=datetime.now(UTC) + self._skew)
        held.busy.add(delivery.pk)
        held.flying += 1
        self.made += 1

    def _take(self, sending: Sending, ended: Ended) -> None:
        if not self.ends:
            self._oldest_end = time.monotonic()
        attempt = attempted(sending, ended)
        self.ends.append(attempt)
        if held := self.held.get(attempt.endpoint_id):
            held.flying -= 1
            held.is_failing = not attempt.is_success
            if attempt.is_gone:
                held.ready.clear()

    def _record(self) -> None:
        for wait in PATIENCE:  # an outcome is worth waiting for a database that is busy or restarts
            try:
                record_attempts(self.ends)
                break
            except OperationalError:
                log.warning("outcomes of webhooks could not be recorded; trying again")
                time.sleep(wait)
        else:
            record_attempts(self.ends)
        for attempt in self.ends:
            if held := self.held.get(attempt.endpoint_id):
                held.busy.discard(attempt.delivery_id)
        self.ends = []

    def _wait_for_retry(self) -> bool:
        """Sleep a little where something falls due soon; whether it does."""
        seconds = claims.seconds_until_due(STAY_FOR)
        if seconds is None:
            return False
        pause(min(max(seconds, 0.01), LOOK_EVERY))
        return True


def new_owner() -> str:
    """A name for the leases of one loop, unique over hosts and restarts."""
    return f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(6)}"


def start_request(transfers: Transfers, endpoint: WebhookEndpoint, delivery: WebhookDelivery, *, at: datetime) -> None:
    """Begin one attempt. at: the moment that is signed, by the database's clock."""
    keys = [endpoint.secret]
    if endpoint.previous_secret and endpoint.previous_until and endpoint.previous_until > at:
        keys.append(endpoint.previous_secret)
    headers = headers_for(event=delivery.event, event_id=delivery.event_id, body=delivery.body, at=at, keys=keys)
    facts = {"tarishi.client": delivery.client_id, "tarishi.endpoint": endpoint.pk, "tarishi.delivery": delivery.pk}
    span = tracing.begin("webhook delivery", facts | {"tarishi.event": delivery.event, "tarishi.tries": delivery.tries})
    transfers.start(Sending(delivery, endpoint.url, span), "POST", endpoint.url, headers, delivery.body.encode())


def _close(transfers: Transfers) -> None:
    for sending in transfers.close():
        sending.span.fail("given up")
        sending.span.end()


def attempted(sending: Sending, ended: Ended) -> Attempted:
    end_span(sending.span, ended)
    delivery = sending.delivery
    return Attempted(
        delivery_id=delivery.pk,
        endpoint_id=delivery.endpoint_id,
        client_id=delivery.client_id,
        url=sending.url,
        tries=delivery.tries,
        ended=ended,
    )


def deliver_now(*, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> None:
    """Make one attempt at once and record it, outside any transaction: the test on the page waits for its result."""
    transfers = Transfers(limits=LIMITS, most_per_host=1)
    try:
        start_request(transfers, endpoint, delivery, at=database_now())
        ends: list[Attempted] = []
        while transfers or not ends:
            ends += [attempted(sending, ended) for sending, ended in transfers.ended()]
            if transfers:
                transfers.wait(0.1)
    finally:
        _close(transfers)
    record_attempts(ends)
