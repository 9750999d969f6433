"""One at a time: reconciliation and the verbs on deployments write the same rows."""

from django.db import connection

_LOCK = 7_313_001  # of PostgreSQL, for the whole installation


def wait_for_turn() -> None:
    """Until the end of the transaction nobody else changes deployments. Rows locked one by one deadlocked."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
