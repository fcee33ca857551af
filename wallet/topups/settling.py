"""When money counts as received: one settlement for callback, status query, paybill notice, statement and staff.

A callback moves nothing by itself (GUARANTEES.md P2). A top-up is credited when its receipt and amount are known from
a callback or a notice that fits it *and* the operator's status query says it was paid, or when the operator's own
statement, which only our credentials can read, lists it. State, receipt and credit change in one transaction, guarded
by the state, the unique receipt and the unique reference of the ledger entry (P3).

No network inside a transaction: every step reads, asks, and then writes by conditional UPDATE.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import F

from accounts.services.events import record_events
from crm.common.addresses import is_within
from crm.common.sql import database_now
from wallet.models import (
    Asked,
    EventKind,
    EventVerdict,
    MpesaEvent,
    PaybillPayment,
    PaybillState,
    TopUp,
    TopUpState,
)
from wallet.payments.base import Finding, Notice, PaymentMethod, UnreadableNotice
from wallet.services import credit_wallet
from wallet.topups.accounts import open_method
from wallet.topups.notices import tell_failed, tell_paid
from wallet.topups.outcomes import words_of

FIRST_CHECK_SECONDS = 60
# When a payment nobody told us about is asked for, in seconds after its start; then hourly, to the end of a day (P5).
CHECK_AT = (FIRST_CHECK_SECONDS, 120, 300, 900, 3600)
HOUR, LAST_CHECK = 3600, 24 * 3600
ANSWER_SECONDS = 45  # a push is answered within, or its process died: longer than the calls' own limits
AGAIN_SECONDS = 15  # until a query that said "failed" is repeated: only then is it believed
REPEAT_SECONDS = 10  # the least between the two
CONFIRM_SECONDS = 8  # until a callback of success that the query does not confirm yet is tried again
AFTER_FAILURE_SECONDS = 120  # one prudent look after a failure was shown
STATEMENT_MARGIN = timedelta(minutes=10)
_OPEN = [TopUpState.PENDING, TopUpState.PROCESSING]


@dataclass(slots=True)
class _Evidence:
    """What callbacks and notices claim. paid, failed: the events, with what they say, that fit this top-up."""

    paid: tuple[MpesaEvent, Notice] | None = None
    failed: tuple[MpesaEvent, Notice] | None = None


def settle_top_up(*, top_up_id: int) -> TopUp | None:
    """Look at everything known of a top-up and take it as far as that goes, asking the operator where it must.

    Safe to run twice, at once and in any order with all that brings news. None where there is no such top-up.
    """
    top_up = TopUp.objects.unscoped().select_related("account", "client").filter(pk=top_up_id).first()
    if top_up is None or top_up.account is None:
        return top_up
    now = database_now()
    if top_up.state == TopUpState.COMPLETED:
        _close_repeated(top_up)
        return top_up
    if is_being_asked(top_up):
        _check_again(top_up, now, 3)  # the push is being answered; its ids decide what to believe
        return top_up
    method = open_method(top_up.account)
    evidence = _weigh(top_up, method)
    if evidence.paid:
        _settle_claim(top_up, method, *evidence.paid)
    elif evidence.failed and top_up.state != TopUpState.FAILED:
        event, notice = evidence.failed
        fail_top_up(top_up_id=top_up.pk, code=notice.code, text=notice.text, event=event)
    elif top_up.next_check_at is not None:
        _ask_operator(top_up, method)
    top_up.refresh_from_db()
    return top_up


def is_being_asked(top_up: TopUp) -> bool:
    """Whether the push of a top-up is still being answered; one whose process died is over after a while."""
    return top_up.asked == Asked.NOT_YET and (database_now() - top_up.created_at).total_seconds() < ANSWER_SECONDS


# --- what is claimed --------------------------------------------------------------------------------------------------


def _weigh(top_up: TopUp, method: PaymentMethod) -> _Evidence:
    """Judge the events that wait; those that do not fit are closed with their reason, for staff to see."""
    found = _Evidence()
    for event in top_up.events.filter(processed_at=None).order_by("pk"):
        try:
            notice = _read(event, method, top_up)
        except UnreadableNotice as error:
            close_event(event, EventVerdict.MISMATCH, str(error))
            continue
        if fault := _fault_of(event, notice, top_up, method):
            close_event(event, *fault)
        elif notice.code == method.paid:
            if found.paid is None:
                found.paid = (event, notice)
        elif top_up.state == TopUpState.FAILED:
            close_event(event, EventVerdict.REPEATED, "It had failed before.")
        else:
            found.failed = (event, notice)
    return found


def _read(event: MpesaEvent, method: PaymentMethod, top_up: TopUp) -> Notice:
    """An event as a claim about this top-up. Notices and the statement carry no ids: their account number named us."""
    if event.kind == EventKind.STATEMENT:
        return Notice("", "", method.paid, "", event.amount_micros, event.receipt)
    if event.kind == EventKind.CONFIRMATION:
        paid = method.parse_payment(bytes(event.body))
        return Notice("", "", method.paid, "", paid.amount_micros, paid.receipt, paid.paid_at)
    return method.parse_notice(bytes(event.body))


def _fault_of(
    event: MpesaEvent, notice: Notice, top_up: TopUp, method: PaymentMethod
) -> tuple[EventVerdict, str] | None:
    allowed = top_up.account.allowed_addresses if top_up.account and event.kind != EventKind.STATEMENT else []
    if allowed and not is_within(event.address, allowed):
        return EventVerdict.UNTRUSTED, "It came from an address that is not allowed."
    if event.kind == EventKind.CALLBACK:
        if top_up.asked in (Asked.REFUSED, Asked.UNSENT):
            return EventVerdict.MISMATCH, "No prompt was shown."
        if not _adopt_ids(top_up, notice):
            return EventVerdict.MISMATCH, "Its ids are those of another request."
    if notice.code != method.paid:
        return None
    if notice.amount_micros != top_up.amount_micros:
        return EventVerdict.MISMATCH, "Its amount is not what was asked."
    if TopUp.objects.unscoped().filter(receipt=notice.receipt).exclude(pk=top_up.pk).exists():
        return EventVerdict.REUSED, "Its receipt was credited elsewhere."
    return None


def _adopt_ids(top_up: TopUp, notice: Notice) -> bool:
    """Whether the ids are this top-up's. Where the push's answer was lost, the first callback's are taken, once:
    no two top-ups of an account may have the same, and the status query has to confirm them."""
    known = (top_up.merchant_request_id, top_up.checkout_request_id)
    if known[1]:
        return known == (notice.merchant_id, notice.request_id)
    try:
        with transaction.atomic():
            taken = (
                TopUp.objects.unscoped()
                .filter(pk=top_up.pk, checkout_request_id="")
                .update(merchant_request_id=notice.merchant_id[:100], checkout_request_id=notice.request_id[:100])
            )
    except IntegrityError:
        return False
    top_up.refresh_from_db(fields=["merchant_request_id", "checkout_request_id"])
    return bool(taken) or top_up.checkout_request_id == notice.request_id


def _settle_claim(top_up: TopUp, method: PaymentMethod, event: MpesaEvent, notice: Notice) -> None:
    """A fitting claim that money came: credit it once the operator confirms, or put it down as unconfirmed."""
    assert top_up.account is not None
    if event.kind == EventKind.STATEMENT:  # the operator's own books, read with our credentials
        complete_top_up(top_up_id=top_up.pk, receipt=notice.receipt, event=event)
        return
    if not top_up.account.confirm_by_query and top_up.account.allowed_addresses:
        complete_top_up(top_up_id=top_up.pk, receipt=notice.receipt, event=event)
        return
    now = database_now()
    finding = _query(top_up, method)
    if finding.kind == "ended" and finding.code == method.paid:
        complete_top_up(top_up_id=top_up.pk, receipt=notice.receipt, event=event)
    elif finding.kind == "ended":
        if _is_repeated(top_up, finding.code, now):
            close_event(event, EventVerdict.UNCONFIRMED, f"The operator says {finding.code}: {finding.text}")
            if top_up.state != TopUpState.FAILED:
                fail_top_up(top_up_id=top_up.pk, code=finding.code, text=finding.text)
        else:
            _note_query(top_up, finding.code, now)
            _check_again(top_up, now, AGAIN_SECONDS)
    elif not _look_in_statement(top_up, method):
        age = (now - event.received_at).total_seconds()
        if age > LAST_CHECK:
            close_event(event, EventVerdict.UNCONFIRMED, "The operator could not be asked for a day.")
            _give_up(top_up, "A callback says it was paid; M-Pesa did not confirm it within a day.")
            return
        _check_again(top_up, now, min(max(CONFIRM_SECONDS, age / 2), HOUR))
        TopUp.objects.unscoped().filter(pk=top_up.pk, state=TopUpState.PENDING).update(state=TopUpState.PROCESSING)


# --- asking the operator ----------------------------------------------------------------------------------------------


def _ask_operator(top_up: TopUp, method: PaymentMethod) -> None:
    """Nobody told us yet. A failure is believed when the query repeats it; success needs its receipt."""
    now = database_now()
    finding = _query(top_up, method) if top_up.checkout_request_id else Finding("unknown")
    if finding.kind == "ended" and finding.code == method.paid:
        TopUp.objects.unscoped().filter(pk=top_up.pk, state=TopUpState.PENDING).update(state=TopUpState.PROCESSING)
        _note_query(top_up, finding.code, now)
        if not _complete_by_old_claim(top_up, method) and not _look_in_statement(top_up, method):
            _schedule(top_up, now, "M-Pesa says it was paid, but nobody told the receipt.")
    elif finding.kind == "ended":
        if top_up.state == TopUpState.FAILED:
            _stop_checking(top_up)
        elif _is_repeated(top_up, finding.code, now):
            fail_top_up(top_up_id=top_up.pk, code=finding.code, text=finding.text)
        else:
            _note_query(top_up, finding.code, now)
            _check_again(top_up, now, AGAIN_SECONDS)
    elif top_up.state == TopUpState.FAILED:
        _stop_checking(top_up)
    elif not _look_in_statement(top_up, method):
        _schedule(top_up, now, "M-Pesa gave no final answer within a day.")


def _query(top_up: TopUp, method: PaymentMethod) -> Finding:
    """Ask, and keep the answer. No transaction is open."""
    if not top_up.checkout_request_id:
        return Finding("unknown")
    finding = method.find(top_up.checkout_request_id)
    now = database_now()
    MpesaEvent.objects.create(
        kind=EventKind.QUERY,
        account=top_up.account,
        top_up=top_up,
        body=finding.raw,
        result_code=finding.code,
        received_at=now,
        processed_at=now,
        verdict=EventVerdict.PENDING if finding.kind != "ended" else EventVerdict.APPLIED,
        note=finding.text[:200],
    )
    TopUp.objects.unscoped().filter(pk=top_up.pk).update(checked_at=now, checks=top_up.checks + 1)
    return finding


def _complete_by_old_claim(top_up: TopUp, method: PaymentMethod) -> bool:
    """A callback that the operator did not confirm at its time, and does now."""
    old = top_up.events.filter(kind=EventKind.CALLBACK, verdict=EventVerdict.UNCONFIRMED).order_by("pk").last()
    if old is None:
        return False
    return complete_top_up(top_up_id=top_up.pk, receipt=method.parse_notice(bytes(old.body)).receipt, event=old)


def _look_in_statement(top_up: TopUp, method: PaymentMethod) -> bool:
    """Whether the operator's own books list the payment; then it is credited."""
    account = top_up.account
    if account is None or not account.has_statement:
        return False
    statement = method.statement(top_up.created_at - STATEMENT_MARGIN, database_now() + STATEMENT_MARGIN)
    for payment in statement.payments:
        is_ours = payment.bill_reference.upper() == top_up.account_reference
        if is_ours and payment.amount_micros == top_up.amount_micros:
            now = database_now()
            event = MpesaEvent.objects.create(
                kind=EventKind.STATEMENT,
                account=account,
                top_up=top_up,
                body=payment.raw,
                receipt=payment.receipt,
                amount_micros=payment.amount_micros,
                received_at=now,
            )
            return complete_top_up(top_up_id=top_up.pk, receipt=payment.receipt, event=event)
    return False


