"""Native API of the statement: the wallet's ledger, with the message that each charge paid for."""

import re
from collections.abc import Iterable
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Client
from crm.common.api import params
from crm.common.api.describe import DAYS, PAGES, Param, describe
from crm.common.api.envelope import listing
from crm.common.api.pages import rows_of_page
from crm.common.api.views import ApiView
from crm.common.money import json_money
from crm.common.phones import digits
from messaging.models import Message
from messaging.models.messages import public_id
from messaging.serializers import TransactionShape
from wallet import queries as wallets
from wallet.models import EntryKind, LedgerEntry, TopUp
from wallet.topups.queries import top_ups_by_reference

_TYPES = {"": 1, "all": 1, "credit": 1, "debit": 1, "refund": 1}
_MESSAGE = re.compile(r"message:(\d{1,19})")
_NAMES = {"sms": "SMS", "whatsapp": "WhatsApp", "email": "Email"}


class TransactionsView(ApiView):
    """The client's ledger, newest first. A correction by staff is a credit or a debit by its sign."""

    required_scope = "wallet:read"

    @describe(
        "Read the statement",
        "Every movement of the wallet, newest first: what came in, what each message cost, what was given back.",
        answers=TransactionShape,
        paged=True,
        query=(
            *PAGES,
            *DAYS,
            Param("type", "Only those.", choices=("all", "credit", "debit", "refund"), default="all"),
        ),
    )
    def get(self, request: Request, client_id: int) -> Response:
        client, asked = request.auth.client, request.query_params
        page = params.read_page(asked)
        found = wallets.statement_for(
            client.pk,
            kind=params.read_choice(asked, "type", _TYPES, default="all"),
            since=params.read_moment(asked, "from_date", client.time_zone),
            before=params.read_moment(asked, "to_date", client.time_zone, ends=True),
        )
        total = found.count()
        rows = rows_of_page(found, page, total)
        messages = _messages_of(client, rows)
        top_ups = top_ups_by_reference(client, [row.reference for row in rows])
        return Response(listing([_show(row, messages, top_ups.get(row.reference)) for row in rows], page.meta(total)))


def _message_id(entry: LedgerEntry) -> int | None:
    found = _MESSAGE.fullmatch(entry.reference)
    return int(found[1]) if found else None


def _messages_of(client: Client, entries: Iterable[LedgerEntry]) -> dict[int, Message]:
    """The messages that a page of entries paid for, by id; one query. One removed since is left out."""
    wanted = {pk for entry in entries if (pk := _message_id(entry)) is not None}
    found = Message.objects.for_client(client).filter(pk__in=wanted)
    return found.only("channel", "recipient", "campaign_id").in_bulk() if wanted else {}


def _show(entry: LedgerEntry, messages: dict[int, Message], top_up: TopUp | None) -> dict[str, Any]:
    kind = str(entry.kind)
    if kind == EntryKind.ADJUSTMENT:
        kind = "credit" if entry.amount_micros > 0 else "debit"
    message_pk = _message_id(entry)
    message = messages.get(message_pk) if message_pk is not None else None
    return {
        "id": entry.pk,
        "type": kind,
        "amount": json_money(abs(entry.amount_micros)),
        "balance_after": json_money(entry.balance_after_micros),
        "description": _describe(entry, message),
        "payment_method": top_up.method if top_up else None,
        "mpesa_receipt": top_up.receipt if top_up else None,
        "status": "completed",
        "message_id": public_id(message_pk) if message_pk is not None else None,
        "campaign_id": message.campaign_id if message else None,
        "reference": entry.reference,
        "created_at": entry.created_at,
    }


def _describe(entry: LedgerEntry, message: Message | None) -> str:
    if message:
        text = f"{_NAMES[message.channel]} to {digits(message.recipient)}"
        return f"Refund: {text}" if entry.kind == EntryKind.REFUND else text
    return entry.description or str(EntryKind(entry.kind).label)
