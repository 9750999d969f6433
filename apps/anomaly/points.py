"""Readings and scores on their way into the database: [N] columns that are sorted by series and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_2000 = 946_684_800 * 1_000_000  # PostgreSQL counts from there, in microseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WIDTHS = (60, 3600)  # seconds of the buckets

_POINT = [("n", ">i2"), ("l1", ">i4"), ("id", ">i4"), ("l2", ">i4"), ("at", ">i8"), ("l3", ">i4"), ("value", ">f8")]
_FLOAT8 = 701  # its number among the types of PostgreSQL
_SUMS = np.dtype(
    [("n", ">i2"), ("l1", ">i4"), ("id", ">i4"), ("l2", ">i4"), ("width", ">i2"), ("l3", ">i4"), ("at", ">i8"),
     ("l4", ">i4"), ("count", ">i4"), ("l5", ">i4"), ("total", ">f8"), ("l6", ">i4"), ("low", ">f8"), ("l7", ">i4"),
     ("low_at", ">i8"), ("l8", ">i4"), ("high", ">f8"), ("l9", ">i4"), ("high_at", ">i8")]
)  # fmt: skip
_HEAD, _TAIL = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8, b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Points:
    """`series` are ids, `times` whole microseconds since the epoch, all [N]; no two have both in common. Of scores the
    values that were expected, [N, C], NaN where there is none."""

    series: Ints
    times: Ints
    values: Floats
    expected: Floats | None = None

    @classmethod
    def of(cls, series: Ints, seconds: Floats, values: Floats, expected: Floats | None = None) -> Self:
        """In any order; of those with the same series and time the first is taken."""
        times = np.rint(np.asarray(seconds, np.float64) * 1e6).astype(np.int64)
        order = np.lexsort((times, series))
        series, times = np.asarray(series, np.int64)[order], times[order]
        first = np.ones(len(order), bool)
        first[1:] = (np.diff(series) != 0) | (np.diff(times) != 0)
        more = None if expected is None else expected[order][first]
        return cls(series[first], times[first], np.asarray(values, np.float64)[order][first], more)

    @classmethod
    def joined(cls, some: Sequence[Self]) -> Self:
        """Of series that no two of them share; all with as many expected values."""
        order = sorted((one for one in some if len(one)), key=lambda one: int(one.series[0])) or list(some[:1])
        expected = [one.expected for one in order if one.expected is not None]
        return cls(
            np.concatenate([one.series for one in order]), np.concatenate([one.times for one in order]),
            np.concatenate([one.values for one in order]), np.concatenate(expected) if expected else None,
        )  # fmt: skip

    def by_series(self) -> dict[int, "Points"]:
        numbers, begins = np.unique(self.series, return_index=True)
        ends = [*begins.tolist()[1:], len(self)]
        return {
            number: self._part(slice(begin, end))
            for number, begin, end in zip(numbers.tolist(), begins.tolist(), ends, strict=False)
        }

    def _part(self, part: slice) -> "Points":
        more = None if self.expected is None else self.expected[part]
        return Points(self.series[part], self.times[part], self.values[part], more)

    def __len__(self) -> int:
        return len(self.series)

    def only(self, mask: NDArray[np.bool_]) -> "Points":
        more = None if self.expected is None else self.expected[mask]
        return Points(self.series[mask], self.times[mask], self.values[mask], more)

    def newest(self) -> "Points":
        """The last of each series."""
        last = np.ones(len(self), bool)
        last[:-1] = np.diff(self.series) != 0
        return self.only(last)

    def moments(self) -> list[datetime]:
        """One of each month there are any in; as few as that takes."""
        months = np.unique(self.times.astype("datetime64[us]").astype("datetime64[M]"))
        return [datetime(*_year_and_month(month), 1, tzinfo=UTC) for month in months]

    def copied(self) -> bytes:
        """As COPY (FORMAT binary) reads (id int4, at timestamptz, value float8, expected float8[])."""
        rows = np.zeros(len(self), _POINT + (_array(0) if self.expected is None else _array(self.expected.shape[1])))
        rows["n"], rows["l1"], rows["l2"], rows["l3"] = 4, 4, 8, 8
        rows["l4"] = -1
        if self.expected is not None:
            width = self.expected.shape[1]
            rows["l4"] = 20 + 12 * width
            rows["dimensions"], rows["kind"], rows["width"], rows["begin"] = 1, _FLOAT8, width, 1
            rows["items"]["length"], rows["items"]["value"] = 8, self.expected
        rows["id"], rows["at"], rows["value"] = self.series, self.times - _2000, self.values
        return _HEAD + rows.tobytes() + _TAIL

    def sums(self) -> bytes:
        """Of each bucket of each width that there are points in, as COPY (FORMAT binary) reads (id, width int2, at,
        count int4, total, low, low_at, high, high_at)."""
        return _HEAD + b"".join(self._sums(width).tobytes() for width in WIDTHS) + _TAIL

    def _sums(self, width: int) -> NDArray[np.void]:
        spans = self.times // (width * 1_000_000)
        begins = np.flatnonzero(np.r_[True, (np.diff(self.series) != 0) | (np.diff(spans) != 0)]) if len(self) else []
        group = np.zeros(len(self), np.int64)
        group[begins] = 1
        group = np.cumsum(group) - 1
        by_value = np.lexsort((self.values, group))
        ends = np.r_[begins[1:], len(self)].astype(int) if len(self) else np.zeros(0, int)
        low, high = by_value[begins], by_value[ends - 1]
        rows = np.zeros(len(ends), _SUMS)
        rows["n"], rows["l1"], rows["l2"], rows["l4"] = 9, 4, 2, 4
        for length in ("l3", "l5", "l6", "l7", "l8", "l9"):
            rows[length] = 8
        rows["id"], rows["width"] = self.series[begins], width
        rows["at"] = spans[begins] * width * 1_000_000 - _2000
        rows["count"] = ends - begins
        rows["total"] = np.add.reduceat(self.values, begins) if len(self) else 0
        rows["low"], rows["low_at"] = self.values[low], self.times[low] - _2000
        rows["high"], rows["high_at"] = self.values[high], self.times[high] - _2000
        return rows


def _array(width: int) -> list[Any]:
    """An array of so many numbers; none at all for 0."""
    if not width:
        return [("l4", ">i4")]
    items = np.dtype([("length", ">i4"), ("value", ">f8")])
    head = ("l4", "dimensions", "nulls", "kind", "width", "begin")
    return [*((name, ">i4") for name in head), ("items", items, (width,))]


def moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=int(microseconds))


def microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def seconds(at: datetime) -> float:
    return microseconds(at) / 1e6


def _year_and_month(month: np.datetime64) -> tuple[int, int]:
    number = int(month.astype(np.int64))
    return 1970 + number // 12, number % 12 + 1
