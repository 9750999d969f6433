"""Lines over time, or over the steps of a training, as SVG, drawn at the size they are shown.

A series has one value a point, oldest first; None is a gap. Colours go by the place of a line: c1 to c6.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.utils import timezone

from apps.quotas.axis import Tick, scale

Series = Sequence[float | None]
Scale = Callable[[float], float]
Place = Callable[[int], float]  # of the point with this number

WIDTH, HEIGHT = 560, 176
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 506, 14, 150
_LABEL_HEIGHT = 14  # labels at the ends of lines stand at least this far apart


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    place: int  # 1 to 6: its colour
    path: str
    is_dashed: bool
    label_y: float
    label_x: float  # beside its end
    last: float | None  # newest value
    is_faint: bool = False  # and without a label


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    unit: str
    lines: list[Line]
    values: list[Tick]  # with their y
    times: list[Tick]  # or steps, with their x
    limit_y: float | None = None
    limit_text: str = ""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = _RIGHT
    bottom: int = _BOTTOM

    @property
    def is_empty(self) -> bool:
        return not any(line.path for line in self.lines)


@dataclass(frozen=True, slots=True)
class Named:
    """A series with the name and the colour of its line."""

    label: str
    values: Series
    place: int = 1
    is_dashed: bool = False
    is_faint: bool = False
    shares: Sequence[float] = ()  # where its points stand between both ends, 0 to 1; evenly when left out


def chart(
    title: str,
    unit: str,
    series: Sequence[Named],
    *,
    seconds: int = 0,
    steps: int = 0,
    limit: float | None = None,
    limit_text: str = "",
    now: datetime | None = None,
) -> Chart:
    """Draw `series` of the last `seconds`, or of so many steps; the scale begins at 0 and holds the limit too."""
    known = [value for one in series for value in one.values if value is not None]
    highest = max([*known, limit or 0.0], default=0.0)
    top, step = scale(highest)
    lines = [_line(one, top) for one in series]
    return Chart(
        title=title,
        unit=unit,
        lines=_apart(lines),
        values=[Tick(_y(step * at, top), _short(step * at)) for at in range(round(top / step) + 1)],
        times=_ends([0, steps // 2, steps]) if steps else _times(seconds, now or timezone.now()),
        limit_y=None if limit is None else _y(limit, top),
        limit_text=limit_text,
    )


def spark(values: Series, *, width: int = 100, height: int = 28) -> str:
    """Path of a small line without axes; the highest value is at the top."""
    highest = max((value for value in values if value is not None), default=0.0)
    return _path(values, lambda at: width * at / max(len(values) - 1, 1), _mapped(highest, 2, height - 2))


def _line(one: Named, top: float) -> Line:
    shares = one.shares or [at / max(len(one.values) - 1, 1) for at in range(len(one.values))]
    path = _path(one.values, lambda at: _LEFT + (_RIGHT - _LEFT) * shares[at], _mapped(top, _TOP, _BOTTOM))
    last = next((value for value in reversed(one.values) if value is not None), None)
    end = _LEFT + (_RIGHT - _LEFT) * (shares[-1] if shares else 1.0) + 6
    return Line(
        one.label, (one.place - 1) % 6 + 1, path, one.is_dashed, _y(last or 0.0, top), round(end, 1), last, one.is_faint
    )  # fmt: skip


def _mapped(top: float, high: float, low: float) -> Scale:
    return lambda value: low - (low - high) * (value / top if top else 0.0)


def _y(value: float, top: float) -> float:
    return round(_mapped(top, _TOP, _BOTTOM)(value), 1)


def _path(values: Series, x: Place, y: Scale) -> str:
    """Moves over gaps; a value alone between two gaps becomes a dot."""
    parts, pen = [], "M"
    for at, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        alone = pen == "M" and (at + 1 == len(values) or values[at + 1] is None)
        parts.append(f"{pen}{x(at):.1f} {y(value):.1f}" + ("h.01" if alone else ""))
        pen = "L"
    return "".join(parts)


def _apart(lines: list[Line]) -> list[Line]:
    """The same lines with labels that do not lie on each other, in the order of their values."""
    placed: dict[str, float] = {}
    floor = -math.inf
    drawn = sorted((line for line in lines if line.path and not line.is_faint), key=lambda line: line.label_y)
    for line in drawn:
        floor = placed[line.label] = max(line.label_y, floor + _LABEL_HEIGHT)
    over = max(0.0, floor - _BOTTOM)
    return [replace(line, label_y=round(placed.get(line.label, line.label_y) - over + 4, 1)) for line in lines]


def _short(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if value < 10 else f"{value:,.0f}"


def _times(seconds: int, now: datetime) -> list[Tick]:
    moments = [timezone.localtime(now - timedelta(seconds=seconds * share)) for share in (1, 0.5, 0)]
    return _ends([moment.strftime("%H:%M") for moment in moments])


def _ends(labels: Sequence[object]) -> list[Tick]:
    """Both ends and the middle."""
    places = [(0.0, "start"), (0.5, "middle"), (1.0, "end")]
    return [
        Tick(_LEFT + (_RIGHT - _LEFT) * share, str(label), anchor)
        for label, (share, anchor) in zip(labels, places, strict=True)
    ]
