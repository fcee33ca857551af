"""What became of messages, written down in batches: outcomes of attempts, delivery reports, refunds, timeline.

Every function here moves rows only by the steps of messaging/states.py, refunds only what it itself moved to `failed`,
and can be repeated without effect.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from crm.common.spans import span_of
from crm.common.sql import as_datetime, database_now, later_sql, now_sql, update_rows
from messaging.models import Campaign, CampaignState, EventKind, Message, MessageStatus
from messaging.providers.base import Outcome
from messaging.providers.registry import all_adapters
from messaging.sending.claims import end_submitting, take_back
from messaging.services.announcing import announce_messages
from messaging.services.provider_tallies import Figures, Where, bucket_of, read_cost
from messaging.services.tallies import count_steps, lock_statuses
from messaging.services.timeline import charge_reference, write_events
from messaging.states import sources_sql
from wallet import services as wallet

FIRST_RETRY_SECONDS = 5
LONGEST_RETRY_SECONDS = 1800
GIVE_UP_AFTER = timedelta(hours=4)  # D6
LOOK_AT_UNKNOWN = 30  # seconds after a lost answer
FINAL_AFTER = timedelta(hours=72)  # D2: `sent` without a report is then final


@dataclass(frozen=True, slots=True)
class Moved:
    """A message whose status this call changed, from `before`."""

    id: int
    client_id: int
    campaign_id: int | None
    status: str
    cost_micros: int
    account_id: int | None
    country: str
    network: str
    error_code: str
    sent_at: datetime | None
    before: str

    def where(self, now: datetime) -> Where:
        """The figures it belongs to."""
        return Where(self.account_id, self.country, self.network, self.sent_at or now)


def retry_seconds(attempts: int) -> float:
    """The wait before attempt number `attempts` + 1: doubling, with jitter so that a crowd does not return at once."""
    return min(FIRST_RETRY_SECONDS * 2 ** max(attempts - 1, 0), LONGEST_RETRY_SECONDS) * random.uniform(0.8, 1.2)


@transaction.atomic
def record_outcomes(outcomes: Sequence[Outcome]) -> list[Moved]:
    """Write down what attempts came to, in a number of statements that does not depend on how many.

    accepted → sent; rejected → failed and refunded; retry → queued for later, held where its campaign was paused or
    cancelled meanwhile, or failed after four hours of trying; ambiguous → sent, flagged unconfirmed. An answer that
    comes after its lease was given up still settles the message.
    """
    now = database_now()
    attempts = _attempts_of([outcome.message_id for outcome in outcomes if outcome.kind == "retry"])
    stopped = _stopped_campaigns({campaign_id for _, _, campaign_id in attempts.values() if campaign_id})
    before = lock_statuses([outcome.message_id for outcome in outcomes])
    submitting = end_submitting(list(before))
    rows, events = [], {}
    for outcome in outcomes:
        status, unconfirmed, next_attempt, kind = MessageStatus.SENT, False, None, EventKind.SENT
        code = outcome.error_code
        if outcome.kind == "ambiguous":
            unconfirmed, kind, code = True, EventKind.UNCONFIRMED, code or "no_clear_answer"
        elif outcome.kind == "rejected":
            status, kind = MessageStatus.FAILED, EventKind.FAILED
        elif outcome.kind == "retry":
            tried, since, campaign_id = attempts.get(outcome.message_id, (1, now, None))
            next_attempt = now + timedelta(seconds=retry_seconds(tried))
            if tried > 1 and next_attempt - since > GIVE_UP_AFTER:
                status, next_attempt, kind = MessageStatus.FAILED, None, EventKind.FAILED
            else:
                status = MessageStatus.HELD if campaign_id in stopped else MessageStatus.QUEUED
                kind = EventKind.RETRY
        shown = outcome.kind != "accepted"
        rows.append(
            (
                outcome.message_id,
                status,
                unconfirmed,
                outcome.provider_message_id[:100],
                code[:40] if shown else "",
                outcome.error_message[:200] if shown else "",
                next_attempt,
                now if status == MessageStatus.SENT else None,
                now if status == MessageStatus.FAILED else None,
            )
        )
        events[outcome.message_id] = (kind, code, (outcome.error_message or outcome.raw) if shown else "")
    moved = _move(
        ("id", "status", "unconfirmed", "provider_message_id", "error_code", "error_message", "next_attempt_at",
         "sent_at", "failed_at"),
        rows,
        # the usual case, or the late answer to a message that was given up as unknown
        before={pk: old for pk, old in before.items() if old == MessageStatus.SENT or pk in submitting},
        where="(t.status = 'queued' OR (t.status = 'sent' AND t.unconfirmed AND v.status IN ('sent', 'failed') "
        "AND NOT v.unconfirmed))",
        # the four hours count from the first attempt, not from a queue that was long
        assign=f"""look_up_at = {_look_up_sql()},
            attempts = t.attempts + CASE WHEN t.status = 'queued' THEN 1 ELSE 0 END,
            queued_at = CASE WHEN v.status IN ('queued', 'held') AND t.attempts < 1 THEN {now_sql()}
                             ELSE t.queued_at END""",
    )  # fmt: skip
    _write_events(moved, events, now)
    _count_outcomes(moved, {outcome.message_id: outcome for outcome in outcomes}, now)
    _refund(moved)
    return moved


def _look_up_sql() -> str:
    """When the provider is asked about a message that is now `sent`; NULL for one that only waits for its report.

    One whose answer was lost is asked for soon, where our reference finds it.
    """
    able = [adapter for adapter in all_adapters() if adapter.can.lookup]
    asked = " ".join(f"WHEN '{adapter.name}' THEN {later_sql(adapter.can.look_after)}" for adapter in able)
    found = [a.name for a in all_adapters() if a.can.lookup_by_reference or a.can.idempotent]
    soon = " ".join(f"WHEN '{name}' THEN {later_sql(LOOK_AT_UNKNOWN)}" for name in found)

    def by_adapter(cases: str) -> str:
        account = "FROM messaging_provideraccount a WHERE a.id = t.provider_account_id"
        return f"(SELECT CASE a.adapter {cases} END {account})" if cases else "NULL"

    return f"""CASE WHEN v.status <> 'sent' THEN NULL
        WHEN v.unconfirmed AND v.provider_message_id = '' THEN {by_adapter(soon)} ELSE {by_adapter(asked)} END"""


def _count_outcomes(moved: Sequence[Moved], outcomes: Mapping[int, Outcome], now: datetime) -> None:
    """Figures of the provider account: what it took, what it cost, what it refused and what was tried again."""
    figures = Figures()
    for row in moved:
        outcome, where = outcomes[row.id], row.where(now)
        if row.status == MessageStatus.SENT and row.before == MessageStatus.QUEUED:
            figures.add(where, "accepted")
            if outcome.kind == "ambiguous":
                figures.add(where, "unconfirmed")
        elif row.status == MessageStatus.FAILED:
            late = row.before == MessageStatus.SENT
            figures.add(where, f"{'failed' if late else 'refused'}:{outcome.error_code or 'provider_refused'}")
        elif row.status != MessageStatus.SENT:
            figures.add(where, "retried")
        if row.status == MessageStatus.SENT and (cost := read_cost(outcome.provider_cost)):
            figures.add(where, f"cost:{cost[0]}", cost[1])
    figures.write()


def _count_receipts(moved: Sequence[Moved], now: datetime) -> None:
    """Figures of the provider account: what arrived and after how long, and what did not."""
    figures = Figures()
    for row in moved:
        where = row.where(now)
        if row.status in (MessageStatus.DELIVERED, MessageStatus.READ) and row.before != MessageStatus.DELIVERED:
            figures.add(where, "delivered")
            figures.add(where, f"seconds:{bucket_of((now - where.sent_at).total_seconds())}")
        elif row.status == MessageStatus.FAILED:
            figures.add(where, f"failed:{row.error_code or 'delivery_failed'}")
    figures.write()


@dataclass(frozen=True, slots=True)
class Receipt:
    """A delivery report matched to a message: `status` sent (an interim word), delivered, read or failed."""

    message_id: int
    status: str
    code: str = ""
    detail: str = ""
    network_code: str = ""
    provider_message_id: str = ""


@transaction.atomic
def record_receipts(receipts: Sequence[Receipt]) -> list[Moved]:
    """Apply delivery reports: the first final one decides, later ones only join the timeline (D2).

    A failure is refunded once. Any report settles an unconfirmed message: the provider has it.
    """
    now = database_now()
    decided: dict[int, Receipt] = {}
    for receipt in receipts:
        held = decided.get(receipt.message_id)
        if held is None or (held.status == "sent" and receipt.status != "sent"):
            decided[receipt.message_id] = receipt
    rows = [
        (
            receipt.message_id,
            receipt.status,
            receipt.network_code[:12],
            receipt.provider_message_id[:100],
            receipt.code[:40],
            receipt.detail[:200] if receipt.status == "failed" else "",
        )
        for receipt in decided.values()
    ]
    before = lock_statuses(list(decided))  # all at once: two steps would meet another batch's two steps crosswise
    moved = _move(
        ("id", "status", "network_code", "-provider_message_id", "error_code", "error_message"),
        [row for row in rows if row[1] != "sent"],
        before=before,
        where=f"""((v.status = 'delivered' AND t.status IN {sources_sql("delivered")})
               OR (v.status = 'read' AND t.status IN {sources_sql("read")})
               OR (v.status = 'failed' AND t.status = 'sent'))
              AND (t.sent_at IS NULL OR t.sent_at > %s)""",
        params=[now - FINAL_AFTER],
        assign=f"""unconfirmed = false,
            provider_message_id = CASE WHEN v.provider_message_id = '' THEN t.provider_message_id
                                       ELSE v.provider_message_id END,
            delivered_at = CASE WHEN v.status IN ('delivered', 'read') AND t.delivered_at IS NULL THEN {now_sql()}
                                ELSE t.delivered_at END,
            failed_at = CASE WHEN v.status = 'failed' THEN {now_sql()} ELSE t.failed_at END""",
    )
    update_rows(  # interim words: they prove that the provider has the message, and name its id
        Message,
        ("id", "-provider_message_id"),
        [(row[0], row[3]) for row in rows if row[1] == "sent" and row[3]],
        assign="unconfirmed = false, provider_message_id = v.provider_message_id",
        where="t.status = 'sent' AND t.unconfirmed",
    )
    changed = {row.id: row.status for row in moved}
    ids = {receipt.message_id for receipt in receipts}
    known = Message.objects.unscoped().filter(span_of(Message, ids).q, pk__in=ids)
    clients = dict(known.values_list("pk", "client_id"))
    lines = []
    for receipt in receipts:
        if receipt.message_id in clients:
            first = changed.get(receipt.message_id) == receipt.status and decided[receipt.message_id] is receipt
            kind = receipt.status if first else EventKind.REPORT
            detail = receipt.detail if first else f"{receipt.status}: {receipt.detail}".rstrip(": ")
            lines.append((receipt.message_id, clients[receipt.message_id], kind, receipt.code, detail))
    write_events(lines, at=now)
    _count_receipts(moved, now)
    _refund(moved)
    return moved


@transaction.atomic
def fail_messages(*, ids: Iterable[int], code: str, message: str) -> list[Moved]:
    """End queued messages that never left, with their money back, as after an opt-out; whoever claimed them."""
    now = database_now()
    before = _lock_unsent(ids)
    moved = _move(
        ("id", "status", "error_code", "error_message", "failed_at"),
        [(pk, MessageStatus.FAILED, code, message, now) for pk in before],
        before=before,
        where="t.status = 'queued'",
    )
    _write_events(moved, {row.id: (EventKind.FAILED, code, message) for row in moved}, now)
    _refund(moved)
    return moved


@transaction.atomic
def fail_unconfirmed(*, ids: Iterable[int]) -> list[Moved]:
    """Give messages up whose answer was lost and of which nobody has heard for so long; their money goes back."""
    now = database_now()
    before = lock_statuses(list(ids))
    moved = _move(
        ("id", "status", "failed_at"),
        [(pk, MessageStatus.FAILED, now) for pk in before],
        before=before,
        where="t.status = 'sent' AND t.unconfirmed",
        assign="unconfirmed = false",
    )
    words = (EventKind.FAILED, "no_clear_answer", "No report in 72 hours; refunded")
    _write_events(moved, dict.fromkeys((row.id for row in moved), words), now)
    _count_receipts(moved, now)
    _refund(moved)
    return moved


@transaction.atomic
def cancel_messages(*, ids: Iterable[int]) -> list[Moved]:
    """Take back messages that have not left, with their money; those already with the provider are not touched."""
    now = database_now()
    before = _lock_unsent(ids)
    moved = _move(
        ("id", "status"),
        [(pk, MessageStatus.CANCELLED) for pk in before],
        before=before,
        where=f"t.status IN {sources_sql('cancelled')}",
    )
    _write_events(moved, {row.id: (EventKind.CANCELLED, "", "") for row in moved}, now)
    _refund(moved)
    return moved


def _lock_unsent(ids: Iterable[int]) -> dict[int, str]:
    """The statuses of locked messages, without those that a provider is being given this moment."""
    before = lock_statuses(list(ids))
    being_written = take_back(list(before))
    return {pk: status for pk, status in before.items() if pk not in being_written}


def _attempts_of(ids: Sequence[int]) -> dict[int, tuple[int, datetime, int | None]]:
    """By message: how often it was tried, this time included, since when, and its campaign."""
    if not ids:
        return {}
    tried = Message.objects.unscoped().filter(span_of(Message, ids).q, pk__in=ids)
    rows = tried.values_list("pk", "attempts", "queued_at", "campaign_id")
    return {pk: (attempts + 1, since, campaign_id) for pk, attempts, since, campaign_id in rows if since}


def _stopped_campaigns(ids: set[int]) -> set[int]:
    """Which of these campaigns send nothing now. Locked: none is paused or cancelled before our commit."""
    if not ids:
        return set()
    campaigns = Campaign.objects.unscoped().filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)
    return {pk for pk, state in campaigns.values_list("pk", "state") if state != CampaignState.SENDING}


def _move(
    columns: Sequence[str],
    rows: Sequence[tuple],
    *,
    before: Mapping[int, str],
    where: str,
    assign: str = "",
    params: Sequence = (),
) -> list[Moved]:
    """Move messages that the caller has locked. before: their statuses; what is missing there is left alone."""
    changed = update_rows(
        Message,
        columns,
        [row for row in rows if row[0] in before],
        where=where,
        params=params,
        assign=assign,
        returning=(
            "id", "client_id", "campaign_id", "status", "cost_micros", "provider_account_id", "country", "network",
            "error_code", "sent_at", "created_at", "channel",
        ),
    )  # fmt: skip
    moved = [Moved(*(*row[:9], as_datetime(row[9]), before[row[0]])) for row in changed]
    count_steps(
        (row.client_id, accepted_at, channel, row.before, row.status, row.cost_micros)
        for row, (*_, accepted_at, channel) in zip(moved, changed, strict=True)
    )
    announce_messages((row.id, row.client_id, row.status) for row in moved if row.status != row.before)
    return moved


def _write_events(moved: Sequence[Moved], events: Mapping[int, tuple[str, str, str]], now: datetime) -> None:
    write_events([(row.id, row.client_id, *events[row.id]) for row in moved], at=now)


def _refund(moved: Sequence[Moved]) -> None:
    """Give the money of failed and cancelled messages back, once each (M6), client by client in id order."""
    refunds: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for row in moved:
        if row.status in (MessageStatus.FAILED, MessageStatus.CANCELLED) and row.cost_micros:
            refunds[row.client_id].append((charge_reference(row.id), row.cost_micros))
    for client_id in sorted(refunds):
        wallet.refund_many(client_id=client_id, refunds=refunds[client_id])
