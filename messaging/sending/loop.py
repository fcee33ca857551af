"""The sending loop: one per provider account and process, hundreds of requests in flight, every step in the database.

    claim → commit `submitting` → write to the provider → record outcomes in batches → again

A slot is a message between `submitting` and its recorded outcome, so a crash leaves at most `slots` unknown outcomes.
They are filled and recorded by quarters: while the database has one of them, the others are with the provider, over
connections that another thread serves (transports.py). No task, transaction or query per message. `pace.py` keeps the
account's limits, `breaker.py` judges its health.
"""

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from django.conf import settings
from django.db import OperationalError, connection

from contacts import queries as contacts
from messaging import reasons
from messaging.conversations import open_windows
from messaging.models import Channel, ProviderAccount
from messaging.models.messages import ANSWERS_WORD, public_id
from messaging.providers.base import (
    AnyAdapter,
    LineSession,
    Outbound,
    Outcome,
    UnusableCredentials,
    same_for_all,
)
from messaging.sending import claims
from messaging.sending.breaker import Breaker
from messaging.sending.claims import Claimed
from messaging.sending.pace import Pace
from messaging.sending.recording import fail_messages, record_outcomes
from messaging.sending.transports import open_session
from messaging.services.known_templates import known_templates
from messaging.services.provider_access import adapter_of, address_of, credentials_of
from messaging.services.providers import (
    leave_probe,
    mark_working,
    note_error,
    note_usual_seconds,
    rest_account,
    take_probe,
)
from messaging.services.reports import store_arrivals
from messaging.services.routing import has_other_road

log = logging.getLogger(__name__)

CLAIM_SIZE = 500
IDLE_LOOK = 0.2  # seconds between two looks of a line that has nothing to send
RECORD_WITHIN = 0.25  # seconds an outcome may wait to be written
PATIENCE = (0.2, 1.0, 4.0)  # seconds between attempts to record; with SQLite's own 20 s each, below the lease
JUDGE_EVERY = 1.0  # seconds between looks at how the account does
NOTE_EVERY = 10.0  # between notes of its usual time to answer, and of its last error


@dataclass(slots=True)
class Sent:
    """What one run did: messages written to the provider, and outcomes recorded."""

    submitted: int = 0
    recorded: int = 0


@dataclass(slots=True)
class Flight:
    """A request in flight: since when, and how many of its messages have no end yet."""

    started: float
    messages: int


