"""Partitions of readings, scores and their sums: made ahead by a task and by whoever brings a reading that needs one.

A partition that a thread has seen is not asked for again. It is made in a transaction of its own: the lock that
attaching it takes must not last as long as an import. Beyond one machine the same tables are TimescaleDB's hypertables:
this module and `drop_old` are what its policies replace.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from apps.anomaly.models import Sensor

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
BY_MONTH = ("anomaly_reading", "anomaly_score")
BY_YEAR = ("anomaly_bucket", "anomaly_score_bucket")
TABLES = (*BY_MONTH, *BY_YEAR)
_FILL = dict.fromkeys(BY_YEAR, " WITH (fillfactor = 70)")
_LOCK = 0x616E6F6D  # advisory: one process makes partitions at a time
_AHEAD = timedelta(days=40)
_seen: set[str] = set()


def ensure(tables: Iterable[str], moments: Iterable[datetime]) -> None:
    """Partitions for these moments. Call it outside of a transaction that stores; costs nothing when they are known."""
    wanted = {_of(table, moment) for table in tables for moment in moments}
    missing = sorted(one for one in wanted if one[1] not in _seen)
    if missing:
        _make(missing)
        _seen.update(name for _, name, _, _ in missing)


def make_ahead(now: datetime) -> None:
    """This month's and the next's, this year's and the next's."""
    ensure(TABLES, [now, now + _AHEAD])


def forget() -> None:
    """What this process remembers of partitions: they may have been dropped."""
    _seen.clear()


def drop_old(now: datetime) -> list[str]:
    """Partitions that are older than every sensor keeps its readings, whole; returns their names. None while a sensor
    keeps its readings for good."""
    if Sensor.objects.filter(keep_days=None).exists():
        return []
    longest = Sensor.objects.order_by("-keep_days").values_list("keep_days", flat=True).first()
    before = now - timedelta(days=longest or 0)
    dropped = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        for table in TABLES:
            for name, end in _existing(cursor, table):
                if end <= before:
                    cursor.execute(f"DROP TABLE {name}")
                    dropped.append(name)
    _seen.difference_update(dropped)
    return dropped


def _make(missing: list[tuple[str, str, datetime, datetime]]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        for table, name, begin, end in missing:
            cursor.execute("SELECT to_regclass(%s)", [name])
            if cursor.fetchone()[0] is None:
                # Attached after it was made: that locks the table for no reader.
                cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS){_FILL.get(table, '')}")
                bounds = f"FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
                cursor.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {bounds}")


def _of(table: str, moment: datetime) -> tuple[str, str, datetime, datetime]:
    """Table, name of the partition, its bounds."""
    moment = moment.astimezone(UTC)
    if table in BY_YEAR:
        begin = datetime(moment.year, 1, 1, tzinfo=UTC)
        return table, f"{table}_{begin:%Y}", begin, datetime(moment.year + 1, 1, 1, tzinfo=UTC)
    begin = datetime(moment.year, moment.month, 1, tzinfo=UTC)
    end = datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)
    return table, f"{table}_{begin:%Y_%m}", begin, end


def _existing(cursor: object, table: str) -> list[tuple[str, datetime]]:
    """Names of the partitions of a table, and where they end."""
    cursor.execute(  # type: ignore[attr-defined]
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass ORDER BY 1", [table]
    )
    names = [row[0] for row in cursor.fetchall()]  # type: ignore[attr-defined]
    return [(name, _of(table, _moment(name.removeprefix(f"{table}_")))[3]) for name in names]


def _moment(suffix: str) -> datetime:
    year, _, month = suffix.partition("_")
    return datetime(int(year), int(month or 1), 1, tzinfo=UTC)
