"""Turning a confirmed campaign into messages, exactly once per person, in chunks that a crash cannot double (D9)."""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm.common.in_turns import MyTurn, in_turns
from crm.common.sql import as_json, database_now, later_sql, now_sql, rows_sql
from messaging.errors import DailyLimit
from messaging.models import Campaign, CampaignState, Message, MessageStatus, SenderState
from messaging.queries import messages_of
from messaging.sending.claims import new_owner
from messaging.sending.recording import cancel_messages
from messaging.services.audience import CHUNK, AnyRenderer, Place, renderer_for, walk_audience
from messaging.services.guards import Guard
from messaging.services.senders import class_problem
from messaging.services.storing import NewMessage, store_messages
from messaging.services.watching import pause_for
from messaging.services.whatsapp_rendering import stopped_template
from wallet import queries as wallet_queries
from wallet import services as wallet
from wallet.errors import ReservationShort

log = logging.getLogger(__name__)

LEASE_SECONDS = 60
PRIORITY = 5  # behind single messages
WRITERS = 2  # chunks written beside each other, as far as the campaign's row and the wallet


def expand_campaign(*, campaign_id: int) -> int:
    """Write the messages of a confirmed campaign, or give back those of a cancelled one; returns how many.

    Any number of workers may be told to; one holds the lease, and each chunk moves the cursor in the transaction that
    writes its messages: a few are written beside each other, and end one after another. Where the groups changed so
    that the confirmed price would be exceeded, the rest is left out and `stop_reason` says so.
    """
    owner = new_owner()
    mine = _take_lease(campaign_id, owner)
    # Read under the lease: the cursor of a moment earlier may be another worker's past.
    campaign = Campaign.objects.unscoped().select_related("client", "sender").filter(pk=campaign_id).first()
    if campaign and campaign.state == CampaignState.CANCELLED:
        return _give_back(campaign)
    if campaign is None or not mine:
        return 0
    with override(campaign.client.language):  # that of its people, who read it
        troubles = {"sender": _sender_problem(campaign), "template": stopped_template(campaign)}
    for kind, problem in troubles.items():
        if problem:
            pause_for(campaign, kind=kind, reason=problem)
            return 0
    renderer = renderer_for(
        campaign,
        simulated=campaign.simulated,
        ending=campaign.ending,
        priced_at=campaign.confirmed_at,  # M7: a rate that begins later changes nothing that was confirmed
    )
    work = _Work(campaign, owner, renderer.guard)
    if campaign.spread_hours:
        work.places_taken = messages_of(campaign).count()
    done = in_turns(
        partial(_store_chunk, work), _chunks(work, renderer), threads=1 if campaign.spread_hours else WRITERS
    )
    try:
        with closing(done):
            for stored in done:
                if stored is not None:
                    work.written += stored
                elif work.short is not None:
                    break
                else:
                    return work.written  # paused, cancelled, or another worker has it
    except DailyLimit as error:
        with override(campaign.client.language):
            rest = _("The rest can be sent tomorrow.")
        pause_for(campaign, kind="daily_limit", reason=f"{error} {rest}")
        return work.written
    _finish(campaign, owner)
    return work.written


def _sender_problem(campaign: Campaign) -> str:
    """Why the rest may not leave by the campaign's sender ID, which may have changed since it was confirmed."""
    sender = campaign.sender
    if campaign.simulated or sender is None:
        return ""
    if sender.state != SenderState.APPROVED:
        return _("The sender ID {name} is not approved any more.").format(name=sender.name)
    return class_problem(sender, campaign.message_class)


