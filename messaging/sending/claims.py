"""Who may send which message: leases on rows, taken and given back by conditional updates (D4, D11)."""

import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection, transaction

from crm.common.sql import as_json, later_sql, now_sql, on_postgres, skip_locked
from messaging.models import SendingProcess

CLAIM_SECONDS = 60  # a claimed message that was not written yet
SUBMIT_SECONDS = 120  # longer than any provider call may take (D7)
UNSEEN_SECONDS = 25  # a process silent for so long is dead, and its leases end at once
SEEN_EVERY = 4.0


def new_owner() -> str:
    """A name for the leases of one process or thread, unique over hosts and restarts."""
    return f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(6)}"


def anything_due(*, account_id: int) -> bool:
    """Whether an account that may send has a message due. Reads only."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT EXISTS (SELECT 1 FROM messaging_message m JOIN messaging_provideraccount a
                ON a.id = m.provider_account_id WHERE m.status = 'queued' AND m.provider_account_id = %s
                AND (m.next_attempt_at IS NULL OR m.next_attempt_at <= {now_sql()})
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


def _ours_sql() -> str:
    """Ends an UPDATE of messages: those that are claimed by an owner, among some ids. Parameters: ids as JSON, owner.

    Rows are found and locked by their keys alone and judged afterwards. Were the status among the conditions of the
    inner SELECT, PostgreSQL would look them up in the index of all leases, in which every message that was ever sent
    leaves an entry until the next vacuum: that took three quarters of a campaign's time in the database.
    """
    if not on_postgres():  # one writer at a time; a plus keeps an index from being used for its condition
        return "WHERE id IN (SELECT value FROM json_each(%s)) AND +status = 'claimed' AND +lease_owner = %s"
    return """FROM (WITH held AS MATERIALIZED (
            SELECT id, status, lease_owner FROM messaging_message
            WHERE id = ANY(ARRAY(SELECT value::bigint FROM jsonb_array_elements_text(%s::jsonb) AS value))
            ORDER BY id FOR UPDATE)
        SELECT id FROM held WHERE status = 'claimed' AND lease_owner = %s) AS ours
        WHERE messaging_message.id = ours.id"""


@transaction.atomic
def claim(*, account_id: int, owner: str, limit: int) -> list[Claimed]:
    """Take up to `limit` queued messages of an account, single messages before campaigns, oldest first.

    An account at rest or switched off gives none, and one that is being tried again only to who tries it.
    """
    # MATERIALIZED: a join that ran the bracket again for each row would take more than `limit`.
    statement = f"""
        WITH next AS MATERIALIZED (
            SELECT m.id FROM messaging_message m
            WHERE m.status = 'queued' AND m.provider_account_id = %s
              AND (m.next_attempt_at IS NULL OR m.next_attempt_at <= {now_sql()})
              AND EXISTS (SELECT 1 FROM messaging_provideraccount a WHERE a.id = %s AND a.is_active
                          AND (a.rest_until IS NULL OR a.rest_until <= {now_sql()})
                          AND (a.rest_level = 0 OR a.probe_owner = %s))
            ORDER BY m.priority, m.id LIMIT %s {skip_locked()})
        UPDATE messaging_message SET status = 'claimed', lease_owner = %s, lease_until = {later_sql(CLAIM_SECONDS)}
        WHERE id IN (SELECT id FROM next)
        RETURNING id, client_id, recipient, sender, text, attempts, channel, content
    """
    with connection.cursor() as cursor:
        cursor.execute(statement, [account_id, account_id, owner, limit, owner])
        rows = [Claimed(*(*row[:7], read_content(row[7]))) for row in cursor.fetchall()]
    return sorted(rows, key=lambda row: row.id)


def read_content(stored: str | None) -> dict[str, Any] | None:
    """A message's content as raw SQL gives it: the text of an object, or nothing."""
    return orjson.loads(stored) if stored else None


@transaction.atomic
def mark_submitting(*, owner: str, ids: Sequence[int]) -> set[int]:
    """The last step before the provider is written to, committed first. Only the ids returned may be sent.

    Whatever was paused, cancelled or taken back meanwhile is no longer `claimed` by us and so stays out.
    """
    statement = f"""
        UPDATE messaging_message
        SET status = 'submitting', attempts = attempts + 1, lease_until = {later_sql(SUBMIT_SECONDS)}
        {_ours_sql()} RETURNING messaging_message.id
    """
    with connection.cursor() as cursor:
        cursor.execute(statement, [as_json(ids), owner])
        return {row[0] for row in cursor.fetchall()}


def give_back(*, owner: str, ids: Sequence[int]) -> None:
    """Return claimed messages that will not be written now to the queue."""
    if not ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE messaging_message SET status = 'queued', lease_owner = '', lease_until = NULL {_ours_sql()}",
            [as_json(ids), owner],
        )


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

    Claimed ones go back to the queue: nothing was written. Of submitting ones nobody knows the outcome; their ids are
    returned, still submitting, for the caller to record as ambiguous in this same transaction.
    Returns: how many were requeued, and those ids.
    """
    over = f"""
        (m.lease_until <= {now_sql()} OR EXISTS (
            SELECT 1 FROM messaging_sendingprocess p
            WHERE p.owner = m.lease_owner AND p.seen_at <= {later_sql(-UNSEEN_SECONDS)}))
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_message SET status = 'queued', lease_owner = '', lease_until = NULL
                WHERE status = 'claimed' AND id IN (SELECT m.id FROM messaging_message m WHERE m.status = 'claimed'
                AND {over} LIMIT %s {skip_locked()})""",
            [limit],
        )
        requeued = cursor.rowcount
        cursor.execute(
            f"SELECT m.id FROM messaging_message m WHERE m.status = 'submitting' AND {over} LIMIT %s {skip_locked()}",
            [limit],
        )
        unknown = [row[0] for row in cursor.fetchall()]
        cursor.execute(f"DELETE FROM messaging_sendingprocess WHERE seen_at <= {later_sql(-3600)}", [])
    return requeued, unknown
