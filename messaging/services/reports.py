"""Delivery reports and opt-outs that providers post: stored raw at once, understood afterwards in batches."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import DataError, transaction
from django.db.models import Q

from accounts.models import Client
from contacts import services as contacts
from contacts.models import OptOutSource
from crm.common.spans import span_of
from crm.common.sql import (
    as_datetime,
    database_now,
    later_sql,
    now_sql,
    prepared_cursor,
    skip_locked,
    update_rows,
)
from crm.common.together import Together, Undone
from messaging import open_months, wake
from messaging.models import Message, MessageLease, MessageStatus, ProviderAccount, ProviderCallback
from messaging.providers.base import (
    AccountNotice,
    Arrival,
    Callback,
    DeliveryReport,
    InboundNotice,
    OptOutNotice,
    Suppression,
    UnreadableCallback,
)
from messaging.sending.recording import FINAL_AFTER, Receipt, record_receipts
from messaging.services import inbound, template_news
from messaging.services.provider_access import adapter_of

log = logging.getLogger(__name__)

BATCH = 500
# A report may overtake the answer to our own request by moments; one nobody knows is kept for three days.
TRY_AGAIN_SECONDS = (1, 3, 10, 30, 60, 300, 1800, 7200)
SETTLE_SECONDS = 5  # before a report with an unknown id may be matched by its number


# account, kind, content type, query, body
_Posted = tuple[int, str, str, str, bytes]
_COLUMNS = "account_id, kind, content_type, query, body, received_at, due_at, attempts, note"


def _store_all(posted: Sequence[_Posted]) -> Sequence[None]:
    """Write callbacks down by one statement, which commits by itself: a transaction would be two trips more."""
    # The database's clock: by a host's that is ahead it would not be due yet.
    row = f"(%s, %s, %s, %s, %s, {now_sql()}, {now_sql()}, 0, '')"
    try:
        with prepared_cursor() as cursor:
            cursor.execute(
                f"INSERT INTO messaging_providercallback ({_COLUMNS}) VALUES {', '.join([row] * len(posted))}",
                [value for one in posted for value in one],
            )
    except (DataError, ValueError) as error:  # one of them is no text for PostgreSQL
        if len(posted) > 1:
            raise Undone from error
        raise
    return [None] * len(posted)


_storing: Together[_Posted, None] = Together(_store_all)


def store_callback(
    *, account: ProviderAccount, kind: str, content_type: str, query: str, body: bytes, method: str = "POST"
) -> None:
    """Keep what a provider sent, as it came, and wake whoever reads it. What says nothing is not kept.

    It is on the disk when this returns; what other threads keep at the same moment shares its transaction.
    Raises: UnreadableCallback where the adapter can make nothing of it; then nothing is stored.
    """
    callback = Callback(kind=kind, content_type=content_type, query=query, body=body, headers={}, method=method)
    if not adapter_of(account).parse_callback(callback):
        return
    _storing.ask("callbacks", (account.pk, kind, content_type[:100], query, body))
    wake.callbacks()


def store_arrivals(*, account: ProviderAccount, arrivals: Sequence[Arrival]) -> None:
    """Keep what a provider sent over its session and wake whoever reads it; then tell the provider so.

    What cannot be stored is not acknowledged, so that the provider sends it again.
    """
    now = database_now()
    with transaction.atomic():
        ProviderCallback.objects.bulk_create(
            ProviderCallback(
                account=account,
                kind=arrival.kind,
                content_type=arrival.content_type,
                body=arrival.body,
                received_at=now,
                due_at=now,
            )
            for arrival in arrivals
        )
        wake.callbacks()
    for arrival in arrivals:
        arrival.acknowledge()


@dataclass(slots=True)
class _Open:
    """A stored callback being worked on, and whether each thing it said found its place."""

    row: ProviderCallback
    unmatched: int = 0
    note: str = ""


def process_callbacks(*, limit: int = BATCH) -> int:
    """Read the callbacks that are due: reports to messages, opt-outs to contacts. Returns how many were looked at.

    Safe to run in several processes and to repeat: rows are taken under a short lease, and applying a report twice
    changes nothing.
    """
    taken = _take_due(limit)
    if not taken:
        return 0
    accounts = {a.pk: a for a in ProviderAccount.objects.filter(pk__in={row.account_id for row in taken})}
    reports: list[tuple[_Open, DeliveryReport]] = []
    written: list[tuple[int, InboundNotice]] = []
    news: list[tuple[_Open, AccountNotice]] = []
    suppressions: list[tuple[_Open, Suppression]] = []
    opened = []
    for row in taken:
        item = _Open(row)
        opened.append(item)
        callback = Callback(
            kind=row.kind,
            content_type=row.content_type,
            query=row.query,
            body=bytes(row.body),
            headers={},
            method="POST" if row.body else "GET",
        )
        try:
            account = accounts[row.account_id]
            said = adapter_of(account).parse_callback(callback)
        except (UnreadableCallback, LookupError) as error:
            item.note = f"unreadable: {error}"[:200]
            continue
        for part in said:
            if isinstance(part, DeliveryReport):
                reports.append((item, part))
            elif isinstance(part, OptOutNotice):
                item.note = _opt_out(row.account_id, part)
            elif isinstance(part, Suppression):
                suppressions.append((item, part))
            elif isinstance(part, InboundNotice):
                written.append((row.account_id, part))
            elif part.about != "number":
                news.append((item, part))
            else:
                item.note = f"{part.about} {part.name} {part.language}: {part.state} {part.detail}".strip()[:200]
    for account_id, notice in written:
        inbound.receive(account_id=account_id, notices=[notice])
    for item, said_of in news:
        item.note = template_news.take_notice(
            account_id=item.row.account_id, notice=said_of, received_at=item.row.received_at
        )
    with transaction.atomic():
        receipts = []
        for (item, report), message_id in zip(reports, _match(reports), strict=True):
            if message_id is None:
                item.unmatched += 1
            else:
                receipts.append(_receipt(message_id, report))
        record_receipts(receipts)
        _suppress(suppressions)
        _close(opened)
    return len(taken)


def _take_due(limit: int) -> list[ProviderCallback]:
    """Lease due callbacks for a minute by moving their `due_at`."""
    taken = ProviderCallback.objects.raw(
        f"""UPDATE messaging_providercallback SET due_at = {later_sql(60)}, attempts = attempts + 1
            WHERE id IN (SELECT id FROM messaging_providercallback WHERE processed_at IS NULL
                         AND due_at <= {now_sql()} ORDER BY id LIMIT %s {skip_locked()})
            RETURNING *""",
        [limit],
    )
    return sorted(taken, key=lambda row: row.pk)  # as they came: of two final reports the first decides


def _receipt(message_id: int, report: DeliveryReport) -> Receipt:
    return Receipt(
        message_id=message_id,
        status=report.status,
        code=report.error_code,
        detail=report.error_message or report.raw,
        network_code=report.network_code,
        provider_message_id=_kept_id(report),
    )


def _kept_id(report: DeliveryReport) -> str:
    """The provider's id as messages keep it."""
    return report.provider_message_id[:100]


