"""Who does not want messages. Recording twice is harmless; the sending side asks again just before it submits (D10)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import Client
from accounts.services.access import needs, require
from accounts.services.audit import masked, record_audit
from accounts.services.events import moment, record_events
from contacts.importing import reading
from contacts.models import PROOF_LENGTH, Channel, OptOut, OptOutChange, OptOutLink, OptOutSource, normal_address
from contacts.opt_out_links import make_token, read_token
from contacts.services.imports import draft_import
from crm.common.errors import InvalidInput, NotFound
from crm.common.figures import figure
from crm.common.opt_out_words import opt_out_word
from crm.common.phones import InvalidPhone, PhoneReader, digits, read_phone
from crm.common.sql import database_now, insert_rows

MAX_LISTED = 20_000  # numbers entered at once
_CHUNK = 2000


def record_opt_out(
    *, client_id: int, channel: str, address: str, sender: str = "", source: str, proof: str = "", by: Any = None
) -> bool:
    """Note that `address` (E.164, or an email address) wants nothing from `sender`; "" means from no sender at all.

    Returns whether this is news. source: an OptOutSource; proof: what shows it, such as the words of the reply; by: the
    member who entered it.
    """
    return record_opt_outs(
        client_id=client_id, channel=channel, addresses=[address], sender=sender, source=source, proof=proof, by=by
    ) == 1  # fmt: skip


def record_opt_outs(
    *,
    client_id: int,
    channel: str,
    addresses: Sequence[str],
    sender: str = "",
    source: str,
    proof: str = "",
    by: Any = None,
) -> int:
    """As `record_opt_out` for many addresses in a few statements; returns how many are news."""
    every = list(dict.fromkeys(normal_address(channel, address) for address in addresses))
    proof = proof.replace("\x00", "").strip()[:PROOF_LENGTH]
    by_id = by.pk if by else None
    columns = ["client_id", "channel", "address", "sender", "source", "proof", "by_id", "created_at"]
    suffix = 'ON CONFLICT ("client_id", "channel", "address", "sender") DO NOTHING RETURNING "address"'
    news = 0
    for start in range(0, len(every), _CHUNK):
        now = database_now()
        with transaction.atomic():
            rows = [
                (client_id, Channel(channel), address, sender, source, proof, by_id, now)
                for address in every[start : start + _CHUNK]
            ]
            fresh = [address for (address,) in insert_rows(OptOut, columns, rows, suffix=suffix)]
            _keep_history(client_id, channel, fresh, sender, is_out=True, source=source, note=proof, by_id=by_id)
            record_events(
                client_id,
                [
                    (
                        "contact.opted_out",
                        {
                            "channel": str(channel),
                            "recipient": digits(address),
                            "sender": sender or None,
                            "source": str(source),
                            "opted_out_at": moment(now),
                        },
                    )
                    for address in fresh
                ],
            )
        news += len(fresh)
    return news


def _keep_history(
    client_id: int,
    channel: str,
    addresses: Sequence[str],
    sender: str,
    *,
    is_out: bool,
    source: str,
    note: str,
    by_id: int | None,
) -> None:
    columns = ["client_id", "channel", "address", "sender", "is_out", "source", "note", "by_id", "created_at"]
    now = database_now()
    rows = [(client_id, channel, address, sender, is_out, source, note, by_id, now) for address in addresses]
    insert_rows(OptOutChange, columns, rows)


def read_client_phone(*, client: Client, phone: str) -> str:
    """A number as typed, in E.164. Raises: InvalidInput (`phone`)."""
    try:
        return read_phone(phone, client.country).e164
    except InvalidPhone as error:
        raise InvalidInput({"phone": [str(error)]}) from None


def read_numbers(*, client: Client, upload: Any) -> list[str]:
    """The cells of the phone column of an uploaded file (`name`, `chunks()`), as they stand there; nothing is kept.

    Raises: UnreadableFile; InvalidInput (`file`: no column of phone numbers, or more rows than MAX_LISTED).
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "numbers"
        with path.open("wb") as file:
            for block in upload.chunks():
                file.write(block)
        table, _sheet = reading.prepare(
            path, upload.name, max_bytes=settings.MAX_IMPORT_BYTES, max_rows=settings.MAX_IMPORT_ROWS
        )
        draft = draft_import(table, region=client.country)
        column = next((i for i, match in enumerate(draft.mapping) if match["field"] == "phone"), None)
        if column is None:
            raise InvalidInput({"file": [_("There is no column of phone numbers in this file.")]})
        if draft.rows_total > MAX_LISTED:
            raise InvalidInput({"file": [_too_many()]})
        return [cells[column] for _row, cells in table.rows(draft.first_row) if cells and column < len(cells)]


def _too_many() -> str:
    return _("At most %(most)s numbers at once: split the list.") % {"most": figure(MAX_LISTED)}


@dataclass(frozen=True, slots=True)
class Listed:
    """What came of a list of numbers: how many are news, how many had opted out, and up to 20 that cannot be read."""

    news: int
    known: int
    unreadable: list[tuple[str, str]]  # as typed, sentence


