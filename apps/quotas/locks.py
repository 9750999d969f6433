"""What has ended goes into the ledger and then out of Redis; who fills Redis from the ledger must not come between."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

_LOCK = 7_313_002  # of PostgreSQL, for the whole installation


@contextmanager
def settling() -> Iterator[None]:
    """Many may settle at a time, while nobody reads."""
    yield from _held("pg_advisory_lock_shared", "pg_advisory_unlock_shared")


@contextmanager
def reading() -> Iterator[None]:
    """One reads at a time, and nobody settles."""
    yield from _held("pg_advisory_lock", "pg_advisory_unlock")


def _held(lock: str, unlock: str) -> Iterator[None]:
    """Of the session, not of the transaction: what was settled has to be committed before it ends. A connection that is
    lost gives it back."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {lock}(%s)", [_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {unlock}(%s)", [_LOCK])
