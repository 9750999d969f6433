"""Reservations whose use will never be settled are given back."""

import json
import time
from typing import Any

from apps.jobs.models import Job
from apps.quotas.jobs import settle_job, source_of
from apps.quotas.settlement import release
from apps.quotas.stored import settle_import
from apps.serving import requests
from apps.serving.connection import client
from contracts import names

_PATIENCE = 60.0  # seconds that a transaction may take between reservation and commit
_GRACE = 3600.0  # seconds after the end within which something may still be settled


def sweep(*, now: float | None = None) -> list[str]:
    """Release what Redis has no request for, what the database has no job for, and what is long over; returns the
    sources."""
    now = now or time.time()
    held = {source: json.loads(said) for source, said in client().hgetall(names.RESERVATIONS_KEY).items()}
    old = {source: said for source, said in held.items() if now - said["at"] > _PATIENCE}
    alive = _live_requests(old) | _jobs_of(old)
    lost = [source for source, said in old.items() if source not in alive and _is_lost(source, said, now)]
    release(lost)
    return lost


def _is_lost(source: str, said: dict[str, Any], now: float) -> bool:
    return source.startswith(("request:", "job:")) or now > said["ends"] + _GRACE


def _live_requests(held: dict[str, Any]) -> set[str]:
    sources = [source for source in held if source.startswith("request:")]
    found = requests.exists([source.removeprefix("request:") for source in sources])
    return {source for source, is_there in zip(sources, found, strict=True) if is_there}


def _jobs_of(held: dict[str, Any]) -> set[str]:
    """By job and attempt: `job:<id>:<attempt>`, and `…:bytes` of an import. Those that are over are settled now."""
    sources = {source: source.removesuffix(":bytes") for source in held if source.startswith("job:")}
    ids = {one.split(":")[1] for one in sources}
    found = {source_of(job): job for job in Job.objects.select_related("created_by").filter(pk__in=ids)}
    alive = {source: found[name] for source, name in sources.items() if name in found}
    for job in {job.pk: job for job in alive.values() if job.is_over}.values():
        settle_job(job)
        settle_import(job)
    return set(alive)
