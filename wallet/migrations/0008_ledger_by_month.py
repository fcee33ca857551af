"""The ledger becomes partitions by month on PostgreSQL, without copying an entry.

An entry belongs to the month that its reference names (crm.common.months): the one in whose keys "message:110000000081"
lies, 0 for what names none. As the month follows from the reference, which the database checks, a reference is unique
in a wallet over all months where it is so within each.

On live data: the column is added without writing a row, checks are validated and the index is made while everything
goes on, and the swap waits two seconds at most for its lock. The release before goes on working: what it writes belongs
to month 0 until keys carry months, which they do from the month after next on.
"""

from django.db import migrations, models

from crm.common.live_migrations import Months, add_number
from crm.common.months import first_of, number_of, number_sql
from crm.common.sql import database_now
from wallet.ledger_guard import create_statements

TABLE = "wallet_ledgerentry"


def add_period(apps, schema_editor):
    add_number(schema_editor.connection, TABLE, "period")


def partition(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    months = Months(
        table=TABLE,
        column="period",
        border=number_of(first_of(database_now(), 2)),
        references={"wallet_id": "wallet_wallet", "by_id": "accounts_user"},
        checks={"ledger_entry_period_of_reference": f"period = {number_sql('reference')}"},
        unique={"ledger_entry_once": ["wallet_id", "kind", "reference", "period"]},
        before=[f"DROP TRIGGER {TABLE}_final ON {TABLE}"],
        after=create_statements("postgresql"),
    )
    months.make(schema_editor.connection)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("wallet", "0007_rates_by_category")]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AddField(
                    model_name="ledgerentry",
                    name="period",
                    field=models.IntegerField(db_default=0, default=0),
                )
            ],
            database_operations=[migrations.RunPython(add_period, migrations.RunPython.noop, elidable=False)],
        ),
        migrations.RunPython(partition, migrations.RunPython.noop, elidable=False),
    ]
