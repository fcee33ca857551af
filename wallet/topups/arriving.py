"""What the operator posts to us: kept as it came in the first statement, judged later (GUARANTEES.md P6)."""

import hmac

from django.db import transaction
from django.db.models import Count

from crm.common.crypto import digest
from crm.common.sql import database_now, later_sql
from wallet import wake
from wallet.models import EventKind, EventVerdict, MpesaEvent, PaybillPayment, PaymentAccount, TopUp, TopUpState
from wallet.payments.base import Payment
from wallet.topups.accounts import open_method
from wallet.topups.settling import close_event

UNKNOWN_KEPT_AN_HOUR = 100  # of callbacks that name nobody: enough to see an attack, too few to fill a disk


def take_notice(*, token: str, body: bytes, address: str) -> bool:
    """Keep a prompt's callback and have it judged. False where no top-up has this token; then it is kept for review.

    Raises: UnreadableNotice; nothing is kept.
    """
    # Found by the digest of 256 random bits: timing tells nothing about them.
    top_up = TopUp.objects.unscoped().select_related("account").filter(token_hash=digest(token)).first()
    if top_up is None or top_up.account is None:
        _keep_unknown(body, address)
        return False
    notice = open_method(top_up.account).parse_notice(body)
    with transaction.atomic():
        MpesaEvent.objects.create(
            kind=EventKind.CALLBACK,
            account=top_up.account,
            top_up=top_up,
            body=body,
            address=address,
            result_code=notice.code,
            receipt=notice.receipt,
            amount_micros=notice.amount_micros,
            received_at=database_now(),
        )
        _look_soon(top_up)
    return True


def _keep_unknown(body: bytes, address: str) -> None:
    """A callback to an address that we never gave. Raises: UnreadableNotice."""
    from_account = PaymentAccount.objects.filter(is_active=True).first()
    notice = open_method(from_account).parse_notice(body) if from_account else None
    recent = MpesaEvent.objects.filter(verdict=EventVerdict.UNKNOWN).extra(  # noqa: S610 - the database's clock
        where=[f"received_at > {later_sql(-3600)}"], params=[]
    )
    if recent.aggregate(found=Count("pk"))["found"] >= UNKNOWN_KEPT_AN_HOUR:
        return
    now = database_now()
    MpesaEvent.objects.create(
        kind=EventKind.CALLBACK,
        body=body,
        address=address,
        result_code=notice.code if notice else "",
        receipt=notice.receipt if notice else "",
        amount_micros=notice.amount_micros if notice else None,
        received_at=now,
        processed_at=now,
        verdict=EventVerdict.UNKNOWN,
        note="No top-up has this address.",
    )


def account_of(token: str) -> PaymentAccount | None:
    """The account whose paybill notices come to this path."""
    for account in PaymentAccount.objects.filter(is_active=True):
        if hmac.compare_digest(account.path_token.encode(), token.encode("utf-8", "replace")):
            return account
    return None


def read_payment(*, account: PaymentAccount, body: bytes) -> Payment:
    """Raises: UnreadableNotice."""
    return open_method(account).parse_payment(body)


def take_payment(*, account: PaymentAccount, body: bytes, address: str) -> None:
    """Keep the notice of a payment to the paybill and have it judged. Raises: UnreadableNotice."""
    payment = read_payment(account=account, body=body)
    with transaction.atomic():
        event = MpesaEvent.objects.create(
            kind=EventKind.CONFIRMATION,
            account=account,
            body=body,
            address=address,
            receipt=payment.receipt,
            amount_micros=payment.amount_micros,
            received_at=database_now(),
        )
        book_payment(account=account, payment=payment, event=event)


def book_payment(*, account: PaymentAccount, payment: Payment, event: MpesaEvent) -> None:
    """Find what a payment is for. A prompt's payment is told twice, by callback and here: its receipt is the same."""
    if top_up := prompted_by(account, payment):
        MpesaEvent.objects.filter(pk=event.pk).update(top_up=top_up)
        _look_soon(top_up)
        return
    if TopUp.objects.unscoped().filter(receipt=payment.receipt).exists():
        close_event(event, EventVerdict.REPEATED, "It was credited before.")
        return
    row, is_new = PaybillPayment.objects.get_or_create(
        receipt=payment.receipt,
        defaults={
            "account": account,
            "amount_micros": payment.amount_micros,
            "bill_reference": payment.bill_reference,
            "payer": payment.payer,
            "paid_at": payment.paid_at,
        },
    )
    if not is_new:
        fits = row.amount_micros == payment.amount_micros
        close_event(event, EventVerdict.REPEATED if fits else EventVerdict.MISMATCH)
        return
    close_event(event, EventVerdict.APPLIED, "Kept as a payment to the paybill.")
    wake.payment(row.pk)


def prompted_by(account: PaymentAccount, payment: Payment) -> TopUp | None:
    """The top-up whose prompt this payment answers: named as its account number, with its amount, not yet credited by
    another receipt."""
    reference = payment.bill_reference.strip().upper()
    if not (reference.startswith("T") and reference[1:].isascii() and reference[1:].isdigit() and len(reference) < 19):
        return None
    top_up = TopUp.objects.unscoped().filter(pk=int(reference[1:]), account=account).first()
    if top_up is None or payment.amount_micros != top_up.amount_micros:
        return None
    return top_up if top_up.receipt in (None, payment.receipt) else None


def _look_soon(top_up: TopUp) -> None:
    """Wake whoever settles; the sweep finds it within seconds where the wake-up is lost."""
    rows = TopUp.objects.unscoped().filter(pk=top_up.pk).exclude(state=TopUpState.COMPLETED)
    rows.update(next_check_at=database_now())
    wake.top_up(top_up.pk)
