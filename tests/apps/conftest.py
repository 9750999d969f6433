"""Fixtures of the Django side: a clean Redis and a worker that echoes."""

from collections.abc import Iterator

import pytest

from apps.registry.models import Model, ModelVersion
from apps.serving import connection, services
from apps.serving.models import Deployment
from tests.fakes import FakeWorker


@pytest.fixture(autouse=True)
def clean_redis() -> Iterator[None]:
    connection.client().flushdb()
    yield


@pytest.fixture
def deployment(db: None) -> Deployment:
    model = Model.objects.create(name="echo", title="Echo", task="text-generation")
    version = ModelVersion.objects.create(model=model, number=1, artifact="echo", digest="d" * 64)
    return Deployment.objects.create(name="echo", version=version)


@pytest.fixture
def worker(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWorker]:
    """A ready worker for `echo`; requests reach it without a broker."""
    services.publish_deployments()
    worker = FakeWorker(_bytes_client(), lambda request_id: services.settle(request_id=request_id)).start()
    monkeypatch.setattr(services, "_send", worker.serve)
    yield worker
    worker.engine.gate.set()
    for thread in worker.threads:
        thread.join(10)


def _bytes_client() -> "connection.redis.Redis":
    from django.conf import settings

    return connection.redis.Redis.from_url(settings.REDIS_URL)
