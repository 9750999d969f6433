"""Fixtures of the Django side: a clean Redis and a worker that echoes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from apps.quotas import limits
from apps.registry.models import Model, ModelVersion
from apps.serving import connection, deployments, reconcile, services, snapshot
from apps.serving.models import Deployment
from tests.fakes import FakeWorker

W = TypeVar("W", bound=FakeWorker)


@pytest.fixture(autouse=True)
def clean_redis() -> Iterator[None]:
    connection.client().flushdb()
    yield


@pytest.fixture(autouse=True)
def fresh_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test changes is seen at once."""
    monkeypatch.setattr(snapshot, "MAX_AGE", 0)
    monkeypatch.setattr(limits, "MAX_AGE", 0)
    monkeypatch.setattr(limits, "_latest", limits.Snapshot())


@pytest.fixture
def version(db: None) -> ModelVersion:
    model = Model.objects.create(name="echo", title="Echo", task="text-generation")
    return ModelVersion.objects.create(model=model, number=1, artifact="echo", digest="d" * 64)


@pytest.fixture
def deployment(version: ModelVersion) -> Deployment:
    return deployments.create_deployment(actor=None, name="echo", version=version)


@pytest.fixture
def worker(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWorker]:
    """A ready worker for `echo`; requests reach it without a broker."""
    with ready(FakeWorker, monkeypatch) as worker:
        yield worker


@contextmanager
def ready(kind: type[W], monkeypatch: pytest.MonkeyPatch) -> Iterator[W]:
    """A worker that has loaded what is deployed; requests reach it without a broker."""
    worker = kind(_bytes_client(), lambda request_id: services.settle(request_id=request_id))
    worker.start()
    reconcile.reconcile()
    worker.follow()
    reconcile.reconcile()
    monkeypatch.setattr(services, "send", worker.serve)
    over = threading.Event()

    def renew() -> None:
        """Its lease lasts five seconds, which a test may take on a busy machine."""
        while not over.wait(1):
            worker.host._keep_lease()

    renewing = threading.Thread(target=renew)
    renewing.start()
    yield worker
    over.set()
    renewing.join()
    worker.engine.gate.set()
    worker.wait()


def _bytes_client() -> "connection.redis.Redis":
    from django.conf import settings

    return connection.redis.Redis.from_url(settings.REDIS_URL)
