"""What messaging holds of people: messages, timelines, replies, threads, listed numbers, and what providers told us."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Min, QuerySet

from accounts.personal_data import CHUNK, INSTALLATION, Limits, Part, Person, delete_some, facts_of, register
from messaging.models import (
    AutoReply,
    Campaign,
    CampaignRecipient,
    CampaignState,
    InboundMessage,
    Message,
    MessageEvent,
    MessageStatus,
    ProviderCallback,
    SavedReply,
    SenderDocument,
    SenderId,
    SenderNetwork,
    Template,
    TemplateVersion,
    Thread,
    ThreadEvent,
    ThreadEventKind,
)
from messaging.sending.recording import cancel_messages
from messaging.services.sender_papers import path_of

_WAITING = (MessageStatus.SCHEDULED, MessageStatus.HELD, MessageStatus.QUEUED)
_MOST_LATE = 5000  # messages that were not over when the purge passed them, looked at again each time
_CALLBACKS = 2000


def register_part() -> None:
    register(Part("messaging", _collect, _erase, _purge, _tables))
    if purge_callbacks not in INSTALLATION:
        INSTALLATION.append(purge_callbacks)


def _collect(client_id: int, person: Person) -> Iterator[tuple[str, dict[str, Any]]]:
    columns = (
        "message_id", "channel", "recipient", "sender", "text", "content", "reference", "status", "created_at",
        "sent_at", "delivered_at", "failed_at",
    )  # fmt: skip
    sent = Message.objects.for_client(client_id).filter(recipient__in=person.addresses)
    for message in sent.order_by("pk").iterator(CHUNK):
        yield "message", facts_of(message, *columns)
    replies = InboundMessage.objects.for_client(client_id).filter(sender__in=person.addresses)
    for reply in replies.order_by("pk").iterator(CHUNK):
        yield "reply", facts_of(reply, "channel", "sender", "recipient", "name", "text", "received_at")
    notes = ThreadEvent.objects.for_client(client_id).filter(
        thread__person__in=person.addresses, kind=ThreadEventKind.NOTE
    )
    for note in notes.order_by("pk").iterator(CHUNK):
        yield "note", facts_of(note, "text", "at")


def _erase(client_id: int, person: Person) -> tuple[int, bool]:
    """What has not left is cancelled and its money goes back; what a provider is being given is waited for."""
    sent = Message.objects.for_client(client_id).filter(recipient__in=person.addresses)
    replies = InboundMessage.objects.for_client(client_id).filter(sender__in=person.addresses)
    begins = [sent.aggregate(at=Min("created_at"))["at"], replies.aggregate(at=Min("received_at"))["at"]]
    changed = 0
    if known := [at for at in begins if at]:
        changed += _erase_callbacks(person, since=min(known))
    while ids := list(sent.filter(status__in=_WAITING).order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        if not cancel_messages(ids=ids):
            break  # a provider is being given it this very moment
    is_done = not sent.filter(status__in=_WAITING).exists()
    over = sent.exclude(status__in=_WAITING)
    while ids := list(over.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        changed += _strip_texts(client_id, ids)
        _strip_numbers(client_id, ids, person.mark)
    while ids := list(replies.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        changed += (
            InboundMessage.objects.for_client(client_id)
            .filter(pk__in=ids)
            .update(sender=person.mark, name="", text="", media=[])
        )
    changed += Thread.objects.for_client(client_id).filter(person__in=person.addresses).delete()[0]  # with its notes
    changed += CampaignRecipient.objects.for_client(client_id).filter(address__in=person.addresses).delete()[0]
    return changed, is_done


def _strip_texts(client_id: int, ids: list[int]) -> int:
    MessageEvent.objects.for_client(client_id).filter(message_id__in=ids).exclude(detail="").update(detail="")
    return Message.objects.for_client(client_id).filter(pk__in=ids).update(text="", content=None, error_message="")


def _strip_numbers(client_id: int, ids: list[int], mark: str = "") -> int:
    """The number of each message becomes `mark`, or "#" and the message's own number where none is given."""
    own = "'#' || id"
    with connection.cursor() as cursor:
        places = ", ".join(["%s"] * len(ids))
        cursor.execute(
            "DELETE FROM messaging_writtento WHERE (campaign_id, recipient) IN (SELECT campaign_id, recipient "
            f"FROM messaging_message WHERE client_id = %s AND id IN ({places}) AND campaign_id IS NOT NULL)",
            [client_id, *ids],
        )
        cursor.execute(
            f"UPDATE messaging_message SET recipient = {'%s' if mark else own}, reference = '', contact_id = NULL, "
            f"provider_message_id = '' WHERE client_id = %s AND id IN ({places})",
            [*([mark] if mark else []), client_id, *ids],
        )
        return cursor.rowcount


def _erase_callbacks(person: Person, *, since: datetime) -> int:
    """Empty the bodies of callbacks that speak of the person: of all providers, since the first message to or from
    them, in chunks by key."""
    needles = [needle.encode() for needle in person.needles]
    needles += [needle.replace("@", "%40").encode() for needle in person.needles if "@" in needle]
    rows = ProviderCallback.objects.filter(received_at__gte=since, processed_at__isnull=False).order_by("pk")
    changed, last = 0, 0
    while found := list(rows.filter(pk__gt=last).values_list("pk", "body", "query")[:_CALLBACKS]):
        last = found[-1][0]
        ids = [
            pk
            for pk, body, query in found
            if any(needle in bytes(body).lower() or needle in query.lower().encode() for needle in needles)
        ]
        changed += ProviderCallback.objects.filter(pk__in=ids).update(body=b"", query="", note="Erased") if ids else 0
    return changed


