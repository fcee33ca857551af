
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0014_membership_skipped_steps'),
        ('messaging', '0014_inbox'),
    ]

    operations = [
        migrations.CreateModel(
            name='Incident',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(help_text='One sentence that customers understand', max_length=120)),
                ('text', models.TextField(blank=True, help_text='What fails, what still works, when you look again', max_length=4000)),
                ('impact', models.CharField(choices=[('notice', 'Planned work'), ('degraded', 'Slow or partly failing'), ('outage', 'Not working')], default='degraded', max_length=10)),
                ('started_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, help_text='Empty: it goes on', null=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'ordering': ['-started_at', '-pk'],
            },
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('simulated', True)), fields=['client', 'created_at'], name='message_simulated_by_time'),
        ),
        migrations.AddConstraint(
            model_name='incident',
            constraint=models.CheckConstraint(condition=models.Q(('ended_at', None), ('ended_at__gte', models.F('started_at')), _connector='OR'), name='incident_ends_after_its_start'),
        ),
    ]
