"""Reports that name no id we know are matched by number: among messages whose answer was lost."""

from django.db import migrations, models
from django.db.models import Q

from crm.common.live_migrations import AddIndexLive


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("messaging", "0023_leases_apart")]

    operations = [
        AddIndexLive(
            "message",
            models.Index(
                fields=["provider_account", "recipient"], condition=Q(unconfirmed=True), name="message_unconfirmed"
            ),
        ),
        migrations.RemoveIndex("message", "message_unsettled"),
    ]
