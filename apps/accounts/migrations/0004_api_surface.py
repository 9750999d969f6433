"""Scopes for conversations and for the account. No key that exists gets them: they open more than it could before."""

import django.contrib.postgres.fields
from django.db import migrations, models

SCOPES = [
    ("chat", "chat and completions"),
    ("embeddings", "embeddings"),
    ("classify", "classification"),
    ("models:read", "list models"),
    ("requests:read", "follow its owner's requests"),
    ("conversations", "its owner's conversations, presets, comparisons"),
    ("account", "its owner's profile and keys"),
    ("admin", "administer: deployments, jobs, metrics"),
]


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_teams")]

    operations = [
        migrations.AlterField(
            "apikey",
            "scopes",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(choices=SCOPES, max_length=20), size=None
            ),
        ),
    ]
