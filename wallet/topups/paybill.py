"""Payments that their payers began, by the paybill's menu: verified by the operator's statement, given to the client
whose id is the account number, or kept for staff, who give them to whom they belong. Each is credited once.
"""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from accounts.models import Client, User
from accounts.services.access import needs
from crm.common.addresses import is_within
from crm.common.errors import InvalidInput
from crm.common.money import MICROS
from crm.common.sql import database_now
from wallet import wake
from wallet.errors import PaymentRefused
from wallet.models import (
    Asked,
    EventKind,
    MpesaEvent,
    PaybillPayment,
    PaybillState,
    PaymentAccount,
    PaymentClaim,
    TopUp,
    TopUpState,
    Wallet,
)
from wallet.payments.base import Payment
from wallet.services import open_wallet
from wallet.topups.accounts import open_method
from wallet.topups.arriving import prompted_by
from wallet.topups.settling import STATEMENT_MARGIN, credit
from wallet.topups.starting import number_of

AGAIN_SECONDS = 60  # until the statement is asked for the same payment again
VERIFY_FOR = timedelta(hours=24)
STAFF_ANSWER = "one working day"  # what people are promised for a payment that nobody could match
_WAITING = [PaybillState.NEW, PaybillState.UNMATCHED]


def settle_payment(*, payment_id: int) -> None:
    """Verify a new payment and credit it, or leave it to staff with the reason. Harmless to repeat."""
    payment = PaybillPayment.objects.select_related("account").filter(pk=payment_id, state=PaybillState.NEW).first()
    if payment is None:
        return
    if payment.verified_at is None and not _verify(payment):
        return
    client = client_named(payment.account, payment.bill_reference)
    if client is None:
        _leave_to_staff(payment, "The account number is not that of a client who pays in this currency.")
    elif payment.amount_micros % MICROS:
        _leave_to_staff(payment, "The amount has cents.")
    else:
        credit_payment(payment=payment, client=client)


def is_expected(*, account: PaymentAccount, payment: Payment) -> bool:
    """Whether a payment that is about to be made names a client or a top-up of ours."""
    return client_named(account, payment.bill_reference) is not None or prompted_by(account, payment) is not None


def _verify(payment: PaybillPayment) -> bool:
    """Whether the operator's own books list it, or it came from where only the operator can post from (P2)."""
    account, now = payment.account, database_now()
    if account.allowed_addresses and not account.confirm_by_query:
        told = MpesaEvent.objects.filter(kind=EventKind.CONFIRMATION, receipt=payment.receipt)
        if any(is_within(event.address, account.allowed_addresses) for event in told):
            return _mark_verified(payment)
    if not account.has_statement:
        _leave_to_staff(payment, "It cannot be verified here: look it up in the M-Pesa portal.")
        return False
    around = payment.paid_at or payment.created_at
    until = max(around, payment.created_at) + STATEMENT_MARGIN
    statement = open_method(account).statement(around - STATEMENT_MARGIN, until)
    for listed in statement.payments:
        if listed.receipt == payment.receipt and listed.amount_micros == payment.amount_micros:
            return _mark_verified(payment)
    if now - payment.created_at > VERIFY_FOR:
        _leave_to_staff(payment, "The M-Pesa statement does not list it.")
    else:
        rows = PaybillPayment.objects.filter(pk=payment.pk)
        rows.update(next_check_at=now + timedelta(seconds=AGAIN_SECONDS), note=statement.problem[:200])
    return False


def _mark_verified(payment: PaybillPayment) -> bool:
    payment.verified_at = database_now()
    PaybillPayment.objects.filter(pk=payment.pk).update(verified_at=payment.verified_at)
    return True


def client_named(account: PaymentAccount, bill_reference: str) -> Client | None:
    """The client whose id was typed as the account number."""
    reference = bill_reference.replace(" ", "")
    if not (reference.isascii() and reference.isdigit() and len(reference) < 19):
        return None
    currency = open_method(account).currency
    return Client.objects.filter(pk=int(reference), currency=currency).first()


def _leave_to_staff(payment: PaybillPayment, note: str) -> None:
    rows = PaybillPayment.objects.filter(pk=payment.pk, state=PaybillState.NEW)
    rows.update(state=PaybillState.UNMATCHED, note=note, next_check_at=None)


def credit_payment(*, payment: PaybillPayment, client: Client, by: User | None = None) -> TopUp:
    """Credit a payment to a client, once, whoever matched it. by: the member of staff who did.

    Raises: PaymentRefused: credited or dismissed before, in another currency, or not whole.
    """
    if payment.amount_micros % MICROS:
        raise PaymentRefused("This payment has cents: credit it by an adjustment.")
    if client.currency != open_method(payment.account).currency:
        raise PaymentRefused("This client pays in another currency.")
    now = database_now()
    try:
        with transaction.atomic():
            rows = PaybillPayment.objects.filter(pk=payment.pk, state__in=_WAITING)
            note = f"Given by {by}" if by else ""
            if not rows.update(state=PaybillState.CREDITED, next_check_at=None, note=note[:200]):
                raise PaymentRefused("This payment was credited or dismissed before.")
            open_wallet(client=client)
            Wallet.objects.for_client(client).update(reserved_micros=F("reserved_micros"))
            top_up = TopUp.objects.create(
                client=client,
                account=payment.account,
                method=payment.account.method,
                amount=payment.amount_micros // MICROS,
                currency=client.currency,
                state=TopUpState.COMPLETED,
                asked=Asked.NONE,
                receipt=payment.receipt,
                result_code=open_method(payment.account).paid,
                started_by=None,
                created_at=now,
                completed_at=now,
                **number_of(client, now),
            )
            PaybillPayment.objects.filter(pk=payment.pk).update(top_up=top_up)
            credit(top_up)
    except IntegrityError:
        raise PaymentRefused("This receipt was credited before.") from None
    return top_up


def dismiss_payment(*, payment: PaybillPayment, reason: str, by: User) -> None:
    """Put an unmatched payment aside, such as one that was sent back. Raises: InvalidInput, PaymentRefused."""
    if not reason.strip():
        raise InvalidInput({"reason": ["Say why."]})
    rows = PaybillPayment.objects.filter(pk=payment.pk, state__in=_WAITING)
    if not rows.update(state=PaybillState.DISMISSED, next_check_at=None, note=f"{reason.strip()} ({by})"[:200]):
        raise PaymentRefused("This payment was credited or dismissed before.")


@needs("wallet.topup")
def claim_payment(*, client: Client, code: str, by: User | None) -> PaymentClaim:
    """A client names the M-Pesa code of a payment that is not in its wallet; staff see it beside the payment.

    Raises: InvalidInput for what cannot be a code.
    """
    receipt = code.strip().upper()
    if not (receipt.isascii() and receipt.isalnum() and 8 <= len(receipt) <= 12):
        raise InvalidInput({"code": [_("An M-Pesa code has ten letters and digits, such as PGH7X8Y9Z0.")]})
    claim, _made = PaymentClaim.objects.get_or_create(client=client, receipt=receipt, defaults={"by": by})
    if payment := PaybillPayment.objects.filter(receipt=receipt, state=PaybillState.NEW).first():
        wake.payment(payment.pk)
    return claim
