"""Ledger entries in words: "SMS to +254 712 345 678" for "message:81", with the way to what they paid for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from accounts.models import Client, Membership
from crm.common.phones import display_phone
from wallet.forms import KIND_LABELS
from wallet.models import EntryKind, LedgerEntry, TopUp
from wallet.signals import Cause, asking_what_for
from wallet.topups.queries import top_ups_by_reference


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as people read it; micros. url: of what it paid for; part, part_url: what that belongs to, such as a
    campaign. code: the operator's receipt of a top-up. Addresses are "" where the reader may not open them.
    """

    kind: str | Promise
    title: str
    reference: str
    amount_micros: int
    balance_after_micros: int
    created_at: datetime
    url: str = ""
    part: str = ""
    part_url: str = ""
    code: str = ""
    note: str = ""


def causes_of(client: Client, references: Iterable[str]) -> dict[str, Cause]:
    """What the apps above know of these references; one query each, or none."""
    wanted = sorted(set(references))
    found: dict[str, Cause] = {}
    if wanted:
        answers: list[tuple[object, dict[str, Cause]]]
        answers = asking_what_for.send(LedgerEntry, client=client, references=wanted)  # type: ignore[assignment]
        for _receiver, causes in answers:
            found |= causes
    return found


def describe_entries(membership: Membership, entries: Sequence[LedgerEntry]) -> list[Line]:
    """A page of entries as this member may read it: numbers are masked for roles without contacts."""
    client = membership.client
    references = [entry.reference for entry in entries] + [entry.within for entry in entries if entry.within]
    causes = causes_of(client, references)
    top_ups = top_ups_by_reference(client, references)
    return [_line(membership, entry, causes, top_ups.get(entry.reference)) for entry in entries]


def _line(membership: Membership, entry: LedgerEntry, causes: dict[str, Cause], top_up: TopUp | None) -> Line:
    # What the product itself wrote there, such as an opening balance, is in the catalogue; a person's words are not.
    described = _(entry.description)
    title, url, part, part_url, note = "", "", "", "", described
    if cause := causes.get(entry.reference):
        title = titled(cause, sees_numbers=membership.may("contacts.read"))
        url = cause.url if membership.may(cause.permission) else ""
        if whole := causes.get(cause.part_of):
            part, part_url = whole.title, whole.url if membership.may(whole.permission) else ""
    elif top_up:
        title, note = _("Top-up"), ""
        url = reverse("wallet:topup_detail", args=[top_up.pk])
    return Line(
        kind=KIND_LABELS[EntryKind(entry.kind)],
        title=title or described or entry.reference.replace(":", " ").capitalize(),
        reference=entry.reference,
        amount_micros=entry.amount_micros,
        balance_after_micros=entry.balance_after_micros,
        created_at=entry.created_at,
        url=url,
        part=part,
        part_url=part_url,
        code=(top_up.receipt or "") if top_up else "",
        note=note if title else entry.reference if entry.description and ":" in entry.reference else "",
    )


def titled(cause: Cause, *, sees_numbers: bool) -> str:
    """`SMS to +254 712 345 678`; `SMS to •••678` for who may not read numbers."""
    if not cause.recipient:
        return cause.title
    shown = _shown(cause.recipient) if sees_numbers else f"•••{cause.recipient[-3:]}"
    return _("%(what)s to %(whom)s") % {"what": cause.title, "whom": shown}


def _shown(recipient: str) -> str:
    return display_phone(recipient) if recipient.startswith("+") else recipient
