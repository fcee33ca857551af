"""The wake-ups of the wallet: names of tasks in wallet/tasks.py, sent after the commit, with ids only."""

from crm.common.wake import send_after_commit, send_now

SETTLE_TOP_UP = "wallet.settle_topup"
SETTLE_PAYMENT = "wallet.settle_payment"


def top_up(top_up_id: int) -> None:
    """Look at a top-up again: something was said of it, or it is time to ask."""
    send_after_commit(SETTLE_TOP_UP, top_up_id)


def top_up_now(top_up_id: int) -> None:
    send_now(SETTLE_TOP_UP, top_up_id)


def payment(payment_id: int) -> None:
    send_after_commit(SETTLE_PAYMENT, payment_id)


def payment_now(payment_id: int) -> None:
    send_now(SETTLE_PAYMENT, payment_id)
