"""Why money does not move. Facts are Decimal amounts in the named currency."""

from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm.common.errors import DomainError
from crm.common.figures import show_money


class InsufficientBalance(DomainError):
    """Nothing was charged. Facts: needed, available (balance less what is reserved), balance, currency."""

    code = "insufficient_balance"

    def __init__(self, *, needed: Decimal, available: Decimal, balance: Decimal, currency: str) -> None:
        sentence = _("Your account balance is too low. Current balance: {balance}")
        if available < balance:
            sentence = _("Your account balance is too low. Current balance: {balance}, of which {reserved} is reserved")
        sentence = sentence.format(
            balance=show_money(balance, currency, plain=True),
            reserved=show_money(balance - available, currency, plain=True),
        )
        super().__init__(sentence, needed=needed, available=available, balance=balance, currency=currency)


class ReservationShort(DomainError):
    """A charge is more than what its reservation still holds; nothing was charged. Facts: reference, needed."""

    code = "reservation_short"
    default_message = gettext_lazy("The money reserved for this does not cover it.")


class NoPrice(DomainError):
    """The client's price plan has no rate for a destination. Facts: channel, country ("" when it is not known)."""

    code = "no_price"

    def __init__(self, *, channel: str, country: str) -> None:
        words = _("Your price plan has no price for {channel}.")
        if country:
            words = _("Your price plan has no price for {channel} to {country}.")
        super().__init__(
            words.format(channel=channel, country=country),
            channel=channel,
            country=country,
        )


class RefundMismatch(DomainError):
    """A refund names a debit that does not exist or was of another amount (GUARANTEES.md M6). Fact: reference."""

    code = "refund_mismatch"
    default_message = gettext_lazy("This refund does not match what was charged.")


class AdjustmentRefused(DomainError):
    """A manual adjustment lacks its reason, its staff member or the second person that its size calls for."""

    code = "adjustment_refused"


class TopUpsClosed(DomainError):
    """There is no account to pay into, or the client's currency is not its own."""

    code = "topups_closed"
    default_message = gettext_lazy("Top-ups are not open here yet. Ask your account manager to add credit.")


class PromptOpen(DomainError):
    """A prompt may still be on that phone: the operator takes one at a time. Fact: retry_after, in seconds."""

    code = "prompt_open"

    def __init__(self, *, retry_after: int) -> None:
        super().__init__(
            _("A payment request is still open on that phone. Answer it there, or wait {retry_after} seconds.").format(
                retry_after=retry_after
            ),
            retry_after=retry_after,
        )


class SameAmountAgain(DomainError):
    """The same amount was asked for a moment ago; the payer must say that a second payment is meant.

    Facts: transaction_id of the first one.
    """

    code = "same_amount_again"
    default_message = gettext_lazy("The first request for this amount may still arrive. Do not pay twice.")


class RepeatBlocked(DomainError):
    """The operator refuses the same amount from the same number so soon. Fact: retry_after, in seconds."""

    code = "repeat_blocked"

    def __init__(self, *, retry_after: int) -> None:
        super().__init__(
            _(
                "M-Pesa refuses the same amount from the same number within two minutes. Wait {retry_after} seconds."
            ).format(retry_after=retry_after),
            retry_after=retry_after,
        )


class CheckedJustNow(DomainError):
    """The operator was asked within the last seconds. Fact: retry_after."""

    code = "checked_just_now"
    default_message = gettext_lazy("M-Pesa was asked a moment ago. Wait five seconds.")


class PaymentRefused(DomainError):
    """A payment cannot be given to this client: it is credited, dismissed, or has cents."""

    code = "payment_refused"
