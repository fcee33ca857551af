"""The database's own refusal to change or delete ledger entries (GUARANTEES.md M3)."""

from crm.common import append_only

TABLE = "wallet_ledgerentry"
_MESSAGE = "ledger entries are never changed or deleted"


def create_statements(vendor: str) -> list[str]:
    return append_only.create_statements(vendor, TABLE, _MESSAGE)


def drop_statements(vendor: str) -> list[str]:
    return append_only.drop_statements(vendor, TABLE)
