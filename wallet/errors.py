"""Why money does not move. Facts are Decimal amounts in the named currency."""

from decimal import Decimal

from crm.common.errors import DomainError
from crm.common.money import format_money


class InsufficientBalance(DomainError):
    """Nothing was charged. Facts: needed, available (balance less what is reserved), balance, currency."""

    code = "insufficient_balance"

    def __init__(self, *, needed: Decimal, available: Decimal, balance: Decimal, currency: str) -> None:
        sentence = f"Your account balance is too low. Current balance: {format_money(balance, currency, plain=True)}"
        if available < balance:
            sentence += f", of which {format_money(balance - available, currency, plain=True)} is reserved"
        super().__init__(sentence, needed=needed, available=available, balance=balance, currency=currency)


class ReservationShort(DomainError):
    """A charge is more than what its reservation still holds; nothing was charged. Facts: reference, needed."""

    code = "reservation_short"
    default_message = "The money reserved for this does not cover it."


class NoPrice(DomainError):
    """The client's price plan has no rate for a destination. Facts: channel, country ("" when it is not known)."""

    code = "no_price"

    def __init__(self, *, channel: str, country: str) -> None:
        destination = f"{channel} to {country}" if country else channel
        super().__init__(f"Your price plan has no price for {destination}.", channel=channel, country=country)


class RefundMismatch(DomainError):
    """A refund names a debit that does not exist or was of another amount (GUARANTEES.md M6). Fact: reference."""

    code = "refund_mismatch"
    default_message = "This refund does not match what was charged."


class AdjustmentRefused(DomainError):
    """A manual adjustment lacks its reason, its staff member or the second person that its size calls for."""

    code = "adjustment_refused"
