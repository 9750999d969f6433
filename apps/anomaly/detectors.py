"""Verbs on detectors: make one, have it fitted, let it serve or not, set its threshold."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from apps.accounts.models import User
from apps.anomaly import fitting, incidents, telling, thresholds
from apps.anomaly.models import Asset, Detector, Fit, Sensor
from apps.audit.services import record
from apps.serving.connection import client
from contracts import names
from contracts.anomaly import MOST_SENSORS, Budget
from contracts.anomaly import Detector as Kind

State = Detector.State


@transaction.atomic
def create(*, asset: Asset, sensors: Sequence[Sensor], name: str = "") -> Detector:
    """Raises ValueError(`sensors: reason`)."""
    if not 1 <= len(sensors) <= MOST_SENSORS:
        raise ValueError(f"sensors: choose 1 to {MOST_SENSORS}")
    if any(one.asset_id != asset.pk for one in sensors):
        raise ValueError("sensors: are not all of this asset")
    label = name.strip()[:80] or (sensors[0].name if len(sensors) == 1 else asset.name)
    detector = Detector.objects.create(asset=asset, name=label, columns=[one.pk for one in sensors])
    detector.sensors.set(sensors)
    return detector


@transaction.atomic
def fit(
    *, detector: Detector, begin: datetime, end: datetime, actor: User | None, kind: str = Kind.AUTO,
    budget: float | None = None, per: str | None = None, serves_at_once: bool = True,
) -> Fit:  # fmt: skip
    """Collect the history and send it to worker-train; the new version serves when it is ready. Raises
    ValueError(`field: reason`)."""
    if kind not in list(Kind):
        raise ValueError(f"kind: is one of {', '.join(Kind)}")
    if begin >= end:
        raise ValueError("end: is before the begin")
    if detector.fits.filter(state__in=[Fit.State.PREPARING, Fit.State.FITTING]).exists():
        raise ValueError("detector: is being fitted already")
    if budget is not None or per is not None:
        _take_budget(detector, budget, per)
        detector.save(update_fields=["budget", "per"])
    number = (detector.fits.aggregate(last=Max("number"))["last"] or 0) + 1
    made = Fit.objects.create(
        detector=detector, number=number, asked=kind, begin=begin, end=end, columns=detector.columns,
        serves_at_once=serves_at_once, created_by=actor,
    )  # fmt: skip
    transaction.on_commit(lambda: telling.send(names.PREPARE_FIT_TASK, made.pk))
    return made


def serve(*, fit: Fit, actor: User | None) -> None:
    """The detector watches with this version from the next reading on; an earlier one is gone back to the same way.
    Writes the audit log. Raises ValueError(`fit: reason`)."""
    if fit.state != Fit.State.READY:
        raise ValueError("fit: is not ready")
    with transaction.atomic():
        fitting.serve(fit)
        record(action="detector.serve", target=fit.detector, actor=actor, version=fit.number)
    _forget(fit.detector)


def pause(*, detector: Detector) -> bool:
    """It scores nothing until `resume`. False when it does not watch."""
    watching = Detector.objects.filter(pk=detector.pk, state=State.WATCHING)
    done = bool(watching.update(state=State.PAUSED, request_id="", problem=""))
    telling.tell(detector.asset_id, type="detector", detector=detector.pk)
    return done


@transaction.atomic
def resume(*, detector: Detector) -> bool:
    """From now on: what came meanwhile raises no alarm."""
    if not Detector.objects.filter(pk=detector.pk, state=State.PAUSED).update(state=State.WATCHING):
        return False
    fitting.begin_now(detector)
    transaction.on_commit(lambda: telling.ask_to_score(detector.asset_id))
    return True


@transaction.atomic
def delete(*, detector: Detector, actor: User | None, address: str | None = None) -> None:
    """With its fits and scores; incidents stay. Writes the audit log."""
    record(action="detector.delete", target=detector, actor=actor, address=address, asset=str(detector.asset))
    for finding in detector.findings.filter(ended_at=None):
        incidents.end_finding(finding=finding, at=finding.last_at)
    detector.delete()


def set_threshold(*, detector: Detector, threshold: float) -> Detector:
    """By hand: feedback leaves it alone. Raises ValueError(`threshold: reason`)."""
    if not math.isfinite(threshold) or not 0 < threshold < 1e9:
        raise ValueError("threshold: must be above 0")
    return _changed(detector, threshold=threshold, is_by_hand=True)


def set_budget(*, detector: Detector, budget: float, per: str) -> Detector:
    """So many false alarms a day, or steps in a hundred; the threshold follows. Raises ValueError(`budget: reason`)."""
    _take_budget(detector, budget, per)
    return _changed(detector, budget=budget, per=per, is_by_hand=False, threshold=thresholds.by_budget(detector))


def _take_budget(detector: Detector, budget: float | None, per: str | None) -> None:
    found = Budget(detector.budget if budget is None else budget, detector.per if per is None else per)
    detector.budget, detector.per = found.alarms, found.per


def _changed(detector: Detector, **values: Any) -> Detector:
    for name, value in values.items():
        setattr(detector, name, value)
    detector.save(update_fields=list(values))
    telling.tell(detector.asset_id, type="detector", detector=detector.pk)
    return detector


def _forget(detector: Detector) -> None:
    """What it remembers is of another version."""
    client().delete(names.detector_state_key(detector.pk))
    telling.tell(detector.asset_id, type="detector", detector=detector.pk)