def _purge(client_id: int, limits: Limits, cursors: dict[str, Any], most: int, dry_run: bool) -> int:
    done = 0
    for name, limit, strip in (("texts", limits.texts, _strip_texts), ("numbers", limits.numbers, _strip_numbers)):
        done += _walk(client_id, name, limit, strip, cursors, most, dry_run)
    done += _purge_replies(client_id, limits, most, dry_run)
    done += _purge_threads(client_id, limits, most, dry_run)
    if limits.everything:
        done += delete_some(CampaignRecipient.objects.for_client(client_id), most, dry_run)
        papers = list(SenderDocument.objects.for_client(client_id)[:most])
        done += len(papers)
        if not dry_run:
            for paper in papers:
                path_of(paper).unlink(missing_ok=True)
                paper.delete()
            TemplateVersion.objects.for_client(client_id).exclude(text="", content={}).update(text="", content={})
            Campaign.objects.for_client(client_id).exclude(text="", content={}).update(text="", variants={}, content={})
    return done


def _walk(client_id: int, name: str, limit: datetime, strip: Any, cursors: dict, most: int, dry_run: bool) -> int:
    """Go on behind the last message that was dealt with; those not over yet are noted and looked at again."""
    place, late = cursors.get(name, 0), list(cursors.get(f"{name}_late", []))
    messages = Message.objects.for_client(client_id).order_by("pk")
    found = list(messages.filter(pk__gt=place).values_list("pk", "created_at", "status")[:most])
    old = [(pk, status) for pk, at, status in found if at < limit]
    if len(old) < len(found):  # the rest is younger
        found = found[: len(old)]
    again = list(messages.filter(pk__in=late).values_list("pk", "status")) if late else []
    open_ones = {pk for pk, status in [*old, *again] if status in _WAITING}
    ids = [pk for pk, _ in [*again, *old] if pk not in open_ones]
    if dry_run:
        return len(ids)
    for start in range(0, len(ids), CHUNK):
        strip(client_id, ids[start : start + CHUNK])
    if old:
        cursors[name] = old[-1][0]
    cursors[f"{name}_late"] = sorted(open_ones)[-_MOST_LATE:]
    return len(ids)


def _purge_replies(client_id: int, limits: Limits, most: int, dry_run: bool) -> int:
    replies = InboundMessage.objects.for_client(client_id)
    texts = replies.filter(received_at__lt=limits.texts).exclude(text="", name="", media=[])
    senders = replies.filter(received_at__lt=limits.numbers).exclude(sender__startswith="#")
    done = 0
    for rows, values in ((texts, {"text": "", "name": "", "media": []}), (senders, {"sender": "#"})):
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[:most])
        if ids and not dry_run:
            replies.filter(pk__in=ids).update(**values)
        done += len(ids)
    return done


def _purge_threads(client_id: int, limits: Limits, most: int, dry_run: bool) -> int:
    """A thread goes when its newest number would; its last text, the name, and old notes when texts do."""
    threads = Thread.objects.for_client(client_id)
    notes = ThreadEvent.objects.for_client(client_id)
    done = delete_some(threads.filter(last_at__lt=limits.numbers), most, dry_run)
    done += delete_some(notes.filter(at__lt=limits.texts), most, dry_run)
    ids = list(
        threads.filter(last_at__lt=limits.texts)
        .exclude(last_text="", name="")
        .order_by("pk")
        .values_list("pk", flat=True)[:most]
    )
    if ids and not dry_run:
        threads.filter(pk__in=ids).update(last_text="", name="")
    return done + len(ids)


def purge_callbacks(before: datetime, most: int, dry_run: bool = False) -> int:
    """Delete what providers told us before a moment, once it is processed; it is not known whose it is."""
    rows = ProviderCallback.objects.filter(received_at__lt=before, processed_at__isnull=False)
    ids = list(rows.order_by("pk").values_list("pk", flat=True)[:most])
    if ids and not dry_run:
        ProviderCallback.objects.filter(pk__in=ids).delete()
    return len(ids)


def _tables(client_id: int) -> dict[str, QuerySet]:
    return {
        "messages": Message.objects.for_client(client_id),
        "replies": InboundMessage.objects.for_client(client_id),
        "threads": Thread.objects.for_client(client_id),
        "thread-notes": ThreadEvent.objects.for_client(client_id).filter(kind=ThreadEventKind.NOTE),
        "saved-replies": SavedReply.objects.for_client(client_id),
        "auto-replies": AutoReply.objects.for_client(client_id),
        "campaigns": Campaign.objects.for_client(client_id).exclude(state=CampaignState.DRAFT),
        "campaign-drafts": Campaign.objects.for_client(client_id).filter(state=CampaignState.DRAFT),
        "templates": Template.objects.for_client(client_id),
        "template-texts": TemplateVersion.objects.for_client(client_id),
        "sender-ids": SenderId.objects.for_client(client_id),
        "sender-networks": SenderNetwork.objects.for_client(client_id),
        "sender-papers": SenderDocument.objects.for_client(client_id),
    }
