"""Celery entry points of anomaly, on queue `app`."""

from celery import shared_task
from django.conf import settings

from apps.anomaly import plant, telling, uploads
from apps.anomaly.models import Upload
from contracts import names


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
