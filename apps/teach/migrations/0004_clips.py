from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('teach', '0003_windows'),
    ]

    operations = [
        migrations.AddField(
            model_name='example',
            name='clip',
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AlterField(
            model_name='classifier',
            name='reads',
            field=models.CharField(choices=[('texts', 'texts'), ('images', 'pictures'), ('clips', 'spoken clips'), ('windows', 'sensor windows')], max_length=8),
        ),
    ]
