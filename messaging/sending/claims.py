"""Who may send which message: leases, taken, moved on and ended by conditional statements (D4, D11).

A message stays `queued`, untouched, until its outcome is recorded; its lease says `claimed`, then `submitting`. What
keeps it from leaving twice, or after it was taken back, are two locks, always taken in this order:

1. The message's row. A lease is only made by who has locked the queued row, so there is one at most, and whoever else
   holds that lock (who pauses, cancels, fails, moves or records) knows that no lease is made meanwhile.
2. The lease's row. Submitting moves it on, taking back deletes it if it has not been moved on: whichever comes second
   finds it changed or gone. What is `submitting` is let be until its outcome is recorded or its lease has run out.
"""

import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection, transaction

from crm.common.sql import (
    among_ids,
    as_json,
    in_key_order,
    later_sql,
    listed_ids,
    lock_rows,
    now_sql,
    on_postgres,
    one_of,
    plan_by_index_order,
    skip_locked,
)
from messaging import open_months
from messaging.models import Message, SendingProcess

CLAIM_SECONDS = 60  # a claimed message that was not written yet
SUBMIT_SECONDS = 120  # longer than any provider call may take (D7)
UNSEEN_SECONDS = 25  # a process silent for so long is dead, and its leases end at once
SEEN_EVERY = 4.0

# Of a message `m`: nobody is sending it. Not NOT EXISTS, which PostgreSQL may join as it likes: a bracket is looked up
# row by row, so that whoever goes in the queue's order (`plan_by_index_order`) stops when there are enough.
UNLEASED = "(SELECT l.message_id FROM messaging_messagelease l WHERE l.message_id = m.id) IS NULL"


def new_owner() -> str:
    """A name for the leases of one process or thread, unique over hosts and restarts."""
    return f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(6)}"


def anything_due(*, account_id: int) -> bool:
    """Whether an account that may send has a message due. Reads only."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT EXISTS (SELECT 1 FROM messaging_message m JOIN messaging_provideraccount a
                ON a.id = m.provider_account_id WHERE m.status = 'queued' AND m.provider_account_id = %s
                AND (m.next_attempt_at IS NULL OR m.next_attempt_at <= {now_sql()}) AND {UNLEASED}
                {open_months.queued().sql("m")}
                AND a.is_active AND (a.rest_until IS NULL OR a.rest_until <= {now_sql()}))""",
            [account_id],
        )
        return bool(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message in our hands, with what a provider needs of it."""

    id: int
    client_id: int
    recipient: str
    sender: str
    text: str
    attempts: int
    channel: str = "sms"
    content: dict[str, Any] | None = None


def _true() -> str:
    return "TRUE" if on_postgres() else "1"


def _leases_in_order(where: str, after: str = "ORDER BY message_id FOR UPDATE") -> str:
    """`message_id` is that of one of these leases, locked in the order of their keys, so that no two who lock several
    wait for each other."""
    locked = after if on_postgres() else ""
    return f"message_id {one_of(f'SELECT l.message_id FROM messaging_messagelease l WHERE {where} {locked}')}"


def claim(*, account_id: int, owner: str, limit: int) -> list[Claimed]:
    """Take up to `limit` queued messages of an account, single messages before campaigns, oldest first.

    An account at rest or switched off gives none, and one that is being tried again only to who tries it.
    """
    columns = "id, client_id, recipient, sender, text, attempts, channel, content"
    found = f"""SELECT m.{columns.replace(", ", ", m.")} FROM messaging_message m
        WHERE m.status = 'queued' AND m.provider_account_id = %s AND {UNLEASED} {open_months.queued().sql("m")}
          AND (m.next_attempt_at IS NULL OR m.next_attempt_at <= {now_sql()})
          AND EXISTS (SELECT 1 FROM messaging_provideraccount a WHERE a.id = %s AND a.is_active
                      AND (a.rest_until IS NULL OR a.rest_until <= {now_sql()})
                      AND (a.rest_level = 0 OR a.probe_owner = %s))
        ORDER BY m.priority, m.id LIMIT %s"""
    lease = "INSERT INTO messaging_messagelease (message_id, owner, submitting, until) SELECT"
    params: list[Any] = [account_id, account_id, owner, limit]
    with transaction.atomic(), connection.cursor() as cursor:
        if on_postgres():
            # A claim need not be on the disk: submitting is, and the log is written in order. MATERIALIZED: a join that
            # ran the bracket again for each row would take more than `limit`.
            plan_by_index_order(cursor)
            cursor.execute(
                f"""WITH next AS MATERIALIZED ({found} FOR NO KEY UPDATE OF m SKIP LOCKED),
                    taken AS ({lease} id, %s, FALSE, {later_sql(CLAIM_SECONDS)} FROM next
                              ON CONFLICT DO NOTHING RETURNING message_id),
                    early AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
                    SELECT {columns} FROM next JOIN taken ON message_id = id, early""",
                [*params, owner],
            )
            rows = cursor.fetchall()
        else:
            cursor.execute(found, params)
            rows = cursor.fetchall()
            cursor.execute(
                f"{lease} value, %s, 0, {later_sql(CLAIM_SECONDS)} FROM json_each(%s)",
                [owner, as_json(row[0] for row in rows)],
            )
    return [Claimed(*(*row[:7], read_content(row[7]))) for row in sorted(rows)]


def read_content(stored: str | None) -> dict[str, Any] | None:
    """A message's content as raw SQL gives it: the text of an object, or nothing."""
    return orjson.loads(stored) if stored else None


def mark_submitting(*, owner: str, ids: Sequence[int]) -> set[int]:
    """The last step before the provider is written to, committed first. Only the ids returned may be sent.

    Whatever was paused, cancelled or taken back meanwhile has no lease of ours any more and so stays out.
    """
    if not ids:
        return set()
    ours = _leases_in_order(f"l.message_id {among_ids()} AND l.owner = %s AND NOT l.submitting")
    with connection.cursor() as cursor:  # one statement, committed by itself
        cursor.execute(
            f"""UPDATE messaging_messagelease SET submitting = {_true()}, until = {later_sql(SUBMIT_SECONDS)}
                WHERE {ours} RETURNING message_id""",
            [listed_ids(ids), owner],
        )
        return {row[0] for row in cursor.fetchall()}


def give_back(*, owner: str, ids: Sequence[int]) -> None:
    """Leave claimed messages that will not be written now to others."""
    if ids:
        _delete(
            _leases_in_order(f"l.message_id {among_ids()} AND l.owner = %s AND NOT l.submitting"),
            [listed_ids(ids), owner],
        )


def take_back(ids: Sequence[int]) -> set[int]:
    """Take messages from who has claimed them. Returns those that are being written to a provider now: let them be.

    The caller has locked their rows, in this transaction and by an earlier statement, and so may do with the others
    what it likes.
    """
    _delete(_leases_in_order(f"l.message_id {among_ids()} AND NOT l.submitting"), [listed_ids(ids)])
    return leased_among(ids)


def leased_among(ids: Sequence[int]) -> set[int]:
    """Which of these messages somebody has claimed or is writing."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT message_id FROM messaging_messagelease WHERE message_id {among_ids()}", [listed_ids(ids)]
        )
        return {row[0] for row in cursor.fetchall()}


def end_submitting(ids: Sequence[int]) -> set[int]:
    """End the leases of messages whose outcome the caller records in this transaction, having locked their rows.

    Returns whose lease was submitting; nobody was writing the others.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM messaging_messagelease WHERE message_id {among_ids()} AND submitting RETURNING message_id",
            [listed_ids(ids)],
        )
        return {row[0] for row in cursor.fetchall()}


