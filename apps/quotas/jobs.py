"""Jobs are limited by the compute seconds of who asked for them: refused when those are used up, counted when the job
ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import transaction
from django.dispatch import receiver

from apps.jobs.models import Job
from apps.jobs.signals import JobRefused, job_asked, job_ended
from apps.quotas.admission import LimitReached
from apps.quotas.limits import LimitsUnknown
from apps.quotas.services import reserve
from apps.quotas.settlement import Use, settle
from apps.quotas.usage import Amounts, account_of
from apps.quotas.words import refusal_words

KIND = "job"


@receiver(job_asked)
def reserve_job(job: Job, **kwargs: Any) -> None:
    """Raises JobRefused: then the job is not made. Something has to be left to begin; how much a job will take nobody
    knows, so one that has begun goes on to its end."""
    if job.created_by is None:
        return
    amounts = Amounts(compute_ms=settings.QUOTA_COMPUTE_MS)
    seconds = settings.JOB_TIME_LIMIT + 86_400
    account = account_of(job.created_by)
    with refusing():
        reserve(account=account, source=source_of(job), amounts=amounts, kind=KIND, seconds=seconds)


@receiver(job_ended)
def settle_job(job: Job, **kwargs: Any) -> None:
    """Once the end is committed. Where that fails the sweep does it."""
    seconds = (job.ended_at - job.started_at).total_seconds() if job.started_at and job.ended_at else 0.0
    ended_at = job.ended_at.timestamp() if job.ended_at else time.time()
    use = Use(source_of(job), Amounts(compute_ms=round(1000 * seconds)), ended_at, outcome=job.state.lower())
    transaction.on_commit(lambda: settle([use]))


@contextmanager
def refusing() -> Iterator[None]:
    """What a limit refuses is told as JobRefused, and is its cause."""
    try:
        yield
    except LimitReached as error:
        raise JobRefused(refusal_words(error)) from error
    except LimitsUnknown as error:
        raise JobRefused(str(error)) from error


def source_of(job: Job) -> str:
    return f"job:{job.pk}:{job.attempt}"
