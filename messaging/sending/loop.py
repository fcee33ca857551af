"""The sending loop: one per provider account and process, hundreds of requests in flight, every step in the database.

    claim → commit `submitting` → write to the provider → record outcomes in batches → again

A slot is a message between `submitting` and its recorded outcome, so a crash leaves at most `slots` unknown outcomes.
No task, transaction or query per message.
"""

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import OperationalError, connection

from contacts import queries as contacts
from messaging.models import ProviderAccount
from messaging.models.messages import public_id
from messaging.providers.base import AnyAdapter, Outbound, Outcome, UnusableCredentials, same_for_all
from messaging.sending import claims
from messaging.sending.claims import Claimed
from messaging.sending.recording import fail_messages, record_outcomes
from messaging.sending.transports import open_session
from messaging.services.provider_access import adapter_of, address_of, credentials_of
from messaging.services.providers import mark_working, rest_account
from messaging.services.reports import store_arrivals

log = logging.getLogger(__name__)

CLAIM_SIZE = 500
RECORD_WITHIN = 0.25  # seconds an outcome may wait to be written
PATIENCE = (0.2, 1.0, 4.0)  # seconds between attempts to record; with SQLite's own 20 s each, below the lease
FAILURES_BEFORE_REST = 10  # in a row, over whatever was in flight


@dataclass(slots=True)
class Sent:
    """What one run did: messages written to the provider, and outcomes recorded."""

    submitted: int = 0
    recorded: int = 0


