"""Back office of money; Django finds it by this name."""

from wallet.admin import ledger, topups

__all__ = ["ledger", "topups"]
