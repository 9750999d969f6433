from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("anomaly", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="detector", name="renews_at", field=models.DateTimeField(blank=True, null=True)
        ),
    ]
