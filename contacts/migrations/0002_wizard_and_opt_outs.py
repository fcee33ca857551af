import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('contacts', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Consent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(choices=[('form', 'They signed or ticked a form'), ('verbal', 'They agreed in person or by phone'), ('customer', 'They are customers and were told'), ('other', 'In another way')], max_length=10)),
                ('statement', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='ContactField',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=60)),
                ('kind', models.CharField(choices=[('text', 'Text'), ('number', 'Number'), ('date', 'Date'), ('choice', 'One of a list')], default='text', max_length=10)),
                ('choices', models.JSONField(blank=True, default=list)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['key', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='ImportChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('contact_id', models.BigIntegerField()),
                ('values', models.JSONField(default=dict)),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='OptOutChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel', models.CharField(choices=[('sms', 'SMS'), ('whatsapp', 'WhatsApp'), ('email', 'Email')], max_length=10)),
                ('address', models.CharField(max_length=254)),
                ('sender', models.CharField(blank=True, default='', max_length=40)),
                ('is_out', models.BooleanField()),
                ('source', models.CharField(choices=[('stop', 'The person replied STOP'), ('link', 'The person used the opt-out link'), ('network', 'The network blocks promotions to this number'), ('staff', 'Entered by hand'), ('upload', 'From an uploaded list'), ('api', 'By API')], max_length=10)),
                ('note', models.CharField(blank=True, default='', max_length=300)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='OptOutLink',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel', models.CharField(choices=[('sms', 'SMS'), ('whatsapp', 'WhatsApp'), ('email', 'Email')], max_length=10)),
                ('address', models.CharField(max_length=254)),
                ('sender', models.CharField(blank=True, default='', max_length=40)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.RemoveIndex(
            model_name='contactimport',
            name='import_open',
        ),
        migrations.AddField(
            model_name='contact',
            name='created_import',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='contacts.contactimport'),
        ),
        migrations.AddField(
            model_name='contactimport',
            name='edits',
            field=models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict),
        ),
        migrations.AddField(
            model_name='contactimport',
            name='hold_reason',
            field=models.CharField(blank=True, db_default='', max_length=300),
        ),
        migrations.AddField(
            model_name='contactimport',
            name='kept',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='contactimport',
            name='other_sheets',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, help_text='Sheets with contents that were not read'),
        ),
        migrations.AddField(
            model_name='contactimport',
            name='removed',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='contactimport',
            name='restored',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='contactimport',
            name='screened',
            field=models.BooleanField(db_default=False, default=False, help_text='Looked through for invented numbers, or released by staff'),
        ),
        migrations.AddField(
            model_name='contactimport',
            name='sheet',
            field=models.CharField(blank=True, db_default='', help_text='Of a workbook: the sheet that was read', max_length=100),
        ),
        migrations.AddField(
            model_name='contactimport',
            name='undo_cursor',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='contactimport',
            name='undone_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='groupmember',
            name='added_by_import',
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='optout',
            name='by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='optout',
            name='proof',
            field=models.CharField(blank=True, db_default='', default='', max_length=300),
        ),
        migrations.AlterField(
            model_name='contactimport',
            name='state',
            field=models.CharField(choices=[('uploaded', 'Not started'), ('ready', 'Waiting to start'), ('held', 'Held for review'), ('running', 'Running'), ('done', 'Done'), ('stopped', 'Stopped'), ('failed', 'Failed'), ('undoing', 'Being undone'), ('undone', 'Undone')], default='uploaded', max_length=10),
        ),
        migrations.AlterField(
            model_name='optout',
            name='source',
            field=models.CharField(choices=[('stop', 'The person replied STOP'), ('link', 'The person used the opt-out link'), ('network', 'The network blocks promotions to this number'), ('staff', 'Entered by hand'), ('upload', 'From an uploaded list'), ('api', 'By API')], max_length=10),
        ),
        migrations.AddField(
            model_name='consent',
            name='by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='consent',
            name='client',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.client'),
        ),
        migrations.AddField(
            model_name='contact',
            name='consent',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='contacts.consent'),
        ),
        migrations.AddField(
            model_name='contactimport',
            name='consent',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='contacts.consent'),
        ),
        migrations.AddIndex(
            model_name='contact',
            index=models.Index(condition=models.Q(('created_import__isnull', False)), fields=['created_import', 'id'], name='contact_by_first_import'),
        ),
        migrations.AddIndex(
            model_name='contactimport',
            index=models.Index(condition=models.Q(('state__in', ['ready', 'running', 'undoing'])), fields=['state'], name='import_open'),
        ),
        migrations.AddField(
            model_name='contactfield',
            name='client',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.client'),
        ),
        migrations.AddField(
            model_name='importchange',
            name='client',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.client'),
        ),
        migrations.AddField(
            model_name='importchange',
            name='contact_import',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='contacts.contactimport'),
        ),
        migrations.AddField(
            model_name='optoutchange',
            name='by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='optoutchange',
            name='client',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.client'),
        ),
        migrations.AddField(
            model_name='optoutlink',
            name='client',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.client'),
        ),
        migrations.AddIndex(
            model_name='consent',
            index=models.Index(fields=['client', '-id'], name='consent_by_client'),
        ),
        migrations.AddConstraint(
            model_name='contactfield',
            constraint=models.UniqueConstraint(models.F('client'), django.db.models.functions.text.Lower('key'), name='contact_field_once'),
        ),
        migrations.AddConstraint(
            model_name='importchange',
            constraint=models.UniqueConstraint(fields=('contact_import', 'contact_id'), name='import_change_once'),
        ),
        migrations.AddIndex(
            model_name='optoutchange',
            index=models.Index(fields=['client', 'address', '-id'], name='opt_out_change_by_address'),
        ),
        migrations.AddConstraint(
            model_name='optoutlink',
            constraint=models.UniqueConstraint(fields=('client', 'channel', 'address', 'sender'), name='opt_out_link_once'),
        ),
    ]
