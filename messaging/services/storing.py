"""Writing accepted messages down: rows, timeline, figures and charges, whatever their number, by a few statements."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.models import Client
from crm.common.acting import current_request_id
from crm.common.networks import likely_network
from crm.common.phones import region_of
from crm.common.sql import Insert, allocate_ids, insert_together
from messaging import wake
from messaging.models import Channel, EventKind, Message, MessageStatus
from messaging.services.guards import Guard
from messaging.services.routing import Choice
from messaging.services.tallies import step_rows
from messaging.services.timeline import charge_reference, event_rows
from wallet import services as wallet

UNCOUNTED = "utf8"  # the encoding of channels that count no letters


@dataclass(slots=True)
class NewMessage:
    """A priced message about to be stored; `id` is given by store_messages."""

    recipient: str
    sender: str
    text: str
    units: int
    segments: int
    encoding: str
    cost_micros: int
    account_id: int | None
    country: str = ""  # "": what the number says
    channel: str = Channel.SMS
    content: dict[str, Any] | None = None
    reference: str = ""
    contact_id: int | None = None
    next_attempt_at: datetime | None = None  # not before; None for at once
    id: int = 0

    @classmethod
    def of_one_unit(cls, *, price_micros: int, road: Choice | None, **facts: Any) -> "NewMessage":
        """One of a channel that counts no letters. road: None in simulation, where nothing is paid either."""
        return cls(
            units=1,
            segments=1,
            encoding=UNCOUNTED,
            cost_micros=price_micros if road else 0,
            account_id=road.pick() if road else None,
            next_attempt_at=road.not_before if road else None,
            **facts,
        )


MESSAGE_COLUMNS = (
    "id", "client_id", "campaign_id", "batch_id", "contact_id", "channel", "recipient", "sender", "text", "content",
    "reference", "source",
    "api_key_id", "simulated", "status", "priority", "units", "segments", "encoding", "cost_micros",
    "provider_account_id", "provider_message_id", "network_code", "attempts", "next_attempt_at", "unconfirmed",
    "error_code", "error_message", "created_at", "schedule_at", "queued_at", "country", "network",
)  # fmt: skip


def store_messages(
    *,
    client: Client,
    rows: Sequence[NewMessage],
    now: datetime,
    source: str,
    api_key_id: int | None = None,
    schedule_at: datetime | None = None,
    campaign_id: int | None = None,
    priority: int = 0,
    simulated: bool | None = None,
    reservation: str | None = None,
    as_batch: bool = False,
    guard: Guard | None = None,
    ids: Sequence[int] = (),
    asked_by: Sequence[str] = (),
    beside: Callable[[], Insert] | None = None,
    before_charging: Callable[[], None] = lambda: None,
) -> None:
    """Write messages, their events and their charges with a number of statements that does not depend on how many.

    Must run inside the caller's transaction; sets each row's id; wakes the senders after the commit. The wallet row is
    touched last. as_batch: the messages share an id, that of the first. guard: the client's rules, where they are
    loaded already; every message counts for its limits of a day. ids: from `allocate_ids`, where the caller had them
    with another read; any beyond those needed stay unused. asked_by: the id of the request behind each row, where it is
    not the one at hand. beside: asked once the rows have their ids, what else goes into the database by the same
    statement. before_charging: called when only rows of other tables than messages, timelines and tallies are left.
    Raises: InsufficientBalance, ReservationShort, DailyLimit - and the caller's transaction must then roll back.
    """
    if not rows:
        return
    if simulated is None:
        simulated = client.simulation
    if guard is None:
        guard = Guard(client, simulated=simulated)
    status = MessageStatus.SCHEDULED if schedule_at else MessageStatus.QUEUED
    for row, pk in zip(rows, ids or allocate_ids(Message, len(rows)), strict=False):
        row.id = pk
    batch_id, client_pk = rows[0].id if as_batch else None, client.pk
    common = (source, api_key_id, simulated, status, priority)
    queued_at = None if schedule_at else now
    messages = [
        (
            row.id,
            client_pk,
            campaign_id,
            batch_id,
            row.contact_id,
            row.channel,
            row.recipient,
            row.sender,
            row.text,
            row.content,
            row.reference,
        )
        + common
        + (row.units, row.segments, row.encoding, row.cost_micros, row.account_id)
        + ("", "", 0, row.next_attempt_at, False, "", "", now, schedule_at, queued_at)
        + (row.country or region_of(row.recipient), likely_network(row.recipient))
        for row in rows
    ]
    kind = EventKind.SCHEDULED if schedule_at else EventKind.QUEUED
    asked_by = asked_by or [current_request_id()] * len(rows)
    lines = [(row.id, client_pk, kind, "", asked) for row, asked in zip(rows, asked_by, strict=True)]
    insert_together(
        (Message, MESSAGE_COLUMNS, messages),
        event_rows(lines, at=now),
        step_rows((client_pk, now, str(row.channel), "", status, row.cost_micros) for row in rows),
        *([beside()] if beside else []),
    )
    before_charging()
    guard.count_abroad((row.recipient for row in rows), now)
    charges = [(charge_reference(row.id), row.cost_micros) for row in rows if row.cost_micros]
    if charges:
        wallet.debit_many(client_id=client_pk, charges=charges, reservation=reservation, caller_undoes=True)
    guard.check_day(now)
    if schedule_at is None:
        wake.senders({row.account_id for row in rows})
