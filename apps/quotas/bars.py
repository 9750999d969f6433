"""Bars over time as SVG, drawn at the size they are shown: stacked, one colour a series, c1 to c6."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.quotas.axis import Tick, scale

_LEFT, _TOP, _LABEL = 44, 14, 24  # room for the scale, above, and below for the labels
_GAP = 0.26  # of the width of a step
_LIMIT_ROOM = 12
MOST_SERIES = 6


@dataclass(frozen=True, slots=True)
class Series:
    label: str
    values: Sequence[float]
    place: int = 1  # 1 to 6: its colour


@dataclass(frozen=True, slots=True)
class Bar:
    place: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class BarChart:
    title: str
    summary: str  # what a person who does not see the chart is told
    bars: list[Bar]
    series: list[Series]
    values: list[Tick]  # with their y
    labels: list[Tick]  # with their x
    rows: list[tuple[str, list[float]]]  # the same as a table
    width: int
    height: int
    left: int = _LEFT
    limit_y: float | None = None
    limit_text: str = ""

    @property
    def right(self) -> int:
        return self.width - 2

    @property
    def bottom(self) -> int:
        return self.height - _LABEL


def stacked(
    title: str,
    summary: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    short: Callable[[float], str],
    labelled: int = 5,
    limit: float | None = None,
    limit_text: str = "",
    width: int = 620,
    height: int = 240,
) -> BarChart:
    """One bar a label; every `len(labels) / labelled` of them is written. The limit is drawn when the bars come near
    it; one far above would press them flat, so it is only told."""
    tops = [sum(values) for values in zip(*(each.values for each in series), strict=True)]
    highest = max(tops, default=0)
    near = limit is not None and limit <= 4 * highest
    top, step = scale(max(highest, limit or 0) if near else highest)
    frame = _Frame(len(labels), top, width, height)
    return BarChart(
        title=title,
        summary=summary,
        bars=[bar for place in range(len(labels)) for bar in _stack(frame, place, series)],
        series=list(series),
        values=[Tick(frame.y(step * n), short(step * n)) for n in range(1, round(top / step) + 1)],
        labels=_written(frame, labels, labelled),
        rows=[(label, [each.values[place] for each in series]) for place, label in enumerate(labels)],
        width=width,
        height=height,
        limit_y=frame.y(limit) if near and limit is not None else None,
        limit_text=limit_text,
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    count: int
    top: float
    width: int
    height: int

    @property
    def step(self) -> float:
        return (self.width - 2 - _LEFT) / max(self.count, 1)

    def x(self, place: float) -> float:
        return round(_LEFT + self.step * place, 1)

    def y(self, value: float) -> float:
        low = self.height - _LABEL
        return round(low - (low - _TOP - _LIMIT_ROOM) * value / self.top, 1)


def _stack(frame: _Frame, place: int, series: Sequence[Series]) -> list[Bar]:
    bars, below = [], 0.0
    for each in series:
        value = each.values[place]
        if value > 0:
            high, low = frame.y(below + value), frame.y(below)
            gap = frame.step * _GAP
            height = max(low - high - (0.8 if below else 0), 0.6)
            bars.append(
                Bar(each.place, round(frame.x(place) + gap / 2, 1), high, round(frame.step - gap, 1), round(height, 1))
            )
            below += value
    return bars


def _written(frame: _Frame, labels: Sequence[str], labelled: int) -> list[Tick]:
    every = max(1, round((len(labels) - 1) / max(labelled - 1, 1)))
    last = len(labels) - 1
    places = [place for place in range(0, len(labels), every) if place == last or last - place >= every * 0.6]
    ticks = [Tick(frame.x(place + 0.5), labels[place], "middle") for place in sorted({*places, last})]
    return [*ticks[:-1], Tick(frame.width - 2, labels[last], "end")] if last > 12 else ticks
