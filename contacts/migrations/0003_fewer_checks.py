
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('contacts', '0002_wizard_and_opt_outs'),
    ]

    operations = [
        migrations.AlterField(
            model_name='contact',
            name='last_import',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='contacts', to='contacts.contactimport'),
        ),
        migrations.AlterField(
            model_name='groupmember',
            name='client',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.client'),
        ),
    ]
