"""Celery entry points of anomaly, on queue `app`."""

from celery import shared_task

from apps.anomaly import telling, uploads
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
