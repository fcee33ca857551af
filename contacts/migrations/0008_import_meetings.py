"""What an import met, apart from the contacts: a file that changes nothing no longer rewrites the whole book."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models


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
        migrations.AddIndex(
            "importmeeting",
            models.Index(fields=["contact_import", "contact"], name="import_meeting_by_import"),
        ),
    ]
