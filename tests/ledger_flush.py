"""Lets the test runner empty the append-only tables between tests on SQLite.

A test with real commits ends with Django's flush, which is DELETE on SQLite (TRUNCATE on PostgreSQL), and the triggers
of these tables refuse that, as they should. So flush, and nothing else, takes them away and puts them back.
"""

from typing import Any

from django.db import connection

from accounts import audit_guard
from wallet import ledger_guard


def allow_flush() -> None:
    """Patch the flush of this process's SQLite connections; nothing to do elsewhere."""
    if connection.vendor != "sqlite":
        return
    operations = type(connection.ops)
    original = operations.sql_flush

    def sql_flush(self: Any, style: Any, tables: Any, **options: Any) -> list[str]:
        statements = original(self, style, tables, **options)
        for guard in (ledger_guard, audit_guard):
            if guard.TABLE in tables:
                statements = [*guard.drop_statements("sqlite"), *statements, *guard.create_statements("sqlite")]
        return statements

    operations.sql_flush = sql_flush  # type: ignore[method-assign]
