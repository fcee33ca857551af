"""Reading the messages of one call as one thing: a batch. A message sent alone is a batch of one.

A batch is known by its first message, the head: `msg_` and the number of that message.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from accounts.models import Client
from messaging import queries
from messaging.models import Message, ProviderAccount
from messaging.models import MessageStatus as S

PREFIX = "msg_"
_ENDED = (S.DELIVERED, S.READ, S.FAILED, S.CANCELLED)
_OPEN = tuple(status for status in S if status not in _ENDED)
_LEFT = (S.SENT, S.DELIVERED, S.READ, S.FAILED)
_REACHED = (S.DELIVERED, S.READ)


def public_id(head: int) -> str:
    """`msg_000000123`. Derived, as a message's own id is."""
    return f"{PREFIX}{head:09d}"


def status_of(statuses: Collection[str]) -> str:
    """A batch's status from its members': queued, scheduled or sent until every member has ended; then delivered if
    any was, else failed, or cancelled if none was tried.
    """
    found = set(statuses)
    if found.intersection(_OPEN):
        if found == {S.SCHEDULED}:
            return "scheduled"
        return "sent" if found.intersection(_LEFT) else "queued"
    if found.intersection(_REACHED):
        return "delivered"
    return "cancelled" if found == {S.CANCELLED} else "failed"


def find_batch(client: Client, identifier: str) -> list[Message]:
    """The messages that an id means, oldest first: all of a batch for its `msg_…`, the one for any other id of a
    message. Empty where there is none.
    """
    message = queries.find_message(client, identifier)
    if message is None:
        return []
    if message.batch_id == message.pk and identifier.strip().lower().startswith(PREFIX):
        return list(Message.objects.for_client(client).filter(batch_id=message.pk).order_by("pk"))
    return [message]


def heads_for(
    client: Client, *, status: str = "", since: datetime | None = None, before: datetime | None = None
) -> QuerySet[Message]:
    """The first message of each batch, newest first. status: "sent", "delivered", "failed", or "" for all."""
    found = queries.messages_for(client, since=since, before=before)
    found = found.filter(Q(batch_id=None) | Q(batch_id=F("pk")))
    if not status:
        return found
    is_open, reached = _has(client, _OPEN), _has(client, _REACHED)
    if status == "sent":
        return found.filter(is_open & _has(client, _LEFT))
    if status == "delivered":
        return found.filter(~is_open & reached)
    return found.filter(~is_open & ~reached & _has(client, (S.FAILED,)))


def _has(client: Client, statuses: Sequence[str]) -> Q:
    """Whether any member of a head's batch is in one of `statuses`."""
    members = Message.objects.for_client(client).filter(batch_id=OuterRef("pk"), status__in=statuses)
    return Q(batch_id=None, status__in=statuses) | Q(Exists(members))


def tallies_of(client: Client, heads: Iterable[Message]) -> dict[int, Counter]:
    """How many members each head's batch has in each status, by the head's id; one query."""
    found: dict[int, Counter] = defaultdict(Counter)
    batched = []
    for head in heads:
        if head.batch_id is None:
            found[head.pk][head.status] = 1
        else:
            batched.append(head.pk)
    rows = Message.objects.for_client(client).filter(batch_id__in=batched).order_by()
    for batch_id, status, count in rows.values_list("batch_id", "status").annotate(n=Count("pk")):
        found[batch_id][status] = count
    return found


def provider_names(client: Client, ids: Iterable[int]) -> Mapping[int, str]:
    """The adapter that carries each message, by message id; simulated messages have none and are left out."""
    rows = Message.objects.for_client(client).filter(pk__in=list(ids), provider_account__isnull=False)
    adapters = dict(ProviderAccount.objects.values_list("pk", "adapter"))
    return {pk: adapters[account] for pk, account in rows.values_list("pk", "provider_account_id")}
