"""What is asked of detectors: their new readings, with what they remember. Of hundreds at once in as many queries as of
one."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Max

from apps.anomaly import series
from apps.anomaly.fitting import aligned
from apps.anomaly.models import Detector, Score, Sensor
from apps.registry import artifacts
from apps.serving.connection import client
from contracts import names
from contracts.anomaly import MOST_ROWS, ScoreItem

_GRACE = timedelta(seconds=2)  # that other sensors of a detector are waited for, and two of its steps


@dataclass(frozen=True, slots=True)
class _Wish:
    """Of one detector: readings of this span, and what it says of the steps behind `from_time`."""

    detector: Detector
    since: datetime  # scored so far
    begin: datetime
    until: datetime
    state: str
    from_time: float


def items_of(detectors: Sequence[Detector]) -> Iterator[tuple[Detector, ScoreItem, datetime]]:
    """Those that there is something new for: what is to be scored, and up to which reading that is. The detectors come
    with the `interval` and `context` of their fits."""
    columns = {column for detector in detectors for column in detector.columns}
    last = dict(Sensor.objects.filter(pk__in=columns).exclude(last_at=None).values_list("pk", "last_at"))
    waiting = [one for one in detectors if _until(one, last)]
    states = _remembered(waiting)
    wishes = [_wish(one, _until(one, last), states[one.pk]) for one in waiting]
    spans = [(column, one.begin, one.until) for one in wishes for column in one.detector.columns]
    found = iter(series.raw_of_many(series.READINGS, spans, most=MOST_ROWS))
    for wish in wishes:
        times, values = aligned([next(found) for _ in wish.detector.columns])
        times, values = times[:MOST_ROWS], values[:MOST_ROWS]
        if not len(times) or times[-1] <= wish.since.timestamp():
            continue
        rows = [[None if math.isnan(value) else value for value in row] for row in values.tolist()]
        fit = wish.detector.fit
        assert fit
        item = ScoreItem(
            artifact=artifacts.address(fit.artifact), digest=fit.digest, times=times.tolist(), values=rows,
            state=wish.state, from_time=wish.from_time, explain_above=wish.detector.threshold,
        )  # fmt: skip
        yield wish.detector, item, datetime.fromtimestamp(times[-1], UTC)


def _until(detector: Any, newest: dict[int, datetime]) -> datetime | None:
    """The moment up to which all of its sensors have said something, or are not waited for; None while that is no later
    than what it has scored."""
    last = [newest[column] for column in detector.columns if column in newest]
    if not last:
        return None
    grace = max(_GRACE, timedelta(seconds=2 * detector.interval))
    until = max(last) if len(last) < len(detector.columns) else min(last)
    until = max(until, max(last) - grace)
    return until if until > _since(detector, until) else None


def _since(detector: Detector, until: datetime) -> datetime:
    return detector.scored_to or detector.watches_from or until


def _wish(detector: Any, until: datetime | None, state: str) -> _Wish:
    assert until
    since = _since(detector, until)
    if state:
        return _Wish(detector, since, since + timedelta(microseconds=1), until, state, 0.0)
    begin = since - timedelta(seconds=detector.context * detector.interval)
    newest = Score.objects.filter(detector_id=detector.pk, at__lte=since).aggregate(at=Max("at"))["at"]
    answered = newest or (since - timedelta(seconds=detector.interval))
    return _Wish(detector, since, begin, until, "", answered.timestamp() + detector.interval / 2)


def _remembered(detectors: Sequence[Detector]) -> dict[int, str]:
    """By detector; empty when it is of another version or another reading."""
    with client().pipeline(transaction=False) as pipe:
        for detector in detectors:
            pipe.hgetall(names.detector_state_key(detector.pk))
        kept = pipe.execute()
    found = {}
    for detector, one in zip(detectors, kept, strict=True):
        is_at_hand = one.get("fit") == str(detector.fit_id) and one.get("to") == stamp(detector.scored_to)
        found[detector.pk] = one["state"] if is_at_hand else ""
    return found


def stamp(moment: datetime | None) -> str:
    """Of the reading that a state is of."""
    return moment.isoformat() if moment else ""
