"""One effect per Idempotency-Key (GUARANTEES.md I1-I3): the answer is kept in the transaction of its effect."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from accounts.errors import IdempotencyKeyReused, RequestInProgress
from accounts.models import Client, IdempotencyRecord
from crm.common.crypto import digest
from crm.common.errors import DomainError
from crm.common.reading import Part, read_together
from crm.common.sql import Insert, as_json, database_now, insert_rows, now_sql, on_postgres, rows_sql

_KEPT = timedelta(hours=24)
_DIGITS_OF_A_LOCK = 15  # 60 bits of the digest: PostgreSQL's advisory locks are signed 64-bit numbers
_COLUMNS = ("client_id", "endpoint", "key_hash", "body_hash", "status", "body", "expires_at")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered. body: the JSON text, byte for byte; is_replay: an earlier call had the effect."""

    status: int
    body: str
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class Once:
    """A call that names its key. endpoint: its path; body_hash: a digest of all that it asks for."""

    endpoint: str
    key_hash: str
    body_hash: str

    @classmethod
    def of(cls, *, endpoint: str, key: str, body_hash: str) -> "Once":
        return cls(endpoint[:200], digest(key), body_hash)

    @property
    def name(self) -> tuple[str, str]:
        return self.endpoint, self.key_hash


class Turns:
    """The keyed calls of one client that one transaction answers, no two of one name.

    Its first statement reads `turn_parts`, a later one `kept_parts`, which then sees what whoever had a turn before us
    has committed; `settle` says who is answered already. What the others are answered, `kept_rows` keeps.
    """

    def __init__(self, client: Client, calls: Sequence[Once]) -> None:
        self._client = client
        self._calls = {call.name: call for call in calls}

    def turn_parts(self) -> dict[str, Part]:
        """Takes the turns. On SQLite there is one writer at a time: we have ours."""
        if not self._calls or not on_postgres():
            return {}
        locks = [(*name, _lock_of(self._client, name)) for name in self._calls]
        given = "(SELECT value, (value->>2)::bigint AS lock FROM jsonb_array_elements(%s::jsonb) AS value) AS v"
        return {
            "turns": Part(("v.value->>0", "v.value->>1", "pg_try_advisory_xact_lock(v.lock)"), given, [as_json(locks)])
        }

    def kept_parts(self) -> dict[str, Part]:
        """Reads the answers that are kept."""
        if not self._calls:
            return {}
        source = (
            f'{rows_sql(IdempotencyRecord, ["endpoint", "key_hash"])} JOIN "{IdempotencyRecord._meta.db_table}" i '
            "ON i.client_id = %s AND i.endpoint = v.endpoint AND i.key_hash = v.key_hash"
        )
        columns = ("i.endpoint", "i.key_hash", "i.body_hash", "i.status", "i.body", f"i.expires_at <= {now_sql()}")
        return {"kept": Part(columns, source, [as_json(self._calls), self._client.pk])}

    def settle(self, found: Mapping[str, Sequence[Sequence[Any]]]) -> dict[Once, Answer | DomainError]:
        """Who must not act: they are answered by what is kept, or refused. found: the rows of both reads."""
        settled: dict[Once, Answer | DomainError] = {}
        for endpoint, key_hash, body_hash, status, body, is_over in found.get("kept", ()):
            call = self._calls[endpoint, key_hash]
            if is_over:
                kept = IdempotencyRecord.objects.for_client(self._client).filter(endpoint=endpoint, key_hash=key_hash)
                kept.filter(expires_at__lte=Now()).delete()
            elif body_hash != call.body_hash:
                settled[call] = IdempotencyKeyReused()
            else:
                settled[call] = Answer(status, body, is_replay=True)
        for endpoint, key_hash, is_ours in found.get("turns", ()):
            if not is_ours:
                settled[self._calls[endpoint, key_hash]] = RequestInProgress(retry_after=1)
        return settled

    def kept_rows(self, answers: Mapping[Once, Answer], now: datetime) -> Insert:
        """What keeps these answers, for whoever inserts other things in the same statement. now: the database's."""
        rows = [
            (self._client.pk, call.endpoint, call.key_hash, call.body_hash, answer.status, answer.body, now + _KEPT)
            for call, answer in answers.items()
        ]
        return IdempotencyRecord, _COLUMNS, rows


def answer_once(
    *, client: Client, endpoint: str, key: str, body_hash: str, act: Callable[[], tuple[int, str]]
) -> Answer:
    """Run `act` once for this client, endpoint and key in 24 hours; a repetition gets the first answer again.

    `act` returns status and body and runs inside the transaction that keeps them: it must not talk to the network.
    What it raises undoes everything and keeps nothing, so a refusal may be tried again with the same key.
    Raises: IdempotencyKeyReused; RequestInProgress (on SQLite writers queue, so a repetition waits and is answered).
    """
    call = Once.of(endpoint=endpoint, key=key, body_hash=body_hash)
    turns = Turns(client, [call])
    with transaction.atomic():
        found = read_together(turns.turn_parts()) if on_postgres() else {}
        settled = turns.settle(found | read_together(turns.kept_parts())).get(call)
        if isinstance(settled, DomainError):
            raise settled
        if settled is not None:
            return settled
        answer = Answer(*act())
        insert_rows(*turns.kept_rows({call: answer}, database_now()))
    return answer


def amend_answer(*, client: Client, endpoint: str, key: str, status: int, body: str) -> None:
    """Change a kept answer to the one that was given in the end, where the effect went on after its transaction."""
    kept = IdempotencyRecord.objects.for_client(client).filter(endpoint=endpoint[:200], key_hash=digest(key))
    kept.update(status=status, body=body)


def forget_expired_answers(*, limit: int = 5_000) -> int:
    """Delete up to `limit` answers whose 24 hours are over; returns how many."""
    expired = IdempotencyRecord.objects.unscoped().filter(expires_at__lte=Now()).values("pk")[:limit]
    return IdempotencyRecord.objects.unscoped().filter(pk__in=expired).delete()[0]


def _lock_of(client: Client, name: tuple[str, str]) -> int:
    endpoint, key_hash = name
    return int(digest(f"{client.pk}\n{endpoint}\n{key_hash}")[:_DIGITS_OF_A_LOCK], 16)
