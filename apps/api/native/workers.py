"""Workers: who serves. For administrators."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Router, Schema

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth
from apps.api.native.paging import Page
from apps.api.native.running import in_thread
from apps.console import inventory

router = Router(auth=KeyAuth(Scope.ADMIN), tags=["Workers"])


class LoadedOut(Schema):
    revision: str = Field(description="deployment@number")
    state: str
    reason: str
    progress: float
    memory_bytes: int
    running: int
    waiting: int
    slots: int


class WorkerOut(Schema):
    id: str
    host: str
    pid: int
    started_at: datetime
    seen_seconds_ago: float
    cpus: int
    memory_total: int = Field(description="Bytes, as all memory here.")
    memory_free: int
    memory_used: int
    devices: list[dict[str, Any]]
    loaded: list[LoadedOut]


def _worker(row: inventory.WorkerRow) -> WorkerOut:
    lease = row.lease
    names = ("host", "pid", "cpus", "memory_total", "memory_free", "memory_used", "devices")
    reported = [name for name in LoadedOut.model_fields if name != "revision"]
    loaded = [
        LoadedOut(revision=key, **{name: getattr(report, name) for name in reported}) for key, report in row.loaded
    ]
    return WorkerOut(
        id=lease.worker_id,
        started_at=datetime.fromtimestamp(lease.started_at, UTC),
        seen_seconds_ago=row.seen,
        loaded=loaded,
        **{name: getattr(lease, name) for name in names},
    )


@router.get("/workers", response=Page[WorkerOut], summary="List workers")
@in_thread
def list_workers(request: HttpRequest) -> dict[str, Any]:
    """Those that are alive: there is one page."""
    return {"data": [_worker(row) for row in inventory.worker_rows(timezone.now().timestamp())], "next": None}
