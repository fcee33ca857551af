"""Who is sending a message is said in a table of its own; the row of a message stays as it is until it has left.

With the columns goes what the release before would claim by: a sender of it that still runs fails, and sends nothing
that one of this release is sending (docs/operating/upgrading.md). What it was writing counts as unknown (D5).
"""

from django.db import migrations, models

STATUSES = [
    ("scheduled", "Scheduled"), ("held", "Held"), ("queued", "Queued"), ("sent", "Sent"), ("delivered", "Delivered"),
    ("read", "Read"), ("failed", "Failed"), ("cancelled", "Cancelled"),
]  # fmt: skip


def carry_over(apps, schema_editor):
    """Of claimed messages nothing was written: they wait again. Of those being written the sweep says that nobody knows.

    The table is locked to the end of this transaction, a moment: what is carried over is found by the old index.
    """
    connection = schema_editor.connection
    postgres = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        if postgres:  # where a report holds the table for longer, nothing has changed: run it again
            cursor.execute("SET LOCAL lock_timeout = '5s'", [])
            cursor.execute("LOCK TABLE messaging_message IN ACCESS EXCLUSIVE MODE", [])
        cursor.execute(
            f"""INSERT INTO messaging_messagelease (message_id, owner, submitting, until)
                SELECT id, lease_owner, {"TRUE" if postgres else "1"}, CURRENT_TIMESTAMP FROM messaging_message
                WHERE status = 'submitting' AND status IN ('claimed', 'submitting')""",
            [],
        )
        cursor.execute("UPDATE messaging_message SET status = 'queued' WHERE status IN ('claimed', 'submitting')", [])


def tune(apps, schema_editor):
    """Rows come and go by the thousand: room on each page for their one change, and a vacuum that comes in time."""
    if schema_editor.connection.vendor == "postgresql":
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(
                """ALTER TABLE messaging_messagelease SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0,
                   autovacuum_vacuum_threshold = 10000, autovacuum_analyze_scale_factor = 0,
                   autovacuum_analyze_threshold = 10000)""",
                [],
            )


class Migration(migrations.Migration):
    dependencies = [("messaging", "0022_history_by_sender_and_channel")]

    operations = [
        migrations.CreateModel(
            name="MessageLease",
            fields=[
                ("message_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("owner", models.CharField(max_length=64)),
                ("submitting", models.BooleanField(default=False)),
                ("until", models.DateTimeField()),
            ],
        ),
        migrations.RunPython(tune, migrations.RunPython.noop),
        migrations.RunPython(carry_over, migrations.RunPython.noop),
        migrations.RemoveIndex("message", "message_leases"),
        migrations.RemoveField("message", "lease_owner"),
        migrations.RemoveField("message", "lease_until"),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "message", "status", models.CharField(choices=STATUSES, default="queued", max_length=10)
                )
            ]
        ),
    ]
