"""Between transactional tests: what a test wrote is deleted, and what `migrate` made after its migrations stays.

Django's own way truncates every table, which makes new files for each, and then makes content types and permissions
again: a quarter of a second, where deleting what is there takes a hundredth.
"""

from django.db import connection
from django.test import TransactionTestCase

MADE_BY_MIGRATE = {"django_content_type", "auth_permission"}
# As a replica no trigger is asked, neither those of foreign keys nor those that refuse.
DELETE = """DO $$ DECLARE name text; BEGIN
  SET LOCAL session_replication_role = replica;
  FOREACH name IN ARRAY ARRAY[%s] LOOP EXECUTE format('DELETE FROM %%I', name); END LOOP;
END $$"""


def delete_rows() -> None:
    with connection.cursor() as cursor:
        cursor.execute(DELETE % ", ".join(f"'{name}'" for name in _tables()))


def _tables() -> list[str]:
    """Those of models, as `flush` takes them."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return sorted(set(tables) - MADE_BY_MIGRATE)


def install() -> None:
    TransactionTestCase._fixture_teardown = lambda self: delete_rows()
