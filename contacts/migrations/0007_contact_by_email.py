from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies: ClassVar = [("contacts", "0006_search_index")]

    operations: ClassVar = [
        migrations.AddIndex(
            "contact",
            models.Index(fields=["client", "email", "id"], condition=~Q(email=""), name="contact_by_email"),
        ),
    ]
