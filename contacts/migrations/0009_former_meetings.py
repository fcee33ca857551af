"""The rows of what imports met before, for those that run or can be undone.

A migration of its own: the one before locks contacts for a moment, and this one reads them all. The columns
last_import_id and last_import_row stay in the table for the processes of the release before; nothing else knows them.
"""

from datetime import timedelta
from typing import ClassVar

from django.db import migrations
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
    dependencies: ClassVar = [("contacts", "0008_import_meetings")]

    operations: ClassVar = [
        migrations.RunPython(note_rows, migrations.RunPython.noop),
        migrations.RunSQL(_FORMER, migrations.RunSQL.noop),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveField("contact", "last_import"),
                migrations.RemoveField("contact", "last_import_row"),
            ]
        ),
    ]
