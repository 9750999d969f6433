"""New readings of detectors on their way to the workers, and what comes back.

A detector has one request under way. What it is about is stored with the claim: `scored_to` moves on with its scores,
in one transaction, so each reading is scored once, and again when one before it was late (late.py); a claim whose
request is lost is given up. What the detector remembers lies in Redis with the version and the reading it is of: where
that is not the one at hand, it is made anew from the readings before.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import redis
import structlog
from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone

from apps.accounts.models import APIKey, User
from apps.anomaly import alarms, bands, late, partitions, series, telling
from apps.anomaly.fitting import aligned
from apps.anomaly.models import Detector, Score, Sensor
from apps.anomaly.points import Points
from apps.anomaly.storing import forget_scores, store_scores
from apps.quotas import services as quotas
from apps.quotas.words import NOT_NOW, why
from apps.registry import artifacts
from apps.serving import requests
from apps.serving import services as serving
from apps.serving.connection import client
from apps.serving.requests import Transcript
from contracts import names
from contracts.anomaly import MOST_ITEMS, MOST_ROWS, TASK, FitReport, ScoreInputs, ScoreItem, ScoreResult

log = structlog.get_logger()

State = Detector.State
_WAIT = 0.4  # seconds that the task waits for an answer: settling comes once a second
_LOST_AFTER = timedelta(seconds=30)
_GRACE = timedelta(seconds=2)  # that other sensors of a detector are waited for, and two of its steps
_LIVE = 50  # scores that are passed on, of those that are new
_KEEP_STATE = 7 * 86_400


# -- sending ---------------------------------------------------------------------------------------


def send_fresh() -> None:
    """Of the assets that something has come of."""
    fresh = telling.fresh_assets()
    if fresh:
        send(Detector.objects.filter(asset__in=fresh))


def send(detectors: Any) -> None:
    """Of those that watch and have nothing under way; what ends soon is taken in at once."""
    ready = detectors.filter(state=State.WATCHING, request_id="").exclude(fit=None)
    found = list(ready.select_related("fit", "asset__owner", "asset__key").order_by("pk"))
    by_payer: dict[tuple[Any, Any], list[Detector]] = defaultdict(list)
    for detector in found:
        by_payer[detector.asset.key_id, detector.asset.owner_id].append(detector)
    sent = []
    for mine in by_payer.values():
        for begin in range(0, len(mine), MOST_ITEMS):
            asset = mine[begin].asset
            sent += _send(mine[begin : begin + MOST_ITEMS], asset.key or asset.owner)
    _take_in_soon(sent)


def _send(detectors: list[Detector], who: User | APIKey) -> list[str]:
    """The request, if there was anything to ask."""
    request_id = serving.new_request_id()
    mine = Detector.objects.filter(request_id=request_id)
    try:
        target = serving.route("", task=TASK)
        items = _claim(detectors, request_id)
        if not items:
            return []
        request = serving.build_request(
            target=target, inputs=ScoreInputs(items).to_dict(), tenant=str(detectors[0].asset.owner_id),
            request_id=request_id, is_streamed=False,
        )  # fmt: skip
        quotas.submit(request=request, who=who, target=target)
    except NOT_NOW as error:
        mine.update(request_id="")
        _say(detectors, why(error))
        return []
    return [request_id]


def _claim(detectors: list[Detector], request_id: str) -> list[ScoreItem]:
    """What to ask of those that nobody else has claimed. First the claim, then the readings: so whoever stores one that
    is not among them finds the request under way, and knows that it is late."""
    free = Detector.objects.filter(pk__in=[one.pk for one in detectors], state=State.WATCHING, request_id="")
    mine = Detector.objects.filter(request_id=request_id)
    if not free.exclude(fit=None).update(request_id=request_id, sent_at=timezone.now(), sent_to=None):
        return []
    asked, items = [], []
    for detector in mine.select_related("fit").order_by("pk"):
        if (found := item_of(detector)) is not None:
            detector.place, (item, detector.sent_to) = len(items), found
            asked.append(detector)
            items.append(item)
    mine.exclude(pk__in=[one.pk for one in asked]).update(request_id="")
    mine.bulk_update(asked, ["place", "sent_to"])
    return items


def item_of(detector: Detector) -> tuple[ScoreItem, datetime] | None:
    """What is to be scored, and up to which reading that is; None while there is nothing new."""
    assert detector.fit
    report = FitReport.from_dict(detector.fit.report)
    last = list(Sensor.objects.filter(pk__in=detector.columns).exclude(last_at=None).values_list("last_at", flat=True))
    if not last:
        return None
    grace = max(_GRACE, timedelta(seconds=2 * report.interval))
    until = max(last) if len(last) < len(detector.columns) else min(last)
    until = max(until, max(last) - grace)
    since = detector.scored_to or detector.watches_from or until
    if until <= since:
        return None
    state, from_time, begin = _remembered(detector), 0.0, since + timedelta(microseconds=1)
    if not state:
        begin = since - timedelta(seconds=report.context * report.interval)
        newest = Score.objects.filter(detector_id=detector.pk, at__lte=since).aggregate(at=Max("at"))["at"]
        answered = newest or (since - timedelta(seconds=report.interval))
        from_time = answered.timestamp() + report.interval / 2
    times, values = aligned([series.raw(series.READINGS, number, begin, until) for number in detector.columns])
    times, values = times[:MOST_ROWS], values[:MOST_ROWS]
    if not len(times) or times[-1] <= since.timestamp():
        return None
    rows = [[None if math.isnan(value) else value for value in row] for row in values.tolist()]
    item = ScoreItem(
        artifact=artifacts.address(detector.fit.artifact), digest=detector.fit.digest, times=times.tolist(),
        values=rows, state=state, from_time=from_time, explain_above=detector.threshold,
    )  # fmt: skip
    return item, datetime.fromtimestamp(times[-1], UTC)


def _remembered(detector: Detector) -> str:
    """Empty when it is of another version or another reading."""
    kept = client().hgetall(names.detector_state_key(detector.pk))
    at_hand = {"fit": str(detector.fit_id), "to": _stamp(detector.scored_to)}
    return kept["state"] if {name: kept.get(name) for name in at_hand} == at_hand else ""


def _stamp(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _take_in_soon(request_ids: list[str]) -> None:
    """Answers that come within a moment are not left to the settling. Either way they are taken in once."""
    ends = time.monotonic() + _WAIT
    waiting = list(request_ids)
    while waiting and time.monotonic() < ends:
        time.sleep(0.01)
        for request_id in list(waiting):
            transcript = requests.transcript(request_id)
            if transcript.is_finished:
                waiting.remove(request_id)
                take_in(request_id=request_id, transcript=transcript)


# -- answers ---------------------------------------------------------------------------------------


def is_expected(request_id: str, transcript: Transcript) -> bool:
    """Whether an ended request is of detectors. Most are not: their form tells, without asking the database."""
    if transcript.text or (transcript.result and "items" not in transcript.result):
        return False
    return Detector.objects.filter(request_id=request_id).exists()


def take_in(*, request_id: str, transcript: Transcript) -> None:
    """Store what a request says of each detector. Idempotent."""
    detectors = Detector.objects.filter(request_id=request_id).select_related("fit", "asset__owner").order_by("place")
    items = transcript.result.get("items", [])
    again = set()
    for detector in detectors:
        if detector.place >= len(items):
            _refused(detector, transcript.error.get("message") or "The request was stopped.")
            continue
        result = ScoreResult.from_dict(items[detector.place])
        if result.error:
            _refused(detector, result.error)
        elif _scored(detector, result):
            again.add(detector.asset_id)
    for asset_id in again:
        telling.ask_to_score(asset_id)


def _scored(detector: Detector, result: ScoreResult) -> bool:
    """Scores, alarms and how far it is, all or nothing; whether readings have come meanwhile."""
    points = _points(detector, result)
    partitions.ensure(("anomaly_score", "anomaly_score_bucket"), points.moments())
    again_to = detector.again_to
    is_again = again_to is not None and bool(result.times) and result.times[0] <= again_to.timestamp()
    if again_to is not None and result.times and result.times[-1] >= again_to.timestamp():
        again_to = None
    with transaction.atomic():
        claimed = Detector.objects.filter(pk=detector.pk, request_id=detector.request_id, fit=detector.fit_id)
        if not claimed.update(
            request_id="", scored_to=F("sent_to"), answered_at=timezone.now(), problem="", again_to=again_to,
            **({"spread": result.spread} if result.spread else {}),
        ):  # fmt: skip
            return False
        if is_again:
            forget_scores(detector, *(datetime.fromtimestamp(result.times[place], UTC) for place in (0, -1)))
        new = store_scores(points)
        alarms.judge(detector, _steps(detector, result, new), judged_to=detector.again_to)
    _remember(detector, result.state)
    if len(new):
        told = new.only(np.arange(len(new)) >= len(new) - (late.STEPS if is_again else _LIVE))
        telling.tell(
            detector.asset_id, type="scores", detector=detector.pk,
            scores=np.stack([told.times / 1e6, told.values], 1).tolist(),
            bands=bands.live(detector, told, result.spread or detector.spread),
        )  # fmt: skip
    newest = Sensor.objects.filter(pk__in=detector.columns).aggregate(at=Max("last_at"))["at"]
    return bool(newest and detector.sent_to and newest > detector.sent_to)


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


def _remember(detector: Detector, state: str) -> None:
    key = names.detector_state_key(detector.pk)
    try:
        with client().pipeline() as pipe:
            pipe.hset(key, mapping={"fit": str(detector.fit_id), "to": _stamp(detector.sent_to), "state": state})
            pipe.expire(key, _KEEP_STATE)
            pipe.execute()
    except redis.RedisError as error:
        log.warning("state of a detector not kept; it is made anew", detector=detector.pk, error=str(error))


def _refused(detector: Detector, message: str) -> None:
    claimed = Detector.objects.filter(pk=detector.pk, request_id=detector.request_id)
    claimed.update(request_id="", problem=message[:400])
    telling.tell(detector.asset_id, type="detector", detector=detector.pk)


def _say(detectors: Iterable[Detector], problem: str) -> None:
    changed = [one for one in detectors if one.problem != problem[:400]]
    Detector.objects.filter(pk__in=[one.pk for one in changed]).update(problem=problem[:400])


# -- the sweep -------------------------------------------------------------------------------------


def sweep() -> None:
    """Go on with every detector that should be going: after a refusal, a lost message or a lost request."""
    old = Detector.objects.exclude(request_id="").filter(sent_at__lt=timezone.now() - _LOST_AFTER)
    request_ids = list(old.order_by().values_list("request_id", flat=True).distinct())
    for request_id, is_known in zip(request_ids, requests.exists(request_ids), strict=True):
        if not is_known:
            old.filter(request_id=request_id).update(request_id="")
        elif (transcript := requests.transcript(request_id)).is_finished:
            take_in(request_id=request_id, transcript=transcript)
    late.go_back()
    behind = Q(sensors__last_at__gt=F("scored_to")) | Q(scored_to=None, sensors__last_at__isnull=False)
    waiting = Detector.objects.filter(behind, state=State.WATCHING, request_id="").exclude(fit=None)
    if ids := list(waiting.values_list("pk", flat=True).distinct()):
        send(Detector.objects.filter(pk__in=ids))
