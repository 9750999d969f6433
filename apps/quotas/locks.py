"""What has ended goes into the ledger and then out of Redis; who fills Redis from the ledger must not come between."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

_LOCK = 7_313_002  # of PostgreSQL, for the whole installation


@contextmanager
def settling() -> Iterator[None]:
    """Many may settle at a time, while nobody reads. Of the session where there is no transaction: what goes into the
    ledger has to be committed before it is over."""
    if connection.in_atomic_block:
        _ask("pg_advisory_xact_lock_shared")
        yield
        return
    _ask("pg_advisory_lock_shared")
    try:
        yield
    finally:
        _ask("pg_advisory_unlock_shared")


@contextmanager
def reading() -> Iterator[None]:
    """One reads at a time, and nobody settles; to the end of the transaction."""
    with transaction.atomic():
        _ask("pg_advisory_xact_lock")
        yield


def _ask(function: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [_LOCK])
