
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0013_privacy'),
    ]

    operations = [
        migrations.AddField(
            model_name='membership',
            name='skipped_steps',
            field=models.JSONField(blank=True, default=list, help_text='First steps that Home does not offer any more'),
        ),
    ]
