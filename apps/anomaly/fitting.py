"""How a detector gets a version: readings are collected into a file, a job fits it (contracts/anomaly.py), and what
came out serves."""

import os
import time
import uuid
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.anomaly import noticing, partitions, series, telling, thresholds
from apps.anomaly.models import Detector, Finding, Fit, Incident, Sensor
from apps.anomaly.points import Points, seconds
from apps.anomaly.storing import store_scores
from apps.jobs import services as jobs
from apps.jobs.models import Job
from apps.jobs.signals import JobRefused
from apps.registry import artifacts
from contracts.anomaly import FIT_JOB, HISTORY, FitArguments, FitReport

log = structlog.get_logger()

State = Fit.State
LEAST = 200  # moments with readings: what the job takes
MOST = 4_000_000  # numbers of a history: of a longer one the newest are taken
_MOST_BANDS = 50_000  # steps of the history whose expectations are kept as well
_KEEP = 7 * 86_400  # seconds that the file of a job that failed is kept: it may be tried again


def folder() -> Path:
    """Of histories; both sides see it."""
    return Path(settings.ARTIFACTS_DIR) / ".histories"


def prepare(*, fit: Fit) -> None:
    """Collect the readings and send the job. Idempotent: only who finds it PREPARING does it."""
    fit.refresh_from_db()
    if fit.state != State.PREPARING or fit.job_id is not None:
        return
    times, values = history(fit.columns, fit.begin, fit.end)
    if len(times) < LEAST:
        _fail(fit, f"There are readings at {len(times)} moments in this span; fitting takes {LEAST} at least.")
        return
    path = folder() / f"{fit.pk}-{uuid.uuid4().hex}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, times=times, values=values)
    try:
        with transaction.atomic():
            job = jobs.create(
                kind=FIT_JOB, title=f"{fit.detector.name} v{fit.number}", arguments=_arguments(fit, path),
                actor=fit.created_by,
            )  # fmt: skip
            if not Fit.objects.filter(pk=fit.pk, state=State.PREPARING).update(state=State.FITTING, job=job):
                raise JobRefused(_("It was begun twice."))
    except JobRefused as refused:
        path.unlink(missing_ok=True)
        _fail(fit, str(refused))
    _say(fit)


def history(columns: list[int], begin: datetime, end: datetime) -> tuple[series.Floats, series.Floats]:
    """[N] moments that any of the sensors has a reading at, and [N, C] readings, NaN where there is none."""
    each = MOST // (len(columns) * len(columns))
    found = []
    for number in columns:
        first = begin
        while series.counted(series.READINGS, number, first, end) > max(each, LEAST) and end - first > timedelta(
            hours=2
        ):
            first += (end - first) / 8
        found.append(series.raw(series.READINGS, number, first, end))
    return aligned(found)


def aligned(found: list[tuple[series.Floats, series.Floats]]) -> tuple[series.Floats, series.Floats]:
    """Columns of their own times on the times of all of them."""
    times = np.unique(np.concatenate([at for at, _ in found])) if found else np.zeros(0)
    values = np.full((len(times), len(found)), np.nan)
    for place, (at, known) in enumerate(found):
        values[np.searchsorted(times, at), place] = known
    return times, values


def settle(*, job: Job) -> None:
    """In the transaction that stores the end of the job. Raises JobRefused for what cannot be used."""
    fit = Fit.objects.select_related("detector__asset").filter(job=job).first()
    if fit is None:
        return
    if job.state != Job.State.SUCCEEDED:
        _fail(fit, job.reason or str(_("The job was cancelled.")), is_told=job.state == Job.State.FAILED)
        return
    try:
        report = FitReport.from_dict(job.result["report"])
        report.as_calibration()
        artifact, digest = str(job.result["artifact"]), str(job.result["digest"])
    except (KeyError, TypeError, ValueError) as error:
        raise JobRefused(_("What the job made cannot be read.")) from error
    Path(job.arguments["series"]).unlink(missing_ok=True)
    fit.state, fit.problem, fit.kind = State.READY, "", report.detector
    fit.artifact, fit.digest, fit.report = artifact, digest, report.to_dict()
    fit.save()
    _take_scores_over(fit)
    if fit.serves_at_once:
        serve(fit)
    noticing.of_fit(fit)
    _say(fit)


