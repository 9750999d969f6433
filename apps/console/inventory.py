"""Rows of the pages of models, workers and jobs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from apps.jobs.models import Job
from apps.jobs.streams import Details
from apps.registry.models import Model, ModelVersion
from apps.serving.connection import client
from apps.serving.models import Revision
from apps.serving.queries import leases
from contracts import names
from contracts.messages import Event, RevisionReport, WorkerLease

# What has a history: the name of the model in the log, and how people call it.
KINDS = [
    ("deployment", _("Deployments")),
    ("job", _("Jobs")),
    ("modelversion", _("Versions")),
    ("model", _("Models")),
    ("apikey", _("API keys")),
    ("limit", _("Limits")),
    ("price", _("Prices")),
    ("user", _("People")),
    ("team", _("Teams")),
    ("invitation", _("Invitations")),
    ("organization", _("Organisation")),
]

_ENTRIES = 2000  # of a job's stream that a page looks at; its last log lines and its newest progress


@dataclass(frozen=True, slots=True)
class File:
    name: str
    sha256: str
    size: int  # bytes; 0 when the manifest does not say


@dataclass(frozen=True, slots=True)
class WorkerRow:
    lease: WorkerLease
    seen: float  # seconds since it last said something
    loaded: list[tuple[str, RevisionReport]]

    @property
    def running(self) -> int:
        return sum(report.running for _key, report in self.loaded)

    @property
    def waiting(self) -> int:
        return sum(report.waiting for _key, report in self.loaded)

    @property
    def slots(self) -> int:
        return sum(report.slots for _key, report in self.loaded)

    @property
    def memory_taken(self) -> int:
        """Bytes of the machine that are not free for loading."""
        return max(0, self.lease.memory_total - self.lease.memory_free)


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job with what its stream says while it runs."""

    job: Job
    state: str
    stage: str
    fraction: float
    log: str
    details: Details


def models() -> QuerySet[Model]:
    return Model.objects.prefetch_related("versions").order_by("name")


def files_of(version: ModelVersion) -> list[File]:
    """Files of the artifact as its manifest lists them: name -> sha256, or an object with it and the size."""
    return [
        File(name, one.get("sha256", ""), int(one.get("bytes", 0)))
        if isinstance(one, dict)
        else File(name, str(one), 0)
        for name, one in sorted(version.manifest.get("files", {}).items())
    ]


def uses_of(version: ModelVersion) -> list[str]:
    """Deployments that have, or had, a revision of it. It cannot be deleted while there are any."""
    rows = Revision.objects.filter(version=version).order_by("deployment__name")
    return list(rows.values_list("deployment__name", flat=True).distinct())


def used_versions() -> set[int]:
    return set(Revision.objects.values_list("version_id", flat=True).distinct())


def worker_rows(now: float) -> list[WorkerRow]:
    alive = sorted(leases(), key=lambda lease: (lease.host, lease.pid))
    return [
        WorkerRow(lease, max(0.0, now - (lease.expires - names.LEASE_TTL)), sorted(lease.revisions.items()))
        for lease in alive
    ]


def jobs() -> QuerySet[Job]:
    return Job.objects.select_related("created_by")


def made_by(job: Job) -> ModelVersion | None:
    """What the job has registered, unless it was deleted since."""
    return ModelVersion.objects.select_related("model").filter(pk=job.result.get("version")).first()


def job_rows(found: Iterable[Job]) -> list[JobRow]:
    """Jobs that are over as they are stored, the others as they are now; one round trip."""
    listed = list(found)
    with client().pipeline(transaction=False) as pipe:
        for job in listed:
            pipe.hget(names.job_key(str(job.pk)), "state")
            pipe.xrevrange(names.job_stream_key(str(job.pk)), count=1 if job.is_over else _ENTRIES)
        answers: list[Any] = pipe.execute()
    return [_job_row(job, answers[2 * at], answers[2 * at + 1]) for at, job in enumerate(listed)]


def _job_row(job: Job, state: str | None, newest_first: Sequence[tuple[str, dict[str, str]]]) -> JobRow:
    if job.is_over:
        return JobRow(job, job.state, job.stage, job.fraction, job.log, Details(**job.details))
    progress: dict[str, Any] = {}
    lines: list[str] = []
    details = Details()
    for _id, entry in reversed(newest_first):
        data = json.loads(entry["data"])
        if entry["event"] == Event.STARTED:
            progress, details = {}, Details()
        elif entry["event"] == Event.LOG:
            lines.append(str(data.get("line", "")))
        elif entry["event"] == Event.PROGRESS:
            progress = data
            details.add(data)
    shown = Job.State.RUNNING if state == "running" else job.state
    stage, fraction = str(progress.get("stage", job.stage)), float(progress.get("fraction", job.fraction))
    return JobRow(job, shown, stage, fraction, "\n".join(lines) or job.log, details)
