"""Series as charts draw them: at most some thousand points of however many, and gaps as gaps.

A span with few readings is read as it is. Of a longer one the lowest and the highest reading of each minute, or hour,
are read from the sums that are kept with the readings; either way MinMaxLTTB chooses among them. What is drawn are
readings that were sent, with their own times, never averages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray
from tsdownsample import MinMaxLTTBDownsampler

from apps.anomaly.points import microseconds

Floats = NDArray[np.float64]
RAW = 0
_MOST_RAW = 50_000  # readings that are read one by one: a minute still has a bucket for each point of a longer span
_MOST_BUCKETS = 30_000
_2000 = 946_684_800.0
_GAP = 3.0  # expected intervals without a reading
_GAP_UNKNOWN = 10.0  # median intervals, where nobody has said what is expected
_MOST_GAPS = 500
_POINT = np.dtype([("n", ">i2"), ("l1", ">i4"), ("at", ">i8"), ("l2", ">i4"), ("value", ">f8")])
_BUCKET = np.dtype([("n", ">i2"), ("l1", ">i4"), ("at", ">i8"), ("l2", ">i4"), ("low", ">f8"), ("l3", ">i4"),
                    ("low_at", ">i8"), ("l4", ">i4"), ("high", ">f8"), ("l5", ">i4"), ("high_at", ">i8")])  # fmt: skip
_PLACED = np.dtype([("n", ">i2"), ("l0", ">i4"), ("place", ">i4"), *_POINT.descr[1:]])
_HEAD, _TAIL = 19, 2  # bytes of COPY (FORMAT binary) around the rows


@dataclass(frozen=True, slots=True)
class Kind:
    """Whose points: the tables and the name of their first column."""

    points: str
    sums: str
    series: str


READINGS = Kind("anomaly_reading", "anomaly_bucket", "sensor_id")
SCORES = Kind("anomaly_score", "anomaly_score_bucket", "detector_id")


@dataclass(slots=True)
class Drawn:
    """[N] seconds and values, NaN between two parts; `level` is RAW or the seconds of a bucket. `count` points are in
    the span."""

    level: int = RAW
    count: int = 0
    times: Floats = field(default_factory=lambda: np.zeros(0))
    values: Floats = field(default_factory=lambda: np.zeros(0))

    def as_json(self) -> dict[str, Any]:
        values = [None if np.isnan(value) else value for value in self.values.tolist()]
        return {"level": self.level, "count": self.count, "times": self.times.tolist(), "values": values}


def drawn(
    kind: Kind, number: int, begin: datetime, end: datetime, *, points: int, interval: float | None = None
) -> Drawn:
    """Of the sensor or detector `number`, from `begin` to `end`, both within."""
    count = counted(kind, number, begin, end)
    if count <= _MOST_RAW:
        times, values = raw(kind, number, begin, end)
        return _thinned(RAW, len(times), times, values, _gaps(times, interval), points)
    width = 60 if (end - begin).total_seconds() / 60 <= _MOST_BUCKETS else 3600
    at, low, low_at, high, high_at = _buckets(kind, number, begin, end, width)
    gaps = _bucket_gaps(at, width, interval)
    times, values, gaps = _extremes(low, low_at, high, high_at, gaps)
    return _thinned(width, count, times, values, gaps, points)


def counted(kind: Kind, number: int, begin: datetime, end: datetime) -> int:
    """Points of the hours that the span touches."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT coalesce(sum(count), 0) FROM {kind.sums} WHERE {kind.series} = %s AND width = 3600 "
            "AND at BETWEEN date_trunc('hour', %s::timestamptz, 'UTC') AND %s",
            [number, begin, end],
        )
        return int(cursor.fetchone()[0])


def raw(kind: Kind, number: int, begin: datetime, end: datetime) -> tuple[Floats, Floats]:
    """[N] seconds since the epoch and [N] values."""
    rows = _copied(
        f"SELECT at, value FROM {kind.points} WHERE {kind.series} = %s AND at BETWEEN %s AND %s ORDER BY at",
        [number, begin, end], _POINT,
    )  # fmt: skip
    return _seconds(rows["at"]), rows["value"].astype(np.float64)


def raw_of_many(
    kind: Kind, spans: Sequence[tuple[int, datetime, datetime]], most: int
) -> list[tuple[Floats, Floats]]:  # fmt: skip
    """[N] seconds and [N] values of each number from a begin to an end, both within: the first `most`. One query."""
    if not spans:
        return []
    numbers, begins, ends = (list(column) for column in zip(*spans, strict=True))
    rows = _copied(
        "SELECT w.place, r.at, r.value FROM unnest(%s::int[], %s::int[], %s::timestamptz[], %s::timestamptz[]) "
        "w (place, number, begin_at, end_at) CROSS JOIN LATERAL ("
        f"SELECT at, value FROM {kind.points} WHERE {kind.series} = w.number AND at BETWEEN w.begin_at AND w.end_at "
        "ORDER BY at LIMIT %s) r ORDER BY w.place, r.at",
        [list(range(len(spans))), numbers, begins, ends, most], _PLACED,
    )  # fmt: skip
    cuts = np.searchsorted(rows["place"], np.arange(len(spans) + 1))
    at, values = _seconds(rows["at"]), rows["value"].astype(np.float64)
    return [(at[begin:end], values[begin:end]) for begin, end in pairwise(cuts.tolist())]


