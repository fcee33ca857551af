"""Accepting messages: the one way in for every door. What it returns is committed, paid for and queued (D1)."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Client
from crm.common.errors import DomainError
from crm.common.sql import on_postgres
from crm.common.text_units import UnitRule
from messaging.errors import ChannelNotAvailable, ClientSuspended, InvalidSchedule, RecipientLimit
from messaging.models import Channel, Route, SenderId
from messaging.services.drafts import Accepted, Draft, DuplicateRecipient, OptedOut, Refused, answers_of, check_text
from messaging.services.guards import HOUR
from messaging.services.judging import Terms, leave_crowded, look_up, price_drafts, read_drafts, read_terms
from messaging.services.storing import NewMessage, store_messages

__all__ = ["Accepted", "Draft", "DuplicateRecipient", "OptedOut", "Refused", "accept_messages", "check_text"]

FURTHEST_SCHEDULE = timedelta(days=366)


def check_may_send(client: Client, channel: str) -> None:
    """Raises: ClientSuspended, ChannelNotAvailable (other than SMS: no provider carries it, unless nothing leaves)."""
    if not client.is_active:
        raise ClientSuspended(reason=client.suspended_reason)
    if channel == Channel.SMS or (channel in Channel.values and client.simulation):
        return
    if not Route.objects.filter(channel=channel, account__is_active=True).exists():
        raise ChannelNotAvailable(
            _("The channel “{channel}” is not available on this installation.").format(channel=channel), channel=channel
        )


def accept_messages(
    *,
    client: Client,
    drafts: Sequence[Draft],
    channel: str = Channel.SMS,
    sender: str | None = None,
    source: str = "api",
    api_key_id: int | None = None,
    schedule_at: datetime | None = None,
    all_or_nothing: bool = False,
    or_default_sender: bool = False,
    as_batch: bool = False,
    unit_rule: UnitRule | None = None,
    message_class: str = "",
) -> list[Accepted | Refused]:
    """Store, charge and queue a call's messages in one transaction; one result per draft, in order.

    A recipient that cannot be sent to is Refused and costs nothing; the others are charged together or not at all.
    In simulation mode messages cost nothing and never leave.
    all_or_nothing: the first draft that is refused for its sender, number or text, in this order, refuses the call;
    its error has the fact `position`. A message that repeats another of the call word for word is Refused all the same.
    or_default_sender: a sender ID that is not approved means the default one. as_batch: what is accepted shares a
    `batch_id`. message_class: what the text is; "" for what its sender ID is approved for. What leaves by one that is
    for promotions is refused outside their hours. unit_rule: counts units where the caller's contract has a rule of its
    own; None for the price plan's.
    Raises, and then nothing happened: ClientSuspended, ChannelNotAvailable, SenderNotApproved, NoSender, EmptyText,
    UnreadableText, TextTooLong, InvalidSchedule, DailyLimit, wallet.errors.InsufficientBalance.
    """
    check_may_send(client, channel)
    if channel != Channel.SMS:  # other channels have parts besides a text, and doors of their own
        raise ChannelNotAvailable(channel=channel)
    terms = read_terms(client)
    origins = attempt(
        {draft.sender or sender for draft in drafts} or {sender},
        lambda name: terms.book.choose(name, or_default=or_default_sender, message_class=message_class),
    )
    texts = attempt({draft.text for draft in drafts}, check_text)
    if not all_or_nothing:
        _raise_first(origins.values())
        _raise_first(texts.values())
    for last_try in (False, False, False, True):
        try:
            results, rows = _take(
                terms, drafts, origins, texts, sender, all_or_nothing, schedule_at, unit_rule,
                source=source, api_key_id=api_key_id, as_batch=as_batch, last_try=last_try,
            )  # fmt: skip
            break
        except Overtaken:
            terms = read_terms(client)  # they may have changed while we waited for the others
    return answers_of(results, rows, schedule_at)


class Overtaken(Exception):
    """Calls at the same time wrote to the same numbers; what they did is seen when we look again."""


@transaction.atomic
def _take(
    terms: Terms,
    drafts: Sequence[Draft],
    origins: dict[str | None, SenderId | DomainError],
    texts: dict[str, str | DomainError],
    sender: str | None,
    all_or_nothing: bool,
    schedule_at: datetime | None,
    unit_rule: UnitRule | None,
    *,
    source: str,
    api_key_id: int | None,
    as_batch: bool,
    last_try: bool,
) -> tuple[list[Refused | None], list[NewMessage | None]]:
    """Price, store and charge; one refusal or one row per draft. Raises: Overtaken, where it is not the last try."""
    guard = terms.guard
    parts = [(origins[draft.sender or sender], texts[draft.text]) for draft in drafts]
    ready, results = read_drafts(drafts, parts, guard.client)
    look = look_up(ready, guard)
    now = look.now
    if schedule_at is not None and not now < schedule_at <= now + FURTHEST_SCHEDULE:
        raise InvalidSchedule()
    rows = price_drafts(drafts, ready, results, look, terms, unit_rule=unit_rule, leaves_at=schedule_at or now)
    leave_crowded(drafts, results, rows, guard, look.near)
    if all_or_nothing:
        _refuse_whole(results)
    kept = [row for row in rows if row is not None]
    store_messages(
        client=guard.client,
        rows=kept,
        now=now,
        source=source,
        api_key_id=api_key_id,
        schedule_at=schedule_at,
        as_batch=as_batch,
        guard=guard,
        ids=look.ids,
    )
    if on_postgres() and guard.is_overrun([(row.recipient, row.text) for row in kept]):
        if not last_try:
            raise Overtaken
        raise RecipientLimit(retry_after=HOUR)
    return results, rows


_Given = TypeVar("_Given")
_Read = TypeVar("_Read")


def attempt(values: Iterable[_Given], read: Callable[[_Given], _Read]) -> dict[_Given, _Read | DomainError]:
    """What each different value is read as, or why it cannot be."""
    found: dict[_Given, _Read | DomainError] = {}
    for value in values:
        try:
            found[value] = read(value)
        except DomainError as error:
            found[value] = error
    return found


def _raise_first(results: Iterable[object]) -> None:
    for result in results:
        if isinstance(result, DomainError):
            raise result


def _refuse_whole(refusals: Sequence[Refused | None]) -> None:
    for position, refused in enumerate(refusals):
        if refused and not isinstance(refused.error, DuplicateRecipient):
            refused.error.facts["position"] = position
            raise refused.error
