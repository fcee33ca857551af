"""Simulated messages: they go through their normal states, but nothing leaves and nothing is charged.

What becomes of one depends on the end of its number alone (MAGIC_NUMBERS), so that every outcome can be tried.
"""

from dataclasses import dataclass

from django.db import connection, transaction

from crm.common.spans import span_of
from crm.common.sql import among_ids, database_now, later_sql, listed_ids, now_sql, plan_by_index_order, skip_locked
from messaging import open_months
from messaging.models import EventKind, Message
from messaging.providers.failures import FAILURES, Failure
from messaging.services.announcing import announce_messages
from messaging.services.tallies import count_steps
from messaging.services.timeline import write_events

BATCH = 2000
DELIVERED_AFTER = 0.5  # seconds, less than a woken worker lingers


@dataclass(frozen=True, slots=True)
class MagicNumber:
    """Numbers that end in `ending` fail for the cause `code` (messaging/providers/failures.py); "": no report comes."""

    ending: str
    code: str

    @property
    def failure(self) -> Failure | None:
        return FAILURES.get(self.code)


MAGIC_NUMBERS = (
    MagicNumber("90001", "unreachable"),
    MagicNumber("90002", "unknown_subscriber"),
    MagicNumber("90003", "blocked"),
    MagicNumber("90004", "sender_not_approved"),
    MagicNumber("90005", "rejected_by_network"),
    MagicNumber("90006", "expired"),
    MagicNumber("90007", "moved_network"),
    MagicNumber("90008", ""),
)
# The per cent signs are doubled for the driver.
_FAILS = " OR ".join(f"recipient LIKE '%%{one.ending}'" for one in MAGIC_NUMBERS if one.code)
_SILENT = " OR ".join(f"recipient LIKE '%%{one.ending}'" for one in MAGIC_NUMBERS if not one.code)
_CODE = " ".join(f"WHEN recipient LIKE '%%{one.ending}' THEN '{one.code}'" for one in MAGIC_NUMBERS if one.code)


@transaction.atomic
def advance_simulated() -> tuple[int, bool]:
    """Move simulated messages one step on. Returns how many moved, and whether some still have a step to go."""
    due = f"(next_attempt_at IS NULL OR next_attempt_at <= {now_sql()})"
    over = f"status = 'sent' AND sent_at <= {later_sql(-DELIVERED_AFTER)}"
    moved = _advance(
        f"status = 'sent', sent_at = {now_sql()}", f"status = 'queued' AND {due}", "queued", EventKind.SENT
    )
    moved += _advance(
        f"status = 'failed', failed_at = {now_sql()}, error_code = CASE {_CODE} ELSE '' END",
        f"{over} AND ({_FAILS})",
        "sent",
        EventKind.FAILED,
    )
    moved += _advance(
        f"status = 'delivered', delivered_at = {now_sql()}",
        f"{over} AND NOT ({_FAILS}) AND NOT ({_SILENT})",
        "sent",
        EventKind.DELIVERED,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT EXISTS (SELECT 1 FROM messaging_message WHERE simulated AND status IN ('queued', 'sent')
                {open_months.opened().sql()}
                AND ((status = 'sent' AND NOT ({_SILENT})) OR (status = 'queued' AND {due})))""",
            [],
        )
        more = bool(cursor.fetchone()[0])
    return moved, more


def _advance(assign: str, where: str, before: str, kind: str) -> int:
    with connection.cursor() as cursor:
        plan_by_index_order(cursor)
        cursor.execute(
            f"""SELECT id FROM messaging_message WHERE simulated AND {where}{open_months.opened().sql()}
                ORDER BY id LIMIT %s {skip_locked()}""",
            [BATCH],
        )
        ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return 0
        cursor.execute(  # apart from finding them, so that it names their months
            f"""UPDATE messaging_message SET {assign} WHERE id {among_ids()}{span_of(Message, ids).sql()}
                RETURNING id, client_id, created_at, channel, cost_micros, error_code""",
            [listed_ids(ids)],
        )
        moved = cursor.fetchall()
    write_events(
        [(pk, client_id, kind, code, "simulated") for pk, client_id, _, _, _, code in moved], at=database_now()
    )
    count_steps(
        (client_id, accepted_at, channel, before, kind, cost) for _, client_id, accepted_at, channel, cost, _ in moved
    )
    announce_messages((pk, client_id, kind) for pk, client_id, *_ in moved)
    return len(moved)
