"""What an import met, apart from the contacts: a file that changes nothing no longer rewrites the whole book.

Constraints that checked every imported row go as well (contacts/models/book.py says why nothing needs them). On
PostgreSQL the columns last_import_id and last_import_row stay for the processes of before; nothing else knows them.
"""

from datetime import timedelta
from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q
from django.utils import timezone

_FORMER = """
INSERT INTO contacts_importmeeting (contact_id, client_id, contact_import_id, "row")
SELECT id, client_id, last_import_id, COALESCE(last_import_row, 0) FROM contacts_contact
WHERE last_import_id IS NOT NULL AND last_import_id <> COALESCE(created_import_id, 0)
"""


def note_rows(apps, schema_editor):
    """Imports that run or can be undone need to know whose contacts are still as they made them."""
    recent = Q(finished_at=None) | Q(finished_at__gt=timezone.now() - timedelta(days=7))
    ids = apps.get_model("contacts", "ContactImport").objects.filter(recent).values("pk")
    made = apps.get_model("contacts", "Contact").objects.filter(created_import__in=ids, last_import=F("created_import"))
    made.update(created_row=F("last_import_row"))


class Migration(migrations.Migration):
    dependencies: ClassVar = [("accounts", "0001_initial"), ("contacts", "0007_contact_by_email")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="ImportMeeting",
            fields=[
                (
                    "contact",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="met",
                        serialize=False,
                        to="contacts.contact",
                    ),
                ),
                ("row", models.PositiveIntegerField()),
                (
                    "client",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.client",
                    ),
                ),
                (
                    "contact_import",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="meetings",
                        to="contacts.contactimport",
                    ),
                ),
            ],
        ),
        migrations.AddField("contact", "created_row", models.PositiveIntegerField(null=True, blank=True)),
        migrations.RunPython(note_rows, migrations.RunPython.noop),
        migrations.RunSQL(_FORMER, migrations.RunSQL.noop),
        migrations.AddIndex(
            "importmeeting",
            models.Index(fields=["contact_import", "contact"], name="import_meeting_by_import"),
        ),
        migrations.RemoveIndex("contact", "contact_by_last_import"),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveField("contact", "last_import"),
                migrations.RemoveField("contact", "last_import_row"),
            ]
        ),
        migrations.AlterField(
            "contact",
            "client",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.client",
            ),
        ),
        migrations.AlterField(
            "groupmember",
            "group",
            models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="members",
                to="contacts.group",
            ),
        ),
    ]
