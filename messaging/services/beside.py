"""Single messages that programs send at the same moment, accepted by one transaction (docs/adr/0007).

To each caller it is as if it had come alone: what is wrong with one message refuses that one, and what would refuse
them all, such as a wallet that cannot pay for every one of them, undoes the transaction and lets each try for itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction

from accounts.models import Client
from accounts.services.admission import Found, find_callers
from accounts.services.idempotency import Answer, Once, Turns
from crm.common.acting import current_request_id
from crm.common.crypto import digest
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


Outcome = Accepted | Answer | Exception


@dataclass(slots=True)
class _Caller:
    """Who waits for a turn. call: once it was admitted; refusal: instead."""

    draft: Draft
    api_key: str
    rate_kind: str
    request_id: str
    admit: Callable[[Found], Once | None]
    answer: Callable[[Accepted], Answer]
    call: Call | None = None
    refusal: Exception | None = None

    def hear(self, found: Found) -> None:
        try:
            once = self.admit(found)
        except Exception as error:
            self.refusal = error
            return
        assert found.key is not None
        client = found.key.client
        self.call = Call(client, self.draft, found.key.pk, self.request_id, once, self.answer)


def accept_beside_others(
    *,
    api_key: str,
    rate_kind: str,
    draft: Draft,
    admit: Callable[[Found], Once | None],
    answer: Callable[[Accepted], Answer],
) -> Accepted | Answer:
    """Store, charge and queue an SMS as `accept_messages` does; an Answer where an earlier call had it.

    api_key: as it was presented. It is looked up, and the call counted as one of `rate_kind`, with those that come at
    the same moment; `admit` then judges the call by what was found, in the thread of any of them. It gives the
    Idempotency-Key's call, or raises what refuses it. What is returned is committed and on the disk (D1).
    Raises: what `admit` does; what `accept_messages` raises and refuses with, and
    accounts.errors.IdempotencyKeyReused, RequestInProgress.
    """
    caller = _Caller(draft, api_key, rate_kind, current_request_id(), admit, answer)
    return _turns.ask((rate_kind, digest(api_key)), caller)


def _take_turn(callers: Sequence[_Caller]) -> list[Outcome | Alone]:
    """Admit who has not been yet, and accept the calls of those who were. Raises: Undone."""
    fresh = [one for one in callers if one.call is None and one.refusal is None]
    if fresh:
        found = find_callers(api_key=fresh[0].api_key, rate_kind=fresh[0].rate_kind, calls=len(fresh))
        for one, its in zip(fresh, found, strict=True):
            one.hear(its)
    calls = [one.call for one in callers if one.call is not None]
    try:
        if calls:
            check_may_send(calls[0].client, Channel.SMS)
        taken = iter(accept_calls(calls))
    except Undone:
        raise
    except Exception as error:  # theirs, and nobody's who was refused before
        taken = iter([error] * len(calls))
    return [next(taken) if one.refusal is None else one.refusal for one in callers]


def accept_calls(calls: Sequence[Call]) -> list[Outcome | Alone]:
    """One transaction for calls of one key, and what each comes to. Alone: it repeats another of them word for word, or
    its Idempotency-Key, and comes after it. Raises: of several calls Undone, of one what refuses it."""
    if not calls:
        return []
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


_turns: Together[_Caller, Accepted | Answer] = Together(_take_turn)