@transaction.atomic
def hold_queued(*, column: str, pk: int) -> int:
    """Take the queued messages of a campaign or client out of the queue, claimed ones too: their claimer finds its
    leases gone before it writes. column: campaign_id or client_id. What is being written is let be.
    """
    being_written = "SELECT 1 FROM messaging_messagelease l WHERE l.message_id = m.id AND l.submitting"
    waiting = f"""SELECT m.id FROM messaging_message m WHERE m.{column} = %s AND m.status = 'queued'
                  AND NOT EXISTS ({being_written}) {in_key_order("m")}"""
    with connection.cursor() as cursor:
        # By their keys alone: were the status named as well, PostgreSQL without statistics would go through all that
        # are queued and look each up in the whole list, which takes hours for a million.
        cursor.execute(f"UPDATE messaging_message SET status = 'held' WHERE id {one_of(waiting)}", [pk])
        held = cursor.rowcount
        of_held = f"""EXISTS (SELECT 1 FROM messaging_message m WHERE m.id = l.message_id AND m.{column} = %s
                              AND m.status = 'held')"""
        _delete(_leases_in_order(f"NOT l.submitting AND {of_held}"), [pk])
        # Marked between the first two statements: a lease that is left is submitting, its message was not to be held.
        cursor.execute(
            "UPDATE messaging_message SET status = 'queued' WHERE id "
            + one_of(f"SELECT l.message_id FROM messaging_messagelease l WHERE {of_held}"),
            [pk],
        )
        return held - cursor.rowcount


def be_seen(*, owner: str) -> None:
    """Say that the holder of `owner`'s leases is alive."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO messaging_sendingprocess (owner, seen_at) VALUES (%s, {now_sql()}) "
            "ON CONFLICT (owner) DO UPDATE SET seen_at = excluded.seen_at",
            [owner],
        )


def leave(*, owner: str) -> None:
    """The holder ended in order and holds nothing any more."""
    SendingProcess.objects.filter(owner=owner).delete()


@transaction.atomic
def free_expired(*, limit: int = 5000) -> tuple[int, list[int]]:
    """End leases that ran out or whose holder died.

    Claimed ones are free again: nothing was written. Of submitting ones nobody knows the outcome; their ids are
    returned, rows locked and leases in place, for the caller to record as ambiguous in this same transaction.
    Returns: how many were freed, and those ids.
    """
    over = f"""
        (l.until <= {now_sql()} OR EXISTS (
            SELECT 1 FROM messaging_sendingprocess p
            WHERE p.owner = l.owner AND p.seen_at <= {later_sql(-UNSEEN_SECONDS)}))
    """
    freed = _delete(_leases_in_order(f"NOT l.submitting AND {over} LIMIT {int(limit)}", skip_locked()), [])
    lost = f"SELECT l.message_id FROM messaging_messagelease l WHERE l.submitting AND {over}"
    with connection.cursor() as cursor:
        cursor.execute(f"{lost} LIMIT {int(limit)}", [])
        ids = [row[0] for row in cursor.fetchall()]
        lock_rows(Message, ids)  # before leases, as everybody does; and their answers may have come since
        cursor.execute(f"{lost} AND l.message_id {among_ids()}", [listed_ids(ids)])
        unknown = sorted(row[0] for row in cursor.fetchall())
        cursor.execute(f"DELETE FROM messaging_sendingprocess WHERE seen_at <= {later_sql(-3600)}", [])
    return freed, unknown


def _delete(leases: str, params: Sequence[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM messaging_messagelease WHERE {leases}", params)
        return cursor.rowcount
