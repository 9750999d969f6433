"""The charts of a deployment's page."""

from collections.abc import Sequence
from typing import Any

from apps.console.buckets import joined, percentiles
from apps.console.charts import Chart, Named, chart
from apps.console.queries import HOUR, POINTS, Row
from apps.serving.stats import BUCKET


def charts(rows: Sequence[Row], *, texts: dict[str, str], guard_p95: float | None, seconds: int = HOUR) -> list[Chart]:
    """Requests, latency, errors and, for text generation, the first token: a line for each revision."""
    shown = sorted(list(rows)[:6], key=lambda row: row.revision.number)
    parts = {row.revision.pk: joined(row.buckets[-(seconds // BUCKET) :], _step(seconds)) for row in shown}
    width = BUCKET * _step(seconds)

    def lines(value: Any, *, suffix: str = "", is_dashed: bool = False) -> list[Named]:
        return [
            Named(f"r{row.revision.number}{suffix}", value(parts[row.revision.pk]), place, is_dashed)
            for place, row in enumerate(shown, start=1)
        ]

    drawn = [
        chart(texts["requests"], "/s", lines(lambda part: [one.requests / width for one in part]), seconds=seconds),
        chart(
            texts["latency"],
            "s",
            lines(lambda part: percentiles(part, 0.95))
            + lines(lambda part: percentiles(part, 0.5), suffix=" p50", is_dashed=True),
            seconds=seconds,
            limit=guard_p95,
            limit_text=texts["guard"],
        ),
        chart(
            texts["errors"],
            "%",
            lines(lambda part: [100 * one.error_rate if one.requests else None for one in part]),
            seconds=seconds,
        ),
    ]
    if any(row.is_generation for row in shown):
        first = lines(lambda part: percentiles(part, 0.95, "first"))
        drawn.append(chart(texts["first"], "s", first, seconds=seconds))
    return drawn


def _step(seconds: int) -> int:
    """Buckets in one point: sixty to ninety points a chart."""
    return max(1, seconds // BUCKET // POINTS)
