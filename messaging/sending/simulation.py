"""Simulated messages: they go through their normal states, but nothing leaves and nothing is charged."""

from django.db import connection, transaction

from crm.common.sql import database_now, later_sql, now_sql, skip_locked
from messaging.models import EventKind
from messaging.services.announcing import announce_messages
from messaging.services.tallies import count_steps
from messaging.services.timeline import write_events

BATCH = 2000
DELIVERED_AFTER = 0.5  # seconds, less than a woken worker lingers


@transaction.atomic
def advance_simulated() -> tuple[int, bool]:
    """Move simulated messages one step on. Returns how many moved, and whether some still have a step to go."""
    due = f"(next_attempt_at IS NULL OR next_attempt_at <= {now_sql()})"
    sent = _advance(f"status = 'sent', sent_at = {now_sql()}", f"status = 'queued' AND {due}", "queued", EventKind.SENT)
    delivered = _advance(
        f"status = 'delivered', delivered_at = {now_sql()}",
        f"status = 'sent' AND sent_at <= {later_sql(-DELIVERED_AFTER)}",
        "sent",
        EventKind.DELIVERED,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT EXISTS (SELECT 1 FROM messaging_message WHERE simulated AND status IN ('queued', 'sent')
                AND (status = 'sent' OR {due}))""",
            [],
        )
        more = bool(cursor.fetchone()[0])
    return sent + delivered, more


def _advance(assign: str, where: str, before: str, kind: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_message SET {assign} WHERE id IN (
                    SELECT id FROM messaging_message WHERE simulated AND {where} ORDER BY id LIMIT %s {skip_locked()})
                RETURNING id, client_id, created_at, channel, cost_micros""",
            [BATCH],
        )
        moved = cursor.fetchall()
    write_events([(pk, client_id, kind, "", "simulated") for pk, client_id, *_ in moved], at=database_now())
    count_steps(
        (client_id, accepted_at, channel, before, kind, cost) for _, client_id, accepted_at, channel, cost in moved
    )
    announce_messages((pk, client_id, kind) for pk, client_id, *_ in moved)
    return len(moved)
