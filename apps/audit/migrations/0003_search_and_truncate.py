"""TRUNCATE is refused as well, and a search by words has an index."""

import django.contrib.postgres.indexes
import django.db.models.functions.text
from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations

REFUSE = """
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit_auditentry
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
"""
ALLOW = "DROP TRIGGER audit_no_truncate ON audit_auditentry;"


def words(name: str) -> django.contrib.postgres.indexes.OpClass:
    return django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Upper(name), name="gin_trgm_ops")


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only")]

    operations = [
        TrigramExtension(),
        migrations.RunSQL(REFUSE, ALLOW),
        migrations.AddIndex(
            "auditentry",
            django.contrib.postgres.indexes.GinIndex(
                words("actor_label"), words("action"), words("object_label"), name="audit_words"
            ),
        ),
    ]
