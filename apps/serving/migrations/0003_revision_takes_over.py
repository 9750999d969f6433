from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("serving", "0002_revisions")]

    operations = [
        migrations.AddField(model_name="revision", name="takes_over", field=models.BooleanField(default=False)),
    ]
