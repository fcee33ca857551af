"""Lets the test runner empty the ledger between tests on SQLite.

A test with real commits ends with Django's flush, which is DELETE on SQLite (TRUNCATE on PostgreSQL), and the ledger's
triggers refuse that, as they should. So flush, and nothing else, takes them away and puts them back.
"""

from typing import Any

from django.db import connection

from wallet.ledger_guard import create_statements, drop_statements


def allow_flush() -> None:
    """Patch the flush of this process's SQLite connections; nothing to do elsewhere."""
    if connection.vendor != "sqlite":
        return
    operations = type(connection.ops)
    original = operations.sql_flush

    def sql_flush(self: Any, style: Any, tables: Any, **options: Any) -> list[str]:
        statements = original(self, style, tables, **options)
        if "wallet_ledgerentry" not in tables:
            return statements
        return [*drop_statements("sqlite"), *statements, *create_statements("sqlite")]

    operations.sql_flush = sql_flush  # type: ignore[method-assign]
