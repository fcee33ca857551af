"""Asking providers what became of messages: where they push no reports, where a report is overdue, where an answer was
lost (D5). One run per provider account, few requests at once on kept connections.

A message is taken by moving its `look_up_at` on, so two runs ask about different ones and a run that dies only delays.
A provider that honours our reference as an idempotency key is not asked but sent the same request again: its answer is
the one that was lost.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from contacts import queries as contacts
from crm.common import tracing
from crm.common.spans import span_of
from crm.common.sql import (
    among_ids,
    as_datetime,
    database_now,
    later_sql,
    listed_ids,
    now_sql,
    plan_by_index_order,
    skip_locked,
    update_rows,
)
from crm.common.transfers import Ended, Transfers, end_span
from messaging import open_months
from messaging.models import Message, ProviderAccount
from messaging.models.messages import public_id
from messaging.providers.base import (
    Adapter,
    HttpResponse,
    Outbound,
    Outcome,
    SentMessage,
    UnusableCredentials,
)
from messaging.sending.claims import read_content
from messaging.sending.recording import (
    GIVE_UP_AFTER,
    Receipt,
    record_outcomes,
    record_receipts,
)
from messaging.services.provider_access import adapter_of, address_of, credentials_of

log = logging.getLogger(__name__)

BATCH = 200
AT_ONCE = 8  # requests in flight to one provider
RUN_SECONDS = 45
LEASE_SECONDS = 120  # longer than any request may take (D7)
LONGEST_WAIT = timedelta(hours=6)
ASKED_FOR = timedelta(hours=48)  # providers forget; after that a report can only come by itself
REPEATED_FOR = timedelta(hours=20)  # an idempotency key is remembered for 24 hours


@dataclass(frozen=True, slots=True)
class Due:
    """A message to ask about."""

    id: int
    client_id: int
    recipient: str
    sender: str
    text: str
    channel: str
    content: dict[str, Any] | None
    provider_message_id: str
    unconfirmed: bool
    sent_at: datetime

    def asked(self) -> SentMessage:
        return SentMessage(self.id, self.recipient, self.sender, public_id(self.id), self.provider_message_id)

    def outbound(self) -> Outbound:
        reference = public_id(self.id)
        return Outbound(self.id, self.recipient, self.text, self.sender, reference, self.channel, self.content)


def accounts_to_ask() -> list[int]:
    """Accounts with a message whose look-up is due."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT a.id FROM messaging_provideraccount a WHERE EXISTS (
                    SELECT 1 FROM messaging_message m WHERE m.provider_account_id = a.id AND m.status = 'sent'
                    AND m.look_up_at IS NOT NULL AND m.look_up_at <= {now_sql()}{open_months.opened().sql("m")})
                ORDER BY a.id""",
            [],
        )
        return [row[0] for row in cursor.fetchall()]


def look_up(*, account_id: int, stop: Callable[[], bool] = lambda: False) -> int:
    """Ask about what is due for one account until nothing is, or the time of a run is over. Returns how many."""
    account = ProviderAccount.objects.filter(pk=account_id).first()
    if account is None:
        return 0
    adapter = adapter_of(account)
    transfers, asked, until = Transfers(), 0, time.monotonic() + RUN_SECONDS
    try:
        while time.monotonic() < until and not stop():
            due = _take(account_id)
            if not due:
                break
            asked += len(due)
            _Run(account, adapter, transfers, due).run()
    finally:
        transfers.close()
    return asked


@transaction.atomic
def _take(account_id: int) -> list[Due]:
    with connection.cursor() as cursor:
        plan_by_index_order(cursor)
        cursor.execute(
            f"""SELECT id FROM messaging_message WHERE provider_account_id = %s AND status = 'sent'
                AND look_up_at IS NOT NULL AND look_up_at <= {now_sql()}{open_months.opened().sql()}
                ORDER BY look_up_at LIMIT %s {skip_locked()}""",
            [account_id, BATCH],
        )
        ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return []
        cursor.execute(  # apart from finding them, so that it names their months
            f"""UPDATE messaging_message SET look_up_at = {later_sql(LEASE_SECONDS)}
                WHERE id {among_ids()}{span_of(Message, ids).sql()}
                RETURNING id, client_id, recipient, sender, text, channel, content, provider_message_id, unconfirmed,
                          sent_at""",
            [listed_ids(ids)],
        )
        rows = cursor.fetchall()
    return sorted(
        (Due(*(*row[:6], read_content(row[6]), row[7], bool(row[8]), as_datetime(row[9]))) for row in rows),
        key=lambda due: due.id,
    )


class _Run:
    """One batch of due messages: asked, and what is known written down together."""

    def __init__(self, account: ProviderAccount, adapter: Any, transfers: Transfers, due: list[Due]) -> None:
        self.account, self.adapter, self.transfers, self.due = account, adapter, transfers, due
        self.credentials, self.base_url = credentials_of(account), address_of(account)
        self.now = database_now()
        self.settled: set[int] = set()  # no need to ask again
        self.receipts: list[Receipt] = []
        self.outcomes: list[Outcome] = []

    def run(self) -> None:
        repeated, asked = self._sorted()
        work = [("again", [row]) for row in repeated] + [("ask", part) for part in self._parts(asked)]
        waiting = iter(work)
        flying = self._start(waiting, AT_ONCE)
        while flying:
            self.transfers.wait(0.1)
            for (kind, rows, span), ended in self.transfers.ended():
                end_span(span, ended)
                flying -= 1
                (self._sent_again if kind == "again" else self._answered)(rows, ended)
                flying += self._start(waiting, 1)
        self._record()

    def _sorted(self) -> tuple[list[Due], list[Due]]:
        """Which messages are sent again under their reference, and which are asked about. The others wait."""
        if not isinstance(self.adapter, Adapter) or not self.account.is_active:
            return [], []
        lost = [row for row in self.due if row.unconfirmed and not row.provider_message_id]
        repeated = [row for row in lost if self.adapter.can.idempotent and self.now - row.sent_at < REPEATED_FOR]
        gone: set[int] = set()
        for channel in {row.channel for row in repeated}:
            mine = [row for row in repeated if row.channel == channel]
            out = contacts.opted_out_among(channel, [(row.client_id, row.recipient, row.sender) for row in mine])
            gone |= {row.id for row in mine if (row.client_id, row.recipient, row.sender) in out}
        again = [row for row in repeated if row.id not in gone]
        taken = {row.id for row in again}
        able = [
            row
            for row in self.due
            if row.id not in taken
            and self.adapter.can.lookup
            and (row.provider_message_id or self.adapter.can.lookup_by_reference)
            and self.now - row.sent_at < ASKED_FOR
        ]
        return again, able

    def _parts(self, rows: list[Due]) -> list[list[Due]]:
        size = self.adapter.can.lookup_batch
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _start(self, waiting: Iterator[tuple[str, list[Due]]], count: int) -> int:
        started = 0
        while started < count and (item := next(waiting, None)):
            kind, rows = item
            try:
                if kind == "again":
                    request = self.adapter.request_for([rows[0].outbound()], self.credentials, self.base_url)
                else:
                    asked = [row.asked() for row in rows]
                    request = self.adapter.lookup_request(asked, self.credentials, self.base_url)
                span = tracing.begin("provider look-up", self._facts(kind, rows))
                self.transfers.start((kind, rows, span), request.method, request.url, request.headers, request.body)
            except UnusableCredentials as error:
                log.warning("provider account %s cannot be asked: %s", self.account.pk, error)
                continue
            except Exception:  # an address no URL can hold, an adapter's mistake: asked again later
                log.exception("no look-up could be made for provider account %s", self.account.pk)
                continue
            started += 1
        return started

    def _facts(self, kind: str, rows: list[Due]) -> tracing.Facts:
        """again: the request of the lost answer is repeated under its reference."""
        return {"tarishi.provider": self.adapter.name, "tarishi.messages": len(rows), "tarishi.again": kind == "again"}

    def _answered(self, rows: Sequence[Due], ended: Ended) -> None:
        if ended.kind != "answer":
            return
        answer = HttpResponse(ended.status, ended.headers, ended.body)
        for row, report in zip(rows, self.adapter.reports_of([row.asked() for row in rows], answer), strict=True):
            if report is None:
                continue
            self.receipts.append(
                Receipt(
                    message_id=row.id,
                    status=report.status,
                    code=report.error_code,
                    detail=report.error_message or report.raw,
                    network_code=report.network_code,
                    provider_message_id=report.provider_message_id[:100],
                )
            )
            if report.final:
                self.settled.add(row.id)

    def _sent_again(self, rows: Sequence[Due], ended: Ended) -> None:
        """The repeated request's answer is the lost one, if it says what became of the message."""
        if ended.kind != "answer":
            return
        (row,) = rows
        answer = HttpResponse(ended.status, ended.headers, ended.body)
        (outcome,) = self.adapter.outcomes_of([row.outbound()], answer)
        if outcome.kind == "retry" and self.now - row.sent_at > GIVE_UP_AFTER:
            # Refused for hours under a reference that would have brought back an acceptance: it never was sent.
            outcome = Outcome(row.id, "rejected", "", outcome.error_code, outcome.error_message, raw=outcome.raw)
        if outcome.kind in ("accepted", "rejected"):
            self.outcomes.append(outcome)
            self.settled.add(row.id)

    def _record(self) -> None:
        """In one transaction: what is known, and when the rest is asked next."""
        news = {receipt.message_id for receipt in self.receipts if receipt.status != "sent"}
        unsettled = [row for row in self.due if row.unconfirmed]
        interim = [r for r in self.receipts if r.status == "sent" and r.message_id in {row.id for row in unsettled}]
        plan: list[tuple[int, datetime | None]] = []
        for row in self.due:
            if row.id in self.settled:
                continue
            plan.append((row.id, self._next(row)))
        with transaction.atomic():
            if self.outcomes:
                record_outcomes(self.outcomes)
            if news or interim:  # interim words tell something only of an unconfirmed message
                record_receipts([r for r in self.receipts if r.message_id in news] + interim)
            update_rows(Message, ("id", "look_up_at"), plan, where="t.status = 'sent'")

    def _next(self, row: Due) -> datetime | None:
        """Half as long again as it is old, so that questions thin out; none after two days (ASKED_FOR)."""
        age = self.now - row.sent_at
        repeats = row.unconfirmed and not row.provider_message_id and self.adapter.can.idempotent
        first = timedelta(seconds=30 if repeats else self.adapter.can.look_after)
        wait = min(max(age / 2, first), LONGEST_WAIT) * random.uniform(0.9, 1.1)
        following = self.now + wait
        return None if following - row.sent_at > ASKED_FOR else following
