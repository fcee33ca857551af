"""Single messages that programs send at the same moment, accepted by one transaction (docs/adr/0007).

To each caller it is as if it had come alone: what is wrong with one message refuses that one, and what would refuse
them all, such as a wallet that cannot pay for every one of them, undoes the transaction and lets each try for itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction

from accounts.models import Client
from accounts.services.idempotency import Answer, Once, Turns
from crm.common.acting import current_request_id
from crm.common.errors import DomainError
from crm.common.sql import on_postgres
from crm.common.together import Alone, Together, Undone
from messaging.errors import RecipientLimit
from messaging.models import Channel
from messaging.services.accept import Overtaken, attempt, check_may_send
from messaging.services.drafts import Accepted, Draft, DuplicateRecipient, Refused, check_text
from messaging.services.guards import HOUR
from messaging.services.judging import leave_crowded, look_up, price_drafts, read_drafts, read_terms
from messaging.services.storing import NewMessage, store_messages


@dataclass(frozen=True, slots=True)
class Call:
    """One program's call for one message, to leave at once. once: where it named a key, with `answer`, which gives
    what is kept and repeated."""

    client: Client
    draft: Draft
    api_key_id: int | None
    request_id: str
    once: Once | None
    answer: Callable[[Accepted], Answer]


Outcome = Accepted | Answer | DomainError


def accept_beside_others(
    *,
    client: Client,
    draft: Draft,
    api_key_id: int | None,
    once: Once | None,
    answer: Callable[[Accepted], Answer],
) -> Accepted | Answer:
    """Store, charge and queue an SMS as `accept_messages` does; an Answer where an earlier call with this key had it.

    What it returns is committed and on the disk (D1). Raises: what `accept_messages` raises and refuses with, and
    accounts.errors.IdempotencyKeyReused, RequestInProgress.
    """
    check_may_send(client, Channel.SMS)
    call = Call(client, draft, api_key_id, current_request_id(), once, answer)
    return _calls.ask((client.pk, client.simulation, api_key_id), call)


def accept_calls(calls: Sequence[Call]) -> list[Outcome | Alone]:
    """One transaction for calls of one key, and what each comes to. Alone: it repeats another of them word for word, or
    its Idempotency-Key, and comes after it. Raises: of several calls Undone, of one what refuses it."""
    for last_try in (False, False, False, True):
        try:
            return _accept_in_one(calls, last_try)
        except Overtaken:
            continue
    raise AssertionError("the last try is overtaken by nobody")


def _accept_in_one(calls: Sequence[Call], last_try: bool) -> list[Outcome | Alone]:
    """Raises: Overtaken; of several Undone, where it is certain that nothing was committed."""
    with transaction.atomic():
        try:
            return _take(calls, last_try)
        except Overtaken:
            raise
        except Exception as error:  # before the commit, whose own errors leave open what became of it
            if len(calls) == 1:
                raise
            raise Undone from error


def _take(calls: Sequence[Call], last_try: bool) -> list[Outcome | Alone]:
    client = calls[0].client
    first_of = {call.once.name: place for place, call in reversed(list(enumerate(calls))) if call.once}
    repeats = {place for place, call in enumerate(calls) if call.once and first_of[call.once.name] != place}
    turns = Turns(client, [call.once for place, call in enumerate(calls) if call.once and place not in repeats])
    terms = read_terms(client, turns.turn_parts())
    drafts = [call.draft for call in calls]
    origins = attempt({draft.sender for draft in drafts}, terms.book.choose)
    texts = attempt({draft.text for draft in drafts}, check_text)
    ready, refusals = read_drafts(drafts, [(origins[draft.sender], texts[draft.text]) for draft in drafts], client)
    look = look_up(ready, terms.guard, turns.kept_parts())
    settled = turns.settle({**terms.more, **look.more})
    ready = [one for one in ready if one.index not in repeats and calls[one.index].once not in settled]
    rows = price_drafts(drafts, ready, refusals, look, terms, unit_rule=None, leaves_at=look.now)
    leave_crowded(drafts, refusals, rows, terms.guard, look.near)
    kept = [(row, call) for row, call in zip(rows, calls, strict=True) if row is not None]
    store_messages(
        client=client,
        rows=[row for row, _ in kept],
        now=look.now,
        source="api",
        api_key_id=calls[0].api_key_id,
        guard=terms.guard,
        ids=look.ids,
        asked_by=[call.request_id for _, call in kept],
        beside=lambda: turns.kept_rows(_answers(kept), look.now),
    )
    if on_postgres() and terms.guard.is_overrun([(row.recipient, row.text) for row, _ in kept]):
        if not last_try:
            raise Overtaken
        raise RecipientLimit(retry_after=HOUR)
    return [
        Alone() if place in repeats else settled.get(call.once) or _outcome(refused, row)  # type: ignore[arg-type]
        for place, (call, refused, row) in enumerate(zip(calls, refusals, rows, strict=True))
    ]


def _answers(kept: Sequence[tuple[NewMessage, Call]]) -> dict[Once, Answer]:
    return {call.once: call.answer(Accepted.of(row, None)) for row, call in kept if call.once}


def _outcome(refused: Refused | None, row: NewMessage | None) -> Outcome | Alone:
    if row is not None:
        return Accepted.of(row, None)
    assert refused is not None
    return Alone() if isinstance(refused.error, DuplicateRecipient) else refused.error


_calls: Together[Call, Accepted | Answer] = Together(accept_calls)
