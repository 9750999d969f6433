"""What a detector expected, around what its sensors measured."""

from collections.abc import Iterable, Sequence
from typing import Any

from apps.anomaly.models import Detector, Score
from apps.anomaly.points import Points, moment
from apps.anomaly.series import Drawn

_MOST_LIVE = 5_000  # expected values that are passed on at once


def of(detector: Detector, drawn: Drawn) -> list[dict[str, Any]]:
    """At the moments that a chart shows of its scores: a band for each sensor (docs/anomaly.md: Band); none of a
    detector that expects nothing."""
    shown = drawn.times[drawn.values == drawn.values]
    at = [moment(round(one * 1e6)) for one in shown.tolist()]
    rows = Score.objects.filter(detector_id=detector.pk, at__in=at).exclude(expected=None)
    known = rows.order_by("at").values_list("at", "expected")
    return _bands(detector.columns, detector.spread, [(when.timestamp(), one or []) for when, one in known])


def live(detector: Detector, new: Points, spread: Sequence[float] | None) -> list[dict[str, Any]]:
    """Of scores that have just been stored, the newest."""
    if new.expected is None:
        return []
    first = max(0, len(new) - _MOST_LIVE // max(1, len(detector.columns)))
    rows = zip((new.times[first:] / 1e6).tolist(), new.expected[first:].tolist(), strict=True)
    return _bands(detector.columns, spread, rows)


def _bands(
    columns: Sequence[int], spread: Sequence[float] | None, rows: Iterable[tuple[float, Sequence[float | None]]]
) -> list[dict[str, Any]]:
    rows = list(rows)
    if not rows:
        return []
    found = []
    for place, sensor in enumerate(columns):
        pairs = [(at, one[place]) for at, one in rows if place < len(one)]
        known = [(at, value) for at, value in pairs if value is not None and value == value]
        half = spread[place] if spread and place < len(spread) else 0.0
        found.append({
            "sensor": sensor, "times": [at for at, _ in known], "low": [value - half for _, value in known],
            "expected": [value for _, value in known], "high": [value + half for _, value in known],
        })  # fmt: skip
    return found
