"""What the registry does when an import, a training or an adaptation has ended."""

from typing import Any

from apps.jobs.models import Job
from apps.jobs.signals import JobRefused
from apps.registry import services
from contracts.adaptation import ADAPT_JOB


def register(job: Job, **kwargs: Any) -> None:
    """What succeeded becomes a version."""
    if job.kind not in (services.IMPORT, services.TRAIN, ADAPT_JOB) or job.state != Job.State.SUCCEEDED:
        return
    try:
        services.register_made(job=job)
    except services.InvalidArtifact as error:
        raise JobRefused(str(error)) from error