# --- what changes -----------------------------------------------------------------------------------------------------


def complete_top_up(*, top_up_id: int, receipt: str, event: MpesaEvent | None = None) -> bool:
    """Credit a top-up: state, receipt, ledger entry and events in one transaction, once. Returns whether it was now.

    A receipt that was credited before credits nothing and goes to staff.
    """
    now = database_now()
    rows = TopUp.objects.unscoped().filter(pk=top_up_id)
    change = {
        "state": TopUpState.COMPLETED,
        "receipt": receipt,
        "completed_at": now,
        "live_phone": None,
        "next_check_at": None,
        "review": "",
    }
    try:
        with transaction.atomic():
            # Payments first, then top-ups, the wallet last: whoever credits a payment takes the rows in this order.
            payment = PaybillPayment.objects.filter(receipt=receipt)
            payment.update(note=F("note"))
            late = bool(rows.filter(state=TopUpState.FAILED).update(**change))
            if not late and not rows.filter(state__in=_OPEN).update(**change):
                if event:
                    close_event(event, EventVerdict.REPEATED, "It was credited before.")
                return False
            top_up = rows.select_related("client").get()
            credit(top_up, late=late)
            payment.filter(state__in=[PaybillState.NEW, PaybillState.UNMATCHED]).update(
                state=PaybillState.CREDITED, top_up=top_up, next_check_at=None
            )
            if event:
                close_event(event, EventVerdict.APPLIED)
    except IntegrityError:
        with transaction.atomic():
            rows.exclude(state=TopUpState.COMPLETED).update(review="Its receipt was credited elsewhere.")
            if event:
                close_event(event, EventVerdict.REUSED, "Its receipt was credited elsewhere.")
        return False
    return True


