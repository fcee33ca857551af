"""The database's own refusal to change or delete audit entries (GUARANTEES.md S3)."""

from crm.common import append_only

TABLE = "accounts_auditentry"
_MESSAGE = "audit entries are never changed or deleted"


def create_statements(vendor: str) -> list[str]:
    return append_only.create_statements(vendor, TABLE, _MESSAGE)


def drop_statements(vendor: str) -> list[str]:
    return append_only.drop_statements(vendor, TABLE)
