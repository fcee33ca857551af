"""One effect per Idempotency-Key (GUARANTEES.md I1-I3): the answer is kept in the transaction of its effect."""

from collections.abc import Callable
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models.functions import Now

from accounts.errors import IdempotencyKeyReused, RequestInProgress
from accounts.models import Client, IdempotencyRecord
from crm.common.crypto import digest
from crm.common.sql import later_sql, on_postgres

_HOURS_KEPT = 24
_DIGITS_OF_A_LOCK = 15  # 60 bits of the digest: PostgreSQL's advisory locks are signed 64-bit numbers


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered. body: the JSON text, byte for byte; is_replay: an earlier call had the effect."""

    status: int
    body: str
    is_replay: bool = False


def answer_once(
    *, client: Client, endpoint: str, key: str, body_hash: str, act: Callable[[], tuple[int, str]]
) -> Answer:
    """Run `act` once for this client, endpoint and key in 24 hours; a repetition gets the first answer again.

    `act` returns status and body and runs inside the transaction that keeps them: it must not talk to the network.
    What it raises undoes everything and keeps nothing, so a refusal may be tried again with the same key.
    Raises: IdempotencyKeyReused; RequestInProgress (on SQLite writers queue, so a repetition waits and is answered).
    """
    endpoint, key_hash = endpoint[:200], digest(key)
    with transaction.atomic():
        _take_turn(f"{client.pk}\n{endpoint}\n{key_hash}")
        kept = IdempotencyRecord.objects.for_client(client).filter(endpoint=endpoint, key_hash=key_hash)
        kept.filter(expires_at__lte=Now()).delete()
        if record := kept.first():
            if record.body_hash != body_hash:
                raise IdempotencyKeyReused
            return Answer(record.status, record.body, is_replay=True)
        status, body = act()
        _keep(client, (endpoint, key_hash, body_hash, status, body))
    return Answer(status, body)


def amend_answer(*, client: Client, endpoint: str, key: str, status: int, body: str) -> None:
    """Change a kept answer to the one that was given in the end, where the effect went on after its transaction."""
    kept = IdempotencyRecord.objects.for_client(client).filter(endpoint=endpoint[:200], key_hash=digest(key))
    kept.update(status=status, body=body)


def forget_expired_answers(*, limit: int = 5_000) -> int:
    """Delete up to `limit` answers whose 24 hours are over; returns how many."""
    expired = IdempotencyRecord.objects.unscoped().filter(expires_at__lte=Now()).values("pk")[:limit]
    return IdempotencyRecord.objects.unscoped().filter(pk__in=expired).delete()[0]


def _take_turn(name: str) -> None:
    """Be the only one at work on `name` until the transaction ends."""
    if on_postgres():
        number = int(digest(name)[:_DIGITS_OF_A_LOCK], 16)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
            if not cursor.fetchone()[0]:
                raise RequestInProgress(retry_after=1)


def _keep(client: Client, values: tuple[str, str, str, int, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{IdempotencyRecord._meta.db_table}" '
            "(client_id, endpoint, key_hash, body_hash, status, body, expires_at) "
            f"VALUES (%s, %s, %s, %s, %s, %s, {later_sql(_HOURS_KEPT * 3600)})",
            [client.pk, *values],
        )
