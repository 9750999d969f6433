"""What ended requests say of readings, and ended jobs of detectors."""

from typing import Any

from django.dispatch import receiver

from apps.anomaly import fitting, scored, telling
from apps.jobs.models import Job
from apps.jobs.signals import job_ended
from apps.serving.requests import Transcript
from apps.serving.signals import request_settled
from contracts import names
from contracts.anomaly import FIT_JOB


@receiver(request_settled)
def take_in(request_id: str, transcript: Transcript, *, is_awaited: bool = False, **kwargs: Any) -> None:
    """Idempotent. Stored by a task: settling is in everybody's way."""
    if not is_awaited and scored.is_expected(request_id, transcript):
        telling.send(names.TAKE_SCORES_IN_TASK, request_id)


@receiver(job_ended)
def settle_fit(job: Job, **kwargs: Any) -> None:
    """In the transaction that stores the end of the job."""
    if job.kind == FIT_JOB:
        fitting.settle(job=job)
