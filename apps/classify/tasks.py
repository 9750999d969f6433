"""Celery entry points of classify, on queue `app`: files are decoded here, never in the web process."""

from celery import shared_task

from apps.classify import batches
from apps.classify.models import Batch
from contracts import names


@shared_task(name=names.READ_BATCH_TASK)
def read_batch(batch_id: str) -> None:
    batch = Batch.objects.filter(pk=batch_id, status=Batch.Status.READING).first()
    if batch is not None:
        batches.read(batch=batch)


@shared_task(name=names.SWEEP_BATCHES_TASK)
def sweep() -> None:
    batches.sweep()
