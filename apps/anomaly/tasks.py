"""Celery entry points of anomaly, on queue `app`."""

from contextlib import suppress

from celery import shared_task
from django.conf import settings
from django.utils import timezone
from redis.exceptions import LockError

from apps.anomaly import deliveries, fitting, plant, retention, scored, scoring, telling, uploads, watching
from apps.anomaly.models import Fit, Upload
from apps.notices import tending
from apps.serving import requests
from apps.serving.connection import client
from contracts import names

_LOOKS_AT_MOST = 20.0  # seconds until another may look; a process that was killed stands in the way for as long


def _upload(upload_id: str) -> Upload | None:
    found = Upload.objects.select_related("asset__owner", "asset__key")
    return found.filter(pk=upload_id).first()


@shared_task(name=names.LOOK_AT_READINGS_TASK)
def look(upload_id: str) -> None:
    if upload := _upload(upload_id):
        uploads.look(upload=upload)


@shared_task(name=names.READ_READINGS_TASK)
def read(upload_id: str) -> None:
    """A slice of it; the next one stands behind everybody else's tasks."""
    upload = _upload(upload_id)
    if upload and uploads.read(upload=upload):
        telling.send(names.READ_READINGS_TASK, upload_id)


@shared_task(name=names.SIMULATE_TASK)
def simulate() -> None:
    """A slice of what is due; of a long history the next one stands behind everybody else's tasks."""
    if settings.ANOMALY_DEMO and plant.simulate():
        telling.send(names.SIMULATE_TASK)


@shared_task(name=names.PREPARE_FIT_TASK)
def prepare_fit(fit_id: int) -> None:
    fit = Fit.objects.select_related("detector__asset", "created_by").filter(pk=fit_id).first()
    if fit is not None:
        fitting.prepare(fit=fit)


@shared_task(name=names.SCORE_READINGS_TASK)
def score() -> None:
    scoring.send_fresh()


@shared_task(name=names.TAKE_SCORES_IN_TASK)
def take_in(request_id: str) -> None:
    scored.take_in(request_id=request_id, transcript=requests.transcript(request_id))


@shared_task(name=names.TEND_ANOMALY_TASK)
def tend() -> None:
    retention.tend(timezone.now())
    fitting.sweep()
    tending.tend(timezone.now())


@shared_task(name=names.DELIVER_TASK)
def deliver() -> None:
    """A slice of what is due; the next one stands behind everybody else's tasks."""
    if deliveries.deliver():
        telling.send(names.DELIVER_TASK)


@shared_task(name=names.WATCH_ANOMALY_TASK)
def watch() -> None:
    """One at a time: when hundreds of detectors stand still a look takes longer than the time until the next one, and
    two of them would keep everybody else's tasks waiting."""
    lock = client().lock(names.WATCHING_KEY, timeout=_LOOKS_AT_MOST, blocking=False)
    if not lock.acquire():
        return
    try:
        watching.watch()
    finally:
        with suppress(LockError):  # it took longer
            lock.release()
