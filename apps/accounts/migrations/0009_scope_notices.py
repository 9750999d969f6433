"""A scope for notices, which tell of everything that concerns a person. No key that exists gets it."""

import django.contrib.postgres.fields
from django.db import migrations, models

SCOPES = [
    ("chat", "chat and completions"),
    ("embeddings", "embeddings"),
    ("classify", "classification"),
    ("search", "collections of pictures and searching them"),
    ("anomaly", "assets, their readings, and what is found in them"),
    ("models:read", "list models"),
    ("requests:read", "follow and stop its owner's requests"),
    ("conversations", "its owner's conversations, presets, comparisons"),
    ("account", "its owner's profile, keys, usage and teams, and invitations to these"),
    ("notices", "its owner's notices, whatever they are about"),
    ("admin", "what administrators do: models, deployments, people, limits, audit log, metrics"),
]


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_scope_anomaly")]

    operations = [
        migrations.AlterField(
            "apikey",
            "scopes",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(choices=SCOPES, max_length=20), size=None
            ),
        ),
    ]
