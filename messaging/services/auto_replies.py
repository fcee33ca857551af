"""What a person gets back who writes STOP, START or HELP: the client's own words, once a day for each of the three."""

import logging
from collections.abc import Mapping
from datetime import timedelta

from django.db import transaction

from accounts.models import Client
from accounts.services.access import needs
from accounts.services.audit import record_audit
from crm.common.errors import DomainError, InvalidInput
from crm.common.sql import as_datetime, database_now
from messaging.models import (
    AutoReply,
    InboundMessage,
    ReplyWord,
    TemplateLanguage,
    Thread,
    ThreadEvent,
    ThreadEventKind,
)
from messaging.models.messages import ANSWERS_WORD
from messaging.services.accept import check_text
from messaging.services.answering import send_into

log = logging.getLogger(__name__)

ONCE_IN = timedelta(hours=24)


def answer_word(*, thread_id: int, client_id: int, inbound_id: int, language: str) -> int | None:
    """Send the client's words for STOP, START or HELP, in the language they came in. Inside the caller's transaction.

    Returns the message's id; None where the client has no words for it, the person got them within ONCE_IN, or it
    cannot be sent, which is logged: what the person wrote is obeyed all the same. It costs what any message costs.
    """
    inbound = InboundMessage.objects.for_client(client_id).get(pk=inbound_id)
    texts = dict(
        AutoReply.objects.for_client(client_id).filter(word=inbound.word).values_list("language", "text")
    )  # one query also where nothing is set up, which is the rule
    order = (language, *TemplateLanguage.values)
    text = next((texts[each] for each in order if texts.get(each)), "")
    if not text or _answered_lately(inbound):
        return None
    thread = Thread.objects.for_client(client_id).select_related("client").get(pk=thread_id)
    try:
        with transaction.atomic():
            return _send(thread, inbound.word, text)
    except DomainError as error:
        log.warning("client %s: no answer to %s in thread %s: %s", client_id, inbound.word, thread_id, error.code)
        return None


def _answered_lately(inbound: InboundMessage) -> bool:
    """Whether the same word came from this person to this number within a day: two machines could go on for ever."""
    earlier = InboundMessage.objects.for_client(inbound.client_id).filter(
        sender=inbound.sender, channel=inbound.channel, recipient=inbound.recipient, word=inbound.word,
        pk__lt=inbound.pk, received_at__gt=as_datetime(inbound.received_at) - ONCE_IN,
    )  # fmt: skip
    return earlier.exists()


def _send(thread: Thread, word: str, text: str) -> int:
    sent = send_into(thread=thread, text=text, content={ANSWERS_WORD: word}, to_opted_out=True)
    Thread.objects.for_client(thread.client_id).filter(pk=thread.pk, sender="").update(sender=sent.sender)
    ThreadEvent.objects.create(
        client_id=thread.client_id,
        thread=thread,
        kind=ThreadEventKind.ANSWERED,
        message_id=sent.id,
        at=database_now(),
        text=word,
    )
    return sent.id


@needs("campaigns.write")
@transaction.atomic
def save_auto_replies(*, client: Client, texts: Mapping[tuple[str, str], str]) -> None:
    """Set what people get for each (word, language); an empty text: nothing. Raises: InvalidInput (<word>_<language>).

    What is not given stays as it is.
    """
    clean, errors = {}, {}
    for (word, language), raw in texts.items():
        try:
            clean[ReplyWord(word), TemplateLanguage(language)] = check_text(raw) if raw.strip() else ""
        except DomainError as error:
            errors[f"{word}_{language}"] = [str(error)]
    if errors:
        raise InvalidInput(errors)
    before = auto_replies_of(client)
    changed = {key: text for key, text in clean.items() if text != before.get(key, "")}
    for (word, language), text in changed.items():
        if text:
            AutoReply.objects.update_or_create(client=client, word=word, language=language, defaults={"text": text})
        else:
            AutoReply.objects.for_client(client).filter(word=word, language=language).delete()
    for word, language in changed:
        is_on = {"on": bool(clean[word, language])}
        record_audit(client=client, action="auto_reply.changed", target=f"auto_reply:{word}:{language}", after=is_on)


def auto_replies_of(client: Client) -> dict[tuple[str, str], str]:
    """A client's answers by (word, language)."""
    rows = AutoReply.objects.for_client(client).values_list("word", "language", "text")
    return {(word, language): text for word, language, text in rows}
