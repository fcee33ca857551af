"""Whose number a person wrote to: numbers and keywords are given to clients by the operator."""

import re
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import Client
from accounts.services.audit import record_audit
from crm.common.errors import InvalidInput
from crm.common.opt_out_words import reply_word
from crm.common.spans import newest_first
from messaging.conversations import own_number, spellings
from messaging.models import Channel, InboundNumber, Message, SenderId, SenderState, Thread
from messaging.providers.base import InboundNotice

_WORD = re.compile(r"[\w]+")
_NUMBER = re.compile(r"\+[0-9]{9,15}|[0-9]{3,15}")


@dataclass(frozen=True, slots=True)
class Owner:
    """client_id: None for nobody. sender: the sender ID that the number stands for, "" for none in particular.

    text: what was written, without the keyword that named the client where STOP, START or HELP is the rest.
    """

    client_id: int | None
    sender: str
    text: str


def owner_of(*, account_id: int, notice: InboundNotice) -> Owner:
    """The client that was written to.

    First whose keyword it begins with; then the only one that has the number, given by the operator or as an approved
    sender ID; of several the one that last talked with the person by it, else the one that has it beside the keywords.
    A number that nobody has belongs to the last client that wrote to the person by this account.
    """
    names = spellings(notice.recipient)
    given = InboundNumber.objects.unscoped().filter(channel=notice.channel, number=own_number(notice.recipient))
    keywords, whole = {}, set()
    for keyword, client_id in given.values_list("keyword", "client_id"):
        if keyword:
            keywords[keyword] = client_id
        else:
            whole.add(client_id)
    senders: dict[int, str] = dict(
        SenderId.objects.unscoped()
        .filter(name__in=names, channel=notice.channel, state=SenderState.APPROVED)
        .values_list("client_id", "name")
    )
    named = _by_keyword(notice.text, keywords)
    if named:
        client_id, text = named
        return Owner(client_id, senders.get(client_id, ""), text)
    having = whole | set(senders)
    sharing = having | set(keywords.values())
    if not sharing:
        return _last_writer(account_id, notice)
    if len(sharing) == 1 and having:
        found: int | None = next(iter(sharing))
    else:
        found = _last_talker(notice, names, sharing)
        if found is None:
            found = next(iter(whole), None)
    return Owner(found, senders.get(found, "") if found else "", notice.text)


def _by_keyword(text: str, keywords: dict[str, int]) -> tuple[int, str] | None:
    """Whose keyword is the first word, or the last one after STOP and its like; with what is left for those words."""
    words = _WORD.findall(text.casefold())
    if not words or not keywords:
        return None
    rest_after, rest_before = " ".join(words[1:]), " ".join(words[:-1])
    if words[0] in keywords:
        return keywords[words[0]], rest_after if reply_word(rest_after)[0] else text if len(words) > 1 else ""
    if words[-1] in keywords and reply_word(rest_before)[0]:
        return keywords[words[-1]], rest_before
    return None


def _last_talker(notice: InboundNotice, names: list[str], clients: set[int]) -> int | None:
    """Of the clients that share a number the one that the person wrote to last, or that wrote last by it."""
    ids = sorted(clients)
    written = Message.objects.unscoped().filter(
        client_id__in=ids, recipient=notice.sender, channel=notice.channel, sender__in=names
    )
    sent = next(iter(newest_first(written.order_by("-pk").values_list("created_at", "client_id"), 1)), None)
    threads = Thread.objects.unscoped().filter(
        client_id__in=ids, person=notice.sender, channel=notice.channel, own=own_number(notice.recipient)
    )
    heard = threads.order_by("-last_inbound_at").values_list("last_inbound_at", "client_id").first()
    found = max((each for each in (sent, heard) if each), default=None)
    return found[1] if found else None


def _last_writer(account_id: int, notice: InboundNotice) -> Owner:
    written = Message.objects.unscoped().filter(
        recipient=notice.sender,
        provider_account_id=account_id,
        channel=notice.channel,
        client_id__in=Client.objects.values("pk"),  # lets the index by client serve
    )
    newest = newest_first(written.order_by("-pk").values_list("client_id", "sender"), 1)
    client_id, sender = newest[0] if newest else (None, "")
    return Owner(client_id, sender, notice.text)


@transaction.atomic
def give_number(*, client: Client, number: str, keyword: str = "", channel: str = Channel.SMS) -> InboundNumber:
    """What people write to `number`, or what begins with `keyword` there, belongs to `client` from now on.

    keyword: one word in any letter case; "" for the whole number, or for what no keyword takes.
    Raises: InvalidInput (number, keyword): not one, a word that means STOP, or given already.
    """
    number, keyword = own_number(number), keyword.strip().casefold()
    if not _NUMBER.fullmatch(number):
        raise InvalidInput({"number": [_("Write a short code, or a number with its country code.")]})
    if keyword and (not _WORD.fullmatch(keyword) or len(keyword) > 30):
        raise InvalidInput({"keyword": [_("A keyword is one word of at most 30 letters and digits.")]})
    if reply_word(keyword)[0]:
        raise InvalidInput({"keyword": [_("This word means STOP, START or HELP to every client.")]})
    try:
        with transaction.atomic():
            row = InboundNumber.objects.create(client=client, channel=channel, number=number, keyword=keyword)
    except IntegrityError:
        raise InvalidInput({"number": [_("This number is given with this keyword already.")]}) from None
    record_audit(client=client, action="inbound_number.given", target=f"number:{row}", after={"channel": str(channel)})
    return row


@transaction.atomic
def take_number(*, row: InboundNumber) -> None:
    """What people write there no longer belongs to the client; what they wrote stays."""
    record_audit(client=row.client_id, action="inbound_number.taken", target=f"number:{row}")
    row.delete()
