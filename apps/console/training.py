"""The curves and figures of a training on its job's page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from django.utils.translation import gettext as _

from apps.console.charts import Chart, Named, chart
from apps.console.ranks import Ranks, ranks
from apps.jobs.streams import Details

_SMOOTH = 10  # points in one mean; a single step says little
_ROWS = 12  # of the table while nothing was evaluated


@dataclass(frozen=True, slots=True)
class Training:
    recipe: dict[str, Any]
    step: int
    steps: int
    loss: float | None  # mean of the last points
    rate: float | None  # steps a second
    seconds_left: float | None
    best: dict[str, float]  # the evaluation with the best score; empty before the first
    charts: list[Chart]
    rows: list[dict[str, Any]]  # evaluated points, or the newest ones while there are none
    is_language: bool = False  # measured in bits per character instead of accuracy
    ranks: Ranks | None = None


def training(details: Details) -> Training | None:
    """None for jobs that train nothing, and before a training has said what it is."""
    if not details.recipe:
        return None
    points = details.points
    newest = points[-1] if points else {}
    evaluated = [point for point in points if point["figures"]]
    means = _means([point["loss"] for point in points])
    is_language = "feed_forward" in details.recipe
    return Training(
        recipe=details.recipe,
        step=newest.get("step", 0),
        steps=newest.get("steps", details.recipe["options"]["steps"]),
        loss=means[-1] if means else None,
        rate=newest.get("rate"),
        seconds_left=newest.get("seconds_left"),
        best=max((point["figures"] for point in evaluated), key=lambda one: float(one["score"]), default={}),
        charts=_language_charts(points, evaluated, means) if is_language else _charts(points, evaluated, means),
        rows=evaluated or points[-_ROWS:],
        is_language=is_language,
        ranks=ranks(details.ranks),
    )


def _charts(points: Sequence[dict[str, Any]], evaluated: Sequence[dict[str, Any]], means: list[float]) -> list[Chart]:
    """Nothing before the first step."""
    if not points:
        return []
    steps = int(points[-1]["steps"])
    every, some = _shares(points, steps), _shares(evaluated, steps)
    losses = [
        Named("", [point["loss"] for point in points], 1, is_faint=True, shares=every),
        Named(_("train"), means, 1, shares=every),
    ]
    if all("loss" in point["figures"] for point in evaluated):  # what learns to learn is judged by its score alone
        valid = [point["figures"]["loss"] for point in evaluated]
        losses.append(Named(_("valid."), valid, 2, is_dashed=True, shares=some))
    scores = [Named(_("valid."), [100 * point["figures"]["score"] for point in evaluated], 2, shares=some)]
    return [
        chart(_("Loss by step"), "", losses, steps=steps),
        chart(_("Accuracy by step"), "%", scores, steps=steps),
    ]


def _language_charts(
    points: Sequence[dict[str, Any]], evaluated: Sequence[dict[str, Any]], means: list[float]
) -> list[Chart]:
    """A character is a byte here, so its bits are the loss in another unit. Nothing before the first step."""
    if not points:
        return []
    steps = int(points[-1]["steps"])
    every, some = _shares(points, steps), _shares(evaluated, steps)
    bits = [
        Named("", [point["loss"] / math.log(2) for point in points], 1, is_faint=True, shares=every),
        Named(_("train"), [mean / math.log(2) for mean in means], 1, shares=every),
        Named(_("valid."), [point["figures"]["bits"] for point in evaluated], 2, is_dashed=True, shares=some),
    ]
    heaviest = [Named(_("valid."), [point["figures"].get("load_max") for point in evaluated], 2, shares=some)]
    drawn = [chart(_("Bits per character by step"), "", bits, steps=steps)]
    if any(point["figures"].get("load_max") for point in evaluated):
        drawn.append(chart(_("Heaviest expert, by the even share"), "×", heaviest, steps=steps))
    return drawn


def _shares(points: Sequence[dict[str, Any]], steps: int) -> list[float]:
    return [point["step"] / steps for point in points]


def _means(losses: list[float]) -> list[float]:
    """Of each and those before it."""
    return [fmean(losses[max(0, at - _SMOOTH + 1) : at + 1]) for at in range(len(losses))]
