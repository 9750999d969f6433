"""Probes: alive, and able to do its work."""

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from apps.serving.connection import client
from apps.serving.queries import leases
from contracts.messages import WorkerLease


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database, Redis and a worker with a loaded model answer; 503 and which does not otherwise."""
    checks = {"database": _database_answers(), "redis": _redis_answers()}
    checks["worker"] = checks["redis"] and any(map(_has_a_model, leases()))
    return JsonResponse(checks, status=200 if all(checks.values()) else 503)


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
