from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('teach', '0002_refining'),
    ]

    operations = [
        migrations.AlterField(
            model_name='classifier',
            name='reads',
            field=models.CharField(choices=[('texts', 'texts'), ('images', 'pictures'), ('windows', 'sensor windows')], max_length=8),
        ),
        migrations.AlterField(
            model_name='example',
            name='text',
            field=models.TextField(blank=True),
        ),
    ]
