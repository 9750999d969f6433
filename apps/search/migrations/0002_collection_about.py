from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("search", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="about",
            field=models.TextField(blank=True, default="", max_length=4000, verbose_name="about it"),
            preserve_default=False,
        ),
    ]
