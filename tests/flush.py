"""Emptying the database between tests that commit.

The append-only tables refuse Django's flush on SQLite, which is DELETE, as they should; so flush, and nothing else,
takes their triggers away and puts them back. On PostgreSQL flush is TRUNCATE of a hundred tables; where only little was
written, deleting that is much quicker.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from accounts import audit_guard
from wallet import ledger_guard

_LITTLE = 256 * 1024  # bytes; what is deleted stays in a table's file until it is truncated
_WRITTEN = """
SELECT found.name, pg_relation_size(found.name::regclass), EXISTS (
    SELECT 1 FROM pg_class WHERE oid = found.name::regclass AND relkind = 'p'
) FROM unnest(%s::text[]) AS found (name)
"""


def allow_flush() -> None:
    """Patch the flush of this process's connections."""
    operations = type(connection.ops)
    original = operations.sql_flush
    patched = _on_sqlite if connection.vendor == "sqlite" else _on_postgres

    def sql_flush(self: Any, style: Any, tables: Sequence[str], **options: Any) -> list[str]:
        return patched(self, original(self, style, tables, **options), tables, options)

    operations.sql_flush = sql_flush  # type: ignore[method-assign]


def _on_sqlite(operations: Any, statements: list[str], tables: Sequence[str], options: dict[str, Any]) -> list[str]:
    for guard in (ledger_guard, audit_guard):
        if guard.TABLE in tables:
            statements = [*guard.drop_statements("sqlite"), *statements, *guard.create_statements("sqlite")]
    return statements


def _on_postgres(operations: Any, statements: list[str], tables: Sequence[str], options: dict[str, Any]) -> list[str]:
    if options.get("reset_sequences"):
        return statements
    with operations.connection.cursor() as cursor:
        cursor.execute(_WRITTEN, [[operations.quote_name(table) for table in tables]])
        sizes = cursor.fetchall()
    if max((size for _, size, _ in sizes), default=0) > _LITTLE:
        return statements
    # Without triggers, and so without the order that foreign keys ask for.
    written = [name for name, size, has_parts in sizes if size or has_parts]
    deletes = [f"DELETE FROM {name};" for name in written]
    return ["SET LOCAL session_replication_role = replica;", *deletes, "SET LOCAL session_replication_role = origin;"]
