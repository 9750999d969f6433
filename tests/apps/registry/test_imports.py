"""Imports on this side: what is refused at once, what a finished one registers, what the command says."""

import hashlib
import json
import subprocess
import sys
import threading
from io import StringIO
from pathlib import Path

import psutil
import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command

from apps.audit.queries import entries_of
from apps.jobs import services as jobs
from apps.jobs import streams
from apps.jobs.models import Job
from apps.registry.models import ModelVersion
from apps.registry.services import InvalidImport, VersionInUse, delete_version, start_import
from apps.serving.models import Deployment, Revision
from contracts import names
from tests.workers import tiny_models

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    streams.client().flushdb()
    settings.IMPORT_ROOTS = [str(tmp_path / "imports")]
    settings.ARTIFACTS_DIR = str(tmp_path / "artifacts")
    (tmp_path / "imports" / "tiny").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_send_message", lambda job: None)


def wish(**values) -> dict:
    return {"actor": None, "source": "tiny", "name": "tiny", "title": "Tiny", **values}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"source": "../elsewhere"}, "source"),
        ({"source": "/etc"}, "source"),
        ({"source": "."}, "source"),
        ({"source": "missing"}, "source"),
        ({"name": "Upper Case"}, "name"),
        ({"name": "../up"}, "name"),
        ({"task": "juggling"}, "task"),
        ({"precision": "int3"}, "precision"),
    ],
)
def test_wishes_that_cannot_be_are_refused_at_once(unsent, values, field) -> None:
    with pytest.raises(InvalidImport) as refused:
        start_import(**wish(**values))
    assert (refused.value.field, Job.objects.count()) == (field, 0)


def artifact(places: Path, name: str = "tiny-1") -> dict:
    folder = places / "artifacts" / name
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"onnx")
    files = {"model.onnx": {"sha256": hashlib.sha256(b"onnx").hexdigest(), "bytes": 4}}
    raw = json.dumps({"task": "feature-extraction", "licence": "MIT", "files": files}).encode()
    (folder / "manifest.json").write_bytes(raw)
    return {"artifact": name, "digest": hashlib.sha256(raw).hexdigest()}


def settle(job: Job, result: dict) -> Job:
    """As the worker's last entries would."""
    key = names.job_stream_key(str(job.pk))
    for seq, (event, data) in enumerate((("result", result), ("done", {})), start=10):
        streams.client().xadd(key, {"event": event, "data": json.dumps(data)}, id=f"{seq}-0")
    streams.client().hset(names.job_key(str(job.pk)), "state", "done")
    jobs.settle(job_id=str(job.pk))
    job.refresh_from_db()
    return job


def test_a_finished_import_becomes_a_version(unsent, places, owner) -> None:
    job = start_import(**wish(actor=owner))
    settle(job, artifact(places))
    version = ModelVersion.objects.get()
    assert (job.state, job.result["version"]) == ("SUCCEEDED", version.pk)
    assert (str(version), version.artifact, version.model.licence) == ("tiny v1", "tiny-1", "MIT")
    assert [(entry.action, entry.actor_id) for entry in entries_of(version)] == [("model.import", owner.pk)]


def test_a_file_that_was_changed_is_not_registered(unsent, places) -> None:
    result = artifact(places)
    (places / "artifacts/tiny-1/model.onnx").write_bytes(b"evil")
    job = settle(start_import(**wish()), result)
    assert (job.state, ModelVersion.objects.count()) == ("FAILED", 0)
    assert "its sha256 is another" in job.reason


def test_a_version_in_use_stays(unsent, places, owner) -> None:
    settle(start_import(**wish()), artifact(places))
    version = ModelVersion.objects.get()
    deployment = Deployment.objects.create(name="live")
    revision = Revision.objects.create(deployment=deployment, number=1, version=version)
    with pytest.raises(VersionInUse, match="tiny v1 is used by live@1"):
        delete_version(actor=owner, version=version)
    assert (places / "artifacts/tiny-1").exists()
    revision.delete()
    delete_version(actor=owner, version=version)
    assert not (places / "artifacts/tiny-1").exists()


class WorkerTrain:
    """The process of the Procfile, on the test's Redis."""

    def __init__(self, places: Path) -> None:
        command = [sys.executable, "-m", "celery", "--quiet", "-A", "workers.train", "worker", "--pool", "threads"]
        command += ["--concurrency", "1", "-Q", "train", "--without-gossip", "--without-mingle", "-l", "WARNING"]
        environment = {"REDIS_URL": django_settings.REDIS_URL, "ARTIFACTS_DIR": str(places / "artifacts")}
        environment |= {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(places)}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def resident(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss


@pytest.mark.slow
def test_the_command_imports_through_worker_train(places) -> None:
    """The whole way; then worker-train is killed in the middle of another one."""
    tiny_models.encoder(places / "imports" / "tiny")
    worker = WorkerTrain(places)
    said = StringIO()
    try:
        call_command("import_model", "tiny", "--name", "tiny", "--title", "Tiny", "--wait", stdout=said)
        assert "tiny: tiny-" in said.getvalue().splitlines()[-1]
        assert str(ModelVersion.objects.get()) == "tiny v1"
        assert worker.resident() < 120 * 10**6
        (places / "imports" / "broken").mkdir()
        with pytest.raises(CommandError, match="no model that can be imported"):
            call_command("import_model", "broken", "--name", "broken", "--wait", stdout=said)
        tiny_models.encoder(places / "imports" / "second", labels=2)
        job = start_import(**wish(source="second", name="second"))
        killer = threading.Timer(4, worker.kill)
        killer.start()
        while not (job.refresh_from_db() or job.is_over):
            jobs.recover()
            killer.finished.wait(0.5)
        assert (job.state, "interrupted" in job.reason) == ("FAILED", True)
        worker = WorkerTrain(places)
        assert jobs.retry(job=job, actor=None)
        while not (job.refresh_from_db() or job.is_over):
            jobs.recover()
            threading.Event().wait(0.5)
        assert (job.state, job.reason, job.attempt) == ("SUCCEEDED", "", 2)
    finally:
        worker.kill()
    assert list((places / "artifacts").glob(".job-*")) == []
