"""A scope for collections of pictures. No key that exists gets it."""

import django.contrib.postgres.fields
from django.db import migrations, models

SCOPES = [
    ("chat", "chat and completions"),
    ("embeddings", "embeddings"),
    ("classify", "classification"),
    ("search", "collections of pictures and searching them"),
    ("models:read", "list models"),
    ("requests:read", "follow its owner's requests"),
    ("conversations", "its owner's conversations, presets, comparisons"),
    ("account", "its owner's profile and keys"),
    ("admin", "administer: deployments, jobs, metrics"),
]


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_people_and_invitations")]

    operations = [
        migrations.AlterField(
            "apikey",
            "scopes",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(choices=SCOPES, max_length=20), size=None
            ),
        ),
    ]
