"""Scopes, expiry and deployments of keys. Keys that exist may do what they could before."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SCOPES = [
    ("chat", "chat and completions"),
    ("embeddings", "embeddings"),
    ("classify", "classification"),
    ("models:read", "list models"),
    ("requests:read", "follow its owner's requests"),
    ("admin", "administer: deployments, jobs, metrics"),
]
BEFORE = [name for name, _ in SCOPES if name != "admin"]


def keep_what_worked(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("accounts", "APIKey").objects.filter(owner__is_staff=True).update(scopes=[*BEFORE, "admin"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.AlterField("apikey", "prefix", models.CharField(db_index=True, max_length=16)),
        migrations.AddField(
            "apikey",
            "scopes",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(choices=SCOPES, max_length=20), size=None, default=BEFORE
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            "apikey",
            "deployments",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=80), blank=True, default=list, size=None
            ),
        ),
        migrations.AddField("apikey", "expires_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField(
            "apikey",
            "replaces",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="accounts.apikey",
            ),
        ),
        migrations.RunPython(keep_what_worked, migrations.RunPython.noop, elidable=True),
    ]
