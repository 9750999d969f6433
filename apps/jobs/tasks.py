"""Celery entry points of jobs, on queue `app`."""

from celery import shared_task

from apps.jobs import services
from contracts import names


@shared_task(name=names.JOB_ENDED_TASK)
def ended(job_id: str) -> None:
    services.settle(job_id=job_id)


@shared_task(name=names.RECOVER_JOBS_TASK)
def recover() -> None:
    services.recover()