class Loop:
    """Sends what waits for one account until nothing is left, `stop` says so, or the account needs rest."""

    def __init__(
        self,
        account: ProviderAccount,
        *,
        stop: Callable[[], bool],
        slots: int = 0,
        stays: Callable[[LineSession], bool] | None = None,
    ) -> None:
        """stays: for an account whose line is kept open, asked every few seconds whether it still is ours."""
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
        self.marked: deque[list[Outbound]] = deque()  # committed as submitting, waiting for their moment
        self.flights: dict[int, Flight] = {}  # by message
        self.requests = 0
        self.breaker = Breaker(account.usual_seconds)
        self.pace = Pace(
            account_id=account.pk,
            owner=self.owner,
            rate=account.rate_per_second or self.adapter.can.rate,
            most=account.most_at_once or self.adapter.can.most_at_once,
        )
        self.probing = False  # the account comes back from a rest: one message at a time
        self.resting = False
        self.done = Sent()
        self._seen = self._judged = self._noted = self._told = 0.0
        self._session = open_session(self.adapter, self.credentials, self.base_url)
        self._stays = stays
        self._lost = False  # the line is no longer ours
        self._look_at = 0.0  # when an idle line looks for messages again
        self.slots = min(self.slots, self._session.room)
        self.window = max(1, self.slots // 4)
        if stays:
            self.line.keep = True

    @property
    def line(self) -> LineSession:
        """The session of an account whose line is kept open."""
        return cast(LineSession, self._session)

    def run(self) -> Sent:
        """Send until there is nothing more to do here."""
        if self.account.rest_level and not self._stays:
            self.probing = take_probe(account_id=self.account.pk, owner=self.owner)
            if not self.probing:
                self._session.close()
                return self.done  # another process tries it
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
            if self.probing:
                leave_probe(account_id=self.account.pk, owner=self.owner)
            if not self.flying and not self.ends:
                claims.leave(owner=self.owner)
        return self.done

    def _run(self) -> None:
        more = True
        while True:
            self._be_seen()
            ending = self.resting or self._lost or self.stop()
            if ending:
                self._give_back()
            elif (more or self._may_look()) and self._has_room():
                limit = self._claim_size()
                rows = claims.claim(account_id=self.account.pk, owner=self.owner, limit=limit)
                more = len(rows) == limit and not self.probing
                self.ready.extend(rows)
            room = self.slots - self.flying - len(self.ends)
            if self.ready and room >= min(len(self.ready), self.window):
                count = self._room(min(room, len(self.ready)))
                if count:
                    self._submit([self.ready.popleft() for _ in range(count)])
            self._start_marked()
            for batch, outcomes in self._session.ended():
                self.flying -= len(batch)
                self._end(outcomes, self._landed(batch))
            if arrivals := self._session.arrivals():
                store_arrivals(account=self.account, arrivals=arrivals)
            self._judge()
            if self.ends and (
                len(self.ends) >= self.window or time.monotonic() - self.oldest_end > RECORD_WITHIN or not self.flying
            ):
                self._record()
                more = True  # while we were busy, new messages may have been queued
                continue  # the slots that are free again are filled at once
            idle = not (self.flying or self.ready or self.ends)
            if idle and (ending if self._stays else not more or ending):
                return
            if self.requests:
                self._session.wait(0.01 if self.marked else 0.05, self._enough())
            elif self.marked or self.ready:
                time.sleep(0.01)  # until our time comes, or another process gives a share away
            elif self._stays and not more:
                self._session.wait(0.05)

    def _enough(self) -> int:
        """How many requests must end before there is something to do."""
        return 1 if self.marked else max(1, (self.window - len(self.ends)) // self.batch_size)

    def _has_room(self) -> bool:
        return len(self.ready) < self.slots and not (self.probing and (self.ready or self.flying))

    def _claim_size(self) -> int:
        """No more than can leave within a lease, and one message where it shows whether the account is back."""
        if self.probing:
            return 1
        return CLAIM_SIZE if self.pace.rate is None else max(1, min(CLAIM_SIZE, int(self.pace.rate * 10)))

    def _room(self, wanted: int) -> int:
        """How many messages may be marked now, by the account's limits."""
        if self.pace.most is not None:
            wanted = min(wanted, (self.pace.share - self.requests - len(self.marked)) * self.batch_size)
        if wanted <= 0 or (self.marked and self.pace.rate is not None):
            return 0
        return self.pace.reserve(wanted)

    def _be_seen(self) -> None:
        waits = self.pace.most is not None and not self.pace.share
        if time.monotonic() - self._seen > (JUDGE_EVERY if waits else claims.SEEN_EVERY):
            if self.pace.most is None:
                claims.be_seen(owner=self.owner)
            else:
                self.pace.renew(self.requests + len(self.marked))
            self._seen = time.monotonic()
            self._lost = self._lost or bool(self._stays and not self._stays(self.line))
            if self._stays and self.account.rest_level and not self.probing:
                self.probing = take_probe(account_id=self.account.pk, owner=self.owner)

    def _may_look(self) -> bool:
        """Whether an idle line has messages: it is asked in short, so that nothing is written while nothing waits."""
        if not self._stays or time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + IDLE_LOOK
        return claims.anything_due(account_id=self.account.pk)

    def _give_back(self) -> None:
        if self.ready:
            claims.give_back(owner=self.owner, ids=[row.id for row in self.ready])
            self.ready.clear()

    def _without_opted_out(self, rows: Sequence[Claimed]) -> list[Claimed]:
        """Whoever opted out since the message was queued is not written to (D10), and the client is not charged.

        The one answer that a person gets to STOP itself is no such message.
        """
        if not rows:
            return []
        out = []
        for channel in {row.channel for row in rows}:
            asked = [row for row in rows if row.channel == channel and not (row.content or {}).get(ANSWERS_WORD)]
            gone = contacts.opted_out_among(channel, [(row.client_id, row.recipient, row.sender) for row in asked])
            out += [row for row in asked if (row.client_id, row.recipient, row.sender) in gone]
        if not out:
            return list(rows)
        fail_messages(ids=[row.id for row in out], code="opted_out", message="Opted out before it was sent")
        left = {row.id for row in out}
        return [row for row in rows if row.id not in left]

    def _without_closed_windows(self, rows: Sequence[Claimed]) -> list[Claimed]:
        """What WhatsApp takes only within 24 hours of the person's last message ends here once they are over."""
        free = [row for row in rows if row.channel == Channel.WHATSAPP and "template" not in (row.content or {})]
        if not free:
            return list(rows)
        opened = open_windows((row.client_id, row.recipient, row.sender) for row in free)
        late = {row.id for row in free if (row.client_id, row.recipient, row.sender) not in opened}
        if late:
            words = "More than 24 hours after the person's last message"
            fail_messages(ids=late, code="window_closed", message=words)
        return [row for row in rows if row.id not in late]

    def _without_stopped_templates(self, rows: Sequence[Claimed]) -> list[Claimed]:
        """A template that WhatsApp paused, rejected or disabled meanwhile is not tried: trying costs its quality."""
        asked = {row.id: row.content["template"] for row in rows if row.content and "template" in row.content}
        if not asked:
            return list(rows)
        known = known_templates({row.client_id for row in rows}, set(asked.values()))
        stopped = set()
        for row in rows:
            if row.id in asked and row.content:
                template = known.get((row.client_id, row.content["template"], row.content.get("language", "")))
                if template is not None and not template.can_be_sent:
                    stopped.add(row.id)
        if stopped:
            words = "WhatsApp does not take this template at the moment"
            fail_messages(ids=stopped, code="template_paused", message=words)
        return [row for row in rows if row.id not in stopped]

    def _submit(self, window: list[Claimed]) -> None:
        """Commit that these are being written, then write them."""
        window = self._without_closed_windows(self._without_opted_out(window))
        window = self._without_stopped_templates(window)
        ours = claims.mark_submitting(owner=self.owner, ids=[row.id for row in window])
        batches = self._batches([row for row in window if row.id in ours])
        self.marked.extend(batches)
        self.flying += sum(len(batch) for batch in batches)

    def _start_marked(self) -> None:
        while self.marked and self.pace.may_start(len(self.marked[0]), self.requests):
            batch = self.marked.popleft()
            self.pace.started(len(batch))
            try:
                self._session.start(batch)
            except UnusableCredentials as error:
                self.flying -= len(batch)
                self._end(same_for_all(batch, "retry", "provider_credentials", str(error)), 0.0)
                continue
            except Exception:  # an address no URL can hold, an adapter's mistake: surely nothing was written
                log.exception("no request could be made for provider account %s", self.account.pk)
                self.flying -= len(batch)
                self._end(same_for_all(batch, "retry", "provider_address", "No request could be made of it."), 0.0)
                continue
            flight = Flight(time.monotonic(), len(batch))
            self.flights.update((message.id, flight) for message in batch)
            self.requests += 1
            self.done.submitted += len(batch)

    def _landed(self, batch: Sequence[Outbound]) -> float:
        """The seconds that a request took of which `batch` is a part or the whole."""
        flight = self.flights[batch[0].id]
        for message in batch:
            del self.flights[message.id]
        flight.messages -= len(batch)
        if not flight.messages:
            self.requests -= 1
        return time.monotonic() - flight.started

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

    def _end(self, outcomes: list[Outcome], seconds: float) -> None:
        now = time.monotonic()
        if not self.ends:
            self.oldest_end = now
        self.ends.extend(outcomes)
        good = self.breaker.note(outcomes, seconds, now)
        if self.probing and not self.resting:
            self._judge_probe(good, seconds)

    def _judge_probe(self, good: bool, seconds: float) -> None:
        """One message was tried after a rest: the account works again, or rests for longer."""
        if not good:
            self._rest(self.breaker.last_problem)
        elif seconds > self.breaker.slow_from and has_other_road(self.account.pk):
            self._rest(reasons.STILL_SLOW % {"seconds": f"{seconds:.1f}"})
        else:
            self.probing, self.account.rest_level = False, 0
            mark_working(account_id=self.account.pk)

    def _judge(self) -> None:
        """Rest the account where its answers say so."""
        now = time.monotonic()
        if self.resting or now - self._judged < JUDGE_EVERY:
            return
        self._judged = now
        if reason := self.breaker.errors(now):
            self._rest(reason)
            return
        since = now - self.breaker.patience
        old = {id(flight) for flight in self.flights.values() if flight.started < since}
        slow = self.breaker.slowness(hanging=len(old), slots=min(self.slots, self.requests), now=now)
        if slow:
            if has_other_road(self.account.pk):
                self._rest(slow)
        elif now - self._noted > NOTE_EVERY and (median := self.breaker.median()) is not None:
            self._noted = now
            note_usual_seconds(account_id=self.account.pk, median=median)
            if self.breaker.usual is None:
                self.breaker.usual = median

    def _rest(self, reason: str) -> None:
        """Let the account rest. A line stays up meanwhile, for what comes by it; nothing is claimed for its account."""
        self.resting = not self._stays
        if rest_account(account_id=self.account.pk, reason=reason):
            log.warning("provider account %s rests: %s", self.account.pk, reason)
        if self._stays:
            self._give_back()
            self.probing = False
            self.account.rest_level += 1
            self.breaker = Breaker(self.breaker.usual)

    def _record(self) -> None:
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
        bad = next((o for o in reversed(self.ends) if o.kind in ("retry", "ambiguous") and o.error_message), None)
        if bad and time.monotonic() - self._told > NOTE_EVERY:
            self._told = time.monotonic()
            note_error(account_id=self.account.pk, words=bad.error_message)
        self.ends = []
        if not self.resting and (reason := self.breaker.errors()):
            self._rest(reason)


def outbound(row: Claimed) -> Outbound:
    return Outbound(row.id, row.recipient, row.text, row.sender, public_id(row.id), row.channel, row.content)
