"""Bytes of models: those of an import, or of an adaptation, are reserved when it is asked for, and held from its end
until the version is deleted. They count for who asked; what an operator registers by command counts for nobody."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from apps.jobs.models import Job
from apps.jobs.signals import job_asked, job_ended
from apps.quotas.jobs import refusing, source_of
from apps.quotas.services import hold_bytes, release_bytes, reserve
from apps.quotas.settlement import release
from apps.quotas.usage import Amounts, account_of
from apps.registry.models import ModelVersion
from apps.registry.services import IMPORT
from contracts.adaptation import ADAPT_JOB

KIND = "model"
_KINDS = (IMPORT, ADAPT_JOB)


@receiver(job_asked)
def reserve_import(job: Job, **kwargs: Any) -> None:
    """As much as its source has, or its base takes: how much the model will take nobody knows yet. Raises
    JobRefused."""
    if job.kind not in _KINDS or job.created_by is None:
        return
    amounts = Amounts(stored_bytes=_expected(job))
    seconds = settings.JOB_TIME_LIMIT + 86_400
    with refusing():
        reserve(account=account_of(job.created_by), source=bytes_of(job), amounts=amounts, kind=KIND, seconds=seconds)


@receiver(job_ended)
def settle_import(job: Job, **kwargs: Any) -> None:
    """Once the end is committed. Where that fails the sweep does it."""
    if job.kind in _KINDS and job.created_by is not None:
        transaction.on_commit(lambda: _settle(job))


@receiver(post_delete, sender=ModelVersion)
def release_version(instance: ModelVersion, **kwargs: Any) -> None:
    """Within the transaction that deletes it."""
    release_bytes(source=_source(instance))


def bytes_of(job: Job) -> str:
    return f"{source_of(job)}:bytes"


def _settle(job: Job) -> None:
    """A version that was there before is held once, for who brought it first."""
    version = ModelVersion.objects.filter(pk=job.result.get("version")).first()
    if version is not None and job.created_by is not None:
        account = account_of(job.created_by)
        hold_bytes(account=account, source=_source(version), amount=_taken(version), kind=KIND, checks=False)
    release([bytes_of(job)])


def _source(version: ModelVersion) -> str:
    return f"version:{version.pk}"


def _expected(job: Job) -> int:
    if job.kind == IMPORT:
        return _size(Path(job.arguments.get("source", "")))
    base = ModelVersion.objects.filter(digest=job.arguments["base"]["digest"]).first()
    return _taken(base) if base else 0


def _taken(version: ModelVersion) -> int:
    return sum(int(file.get("bytes") or 0) for file in version.manifest.get("files", {}).values())


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
