"""Back office of money; Django finds it by this name."""

from wallet.admin import ledger, pricing, reconciliation, topups

__all__ = ["ledger", "pricing", "reconciliation", "topups"]