def credit(top_up: TopUp, *, late: bool = False) -> None:
    """Move the money of a top-up that has just been completed, and tell. Inside the caller's transaction.

    The event balance.updated is the ledger's own. late: it had been shown as failed.
    """
    entry = credit_wallet(
        client=top_up.client,
        amount=Decimal(top_up.amount),
        reference=top_up.reference,
        description=f"M-Pesa {top_up.receipt}",
    )
    record_events(top_up.client_id, [("topup.completed", event_data(top_up))])
    tell_paid(top_up, entry.balance_after_micros, late=late)


@transaction.atomic
def fail_top_up(*, top_up_id: int, code: str, text: str, event: MpesaEvent | None = None) -> bool:
    """Show that a top-up failed; money that comes after all is credited still. Returns whether it was open."""
    now = database_now()
    rows = TopUp.objects.unscoped().filter(pk=top_up_id)
    was_open = rows.filter(state__in=_OPEN).update(
        state=TopUpState.FAILED,
        result_code=code[:20],
        result_text=text[:200],
        failed_at=now,
        live_phone=None,
        next_check_at=None,
    )
    if event:
        close_event(event, EventVerdict.APPLIED if was_open else EventVerdict.REPEATED)
    if not was_open:
        return False
    top_up = rows.select_related("account", "client").get()
    if top_up.checkout_request_id:
        rows.update(next_check_at=now + timedelta(seconds=AFTER_FAILURE_SECONDS))
    words = words_of(top_up)
    if words.alert:
        rows.update(review=f"The account is not set up right: {code} {text}"[:200])
    record_events(top_up.client_id, [("topup.failed", event_data(top_up))])
    tell_failed(top_up)
    return True


