"""An administrator, and one row or thirty of everything."""

import time
from collections.abc import Callable

import pytest
from django.contrib.auth.models import AbstractBaseUser
from django.test import Client

from apps.accounts.models import Role
from apps.audit.services import record
from apps.jobs.models import Job
from apps.registry.models import Model, ModelVersion
from apps.serving import stats
from apps.serving.connection import client
from apps.serving.models import Deployment, Revision
from contracts import names
from contracts.messages import RevisionReport, WorkerLease

MANIFEST = {
    "task": "text-generation",
    "precision": "int4",
    "licence": "apache-2.0",
    "context_length": 2048,
    "source": {"origin": "a folder"},
    "metrics": {"parity": {"max_abs_diff": 0.0003}},
    "command": "python -m workers.export.chat_model",
    "versions": {"onnx": "1.20"},
    "files": {"model.onnx": {"sha256": "a" * 64, "bytes": 3 * 2**20}},
}


@pytest.fixture
def administrator(owner: AbstractBaseUser) -> AbstractBaseUser:
    owner.role = Role.ADMIN
    owner.save()
    return owner


@pytest.fixture
def browser(administrator: AbstractBaseUser) -> Client:
    client = Client()
    client.force_login(administrator)
    return client


def make_model(name: str) -> ModelVersion:
    model = Model.objects.create(name=name, title=name.title(), task="text-generation", licence="apache-2.0")
    return ModelVersion.objects.create(
        model=model, number=1, artifact=name, digest=name.ljust(64, "0"), manifest=MANIFEST
    )


def make_deployment(name: str, version: ModelVersion) -> Deployment:
    """A stable revision and a canary, both READY on one worker."""
    deployment = Deployment.objects.create(name=name)
    for number, weight in ((1, 90), (2, 10)):
        Revision.objects.create(
            deployment=deployment, version=version, number=number, weight=weight, state=Revision.State.READY
        )
    return deployment


def make_lease(*keys: str, host: str = "gpu-01") -> None:
    """A worker that has the revisions loaded."""
    report = RevisionReport("READY", memory_bytes=2**30, running=1, slots=16)
    lease = WorkerLease(
        f"{host}-1",
        host,
        4711,
        time.time() + names.LEASE_TTL,
        dict.fromkeys(keys, report),
        cpus=8,
        memory_total=24 * 2**30,
        memory_free=18 * 2**30,
        memory_used=3 * 2**30,
    )
    client().hset(names.WORKERS_KEY, lease.worker_id, lease.to_json())


@pytest.fixture
def fill(administrator: AbstractBaseUser) -> Callable[[int], None]:
    def make(count: int) -> None:
        for n in range(count):
            deployment = make_deployment(f"chat-{n}", make_model(f"model-{n}"))
            record(action="deployment.pause", target=deployment, actor=administrator, address="10.0.0.1")
            Job.objects.create(kind="import", title=f"Import {n}", created_by=administrator)
        keys = [f"chat-{n}@{number}" for n in range(count) for number in (1, 2)]
        make_lease(*keys)
        stats.add({key: stats.measured(times={"latency": 0.3, "first": 0.1}, completion_tokens=60) for key in keys})

    return make
