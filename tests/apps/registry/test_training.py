"""Trainings on this side: what is refused at once, what a finished one registers, what an interruption leaves."""

import hashlib
import json
from pathlib import Path

import pytest

from apps.audit.queries import entries_of
from apps.console.history import line
from apps.jobs import services as jobs
from apps.jobs import streams
from apps.jobs.models import Job
from apps.registry.models import Model, ModelVersion
from apps.registry.services import InvalidImport
from apps.registry.training import start_training
from contracts import names

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    streams.client().flushdb()
    settings.ARTIFACTS_DIR = str(tmp_path)
    monkeypatch.setattr(jobs, "_send_message", lambda job: None)
    return tmp_path


def wish(**values) -> dict:
    return {"actor": None, "recipe": "v1.sst2", "name": "mood", "title": "Mood", "seed": 4, **values}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"recipe": "v1.nothing"}, "recipe"),
        ({"name": "Upper Case"}, "name"),
        ({"name": "chat"}, "name"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"precision": "int4"}, "precision"),
        ({"recipe": "v3.shakespeare", "precision": "int8"}, "precision"),
        ({"mesh": {"dp": 2}}, "dp"),
        ({"recipe": "v3.shakespeare", "mesh": {"dp": 8, "ep": 8, "pp": 4}}, "dp"),
        ({"recipe": "v3.shakespeare", "mesh": {"pp": 5, "micro_batches": 8}}, "pp"),
        ({"recipe": "v3.shakespeare", "mesh": {"ep": 3}}, "ep"),
        ({"recipe": "v3.shakespeare", "mesh": {"pp": 2}}, "micro_batches"),
        ({"recipe": "v3.shakespeare", "mesh": {"dp": 3}}, "micro_batches"),
    ],
)
def test_wishes_that_cannot_be_are_refused_at_once(values, field) -> None:
    Model.objects.create(name="chat", title="Chat", task="text-generation")
    with pytest.raises(InvalidImport) as refused:
        start_training(**wish(**values))
    assert (refused.value.field, Job.objects.count()) == (field, 0)


def say(job: Job, *entries: tuple[str, dict]) -> Job:
    """As the worker's entries would."""
    key = names.job_stream_key(str(job.pk))
    for seq, (event, data) in enumerate(entries, start=10):
        streams.client().xadd(key, {"event": event, "data": json.dumps(data)}, id=f"{seq}-0")
    streams.client().hset(names.job_key(str(job.pk)), "seq", seq)
    jobs.settle(job_id=str(job.pk))
    job.refresh_from_db()
    return job


def point(step: int) -> dict:
    return {"step": step, "steps": 3, "loss": 1 / step, "rate": 2.0, "seconds_left": 0, "figures": {}}


def told(step: int) -> tuple[str, dict]:
    return "progress", {"stage": "training", "fraction": 0.1, **point(step)}


def test_a_training_that_succeeded_is_a_version_with_its_curve(places: Path, owner) -> None:
    (places / "mood-1").mkdir()
    raw = json.dumps({"task": "text-classification", "licence": "MIT", "files": {}}).encode()
    (places / "mood-1" / "manifest.json").write_bytes(raw)
    job = start_training(**wish(actor=owner))
    recipe = ("progress", {"stage": "estimating the memory", "fraction": 0.0, "recipe": {"name": "v1-sst2"}})
    result = {"artifact": "mood-1", "digest": hashlib.sha256(raw).hexdigest(), "metrics": {"accuracy": 0.9}}

    say(job, recipe, told(1), told(2), told(3), ("result", result), ("done", {}))

    version = ModelVersion.objects.get()
    assert (str(version), job.state, job.result["version"]) == ("mood v1", "SUCCEEDED", version.pk)
    assert job.details == {"recipe": {"name": "v1-sst2"}, "points": [point(1), point(2), point(3)], "ranks": []}
    assert line(entries_of(version)[0]).what == "registered mood v1, trained with v1.sst2, seed 4"


def test_a_cancelled_training_keeps_its_curve_until_it_is_tried_again() -> None:
    job = start_training(**wish())
    say(job, told(1), told(2), ("error", {"type": "cancelled", "message": "The job was cancelled."}))
    assert (job.state, len(job.details["points"])) == ("CANCELLED", 2)
    assert jobs.retry(job=job, actor=None)
    assert job.details == {}


def test_an_interrupted_training_does_not_say_that_nothing_is_left() -> None:
    job = start_training(**wish())
    Job.objects.update(state=Job.State.RUNNING)
    streams.client().flushdb()
    jobs.recover()
    job.refresh_from_db()
    assert (job.state, "goes on from its last checkpoint" in job.reason) == ("FAILED", True)


@pytest.mark.parametrize(
    ("values", "mesh", "precision"),
    [
        ({}, None, "int8"),
        ({"recipe": "v3.shakespeare"}, None, "fp32"),
        ({"recipe": "v3.shakespeare", "mesh": {"dp": 1, "pp": 1}}, None, "fp32"),
        ({"recipe": "v3.shakespeare", "mesh": {"pp": 2, "micro_batches": 4}},
         {"dp": 1, "pp": 2, "ep": 1, "micro_batches": 4}, "fp32"),
    ],
)  # fmt: skip
def test_the_job_has_the_mesh_and_the_precision_of_its_recipe(values, mesh, precision) -> None:
    arguments = start_training(**wish(**values)).arguments
    assert (arguments.get("mesh"), arguments["precision"]) == (mesh, precision)


def test_the_end_keeps_the_newest_of_what_processes_said() -> None:
    job = start_training(**wish(recipe="v3.shakespeare"))
    rows = [[{"rank": 0, "step": step}] for step in (1, 2)]
    told = [("progress", {"stage": "training", "fraction": 0.1, **point(at + 1), "ranks": rows[at]}) for at in (0, 1)]
    say(job, ("started", {"attempt": 1}), *told, ("error", {"type": "cancelled", "message": "The job was cancelled."}))
    assert job.details["ranks"] == rows[1]
    assert job.details["points"] == [point(1), point(2)]
