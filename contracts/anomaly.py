"""What both sides say about detectors of anomalies in series of readings.

Two ways lead to a worker:

- **A job** of the kind FIT_JOB, whose arguments are `FitArguments.to_dict()`, backtests detectors on a history, fits
  the chosen one and makes an artifact of it. Its result is `{artifact, digest, metrics, report}`; the report is a
  `FitReport` as a dict. The artifact has HISTORY beside the manifest.
- **A request** of the task TASK to any deployment of it (the released artifact `v4-series` stands for the service, not
  for a model): `inputs` is `ScoreInputs.to_dict()`, `{"items": [ScoreItem]}`, one item a detector; RESULT is
  `{"items": [ScoreResult]}` in the same order. The worker loads a detector when it is first asked for and keeps the
  latest ones. Whatever is wrong with one item is said in its `error` and harms no other.

Times are seconds since the epoch, readings are numbers or None where there is none. A **step** is one interval of a
detector: readings are put into the step whose middle they are nearest to, all sensors together; scores are given to
steps. A step is complete when every sensor has a reading in it, when a reading of a later step is there, or when
`until` is past its end; a reading that comes after its step was complete is counted in `late` and changes nothing.

A **state** is what a detector remembers, as base64, some ten thousand bytes, of a length that does not grow with time.
Scores follow from the detector, the state and the readings alone: the same item again has the same result, so the new
state is stored together with the scores or not at all. A lost state is made again from `context` steps of readings
before the first one to score, with `from_time` set: what is before it is read and not answered.

A **score** is 0 or more; 1 is what one in a hundred normal steps of the calibration reaches, whatever the detector.
None stands for a step that could not be scored: nothing was read, or the detector has not seen enough yet.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from .conformal import Calibration
from .messages import Message

TASK = "anomaly-detection"
FIT_JOB = "fit_detector"

# Files. A history to fit on is a .npz on storage that both sides see, without pickled objects: `times` float64 [N],
# which never falls, and `values` float64 [N, sensors], NaN where there is no reading.
HISTORY = (
    "history.npz"  # of an artifact: `times` [M] middles of steps, `scores` [M], `expected` and `spread` [M, sensors]
)

MOST_SENSORS = 64  # of one detector
MOST_ITEMS = 256  # of one request
MOST_ROWS = 20_000  # readings' times of one item


class Detector(StrEnum):
    """What may be asked for; AUTO is what the backtest finds best."""

    AUTO = "auto"
    V4 = "v4"
    PCA = "pca"
    SUBSEQUENCE_PCA = "subsequence_pca"
    ISOLATION_FOREST = "isolation_forest"
    SPECTRAL_RESIDUAL = "spectral_residual"
    MATRIX_PROFILE = "matrix_profile"
    SEASONAL = "seasonal"
    RARITY = "rarity"


class Per(StrEnum):
    CENT = "cent"  # `alarms` of a hundred normal steps are above the threshold
    DAY = (
        "day"  # `alarms` a day: an alarm begins above the threshold and lasts until the score is below Calibration.calm
    )


@dataclass(frozen=True, slots=True)
class Budget(Message):
    """How many false alarms somebody is ready to see."""

    alarms: float = 1.0
    per: str = Per.CENT

    def __post_init__(self) -> None:
        if self.per not in list(Per) or not math.isfinite(self.alarms) or self.alarms <= 0:
            raise ValueError("budget: a positive number of alarms per cent or per day")
        if self.per == Per.CENT and self.alarms > 50:
            raise ValueError("budget: at most 50 per cent")


@dataclass(frozen=True, slots=True)
class FitArguments(Message):
    """Arguments of a FIT_JOB."""

    series: str  # path of the .npz
    sensors: list[str]  # names of its columns, for the report
    name: str  # of the artifact: small letters, digits, hyphens
    title: str
    detector: str = Detector.AUTO
    budget: dict[str, Any] = field(default_factory=lambda: {"alarms": 1.0, "per": "cent"})
    interval: float = 0.0  # seconds of a step; 0 takes the commonest distance of two readings
    excluded: list[list[float]] = field(default_factory=list)
    """[begin, end] of what was not normal: neither fitted nor calibrated on."""
    anomalies: list[list[float]] = field(default_factory=list)
    """[begin, end] of known anomalies: excluded too, and the backtest goes by them."""
    seed: int = 0
    store: str = ""  # s3://bucket/prefix, or empty for the folder of the artifacts

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class BacktestRow(Message):
    """How one detector did on the part of the history that it was neither fitted nor calibrated on.

    Without known anomalies the figures are of faults that were put into that part (spikes, shifts, drifts, noise, stuck
    sensors), the same for every detector: `FitReport.basis` says which. None where it could not be measured.
    """

    detector: str
    vus_pr: float | None = None  # volume under the precision-recall surface: what the choice goes by
    f1: float | None = None  # of steps, at the threshold; no point adjustment
    event_recall: float | None = None  # share of the anomalies with at least one step above the threshold
    delay: float | None = None  # median seconds from the beginning of a found anomaly to its first alarm
    false_alarm_rate: float | None = None  # share of the normal steps above the threshold
    alarms_per_day: float | None = None  # false ones, as Per.DAY counts them
    fit_seconds: float = 0.0
    score_seconds: float = 0.0  # of a thousand steps
    error: str = ""  # why it was left out, one sentence


@dataclass(frozen=True, slots=True)
class FitReport(Message):
    """What a FIT_JOB found."""

    detector: str
    reason: str  # why this one, in one sentence
    basis: str  # labels, injected
    rows: list[dict[str, Any]]  # BacktestRow of every detector, the best first; `random` and `always` beside them
    interval: float  # seconds of a step
    context: int  # steps that make a lost state again
    steps: int  # of the history
    missing: float  # share of the readings that are not there
    threshold: float | None  # at the budget; None when the history is too short to promise it
    calibration: dict[str, Any]  # contracts.conformal.Calibration

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def as_calibration(self) -> Calibration:
        return Calibration.from_dict(self.calibration)


@dataclass(frozen=True, slots=True)
class ScoreItem(Message):
    """New readings of one detector."""

    artifact: str  # address, as in RevisionSpec.artifact
    digest: str  # sha256 of its manifest
    times: list[float]
    values: list[list[float | None]]  # a row for each time, a column for each sensor
    state: str = ""  # as the last result gave it; empty begins anew
    until: float = 0.0  # every reading up to here is among those; 0 does not say
    from_time: float = 0.0  # steps whose middle is before are read, not answered
    explain_above: float | None = None  # contributions of the steps whose score is above; None explains nothing


@dataclass(frozen=True, slots=True)
class ScoreInputs(Message):
    items: list[ScoreItem]

    def to_dict(self) -> dict[str, Any]:
        return {"items": [asdict(item) for item in self.items]}


@dataclass(frozen=True, slots=True)
class ScoreResult(Message):
    """Of the M steps that became complete."""

    times: list[float] = field(default_factory=list)  # middles of the steps
    values: list[list[float | None]] = field(default_factory=list)  # [M][sensors] as the detector read them
    scores: list[float | None] = field(default_factory=list)
    expected: list[list[float | None]] | None = None  # [M][sensors] values that were expected; not of every detector
    spread: list[float] | None = None  # [sensors] half of the width of the band around it that holds 95 % of the normal
    contributions: list[list[float] | None] = field(default_factory=list)
    """[M][sensors] shares that sum to 1; None where nothing was explained."""
    state: str = ""
    late: int = 0  # readings whose step was complete before they came
    error: str = ""  # one sentence; nothing else is filled then, and the old state stays good