def event_data(top_up: TopUp) -> dict:
    """`data` of topup.* events."""
    return {
        "transaction_id": top_up.transaction_id,
        "amount": top_up.amount,
        "status": top_up.state,
        "mpesa_receipt": top_up.receipt,
        "reason": words_of(top_up).sentence if top_up.state == TopUpState.FAILED else None,
    }


def close_event(event: MpesaEvent, verdict: EventVerdict, note: str = "") -> None:
    """Say what was made of an event. The first verdict stays, but for one that was not confirmed at its time."""
    rows = MpesaEvent.objects.filter(pk=event.pk)
    if verdict != EventVerdict.APPLIED:
        rows = rows.filter(processed_at=None)
    rows.update(verdict=verdict, note=note[:200], processed_at=database_now())


def _close_repeated(top_up: TopUp) -> None:
    """What is still said of a top-up that is paid: the same again, or another payment under its name."""
    for event in top_up.events.filter(processed_at=None):
        if event.receipt and event.receipt != top_up.receipt:
            close_event(event, EventVerdict.MISMATCH, "The top-up was paid by another receipt.")
        else:
            close_event(event, EventVerdict.REPEATED, "It was credited before.")
    _stop_checking(top_up)


def _is_repeated(top_up: TopUp, code: str, now: datetime) -> bool:
    """Whether an earlier query said the same: an early "failed" is not always the last word."""
    since = top_up.queried_at
    return top_up.queried_code == code and since is not None and (now - since).total_seconds() >= REPEAT_SECONDS


def _note_query(top_up: TopUp, code: str, now: datetime) -> None:
    rows = TopUp.objects.unscoped().filter(pk=top_up.pk).exclude(queried_code=code)
    rows.update(queried_code=code[:20], queried_at=now)


def _give_up(top_up: TopUp, reason: str) -> None:
    """Leave it to a person."""
    rows = TopUp.objects.unscoped().filter(pk=top_up.pk).exclude(state=TopUpState.COMPLETED)
    rows.update(next_check_at=None, review=reason)


def _check_again(top_up: TopUp, now: datetime, seconds: float) -> None:
    rows = TopUp.objects.unscoped().filter(pk=top_up.pk).exclude(state=TopUpState.COMPLETED)
    rows.update(next_check_at=now + timedelta(seconds=seconds))


def _stop_checking(top_up: TopUp) -> None:
    TopUp.objects.unscoped().filter(pk=top_up.pk).update(next_check_at=None)


def _schedule(top_up: TopUp, now: datetime, reason: str) -> None:
    """The next of P5's times; after the last, a person, with the reason."""
    elapsed = (now - top_up.created_at).total_seconds()
    if elapsed >= LAST_CHECK:
        _give_up(top_up, reason)
        return
    _check_again(top_up, now, next_check_after(elapsed) - elapsed)


def next_check_after(elapsed: float) -> float:
    """Seconds after the start at which an open top-up is asked for next."""
    for at in CHECK_AT:
        if at > elapsed:
            return at
    return min((elapsed // HOUR + 1) * HOUR, LAST_CHECK)
