from django.db import migrations, models

STATUSES = [
    ("reading", "reading the file"),
    ("running", "classifying"),
    ("stopped", "stopped"),
    ("done", "done"),
    ("cancelled", "cancelled"),
    ("failed", "failed"),
]


class Migration(migrations.Migration):
    dependencies = [("classify", "0002_batch_key")]

    operations = [
        migrations.AlterField(
            "batch", "status", models.CharField(choices=STATUSES, default="reading", max_length=10)
        )
    ]
