"""What the registry does when an import has ended."""

from typing import Any

from apps.jobs.models import Job
from apps.jobs.signals import JobRefused
from apps.registry import services


def register(job: Job, **kwargs: Any) -> None:
    """An import that succeeded becomes a version."""
    if job.kind != services.IMPORT or job.state != Job.State.SUCCEEDED:
        return
    try:
        services.register_import(job=job)
    except services.InvalidArtifact as error:
        raise JobRefused(str(error)) from error