@needs("contacts.write")
def record_listed_opt_outs(*, client: Client, texts: Sequence[str], proof: str, by: Any = None) -> Listed:
    """Stop SMS from every sender to each number of a list, such as one brought along from another system.

    Raises: InvalidInput (`numbers`: none can be read, or more than MAX_LISTED), and then nothing is recorded.
    """
    typed = [text for raw in texts if (text := raw.strip())]
    if len(typed) > MAX_LISTED:
        raise InvalidInput({"numbers": [_too_many()]})
    reader = PhoneReader(client.country)
    phones: dict[str, None] = {}
    unreadable = []
    for text in typed:
        try:
            phones[reader.read(text).e164] = None
        except InvalidPhone as error:
            unreadable.append((text[:40], str(error)))
    if not phones:
        sentences = [_("There is no phone number here.")]
        sentences += [f"“{text}”: {why}" for text, why in unreadable[:1]]
        raise InvalidInput({"numbers": [" ".join(sentences)]})
    source = OptOutSource.STAFF if len(phones) == 1 else OptOutSource.UPLOAD
    news = record_opt_outs(
        client_id=client.pk, channel=Channel.SMS, addresses=list(phones), source=source, proof=proof, by=by
    )
    return Listed(news, len(phones) - news, unreadable[:20])


def remove_opt_out(
    *,
    client_id: int,
    channel: str,
    address: str,
    sender: str = "",
    source: str = OptOutSource.API,
    reason: str = "",
    by: Any = None,
) -> bool:
    """Write to the address again; the history keeps who said so and why. Returns whether there was such an opt-out.

    Raises: InvalidInput (`reason`): entered by hand, it has to be stated.
    """
    if source not in (OptOutSource.STOP, OptOutSource.LINK):  # those are the person's own doing
        require(client_id, "contacts.write")
    address, reason = normal_address(channel, address), reason.replace("\x00", "").strip()[:PROOF_LENGTH]
    if source == OptOutSource.STAFF and len(reason) < 3:
        raise InvalidInput(
            {"reason": [_("Say why this person may be written to again, such as when they asked for it.")]}
        )
    with transaction.atomic():
        found = OptOut.objects.filter(client_id=client_id, channel=channel, address=address, sender=sender)
        if not found.delete()[0]:
            return False
        by_id = by.pk if by else None
        _keep_history(client_id, channel, [address], sender, is_out=False, source=source, note=reason, by_id=by_id)
        if source not in (OptOutSource.STOP, OptOutSource.LINK):
            before = {"channel": str(channel), "address": masked(address), "sender": sender}
            record_audit(client=client_id, action="opt_out.removed", before=before, after={"source": str(source)})
    return True


def take_reply(*, client_id: int, channel: str, address: str, sender: str, text: str) -> str:
    """Act on a reply that is nothing but STOP or START in one of three languages.

    STOP ends messages from the sender that was replied to ("": from all). START takes back what STOP and the link did
    for that sender and for all of them. Returns "stop", "start", or "" where the reply is for a person.
    """
    word = opt_out_word(text)
    if word == "stop":
        record_opt_out(
            client_id=client_id, channel=channel, address=address, sender=sender, source=OptOutSource.STOP, proof=text
        )
    elif word == "start":
        for each in {sender, ""}:
            remove_opt_out(
                client_id=client_id,
                channel=channel,
                address=address,
                sender=each,
                source=OptOutSource.STOP,
                reason=text,
            )
    return word


def opt_out_urls(*, client_id: int, channel: str, sender: str, addresses: Sequence[str]) -> dict[str, str]:
    """For each address the page on which its owner can say STOP to the sender. Two statements, however many."""
    every = list(dict.fromkeys(normal_address(channel, address) for address in addresses))
    if not every:
        return {}
    now = database_now()
    columns = ["client_id", "channel", "address", "sender", "created_at"]
    rows = [(client_id, Channel(channel), address, sender, now) for address in every]
    insert_rows(OptOutLink, columns, rows, suffix="ON CONFLICT DO NOTHING")
    links = OptOutLink.objects.filter(client_id=client_id, channel=channel, sender=sender, address__in=every)
    return {address: f"{settings.PUBLIC_URL}/o/{make_token(pk)}" for address, pk in links.values_list("address", "pk")}


def find_opt_out_link(token: str) -> OptOutLink:
    """The link that a token stands for, with its client. Raises: NotFound."""
    link_id = read_token(token)
    links = OptOutLink.objects.unscoped().select_related("client")
    link = links.filter(pk=link_id).first() if link_id is not None else None
    if link is None:
        raise NotFound
    return link


def is_opted_out(link: OptOutLink) -> bool:
    """Whether the address gets nothing from the link's sender."""
    return OptOut.objects.filter(
        Q(sender=link.sender) | Q(sender=""), client_id=link.client_id, channel=link.channel, address=link.address
    ).exists()


def follow_opt_out_link(*, link: OptOutLink, wants_messages: bool) -> None:
    """Do what the owner of the address said on the page: stop, or take the stop back."""
    given: dict[str, Any] = {"client_id": link.client_id, "channel": link.channel, "address": link.address}
    if not wants_messages:
        record_opt_out(**given, sender=link.sender, source=OptOutSource.LINK, proof="Confirmed on the opt-out page")
        return
    for sender in {link.sender, ""}:
        remove_opt_out(**given, sender=sender, source=OptOutSource.LINK, reason="Taken back on the opt-out page")