def peaks(kind: Kind, number: int, begin: datetime, end: datetime, width: int) -> tuple[Floats, Floats]:
    """[N] moments and values of the highest of each bucket that is not empty."""
    _, _, _, high, high_at = _buckets(kind, number, begin, end, width)
    return high_at, high


def _buckets(kind: Kind, number: int, begin: datetime, end: datetime, width: int) -> tuple[Floats, ...]:
    rows = _copied(
        f"SELECT at, low, low_at, high, high_at FROM {kind.sums} WHERE {kind.series} = %s AND width = %s "
        "AND at BETWEEN %s AND %s ORDER BY at",
        [number, width, begin, end], _BUCKET,
    )  # fmt: skip
    return (_seconds(rows["at"]), rows["low"].astype(np.float64), _seconds(rows["low_at"]),
            rows["high"].astype(np.float64), _seconds(rows["high_at"]))  # fmt: skip


def _copied(query: str, values: list[Any], form: np.dtype[Any]) -> Any:
    """Rows of fixed size, without an object of Python for each number."""
    with connection.cursor() as cursor:
        # With DEBUG the cursor is Django's, whose copy takes no values.
        command = f"COPY ({cursor.mogrify(query, values)}) TO STDOUT (FORMAT binary)"  # type: ignore[attr-defined]
        with cursor.copy(command) as copy:  # type: ignore[attr-defined]
            content = b"".join(bytes(part) for part in copy)
    return np.frombuffer(content, form, count=(len(content) - _HEAD - _TAIL) // form.itemsize, offset=_HEAD)


def _seconds(at: NDArray[np.int64]) -> Floats:
    return at.astype(np.int64) / 1e6 + _2000


# -- gaps ------------------------------------------------------------------------------------------


def _gaps(times: Floats, interval: float | None) -> NDArray[np.int64]:
    """Places behind which there is a gap."""
    steps = np.diff(times)
    if not len(steps):
        return np.zeros(0, np.int64)
    longest = _GAP * interval if interval else _GAP_UNKNOWN * float(np.median(steps))
    return np.flatnonzero(steps > longest)


def _bucket_gaps(at: Floats, width: int, interval: float | None) -> NDArray[np.int64]:
    """A bucket that is missing is a gap, unless readings are rarer than buckets."""
    steps = np.diff(at)
    if not len(steps):
        return np.zeros(0, np.int64)
    longest = _GAP * interval if interval else _GAP_UNKNOWN * float(np.median(steps)) - width
    return np.flatnonzero((steps > width) & (steps - width > longest))


def _extremes(
    low: Floats, low_at: Floats, high: Floats, high_at: Floats, gaps: NDArray[np.int64]
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Both ends of each bucket in the order of their times, once where they are the same reading; and the gaps among
    them."""
    first = low_at <= high_at
    times = np.stack([np.where(first, low_at, high_at), np.where(first, high_at, low_at)], 1).ravel()
    values = np.stack([np.where(first, low, high), np.where(first, high, low)], 1).ravel()
    kept = np.ones(len(times), bool)
    kept[1::2] = low_at != high_at
    places = np.cumsum(kept) - 1
    return times[kept], values[kept], places[2 * gaps + 1]


def _thinned(level: int, count: int, times: Floats, values: Floats, gaps: NDArray[np.int64], points: int) -> Drawn:
    """With both edges of each gap, and NaN in its middle."""
    if len(gaps) > _MOST_GAPS:
        longest = np.argsort(times[gaps + 1] - times[gaps])[-_MOST_GAPS:]
        gaps = np.sort(gaps[longest])
    kept = np.arange(len(times))
    if len(times) > points:
        chosen = MinMaxLTTBDownsampler().downsample(times, values, n_out=max(points, 4), parallel=False)
        kept = np.union1d(chosen.astype(np.int64), np.r_[gaps, gaps + 1])
    at, shown = times[kept], values[kept]
    behind = np.searchsorted(kept, gaps) + 1
    middle = (times[gaps] + times[gaps + 1]) / 2
    return Drawn(level, count, np.insert(at, behind, middle), np.insert(shown, behind, np.nan))


def span_seconds(begin: datetime, end: datetime) -> tuple[float, float]:
    return microseconds(begin) / 1e6, microseconds(end) / 1e6
