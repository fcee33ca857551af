"""An index of three-letter pieces beside the book, so that a part of a name is found among a million (contacts/search.py).

Where the database cannot have one (SQLite without FTS5, PostgreSQL without the pg_trgm extension or the right to create
it) there is none, and searches read the book as they did before.
"""

from django.db import DatabaseError, migrations, models, transaction


def make_index(apps, schema_editor):
    connection = schema_editor.connection
    if connection.vendor == "postgresql":
        statements = [
            "CREATE EXTENSION IF NOT EXISTS pg_trgm",
            "CREATE TABLE contacts_search (contact_id bigint PRIMARY KEY, text text NOT NULL)",
            "CREATE INDEX contacts_search_trgm ON contacts_search USING gin (text gin_trgm_ops)",
        ]
    else:
        statements = ["CREATE VIRTUAL TABLE contacts_search USING fts5(text, tokenize='trigram', columnsize=0)"]
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    except DatabaseError:
        return


def drop_index(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS contacts_search")


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0005_suppressions"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="contact",
            index=models.Index(fields=["updated_at", "id"], name="contact_by_change"),
        ),
        migrations.CreateModel(
            name="SearchMark",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("updated_at", models.DateTimeField()),
                ("contact_id", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.RunPython(make_index, drop_index),
    ]
