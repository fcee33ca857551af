"""Campaigns and templates of further channels: their content, and lists of addresses instead of numbers."""

from typing import ClassVar

from django.db import migrations, models

CHANNELS = [("sms", "SMS"), ("whatsapp", "WhatsApp"), ("email", "Email")]


class Migration(migrations.Migration):
    dependencies: ClassVar = [("messaging", "0015_incidents"), ("contacts", "0007_contact_by_email")]

    operations: ClassVar = [
        migrations.AddField("campaign", "content", models.JSONField(blank=True, db_default={}, default=dict)),
        migrations.AlterField(
            "campaign", "channel", models.CharField(choices=CHANNELS, default="sms", max_length=10)
        ),
        migrations.AddField(
            "template",
            "channel",
            models.CharField(choices=CHANNELS, db_default="sms", default="sms", max_length=10),
        ),
        migrations.AddField("templateversion", "content", models.JSONField(blank=True, db_default={}, default=dict)),
        migrations.RemoveConstraint("campaignrecipient", "campaign_number_once"),
        migrations.RenameField("campaignrecipient", "phone", "address"),
        migrations.AlterField(
            "campaignrecipient",
            "address",
            models.CharField(help_text="E.164 with plus; by email an address in lower case", max_length=254),
        ),
        migrations.AddConstraint(
            "campaignrecipient",
            models.UniqueConstraint(fields=("campaign", "address"), name="campaign_number_once"),
        ),
    ]
