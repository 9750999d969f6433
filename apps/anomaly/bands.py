"""What a detector expected, at the moments that a chart shows of its scores."""

from typing import Any

from apps.anomaly.models import Detector, Score
from apps.anomaly.points import moment
from apps.anomaly.series import Drawn


def of(detector: Detector, drawn: Drawn) -> list[dict[str, Any]]:
    """A band for each sensor (docs/anomaly.md: Band); none of a detector that expects nothing."""
    shown = drawn.times[drawn.values == drawn.values]
    at = [moment(round(one * 1e6)) for one in shown.tolist()]
    rows = Score.objects.filter(detector_id=detector.pk, at__in=at).exclude(expected=None)
    known = list(rows.order_by("at").values_list("at", "expected"))
    if not known:
        return []
    spread = detector.spread or [0.0] * len(detector.columns)
    found = []
    for place, sensor in enumerate(detector.columns):
        pairs = [(when.timestamp(), one[place]) for when, one in known if place < len(one)]
        pairs = [(when, value) for when, value in pairs if value is not None and value == value]
        half = spread[place] if place < len(spread) else 0.0
        found.append({
            "sensor": sensor, "times": [when for when, _ in pairs], "low": [value - half for _, value in pairs],
            "expected": [value for _, value in pairs], "high": [value + half for _, value in pairs],
        })  # fmt: skip
    return found
