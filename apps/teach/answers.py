"""What ended requests say of versions and of what waits for a label, and ended jobs of versions."""

from typing import Any

from django.dispatch import receiver

from apps.jobs.models import Job
from apps.jobs.signals import job_ended
from apps.serving.requests import Transcript
from apps.serving.signals import request_settled
from apps.teach import refining, teaching
from contracts.few_shot import REFINE_JOB


@receiver(request_settled)
def take_in(request_id: str, transcript: Transcript, *, is_awaited: bool = False, **kwargs: Any) -> None:
    """Idempotent. Whatever streams, or is awaited by who sent it, is none of these."""
    if not (is_awaited or transcript.text):
        teaching.take_in(request_id=request_id, transcript=transcript)


@receiver(job_ended)
def settle_refined(job: Job, **kwargs: Any) -> None:
    """In the transaction that stores the end of the job."""
    if job.kind == REFINE_JOB:
        refining.settle(job=job)
