"""Importing asks for fewer indexes and constraints; contacts/models/book.py says why nothing needs them."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

from crm.common.live_migrations import DropReferencesLive


class Migration(migrations.Migration):
    atomic = False

    dependencies: ClassVar = [("contacts", "0009_former_meetings")]

    operations: ClassVar = [
        migrations.RemoveIndex("contact", "contact_by_last_import"),
        DropReferencesLive(
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
        DropReferencesLive(
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
