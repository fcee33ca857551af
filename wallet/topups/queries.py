"""Reading top-ups, for pages, the API and checks."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from accounts.models import Client
from wallet.errors import TopUpsClosed
from wallet.models import PaymentAccount, TopUp, TopUpState
from wallet.payments.registry import METHODS
from wallet.topups.accounts import current_account


def top_ups_for(client: Client | int) -> QuerySet[TopUp]:
    """The client's, the newest first."""
    return TopUp.objects.for_client(client).order_by("-pk")


def bills_for(client: Client | int) -> QuerySet[TopUp]:
    """The top-ups that were paid, the newest first."""
    return top_ups_for(client).filter(state=TopUpState.COMPLETED)


def find_top_up(client: Client | int, transaction_id: str) -> TopUp | None:
    """By its public id."""
    if "\x00" in transaction_id or len(transaction_id) > 32:
        return None
    return top_ups_for(client).filter(transaction_id=transaction_id).first()


def top_ups_by_reference(client: Client | int, references: Iterable[str]) -> dict[str, TopUp]:
    """Those that ledger entries name as their cause ("topup:TXN-…"), by that reference; one query, or none."""
    ids = [reference.removeprefix("topup:") for reference in references if reference.startswith("topup:")]
    found = top_ups_for(client).filter(transaction_id__in=ids) if ids else ()
    return {f"topup:{top_up.transaction_id}": top_up for top_up in found}


def last_phone(client: Client | int) -> str:
    """The phone of the latest top-up, E.164; "" where there was none."""
    return top_ups_for(client).exclude(phone="").values_list("phone", flat=True).first() or ""


@dataclass(frozen=True, slots=True)
class Paybill:
    """What a payer enters by hand. account_number: the client's id."""

    number: str
    account_number: str


def paybill_for(client: Client) -> Paybill | None:
    """None where there is no paybill that takes the client's currency, or nobody is told of payments to it."""
    for account in PaymentAccount.objects.filter(is_active=True, registered_at__isnull=False):
        method = METHODS.get(account.method)
        values = account.credentials
        if method and method.currency == client.currency and values.get("kind") != "till" and values.get("shortcode"):
            return Paybill(values["shortcode"], str(client.pk))
    return None


def can_top_up(client: Client) -> bool:
    """Whether there is an account that takes the client's currency."""
    try:
        return METHODS[current_account().method].currency == client.currency
    except TopUpsClosed:
        return False
