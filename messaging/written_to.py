"""The trigger that keeps a campaign from writing to an address twice (messaging.models.WrittenTo).

Applied by a migration. On SQLite, Django rebuilds a table to alter it and the trigger goes with the old one: a
migration that alters messages must end with `create_statements` again; a test on the migrated database notices if not.
"""

TABLE = "messaging_message"
_COLUMNS = "messaging_writtento (campaign_id, recipient)"


def create_statements(vendor: str) -> list[str]:
    """DDL for connection.vendor; a second message to an address is an IntegrityError on both."""
    if vendor == "sqlite":
        return [
            f"CREATE TRIGGER {TABLE}_written_to AFTER INSERT ON {TABLE} WHEN NEW.campaign_id IS NOT NULL "
            f"BEGIN INSERT INTO {_COLUMNS} VALUES (NEW.campaign_id, NEW.recipient); END"
        ]
    return [  # once a statement: by the row it costs three times as much
        f"CREATE OR REPLACE FUNCTION {TABLE}_written_to() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN INSERT INTO {_COLUMNS} SELECT campaign_id, recipient FROM fresh WHERE campaign_id IS NOT NULL; "
        "RETURN NULL; END $$",
        f"CREATE TRIGGER {TABLE}_written_to AFTER INSERT ON {TABLE} REFERENCING NEW TABLE AS fresh "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_written_to()",
    ]


def drop_statements(vendor: str) -> list[str]:
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {TABLE}_written_to"]
    return [f"DROP TRIGGER IF EXISTS {TABLE}_written_to ON {TABLE}"]
