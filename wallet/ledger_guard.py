"""The database's own refusal to change or delete ledger entries (GUARANTEES.md M3), for SQLite and PostgreSQL.

Applied by a migration. On SQLite, Django rebuilds a table to alter it and the triggers go with the old one: a migration
that alters LedgerEntry must end with `create_statements` again; a test on the migrated database notices if not.
"""

_TABLE = "wallet_ledgerentry"
_MESSAGE = "ledger entries are never changed or deleted"

_SQLITE_CREATE = [
    f"CREATE TRIGGER {_TABLE}_no_{verb.lower()} BEFORE {verb} ON {_TABLE} BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
    for verb in ("UPDATE", "DELETE")
]
_SQLITE_DROP = [f"DROP TRIGGER IF EXISTS {_TABLE}_no_{verb}" for verb in ("update", "delete")]

_POSTGRES_CREATE = [
    f"CREATE OR REPLACE FUNCTION {_TABLE}_is_final() RETURNS trigger LANGUAGE plpgsql AS $$ "
    f"BEGIN RAISE EXCEPTION '{_MESSAGE}' USING ERRCODE = 'restrict_violation'; END $$",
    f"CREATE TRIGGER {_TABLE}_final BEFORE UPDATE OR DELETE ON {_TABLE} "
    f"FOR EACH ROW EXECUTE FUNCTION {_TABLE}_is_final()",
]
_POSTGRES_DROP = [
    f"DROP TRIGGER IF EXISTS {_TABLE}_final ON {_TABLE}",
    f"DROP FUNCTION IF EXISTS {_TABLE}_is_final()",
]


def create_statements(vendor: str) -> list[str]:
    """DDL for connection.vendor; to a program the refusal is an IntegrityError on both databases."""
    return {"sqlite": _SQLITE_CREATE, "postgresql": _POSTGRES_CREATE}[vendor]


def drop_statements(vendor: str) -> list[str]:
    return {"sqlite": _SQLITE_DROP, "postgresql": _POSTGRES_DROP}[vendor]
