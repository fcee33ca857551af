"""Messages become partitions by month on PostgreSQL, without copying one, by ranges of their key: from now on a key is
its month's number × 10¹⁰ (crm.common.months) and a running number.

That a campaign writes to an address once is said by a table of its own, which a trigger fills. On live data: the trigger
first, in a moment; then the addresses of campaigns that are still being written to the queue; then the check that lets
the old table be attached unread is validated while everything goes on, and the swap waits two seconds at most for its
lock. What was there becomes the first partition, until the month after next. The release before goes on working.
"""

from django.db import migrations, models
from django.db.models import Q

from crm.common.channels import Channel
from crm.common.live_migrations import Months, in_a_moment
from crm.common.months import MONTH, first_of, number_of
from crm.common.sql import database_now
from messaging.written_to import TABLE, create_statements, drop_statements

STATUSES = [
    ("scheduled", "Scheduled"), ("held", "Held"), ("queued", "Queued"), ("sent", "Sent"), ("delivered", "Delivered"),
    ("read", "Read"), ("failed", "Failed"), ("cancelled", "Cancelled"),
]  # fmt: skip


def note_addresses(apps, schema_editor):
    """The trigger, and what it would have noted of campaigns that may yet write to somebody."""
    connection = schema_editor.connection
    statements = [*drop_statements(connection.vendor), *create_statements(connection.vendor)]
    if connection.vendor == "postgresql":
        statements = [] if months().is_made(connection) else statements  # an earlier run got so far
        in_a_moment(connection, lambda cursor: [cursor.execute(words) for words in statements])
    else:
        with connection.cursor() as cursor:
            for words in statements:
                cursor.execute(words)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messaging_writtento (campaign_id, recipient) SELECT m.campaign_id, m.recipient "
            "FROM messaging_campaign c JOIN messaging_message m ON m.campaign_id = c.id WHERE c.expanded_at IS NULL "
            "ON CONFLICT DO NOTHING",
            [],
        )


def months():
    return Months(
        table=TABLE,
        column="id",
        border=number_of(first_of(database_now(), 2)) * MONTH,
        references={},
        within_first=["campaign_recipient_once"],
        before=drop_statements("postgresql"),
        after=create_statements("postgresql"),
    )


def partition(apps, schema_editor):
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return
    drop_references(connection)
    months().make(connection)


def drop_references(connection):
    """Months of timelines that were made since 0025 refer to messages again, which would be those of the first one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, quote_ident(conname) FROM pg_constraint "
            "WHERE contype = 'f' AND confrelid = to_regclass(%s)",
            [TABLE],
        )
        found = cursor.fetchall()
    for table, name in found:
        words = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}"
        in_a_moment(connection, lambda cursor, words=words: cursor.execute(words))


def drop_index(apps, schema_editor):
    concurrently = "CONCURRENTLY " if schema_editor.connection.vendor == "postgresql" else ""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {concurrently}IF EXISTS campaign_recipient_once")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("messaging", "0026_kept_quotes")]
    operations = [
        migrations.CreateModel(
            name="WrittenTo",
            fields=[
                ("pk", models.CompositePrimaryKey("campaign_id", "recipient", blank=True, editable=False,
                                                  primary_key=True, serialize=False)),
                ("campaign_id", models.BigIntegerField()),
                ("recipient", models.CharField(max_length=254)),
            ],
        ),
        migrations.CreateModel(
            name="MessageSum",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("campaign_id", models.BigIntegerField(null=True)),
                ("hour", models.DateTimeField()),
                ("channel", models.CharField(choices=Channel.choices, max_length=10)),
                ("status", models.CharField(choices=STATUSES, max_length=10)),
                ("messages", models.IntegerField()),
                ("unconfirmed", models.IntegerField()),
                ("cost_micros", models.BigIntegerField()),
                ("client", models.ForeignKey(db_constraint=False, db_index=False, on_delete=models.PROTECT,
                                             related_name="+", to="accounts.client")),
            ],
            options={
                "ordering": ["pk"],
                "indexes": [
                    models.Index(fields=["client", "hour"], name="message_sum_by_hour"),
                    models.Index(fields=["campaign_id"], condition=Q(campaign_id__isnull=False),
                                 name="message_sum_by_campaign"),
                ],
            },
        ),
        migrations.RunPython(note_addresses, migrations.RunPython.noop, elidable=False),
        migrations.RunPython(partition, migrations.RunPython.noop, elidable=False),
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveConstraint("message", "campaign_recipient_once")],
            database_operations=[migrations.RunPython(drop_index, migrations.RunPython.noop, elidable=False)],
        ),
    ]
