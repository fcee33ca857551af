"""Counts of a minute need no log on PostgreSQL: every API call waited for the disk once more, one after the other."""

from typing import Any

from django.db import migrations


def unlogged(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE accounts_ratecounter SET UNLOGGED")


def logged(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE accounts_ratecounter SET LOGGED")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0016_what_webhooks_are_about")]
    operations = [migrations.RunPython(unlogged, logged)]