def _match(reports: Sequence[tuple[_Open, DeliveryReport]]) -> list[int | None]:
    """The message that each report speaks of: by the provider's id, else by number where that is beyond doubt."""
    keys = [(item.row.account_id, _kept_id(report)) for item, report in reports]
    found = _match_ids(keys)
    named = _match_references([pair for pair, key in zip(reports, keys, strict=True) if key not in found])
    lost = [
        pair
        for pair, key in zip(reports, keys, strict=True)
        if key not in found and (key[0], pair[1].reference) not in named
    ]
    if lost:
        by_number = _match_unconfirmed(lost)
        # Ids once more, after the numbers: an answer recorded in between has named its message by now.
        found = by_number | _match_ids(list(by_number)) | found
    return [
        found.get(key) or named.get((key[0], report.reference)) for (_, report), key in zip(reports, keys, strict=True)
    ]


def _match_ids(keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Messages by (account, the provider's id)."""
    ids_by_account: dict[int, set[str]] = defaultdict(set)
    for account_id, provider_id in keys:
        if provider_id:
            ids_by_account[account_id].add(provider_id)
    known: dict[tuple[int, str], int] = {}
    usual = open_months.opened()
    for account_id, ids in ids_by_account.items():
        # Nearly all are among what waits for its report; what came late, or is nobody's, is looked for in every month.
        for where in (usual.q, ~usual.q) if usual.start is not None else (Q(),):
            if missing := {provider_id for provider_id in ids if (account_id, provider_id) not in known}:
                rows = Message.objects.unscoped().filter(
                    where, provider_account_id=account_id, provider_message_id__in=missing
                )
                for pk, provider_id in rows.values_list("pk", "provider_message_id"):
                    known[account_id, provider_id] = pk
    return known


def _match_references(reports: Sequence[tuple[_Open, DeliveryReport]]) -> dict[tuple[int, str], int]:
    """Messages by (account, our own reference), where the vendor gives it back.

    Only one that this account has sent, and whose id is unknown or the report's: one that still waits for its answer is
    left for later.
    """
    wanted = {}
    for item, report in reports:
        number = report.reference.removeprefix("MSG-")
        if report.reference.startswith("MSG-") and number.isascii() and number.isdecimal() and len(number) < 19:
            wanted[item.row.account_id, int(number)] = report
    known: dict[tuple[int, str], int] = {}
    if not wanted:
        return known
    ids = {pk for _, pk in wanted}
    rows = Message.objects.unscoped().filter(span_of(Message, ids).q, pk__in=ids)
    for pk, account_id, provider_id, status in rows.values_list(
        "pk", "provider_account_id", "provider_message_id", "status"
    ):
        said = wanted.get((account_id, pk))
        if said and provider_id in ("", _kept_id(said)) and status not in _ON_ITS_WAY:
            known[account_id, said.reference] = pk
    return known


_ON_ITS_WAY = (MessageStatus.QUEUED, MessageStatus.HELD)


def _match_unconfirmed(reports: Sequence[tuple[_Open, DeliveryReport]]) -> dict[tuple[int, str], int]:
    """Reports whose id we never learnt, because the answer to our request was lost (D5).

    One is given to a message only if exactly one unconfirmed message went to that number by that account, nothing else
    to it is on its way, and the report is old enough for a normal answer to have been recorded.
    """
    now = database_now()
    wanted: dict[tuple[int, str], set[str]] = defaultdict(set)
    for item, report in reports:
        age = now - as_datetime(item.row.received_at)
        if report.recipient and report.provider_message_id and age >= timedelta(seconds=SETTLE_SECONDS):
            wanted[item.row.account_id, report.recipient].add(_kept_id(report))
    if not wanted:
        return {}
    candidates: dict[tuple[int, str], list[int]] = defaultdict(list)
    accounts, numbers = {account for account, _ in wanted}, {number for _, number in wanted}
    known = Message.objects.unscoped().filter(provider_account_id__in=accounts, recipient__in=numbers)
    # What is being sent is looked at first: what is recorded meanwhile is then seen as unconfirmed, twice at worst.
    leased = known.filter(pk__in=MessageLease.objects.values("message_id"))
    busy = set(leased.values_list("provider_account_id", "recipient"))
    for pk, account_id, recipient, status, provider_id, sent_at in known.filter(unconfirmed=True).values_list(
        "pk", "provider_account_id", "recipient", "status", "provider_message_id", "sent_at"
    ):
        if status == MessageStatus.SENT and not provider_id and sent_at and now - sent_at < FINAL_AFTER:
            candidates[account_id, recipient].append(pk)
    matched = {}
    for key, provider_ids in wanted.items():
        if key not in busy and len(candidates[key]) == 1 and len(provider_ids) == 1:
            matched[key[0], next(iter(provider_ids))] = candidates[key][0]
    return matched


def _suppress(found: Sequence[tuple[_Open, Suppression]]) -> None:
    """Write no more to addresses that bounced for good or complained, for the client whose message showed it."""
    keys = [(item.row.account_id, part.provider_message_id[:100]) for item, part in found]
    known = _match_ids(keys)
    rows = Message.objects.unscoped().filter(span_of(Message, known.values()).q, pk__in=known.values())
    messages = {
        pk: (client_id, channel, address)
        for pk, client_id, channel, address in rows.values_list("pk", "client_id", "channel", "recipient")
    }
    for (_, part), key in zip(found, keys, strict=True):
        if (pk := known.get(key)) in messages:
            client_id, channel, address = messages[pk]
            contacts.record_opt_out(
                client_id=client_id,
                channel=channel,
                address=address,
                source=OptOutSource.BOUNCE if part.reason == "bounce" else OptOutSource.COMPLAINT,
                proof=part.raw,
            )


def _opt_out(account_id: int, notice: OptOutNotice) -> str:
    """Record an opt-out for every client that wrote to this number from this sender by this account."""
    written = Message.objects.unscoped().filter(
        client_id__in=Client.objects.values("pk"),  # lets the index by client and recipient serve
        provider_account_id=account_id,
        recipient=notice.recipient,
        channel=notice.channel,
    )
    if notice.sender:
        written = written.filter(sender__iexact=notice.sender)
    clients = set(written.values_list("client_id", "sender"))
    for client_id, sender in clients:
        contacts.record_opt_out(
            client_id=client_id,
            channel=notice.channel,
            address=notice.recipient,
            sender=sender,
            source=OptOutSource.NETWORK,
        )
    return "" if clients else "nobody wrote to this number from this sender"


def _close(opened: Sequence[_Open]) -> None:
    """Mark what is settled; put what nobody knows yet off, and give it up after three days."""
    now = database_now()
    rows: list[tuple] = []
    for item in opened:
        age = now - as_datetime(item.row.received_at)
        if not item.unmatched:
            rows.append((item.row.pk, now, now, item.note))
        elif age > FINAL_AFTER:
            rows.append((item.row.pk, now, now, "no message of ours has this id"))
        else:
            step = TRY_AGAIN_SECONDS[min(item.row.attempts, len(TRY_AGAIN_SECONDS)) - 1]
            rows.append((item.row.pk, None, now + timedelta(seconds=step), "waiting for its message"))
    update_rows(ProviderCallback, ("id", "processed_at", "due_at", "note"), rows, where="t.processed_at IS NULL")
