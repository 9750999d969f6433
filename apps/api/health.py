"""Probes: alive, and able to do its work."""

import threading
import time

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from apps.serving.connection import client
from apps.serving.queries import leases
from contracts.messages import WorkerLease

_SECONDS = 1.0  # that an answer is good for: whoever asks how often, the database is asked once
_asking = threading.Lock()
_last: tuple[float, dict[str, bool]] = (0.0, {})


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database, Redis and a worker with a loaded model answer; 503 and which does not otherwise."""
    global _last
    with _asking:
        until, checks = _last
        if time.monotonic() >= until:
            checks = _checks()
            _last = time.monotonic() + _SECONDS, checks
    return JsonResponse(checks, status=200 if all(checks.values()) else 503)


def _checks() -> dict[str, bool]:
    checks = {"database": _database_answers(), "redis": _redis_answers()}
    checks["worker"] = checks["redis"] and any(map(_has_a_model, leases()))
    return checks


def _has_a_model(lease: WorkerLease) -> bool:
    return any(lease.is_ready(key) for key in lease.revisions)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def _redis_answers() -> bool:
    try:
        return bool(client().ping())
    except RedisError:
        return False


urlpatterns = [path("healthz", healthz), path("readyz", readyz)]
