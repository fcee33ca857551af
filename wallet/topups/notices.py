"""Notices about money, to the people who look after it: a balance that runs low, what became of a top-up."""

from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import Client
from accounts.services.access import needs
from accounts.services.notices import notify
from crm.common.errors import InvalidInput
from crm.common.money import format_money, from_micros, to_micros
from crm.common.sql import database_now
from wallet.models import LedgerEntry, LowBalanceNotice, PaymentClaim, TopUp, Wallet
from wallet.queries import is_funded
from wallet.topups.outcomes import words_of

MOST_AT_ONCE = 200


@needs("wallet.topup")
def set_low_balance(*, client: Client, amount: int) -> None:
    """Below which balance the client wants to be warned; whole units, 0 for never. Raises: InvalidInput."""
    if isinstance(amount, bool) or not 0 <= amount <= 100_000_000:
        raise InvalidInput({"amount": [_("Give a whole amount of at most 100,000,000, or 0 for no warning.")]})
    Client.objects.filter(pk=client.pk).update(low_balance_micros=to_micros(amount))


def write_low_balance_letters() -> int:
    """Tell the members of each client whose balance is low, once a day, and only after money moved.

    So an account that nobody uses is not reminded for ever. Returns how many clients were told.
    """
    low = (
        Wallet.objects.unscoped()
        .filter(is_funded(), client__state="active", client__simulation=False)
        .filter(balance_micros__lt=F("client__low_balance_micros"))
        .select_related("client", "client__low_balance_notice")
        .order_by("pk")[:MOST_AT_ONCE]
    )
    return sum(_write_low(wallet) for wallet in low)


def _write_low(wallet: Wallet) -> bool:
    client, now = wallet.client, database_now()
    today = now.astimezone(ZoneInfo(client.time_zone)).date()
    newest = LedgerEntry.objects.for_client(client).aggregate(newest=Max("pk"))["newest"] or 0
    last = getattr(client, "low_balance_notice", None)
    if not newest or (last and (last.day >= today or last.entry_id >= newest)):
        return False
    with transaction.atomic():
        rows = LowBalanceNotice.objects.for_client(client)
        if last:
            fresh = rows.filter(day=last.day).update(day=today, entry_id=newest)
        else:
            fresh = rows.get_or_create(client=client, defaults={"day": today, "entry_id": newest})[1]
        if not fresh:  # another process tells
            return False
        facts = {
            "balance": format_money(from_micros(wallet.balance_micros), client.currency, plain=True),
            "threshold": format_money(from_micros(client.low_balance_micros), client.currency, plain=True),
            "address": settings.PUBLIC_URL + reverse("wallet:topup"),
        }
        notify(client=client, event="balance.low", facts=facts)
    return True


def tell_paid(top_up: TopUp, balance_micros: int, *, late: bool) -> None:
    """Money has arrived. late: after the top-up was shown as failed. Inside the transaction that credits."""
    event = "topup.late" if late else "topup.paid"
    if not late and PaymentClaim.objects.for_client(top_up.client_id).filter(receipt=top_up.receipt).exists():
        event = "payment.matched"
    balance = format_money(from_micros(balance_micros), top_up.currency, plain=True)
    _tell(top_up, event, receipt=top_up.receipt, balance=balance)


def tell_failed(top_up: TopUp) -> None:
    """Inside the transaction that closes it as failed."""
    words = words_of(top_up)
    _tell(top_up, "topup.failed", sentence=words.sentence, next=words.next)


def _tell(top_up: TopUp, event: str, **facts: object) -> None:
    facts["amount"] = format_money(top_up.amount, top_up.currency, plain=True)
    facts["reference"] = top_up.transaction_id
    facts["address"] = settings.PUBLIC_URL + reverse("wallet:topup_detail", args=[top_up.pk])
    notify(client=top_up.client, event=event, facts=facts)
