"""What `reconcile` compares of top-ups: with the ledger, and with M-Pesa's own statement (GUARANTEES.md P7)."""

from datetime import timedelta

from django.db import connection

from crm.common.money import MICROS, from_micros
from crm.common.sql import database_now
from wallet.models import (
    EventKind,
    MpesaEvent,
    PaybillPayment,
    PaybillState,
    PaymentAccount,
    TopUp,
    TopUpState,
)
from wallet.payments.base import Payment
from wallet.reconciliation import Check, Difference, register
from wallet.topups.accounts import open_method
from wallet.topups.arriving import book_payment
from wallet.topups.paybill import settle_payment
from wallet.topups.settling import settle_top_up

STATEMENT_SPAN = timedelta(hours=48)  # as far back as M-Pesa lets the statement be pulled
SETTLING = timedelta(minutes=10)  # younger payments may be on their way into either book

_CREDITS = """
SELECT t.client_id, t.transaction_id, CAST(t.amount AS BIGINT) * %s, COALESCE(e.amount_micros, 0)
FROM wallet_topup t
LEFT JOIN wallet_ledgerentry e
    ON e.wallet_id = t.client_id AND e.kind = 'credit' AND e.reference = 'topup:' || t.transaction_id
WHERE (t.state = 'completed' AND COALESCE(e.amount_micros, 0) <> CAST(t.amount AS BIGINT) * %s)
   OR (t.state <> 'completed' AND e.id IS NOT NULL)
ORDER BY t.id
"""


def credit_differences() -> list[Difference]:
    """M2: every completed top-up has its one credit, and no other has any."""
    with connection.cursor() as cursor:
        cursor.execute(_CREDITS, [MICROS, MICROS])
        rows = cursor.fetchall()
    return [
        Difference(
            f"client {client_id}: {transaction_id} is {from_micros(int(due))}, credited {from_micros(int(credited))}",
            client_id,
        )
        for client_id, transaction_id, due, credited in rows
    ]


def waiting_differences() -> list[Difference]:
    """Money that waits for a person: top-ups nobody could settle, payments nobody could match."""
    found = [
        Difference(f"client {top_up.client_id}: {top_up.transaction_id}: {top_up.review}", top_up.client_id)
        for top_up in TopUp.objects.unscoped().exclude(review="").exclude(state=TopUpState.COMPLETED).order_by("pk")
    ]
    for payment in PaybillPayment.objects.filter(state=PaybillState.UNMATCHED).order_by("pk"):
        amount = from_micros(payment.amount_micros)
        found.append(Difference(f"payment {payment.receipt} of {amount} belongs to nobody yet: {payment.note}"))
    return found


def statement_differences() -> list[Difference]:
    """The last two days of each account whose statement can be pulled: payments that one side alone knows of."""
    found: list[Difference] = []
    for account in PaymentAccount.objects.filter(is_active=True, has_statement=True):
        now = database_now()
        statement = open_method(account).statement(now - STATEMENT_SPAN, now)
        if not statement.ok:
            found.append(Difference(f"{account}: the statement cannot be read: {statement.problem}"))
            continue
        listed = {payment.receipt: payment for payment in statement.payments}
        found += _not_known(account, listed)
        found += _not_listed(account, set(listed))
    return found


def _not_known(account: PaymentAccount, listed: dict[str, Payment]) -> list[Difference]:
    known = set(TopUp.objects.unscoped().filter(receipt__in=listed).values_list("receipt", flat=True))
    known |= set(PaybillPayment.objects.filter(receipt__in=listed).values_list("receipt", flat=True))
    return [
        Difference(
            f"{account}: M-Pesa received {from_micros(payment.amount_micros)} by {receipt} for "
            f"“{payment.bill_reference}”, which is not known here; --fix takes it in",
            reference=f"{account.pk}:{receipt}",
        )
        for receipt, payment in listed.items()
        if receipt not in known
    ]


def _not_listed(account: PaymentAccount, listed: set[str]) -> list[Difference]:
    now = database_now()
    credited = TopUp.objects.unscoped().filter(
        account=account, completed_at__gt=now - STATEMENT_SPAN + SETTLING, completed_at__lt=now - SETTLING
    )
    credited = credited.filter(created_at__gt=now - STATEMENT_SPAN + SETTLING)
    return [
        Difference(
            f"client {top_up.client_id}: {top_up.transaction_id} was credited by {top_up.receipt}, which M-Pesa's "
            "statement does not list; look it up in the M-Pesa portal",
            top_up.client_id,
        )
        for top_up in credited.order_by("pk")
        if top_up.receipt not in listed
    ]


def take_in(difference: Difference) -> bool:
    """Take a payment in that the statement lists and nobody told us of, as if it had been told. True when it is known
    afterwards, credited or waiting for staff."""
    account_id, _, receipt = difference.reference.partition(":")
    account = PaymentAccount.objects.filter(pk=account_id).first() if receipt else None
    if account is None:
        return False
    now = database_now()
    listed = open_method(account).statement(now - STATEMENT_SPAN, now).payments
    payment = next((payment for payment in listed if payment.receipt == receipt), None)
    if payment is None:
        return False
    event = MpesaEvent.objects.create(
        kind=EventKind.STATEMENT,
        account=account,
        body=payment.raw,
        receipt=receipt,
        amount_micros=payment.amount_micros,
        received_at=now,
    )
    book_payment(account=account, payment=payment, event=event)
    event.refresh_from_db()
    if event.top_up_id:
        settle_top_up(top_up_id=event.top_up_id)
    elif row := PaybillPayment.objects.filter(receipt=receipt).first():
        settle_payment(payment_id=row.pk)
    known = TopUp.objects.unscoped().filter(receipt=receipt).exists()
    return known or PaybillPayment.objects.filter(receipt=receipt).exists()


def register_checks() -> None:
    register(
        Check(
            "top-ups and their credits",
            credit_differences,
            advice="Look at the top-up's events in the back office, then correct the wallet by an adjustment.",
        )
    )
    register(
        Check(
            "payments that wait for a person",
            waiting_differences,
            advice="Payments: match or put aside each under Payments to the paybill in the back office. Top-ups: look "
            "at them and their account there, then mark them as seen.",
        )
    )
    register(
        Check(
            "top-ups against M-Pesa",
            statement_differences,
            take_in,
            "--fix takes in payments that only M-Pesa lists; look up the others in the M-Pesa portal.",
        )
    )
