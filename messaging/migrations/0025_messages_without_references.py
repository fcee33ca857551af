import django.db.models.deletion
from django.db import migrations, models

from crm.common.live_migrations import DropReferencesLive


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('accounts', '0017_unlogged_rate_counter'),
        ('messaging', '0024_unconfirmed_messages'),
    ]

    operations = [
        DropReferencesLive(
            model_name='message',
            name='campaign',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='messaging.campaign'),
        ),
        DropReferencesLive(
            model_name='message',
            name='client',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.client'),
        ),
        DropReferencesLive(
            model_name='message',
            name='provider_account',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='messaging.provideraccount'),
        ),
        DropReferencesLive(
            model_name='messageevent',
            name='client',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.client'),
        ),
        DropReferencesLive(
            model_name='messageevent',
            name='message',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='messaging.message'),
        ),
    ]
