"""The ways to pay that this installation knows."""

from wallet.payments.base import PaymentMethod
from wallet.payments.mpesa import Mpesa

METHODS: dict[str, type[PaymentMethod]] = {method.name: method for method in (Mpesa,)}


def get_method(name: str) -> type[PaymentMethod]:
    """Raises: LookupError."""
    return METHODS[name]
