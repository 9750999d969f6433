"""What workers say of detectors on its way into the database: scores, alarms and how far each detector is, in one
transaction for all that one request was about."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import redis
import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.anomaly import alarms, asking, bands, late, partitions, telling
from apps.anomaly.models import Detector, Sensor
from apps.anomaly.points import Points
from apps.anomaly.storing import forget_scores, store_scores
from apps.serving.connection import client
from apps.serving.requests import Transcript
from contracts import names
from contracts.anomaly import ScoreResult

log = structlog.get_logger()

_LIVE = 50  # scores that are passed on, of those that are new
_KEEP_STATE = 7 * 86_400


@dataclass(slots=True)
class _Answer:
    """Of one detector; `new` are the scores that were not there."""

    detector: Detector
    result: ScoreResult
    points: Points
    new: Points | None = None

    @property
    def is_again(self) -> bool:
        """Some of its steps have been scored before, without readings that were late."""
        to, times = self.detector.again_to, self.result.times
        return to is not None and bool(times) and times[0] <= to.timestamp()

    @property
    def again_to(self) -> datetime | None:
        to, times = self.detector.again_to, self.result.times
        return None if to is not None and times and times[-1] >= to.timestamp() else to


def is_expected(request_id: str, transcript: Transcript) -> bool:
    """Whether an ended request is of detectors. Most are not: their form tells, without asking the database."""
    if transcript.text or (transcript.result and "items" not in transcript.result):
        return False
    return Detector.objects.filter(request_id=request_id).exists()


def take_in(*, request_id: str, transcript: Transcript) -> None:
    """Store what a request says of each detector. Idempotent."""
    detectors = Detector.objects.filter(request_id=request_id).defer("calibration").order_by("place")
    items = transcript.result.get("items", [])
    answers = []
    for detector in detectors:
        if detector.place >= len(items):
            _refused(detector, transcript.error.get("message") or "The request was stopped.")
            continue
        result = ScoreResult.from_dict(items[detector.place])
        if result.error:
            _refused(detector, result.error)
        else:
            answers.append(_Answer(detector, result, _points(detector, result)))
    if answers:
        _take_all_in(answers)


def _take_all_in(answers: list[_Answer]) -> None:
    """Together; one by one when something is wrong with one of them, which must not take the others with it."""
    try:
        _store(answers)
    except Exception:
        if len(answers) == 1:
            raise
        log.exception("scores are stored one by one", request=answers[0].detector.request_id)
        for answer in answers:
            try:
                _store([answer])
            except Exception:
                log.exception("scores of a detector not stored", detector=answer.detector.pk)
    _tell([answer for answer in answers if answer.new is not None])


def _store(answers: Sequence[_Answer]) -> None:
    """All or nothing. Those that another process was faster with stay without `new`."""
    moments = [moment for answer in answers for moment in answer.points.moments()]
    partitions.ensure(("anomaly_score", "anomaly_score_bucket"), moments)
    stored: dict[int, Points] = {}
    with transaction.atomic():
        mine = _claimed(answers)
        for answer in mine:
            if answer.is_again:
                first, last = (datetime.fromtimestamp(answer.result.times[place], UTC) for place in (0, -1))
                forget_scores(answer.detector, first, last)
        for points in _by_width(mine):
            stored |= store_scores(points).by_series()
        none = np.zeros(0, np.int64)
        new = {one.detector.pk: stored.get(one.detector.pk) or Points.of(none, none, none) for one in mine}
        alarms.judge([
            (one.detector, _steps(one.detector, one.result, new[one.detector.pk]), one.detector.again_to)
            for one in mine
        ])  # fmt: skip
    _remember(mine)
    for answer in mine:
        answer.new = new[answer.detector.pk]


def _claimed(answers: Sequence[_Answer]) -> list[_Answer]:
    """Those whose request this still is; they move on. Within a transaction."""
    by_id = {answer.detector.pk: answer for answer in answers}
    request_id = answers[0].detector.request_id
    waiting = Detector.objects.filter(pk__in=by_id, request_id=request_id).order_by("pk").select_for_update(no_key=True)
    mine = [by_id[pk] for pk, fit in waiting.values_list("pk", "fit_id") if by_id[pk].detector.fit_id == fit]
    Detector.objects.filter(pk__in=[one.detector.pk for one in mine]).update(
        request_id="", scored_to=F("sent_to"), answered_at=timezone.now(), problem=""
    )
    for answer in mine:
        changed: dict[str, Any] = {}
        if answer.again_to != answer.detector.again_to:
            changed["again_to"] = answer.again_to
        if answer.result.spread and answer.result.spread != answer.detector.spread:
            changed["spread"] = answer.result.spread
        if changed:
            Detector.objects.filter(pk=answer.detector.pk).update(**changed)
    return mine


def _by_width(answers: Iterable[_Answer]) -> Iterable[Points]:
    """The points of all, those with as many expected values together."""
    found: dict[int, list[Points]] = defaultdict(list)
    for answer in answers:
        found[0 if answer.points.expected is None else answer.points.expected.shape[1]].append(answer.points)
    return [Points.joined(some) for some in found.values()]


def _points(detector: Detector, result: ScoreResult) -> Points:
    known = [place for place, score in enumerate(result.scores) if score is not None and math.isfinite(score)]
    times = np.array([result.times[place] for place in known])
    scores = np.array([result.scores[place] for place in known], np.float64)
    expected = None
    if result.expected and known:
        expected = np.array([result.expected[place] for place in known], np.float64)
    return Points.of(np.full(len(known), detector.pk), times, scores, expected)


def _steps(detector: Detector, result: ScoreResult, new: Points) -> list[alarms.Step]:
    """Those that are new and behind what the detector watches from, in their order."""
    fresh = set(new.times.tolist())
    begin = detector.watches_from.timestamp() if detector.watches_from else -math.inf
    found = []
    for place, (at, score) in enumerate(zip(result.times, result.scores, strict=True)):
        if score is None or at <= begin or round(at * 1e6) not in fresh:
            continue
        shares = result.contributions[place] if place < len(result.contributions) else None
        step = alarms.Step(
            datetime.fromtimestamp(at, UTC), score, result.values[place] if place < len(result.values) else [],
            result.expected[place] if result.expected else [], [one or 0.0 for one in shares or []],
        )  # fmt: skip
        found.append(step)
    return found


def _remember(answers: Sequence[_Answer]) -> None:
    try:
        with client().pipeline(transaction=False) as pipe:
            for answer in answers:
                key, detector = names.detector_state_key(answer.detector.pk), answer.detector
                kept = {"fit": str(detector.fit_id), "to": asking.stamp(detector.sent_to), "state": answer.result.state}
                pipe.hset(key, mapping=kept)
                pipe.expire(key, _KEEP_STATE)
            pipe.execute()
    except redis.RedisError as error:
        log.warning("states of detectors not kept; they are made anew", error=str(error))


def _tell(answers: Sequence[_Answer]) -> None:
    """Who looks at the assets; and the task, of those that readings have come of meanwhile."""
    columns = {column for answer in answers for column in answer.detector.columns}
    newest = dict(Sensor.objects.filter(pk__in=columns).exclude(last_at=None).values_list("pk", "last_at"))
    again, messages = set(), []
    for answer in answers:
        detector, new = answer.detector, answer.new
        if new is not None and len(new):
            told = new.only(np.arange(len(new)) >= len(new) - (late.STEPS if answer.is_again else _LIVE))
            message = {
                "type": "scores", "detector": detector.pk,
                "scores": np.stack([told.times / 1e6, told.values], 1).tolist(),
                "bands": bands.live(detector, told, answer.result.spread or detector.spread),
            }  # fmt: skip
            messages.append((detector.asset_id, message))
        last = max((newest[column] for column in detector.columns if column in newest), default=None)
        if last is not None and detector.sent_to is not None and last > detector.sent_to:
            again.add(detector.asset_id)
    telling.tell_all(messages)
    for asset_id in again:
        telling.ask_to_score(asset_id)


def _refused(detector: Detector, message: str) -> None:
    claimed = Detector.objects.filter(pk=detector.pk, request_id=detector.request_id)
    claimed.update(request_id="", problem=message[:400])
    telling.tell(detector.asset_id, type="detector", detector=detector.pk)