class Loop:
    """Sends what waits for one account until nothing is left, `stop` says so, or the account needs rest."""

    def __init__(self, account: ProviderAccount, *, stop: Callable[[], bool], slots: int = 0) -> None:
        self.account = account
        self.adapter: AnyAdapter = adapter_of(account)
        self.credentials = credentials_of(account)
        self.base_url = address_of(account)
        self.batch_size = min(account.batch_size or self.adapter.can.batch_size, self.adapter.can.batch_size)
        self.slots = slots or settings.SENDING_SLOTS
        self.stop = stop
        self.owner = claims.new_owner()
        self.ready: deque[Claimed] = deque()
        self.flying = 0  # messages written or about to be, without an end yet
        self.ends: list[Outcome] = []
        self.oldest_end = 0.0
        self.failures = 0
        self.resting = False
        self.done = Sent()
        self._seen = 0.0
        self._session = open_session(self.adapter, self.credentials, self.base_url)

    def run(self) -> Sent:
        """Send until there is nothing more to do here."""
        try:
            self._run()
        except Exception:
            # Whatever it was, what is in flight must land: a dropped answer is a message nobody knows about.
            self.stop = lambda: True
            self._run()
            raise
        finally:
            self._session.close()
            claims.give_back(owner=self.owner, ids=[row.id for row in self.ready])
            if not self.flying and not self.ends:
                claims.leave(owner=self.owner)
        return self.done

    def _run(self) -> None:
        more = True
        while True:
            self._be_seen()
            ending = self.resting or self.stop()
            if ending:
                self._give_back()
            elif more and len(self.ready) < self.slots:
                rows = claims.claim(account_id=self.account.pk, owner=self.owner, limit=CLAIM_SIZE)
                more = len(rows) == CLAIM_SIZE
                self.ready.extend(rows)
            room = self.slots - self.flying - len(self.ends)
            if self.ready and room >= min(len(self.ready), self.slots // 2):
                self._submit([self.ready.popleft() for _ in range(min(room, len(self.ready)))])
            for batch, outcomes in self._session.ended():
                self.flying -= len(batch)
                self._end(outcomes)
            if arrivals := self._session.arrivals():
                store_arrivals(account=self.account, arrivals=arrivals)
            if self.ends and (
                len(self.ends) >= self.slots // 2
                or time.monotonic() - self.oldest_end > RECORD_WITHIN
                or not self.flying
            ):
                self._record()
                more = True  # while we were busy, new messages may have been queued
            if not (self.flying or self.ready or self.ends or (more and not ending)):
                return
            if self.flying:
                self._session.wait(0.05)

    def _be_seen(self) -> None:
        if time.monotonic() - self._seen > claims.SEEN_EVERY:
            claims.be_seen(owner=self.owner)
            self._seen = time.monotonic()

    def _give_back(self) -> None:
        if self.ready:
            claims.give_back(owner=self.owner, ids=[row.id for row in self.ready])
            self.ready.clear()

    def _without_opted_out(self, rows: Sequence[Claimed]) -> list[Claimed]:
        """Whoever opted out since the message was queued is not written to (D10), and the client is not charged."""
        if not rows:
            return []
        out = []
        for channel in {row.channel for row in rows}:
            asked = [row for row in rows if row.channel == channel]
            gone = contacts.opted_out_among(channel, [(row.client_id, row.recipient, row.sender) for row in asked])
            out += [row for row in asked if (row.client_id, row.recipient, row.sender) in gone]
        if not out:
            return list(rows)
        fail_messages(
            ids=[row.id for row in out], code="opted_out", message="Opted out before it was sent", owner=self.owner
        )
        left = {row.id for row in out}
        return [row for row in rows if row.id not in left]

    def _submit(self, window: list[Claimed]) -> None:
        """Commit that these are being written, then write them."""
        window = self._without_opted_out(window)
        ours = claims.mark_submitting(owner=self.owner, ids=[row.id for row in window])
        for batch in self._batches([row for row in window if row.id in ours]):
            try:
                self._session.start(batch)
            except UnusableCredentials as error:
                self._end(same_for_all(batch, "retry", "provider_credentials", str(error)))
                continue
            except Exception:  # an address no URL can hold, an adapter's mistake: surely nothing was written
                log.exception("no request could be made for provider account %s", self.account.pk)
                self._end(same_for_all(batch, "retry", "provider_address", "No request could be made of it."))
                continue
            self.flying += len(batch)
            self.done.submitted += len(batch)

    def _batches(self, rows: Sequence[Claimed]) -> list[list[Outbound]]:
        """Group what may share a request: no number twice, nothing beyond the text, and where the provider takes one
        text to many, one text and one sender.
        """
        shared = self.adapter.can.one_text_many
        if self.batch_size == 1:
            return [[outbound(row)] for row in rows]
        groups: dict[tuple[str, str], list[list[Outbound]]] = defaultdict(list)
        numbers: dict[tuple[str, str], set[str]] = defaultdict(set)
        alone = []
        for row in rows:
            if row.content:
                alone.append([outbound(row)])
                continue
            key = (row.sender, row.text) if shared else ("", "")
            batches = groups[key]
            if not batches or len(batches[-1]) >= self.batch_size or row.recipient in numbers[key]:
                batches.append([])
                numbers[key].clear()
            batches[-1].append(outbound(row))
            numbers[key].add(row.recipient)
        return alone + [batch for batches in groups.values() for batch in batches]

    def _end(self, outcomes: list[Outcome]) -> None:
        if not self.ends:
            self.oldest_end = time.monotonic()
        self.ends.extend(outcomes)
        # One request counts once, however many messages it carried.
        if any(outcome.kind in ("accepted", "rejected") for outcome in outcomes):
            self.failures = 0
        else:
            self.failures += 1

    def _record(self) -> None:
        took_some = any(outcome.kind == "accepted" for outcome in self.ends)
        for wait in PATIENCE:  # an answer is worth waiting for a database that is busy or restarts
            try:
                record_outcomes(self.ends)
                break
            except OperationalError:
                log.warning("the database did not take %d outcomes; once more in %s s", len(self.ends), wait)
                connection.close()
                time.sleep(wait)
        else:
            record_outcomes(self.ends)
        self.done.recorded += len(self.ends)
        if took_some and self.account.rest_level:
            mark_working(account_id=self.account.pk)
            self.account.rest_level = 0
        if self.failures >= FAILURES_BEFORE_REST and not self.resting:
            self.resting = True
            reason = next((o.error_message for o in reversed(self.ends) if o.error_message), "no clear answers")
            if rest_account(account_id=self.account.pk, reason=reason):
                log.warning("provider account %s rests after repeated errors: %s", self.account.pk, reason)
        self.ends = []


def outbound(row: Claimed) -> Outbound:
    return Outbound(row.id, row.recipient, row.text, row.sender, public_id(row.id), row.channel, row.content)