def serve(fit: Fit) -> None:
    """Within a transaction. From the next reading on: what came before raises no alarm."""
    detector = Detector.objects.select_for_update().get(pk=fit.detector_id)
    detector.fit, detector.columns = fit, fit.columns
    detector.calibration, detector.is_by_hand = fit.report["calibration"], False
    detector.state, detector.problem, detector.spread, detector.drift = Detector.State.WATCHING, "", None, None
    detector.threshold = thresholds.by_budget(detector)
    detector.renews_at = timezone.now()  # with the steps that come from now on
    detector.save()
    begin_now(detector)


def begin_now(detector: Detector) -> None:
    """Nothing is under way, and scores are of what comes from now on."""
    newest = Sensor.objects.filter(pk__in=detector.columns).exclude(last_at=None).order_by("-last_at").first()
    moment = newest.last_at if newest else None
    Detector.objects.filter(pk=detector.pk).update(
        request_id="", scored_to=moment, watches_from=moment or detector.created_at, answered_at=None, sent_at=None,
        late_from=None, again_to=None,
    )  # fmt: skip
    detector.refresh_from_db()


def sweep() -> None:
    """Remove the files of jobs that failed long ago."""
    for path in folder().glob("*.npz"):
        if time.time() - os.stat(path).st_mtime > _KEEP:
            path.unlink(missing_ok=True)


def _arguments(fit: Fit, path: Path) -> dict[str, object]:
    names = Sensor.objects.in_bulk(fit.columns)
    excluded, anomalies = _said(fit)
    detector = fit.detector
    return FitArguments(
        series=str(path), sensors=[names[one].name for one in fit.columns], name=f"detector-{detector.pk}-{fit.number}",
        title=detector.name, detector=fit.asked, budget={"alarms": detector.budget, "per": detector.per},
        interval=_interval(list(names.values())), excluded=excluded, anomalies=anomalies, store=settings.ARTIFACT_STORE,
    ).to_dict()  # fmt: skip


def _interval(sensors: list[Sensor]) -> float:
    """The longest that somebody has said; 0 leaves it to the job."""
    known = [one.interval for one in sensors if one.interval]
    return max(known) if len(known) == len(sensors) else 0.0


def _said(fit: Fit) -> tuple[list[list[float]], list[list[float]]]:
    """What people have said of the history: spans that nobody has judged, and those of true alarms."""
    rows = Finding.objects.filter(kind=Finding.Kind.SCORE, columns__overlap=fit.columns, began_at__lte=fit.end,
                                  last_at__gte=fit.begin).select_related("incident")  # fmt: skip
    excluded, anomalies = [], []
    for row in rows:
        span = [seconds(row.began_at), seconds(row.ended_at or row.last_at)]
        if row.incident.state == Incident.State.RESOLVED:
            anomalies.append(span)
        elif row.incident.state != Incident.State.FALSE_ALARM:
            excluded.append(span)
    return sorted(excluded), sorted(anomalies)


def _take_scores_over(fit: Fit) -> None:
    """Those of the history, so that a threshold can be tried on it. They raise no alarm. Without them the version
    serves all the same."""
    try:
        with artifacts.storage(fit.artifact).open(HISTORY) as file, np.load(file, allow_pickle=False) as found:
            times, scores = found["times"], found["scores"]
            expected = found["expected"] if "expected" in found and len(found["expected"]) == len(times) else None
    except Exception as error:  # noqa: BLE001  a file of the worker, in a storage of whichever kind
        log.warning("no scores of the history", fit=fit.pk, error=str(error)[:200])
        return
    known = np.isfinite(scores)
    first = max(0, int(known.sum()) - _MOST_BANDS)
    times, scores = times[known], scores[known]
    bands = expected[known] if expected is not None else None
    for begin, end in ((0, first), (first, len(times))):
        ids = np.full(end - begin, fit.detector_id)
        more = bands[begin:end] if bands is not None and begin == first else None
        points = Points.of(ids, times[begin:end], scores[begin:end], more)
        partitions.ensure(("anomaly_score", "anomaly_score_bucket"), points.moments())
        store_scores(points)


def _fail(fit: Fit, problem: str, *, is_told: bool = True) -> None:
    fit.state, fit.problem = State.FAILED, problem[:400]
    Fit.objects.filter(pk=fit.pk).update(state=fit.state, problem=fit.problem)
    if is_told:
        noticing.of_fit(fit)
    _say(fit)


def _say(fit: Fit) -> None:
    asset_id, number = fit.detector.asset_id, fit.detector_id
    transaction.on_commit(lambda: telling.tell(asset_id, type="detector", detector=number))
