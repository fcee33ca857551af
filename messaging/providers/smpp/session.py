"""The way to an SMPP account: submits within the window, slows down when told to, and keeps what comes by itself.

A part is `written` once an octet of it has left. Not written when the connection goes: it is sent on the next one.
Written and not answered: nobody knows, and the whole message is ambiguous (GUARANTEES D5).
"""

import itertools
import logging
import random
import select
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from messaging.providers.base import Arrival, Outbound, Outcome, OutcomeKind, UnusableCredentials, clip
from messaging.providers.smpp import pdus
from messaging.providers.smpp.ids import as_kept
from messaging.providers.smpp.line import Address, BindRefused, Line, LineLost
from messaging.providers.smpp.pdus import Part, Pdu
from messaging.providers.smpp.texts import Alphabet, LongTexts, parts_of

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30  # D7: shorter than the lease of a message
THROTTLE_PATIENCE = 10  # seconds a message is tried again here before it goes back to the queue
QUEUE_PATIENCE = 25  # seconds it may wait here for room in the window
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 4.0  # after ESME_RTHROTTLED
FIRST_RECONNECT, LONGEST_RECONNECT = 1.0, 60.0
WRONG_CREDENTIALS = {0x0D, 0x0E, 0x0F}  # RBINDFAIL, RINVPASWD, RINVSYSID: asking again at once locks accounts

# command_status of submit_sm_resp. A status says that the message was not taken; what is not listed here is refused.
REFUSED: dict[int, tuple[OutcomeKind, str]] = {
    0x04: ("retry", "provider_error"),  # RINVBNDSTS: bound in the wrong way
    0x08: ("retry", "provider_error"),  # RSYSERR
    0x0A: ("rejected", "sender_not_approved"),  # RINVSRCADR
    0x0B: ("rejected", "invalid_number"),  # RINVDSTADR
    0x48: ("rejected", "sender_not_approved"),  # RINVSRCTON
    0x49: ("rejected", "sender_not_approved"),  # RINVSRCNPI
    0xFE: ("rejected", "delivery_failed"),  # RDELIVERYFAILURE
    0xFF: ("ambiguous", "no_clear_answer"),  # RUNKNOWNERR
}


@dataclass(frozen=True, slots=True)
class Settings:
    """One account's agreement with its provider. receipt_ids: how receipts spell the id of a submit_sm_resp."""

    address: Address
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    two_binds: bool = False
    window: int = 10
    long_texts: LongTexts = "udh"
    alphabet: Alphabet = "gsm7"
    receipt_ids: str = "same"
    short_code_ton: int = 3
    service_type: str = ""

    @property
    def content_type(self) -> str:
        """What a stored deliver_sm is, and what one has to know to read it."""
        return f"application/smpp; receipt_ids={self.receipt_ids}; alphabet={self.alphabet}"


@dataclass(slots=True, eq=False)
class _Job:
    """A message under way in parts. todo: those not written yet; flying: those written or about to be."""

    batch: Sequence[Outbound]
    bodies: list[bytes]
    todo: deque[int]
    begun: float
    flying: int = 0
    accepted: int = 0
    last_id: str = ""
    over: bool = False

    @property
    def message(self) -> Outbound:
        return self.batch[0]


@dataclass(slots=True, eq=False)
class _Flight:
    job: _Job
    part: int
    line: Line
    deadline: float


_references = itertools.count(random.randrange(65536))  # of long texts, shared by the sessions of a process


