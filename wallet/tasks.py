"""Thin tasks: ids in, one service called. The rows are the truth; a task that is lost or doubled is harmless."""

from celery import shared_task

from wallet import low_balances, reconciliation, wake
from wallet.topups import mornings, notices, paybill, settling, sweeping


@shared_task(name=wake.SETTLE_TOP_UP, ignore_result=True)
def settle_topup(top_up_id: int) -> None:
    """Take a top-up as far as what is known of it goes."""
    settling.settle_top_up(top_up_id=top_up_id)


@shared_task(name=wake.SETTLE_PAYMENT, ignore_result=True)
def settle_payment(payment_id: int) -> None:
    """Verify a payment to the paybill and credit it."""
    paybill.settle_payment(payment_id=payment_id)


@shared_task(name="wallet.sweep", ignore_result=True)
def sweep() -> None:
    """Ask for payments that are due, and tell of low balances: webhooks and members."""
    sweeping.sweep_top_ups()
    low_balances.tell_low_balances()
    notices.write_low_balance_letters()
    mornings.ask_in_the_morning()


@shared_task(name="wallet.heavy.reconcile", ignore_result=True)
def reconcile() -> None:
    """Compare the books, once a day."""
    reconciliation.run_if_due()