def _take_lease(campaign_id: int, owner: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_campaign SET lease_owner = %s, lease_until = {later_sql(LEASE_SECONDS)}
                WHERE id = %s AND state = 'sending' AND expanded_at IS NULL
                  AND (lease_owner = '' OR lease_until IS NULL OR lease_until <= {now_sql()})""",
            [owner, campaign_id],
        )
        return cursor.rowcount == 1


@dataclass(slots=True)
class _Work:
    """A campaign under our lease. written: by us; places_taken: moments given, where it is spread over hours; short:
    at which chunk what was reserved was used up."""

    campaign: Campaign
    owner: str
    guard: Guard
    written: int = 0
    places_taken: int = 0
    short: "_Chunk | None" = None


@dataclass(frozen=True, slots=True)
class _Chunk:
    """People one after another in the audience, from `old` to `new`, and the messages of those who get one."""

    old: Place
    new: Place
    rows: list[NewMessage]


class _NotOurs(Exception):
    """The campaign is no longer ours to expand, or the chunk before this one was not written."""


def _chunks(work: _Work, renderer: AnyRenderer) -> Iterator[_Chunk]:
    """Everybody who is still to be written to. A number that was given to a second contact meanwhile is left out at
    once where the first is among those that are being written: two chunks would wait for each other."""
    campaign = work.campaign
    place = Place(campaign.cursor, campaign.listed_cursor)
    lately: deque[set[str]] = deque(maxlen=WRITERS)
    for following, people in walk_audience(
        campaign=campaign, sender=campaign.sender_name, after=place, until=campaign.until_contact
    ):
        renderer.make_links(people)
        rows = [message for message, _, _ in map(renderer.render, people) if message is not None]
        taken = {row.recipient for row in rows}
        if any(not taken.isdisjoint(others) for others in lately):
            rows = [row for row in rows if not any(row.recipient in others for others in lately)]
        lately.append(taken)
        yield _Chunk(place, following, rows)
        place = following


def _store_chunk(work: _Work, chunk: _Chunk, my_turn: MyTurn = lambda: True) -> int | None:
    """Write one chunk; None where the campaign is no longer ours to expand. Raises: DailyLimit."""
    with override(work.campaign.client.language):  # of what it says about people that are left out
        try:
            return _store_rows(work, chunk, chunk.rows, my_turn)
        except _NotOurs:
            return None


def _store_rows(work: _Work, chunk: _Chunk, rows: list[NewMessage], my_turn: MyTurn) -> int:
    campaign = work.campaign
    try:
        return _write(work, chunk, rows, my_turn)
    except IntegrityError:
        # A contact whose number changed hands meanwhile: the number is written to once. So rare that the database is
        # asked only now: asking it first took as long as storing.
        have = _written_to(campaign, rows)
        if not have:
            raise
        fresh = [row for row in rows if row.recipient not in have]
        return _store_rows(work, chunk, fresh, my_turn) + len(have)
    except ReservationShort:
        left = wallet_queries.reservation_remaining(campaign.client_id, campaign.reservation)
        fitting = []
        for row in rows:
            left -= row.cost_micros
            if left < 0:
                break
            fitting.append(row)
        campaign.stop_reason = _(
            "The groups changed after you confirmed. Whoever did not fit the confirmed price was left out."
        )
        work.short = chunk
        return _write(work, chunk, fitting, my_turn)


def _written_to(campaign: Campaign, rows: list[NewMessage]) -> set[str]:
    """The numbers of these that have a message of this campaign, each looked up in the index."""
    mine = "SELECT 1 FROM messaging_writtento w WHERE w.campaign_id = %s AND w.recipient = v.recipient"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT v.recipient FROM {rows_sql(Message, ['recipient'])} WHERE ({mine}) IS NOT NULL",
            [as_json([row.recipient] for row in rows), campaign.pk],
        )
        return {row[0] for row in cursor.fetchall()}


@transaction.atomic
def _write(work: _Work, chunk: _Chunk, rows: list[NewMessage], my_turn: MyTurn) -> int:
    """Raises, and then writes nothing: _NotOurs, IntegrityError, ReservationShort, DailyLimit."""
    campaign, guard = work.campaign, work.guard
    fresh = rows
    if crowded := guard.crowded([(row.recipient, row.text) for row in rows]):
        fresh = [row for position, row in enumerate(rows) if position not in crowded]
        campaign.stop_reason = _("Whoever got too many messages within the hour or the day was left out.")
    if campaign.spread_hours:
        _spread(work, fresh)
    move = partial(_move_cursor, work, chunk, my_turn)
    store_messages(
        client=campaign.client,
        rows=fresh,
        now=database_now(),
        source="campaign",
        campaign_id=campaign.pk,
        priority=PRIORITY,
        simulated=campaign.simulated,
        reservation=campaign.reservation,
        guard=guard,
        before_charging=move,
    )
    if not fresh:
        move()
    work.places_taken += len(rows)
    return len(rows)


def _move_cursor(work: _Work, chunk: _Chunk, my_turn: MyTurn) -> None:
    """Say that this chunk is written, once the one before is; what it has written so far locks nobody out meanwhile."""
    if not my_turn() or (work.short is not None and work.short is not chunk):
        raise _NotOurs
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_campaign
                SET "cursor" = %s, listed_cursor = %s, lease_until = {later_sql(LEASE_SECONDS)}
                WHERE id = %s AND "cursor" = %s AND listed_cursor = %s AND lease_owner = %s AND state = 'sending'""",
            [*chunk.new, work.campaign.pk, *chunk.old, work.owner],
        )
        if cursor.rowcount != 1:
            raise _NotOurs


def _spread(work: _Work, rows: list[NewMessage]) -> None:
    """Give each message its moment, so that they leave evenly over the hours from the campaign's start."""
    campaign = work.campaign
    start = campaign.starts_at or database_now()
    pace = timedelta(hours=campaign.spread_hours) / max(campaign.quoted_recipients, 1)
    for place, row in enumerate(rows, start=work.places_taken):
        row.next_attempt_at = max(start + place * pace, row.next_attempt_at or start)


@transaction.atomic
def _finish(campaign: Campaign, owner: str) -> None:
    """Everybody is written down: what is left of the reservation is free again."""
    done = (
        Campaign.objects.unscoped()
        .filter(pk=campaign.pk, lease_owner=owner, state=CampaignState.SENDING)
        .update(expanded_at=Now(), lease_owner="", lease_until=None, stop_reason=campaign.stop_reason)
    )
    if done:
        wallet.release_reservation(client_id=campaign.client_id, reference=campaign.reservation)


def _give_back(campaign: Campaign) -> int:
    """Cancel and refund what a cancelled campaign still holds, in chunks; repeated after a crash it goes on."""
    total = 0
    while True:
        ids = list(
            messages_of(campaign)
            .filter(status__in=[MessageStatus.HELD, MessageStatus.QUEUED])
            .values_list("pk", flat=True)[:CHUNK]
        )
        cancelled = len(cancel_messages(ids=ids)) if ids else 0
        total += cancelled
        if len(ids) < CHUNK or not cancelled:  # what a provider is being given now comes back as held, or has left
            return total


def campaigns_to_expand() -> list[int]:
    """Campaigns that wait for a worker: unexpanded with no live lease, or cancelled with messages still held."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT id FROM messaging_campaign WHERE (state = 'sending' AND expanded_at IS NULL
                    AND (lease_owner = '' OR lease_until IS NULL OR lease_until <= {now_sql()}))
                UNION
                SELECT c.id FROM messaging_campaign c WHERE c.state = 'cancelled'
                    AND c.finished_at > {later_sql(-86400)}
                    AND EXISTS (SELECT 1 FROM messaging_message m WHERE m.campaign_id = c.id
                                AND m.status IN ('held', 'queued'))""",
            [],
        )
        return [row[0] for row in cursor.fetchall()]
