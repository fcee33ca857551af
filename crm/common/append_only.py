"""The database's own refusal to change or delete rows of a table that is only ever added to, on SQLite and PostgreSQL.

Applied by a migration. On SQLite, Django rebuilds a table to alter it and the triggers go with the old one: a migration
that alters such a table must end with `create_statements` again; a test on the migrated database notices if not.
"""


def create_statements(vendor: str, table: str, message: str) -> list[str]:
    """DDL for connection.vendor; to a program the refusal, in the words of `message`, is an IntegrityError on both."""
    if vendor == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        f"CREATE OR REPLACE FUNCTION {table}_is_final() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'restrict_violation'; END $$",
        f"CREATE TRIGGER {table}_final BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_is_final()",
    ]


def drop_statements(vendor: str, table: str) -> list[str]:
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {table}_no_{verb}" for verb in ("update", "delete")]
    return [f"DROP TRIGGER IF EXISTS {table}_final ON {table}", f"DROP FUNCTION IF EXISTS {table}_is_final()"]