class SmppSession:
    """Belongs to one thread. Binds when there is something to send, or at once where `keep`."""

    def __init__(self, settings: Settings | UnusableCredentials) -> None:
        self.settings = settings
        self.problem = ""
        self.keep = False
        self.room = 10 if isinstance(settings, UnusableCredentials) else 2 * settings.window
        self._lines: list[Line] = []
        self._jobs: deque[_Job] = deque()
        self._flights: dict[int, _Flight] = {}
        self._done: list[tuple[Sequence[Outbound], list[Outcome]]] = []
        self._arrivals: list[Arrival] = []
        self._connect_at = 0.0
        self._reconnect = FIRST_RECONNECT
        self._pause = 0.0
        self._paused_until = 0.0

    @property
    def is_up(self) -> bool:
        return bool(self._lines)

    def start(self, batch: Sequence[Outbound]) -> None:
        settings = self.settings
        if isinstance(settings, UnusableCredentials):
            raise settings
        (message,) = batch
        parts = parts_of(
            message.text, reference=next(_references) & 0xFFFF, how=settings.long_texts, alphabet=settings.alphabet
        )
        last = len(parts) - 1
        bodies = [self._body(settings, message, part, receipt=n == last) for n, part in enumerate(parts)]
        self._jobs.append(_Job(batch, bodies, deque(range(len(bodies))), time.monotonic()))

    def ended(self) -> Iterator[tuple[Sequence[Outbound], list[Outcome]]]:
        if (self._jobs or self.keep) and not self._lines:
            self._bind()
        if self._lines:
            self._submit()
            self._pump()
            self._submit()
        self._end_overdue()
        done, self._done = self._done, []
        yield from done

    def arrivals(self) -> Sequence[Arrival]:
        found, self._arrivals = self._arrivals, []
        return found

    def wait(self, seconds: float, enough: int = 1) -> None:
        if self._done:
            return
        if not self._lines:
            time.sleep(seconds)
            return
        writing = [line.socket for line in self._lines if line.wants_to_write]
        select.select([line.socket for line in self._lines], writing, [], seconds)

    def close(self) -> None:
        for line in self._lines:
            line.close()
        self._lines = []

    @staticmethod
    def _body(settings: Settings, message: Outbound, part: Part, *, receipt: bool) -> bytes:
        """A receipt is asked for the last part of a text: phones put the parts together only when all are there."""
        sender = message.sender.lstrip("+")
        kind = (5, 0)
        if sender.isdigit():
            kind = (1, 1) if len(sender) > 8 else (settings.short_code_ton, 0)
        return pdus.submit_body(
            source=sender,
            source_kind=kind,
            destination=message.to.lstrip("+"),
            part=part,
            service_type=settings.service_type,
            receipt=receipt,
        )

    # The connection

    def _bind(self) -> None:
        settings = self.settings
        if isinstance(settings, UnusableCredentials):
            self.problem = str(settings)
            return
        if time.monotonic() < self._connect_at:
            self._give_up(self.problem)
            return
        body = pdus.bind_body(
            system_id=settings.system_id, password=settings.password, system_type=settings.system_type
        )
        commands = [pdus.BIND_TRANSMITTER, pdus.BIND_RECEIVER] if settings.two_binds else [pdus.BIND_TRANSCEIVER]
        try:
            for command in commands:
                self._lines.append(Line.open(settings.address, command, body))
        except LineLost as error:
            for line in self._lines:
                line.close()
            self._lines = []
            refused = isinstance(error, BindRefused) and error.status in WRONG_CREDENTIALS
            self.problem = str(error)
            wait = LONGEST_RECONNECT if refused else self._reconnect
            self._connect_at = time.monotonic() + wait * random.uniform(0.8, 1.2)
            self._reconnect = min(self._reconnect * 2, LONGEST_RECONNECT)
            self._give_up(self.problem, "provider_credentials" if refused else "provider_unreachable")
            return
        self.problem, self._reconnect = "", FIRST_RECONNECT

    def _give_up(self, problem: str, code: str = "provider_unreachable") -> None:
        """Nobody to write to: hand back what waits. What was accepted in part can no longer be called unsent."""
        for job in self._jobs:
            self._end(job, "ambiguous" if job.accepted else "retry", code, problem)
        self._jobs.clear()

    def _lose(self, line: Line, problem: str) -> None:
        """Sort what was under way on a connection that is gone. Of two binds the other goes too."""
        log.warning("SMPP connection lost: %s", problem)
        for sequence, flight in list(self._flights.items()):
            del self._flights[sequence]
            flight.job.flying -= 1
            if flight.job.over:
                continue
            if flight.line.has_written(sequence):
                self._end(flight.job, "ambiguous", "no_clear_answer", problem)
            else:
                self._put_back(flight)
        for each in self._lines:
            each.drop()
        self._lines, self.problem = [], problem

    def _pump(self) -> None:
        for line in list(self._lines):
            try:
                line.pump()
            except LineLost as error:
                for pdu in line.arrived:
                    self._take(line, pdu)
                self._lose(line, str(error))
                return
            for pdu in line.arrived:
                self._take(line, pdu)

    # What comes in

    def _take(self, line: Line, pdu: Pdu) -> None:
        if pdu.command == pdus.SUBMIT_SM | pdus.RESPONSE or pdu.command == pdus.GENERIC_NACK:
            self._answer(pdu)
        elif pdu.command == pdus.DELIVER_SM:
            self._deliver(line, pdu)
        elif not pdu.command & pdus.RESPONSE and pdu.command not in (pdus.ENQUIRE_LINK, pdus.UNBIND):
            line.send(Pdu(pdus.GENERIC_NACK, pdus.INVALID_COMMAND, pdu.sequence))

    def _deliver(self, line: Line, pdu: Pdu) -> None:
        settings = self.settings
        assert isinstance(settings, Settings)
        try:
            found = pdus.read_deliver(pdu.body)
        except pdus.Garbage:
            line.send(pdu.answer(b"\x00", pdus.INVALID_BODY))
            return

        def acknowledge() -> None:
            if line in self._lines:  # else the provider sends it again on the next one
                line.send(pdu.answer(b"\x00"))

        if found.is_receipt:
            self._arrivals.append(Arrival("delivery", settings.content_type, pdu.body, acknowledge))
        else:
            came = f"{settings.content_type}; at={int(time.time()) // 600}"
            self._arrivals.append(Arrival("inbound", came, pdu.body, acknowledge))

    def _answer(self, pdu: Pdu) -> None:
        flight = self._flights.pop(pdu.sequence, None)
        if flight is None:
            return
        job = flight.job
        job.flying -= 1
        if job.over:
            return
        if pdu.status in (pdus.THROTTLED, pdus.QUEUE_FULL):
            self._slow_down(flight)
        elif pdu.status:
            self._refuse(job, pdu)
        else:
            self._pause = 0.0
            job.accepted += 1
            if flight.part == len(job.bodies) - 1:
                job.last_id = as_kept(pdus.read_message_id(pdu.body), self._receipt_ids())
            if job.accepted == len(job.bodies):
                if job.last_id:
                    self._end(job, "accepted")
                else:
                    self._end(job, "ambiguous", "no_clear_answer", "Accepted without a message id")

    def _receipt_ids(self) -> str:
        return "same" if isinstance(self.settings, UnusableCredentials) else self.settings.receipt_ids

    def _refuse(self, job: _Job, pdu: Pdu) -> None:
        kind, code = REFUSED.get(pdu.status, ("rejected", "provider_refused"))
        if kind == "retry" and (job.accepted or job.flying):
            kind = "ambiguous"  # a part of it is on its way: again would be twice
        self._end(job, kind, code, f"command_status 0x{pdu.status:02X}")

    def _slow_down(self, flight: _Flight) -> None:
        now = time.monotonic()
        if now >= self._paused_until:  # one answer of a full window counts, not all of them
            self._pause = min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
            self._paused_until = now + self._pause
        self._put_back(flight)

    def _put_back(self, flight: _Flight) -> None:
        job = flight.job
        job.todo.appendleft(flight.part)
        if job not in self._jobs:
            self._jobs.appendleft(job)

    # What goes out

    def _submit(self) -> None:
        line = next((line for line in self._lines if line.sends), None)
        settings = self.settings
        if line is None or isinstance(settings, UnusableCredentials) or time.monotonic() < self._paused_until:
            return
        while self._jobs and len(self._flights) < settings.window:
            job = self._jobs[0]
            if job.over:
                self._jobs.popleft()
                continue
            part = job.todo.popleft()
            if not job.todo:
                self._jobs.popleft()
            sequence = line.next_sequence()
            line.send(Pdu(pdus.SUBMIT_SM, 0, sequence, job.bodies[part]), tag=sequence)
            job.flying += 1
            self._flights[sequence] = _Flight(job, part, line, time.monotonic() + ANSWER_SECONDS)

    def _end_overdue(self) -> None:
        now = time.monotonic()
        for sequence, flight in list(self._flights.items()):
            if flight.deadline > now:
                break  # they left in this order
            del self._flights[sequence]
            flight.job.flying -= 1
            if not flight.job.over:
                self._end(flight.job, "ambiguous", "no_clear_answer", "no answer to submit_sm in time")
        patience = THROTTLE_PATIENCE if self._paused_until > now else QUEUE_PATIENCE
        while self._jobs and now - self._jobs[0].begun > patience:
            job = self._jobs.popleft()
            if not job.over:
                tried = job.accepted or job.flying
                self._end(
                    job,
                    "ambiguous" if tried else "retry",
                    "provider_busy",
                    "throttled" if self._pause else "no room in the window",
                )

    def _end(self, job: _Job, kind: OutcomeKind, code: str = "", words: str = "") -> None:
        job.over = True
        outcome = Outcome(
            job.message.id,
            kind,
            provider_message_id=job.last_id if kind == "accepted" else "",
            error_code=code,
            error_message=clip(words),
        )
        self._done.append((job.batch, [outcome]))
