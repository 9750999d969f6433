"""Artifacts on this side: checked when they are registered, addressed for workers, deleted; a folder and a bucket."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from apps.jobs import services as jobs
from apps.jobs.models import Job
from apps.registry import artifacts
from apps.registry.artifacts import InvalidArtifact
from apps.registry.models import ModelVersion
from apps.registry.services import delete_version, register_made, register_version, start_import
from apps.serving.models import Deployment
from apps.serving.queries import spec_of
from tests.buckets import write_artifact

FILES = {"model.onnx": b"m" * 3000, "tokenizer.json": b"{}"}
KEYS = [f"models/tiny-1/{name}" for name in ("manifest.json", "model.onnx", "tokenizer.json")]


@pytest.fixture
def root(tmp_path: Path, settings) -> Path:
    settings.ARTIFACTS_DIR = str(tmp_path / "artifacts")
    return tmp_path / "artifacts"


@pytest.fixture
def store(root, bucket, settings):
    settings.ARTIFACT_STORE = bucket.address
    return bucket


def test_a_folder_keeps_its_place(root, tmp_path) -> None:
    assert artifacts.take_in(root / "tiny-1") == "tiny-1"
    assert artifacts.take_in(tmp_path / "elsewhere") == str(tmp_path / "elsewhere")
    assert artifacts.address("tiny-1") == str(root / "tiny-1")
    assert artifacts.address("/elsewhere") == "/elsewhere"


def test_what_is_outside_is_not_deleted(root, tmp_path) -> None:
    write_artifact(root / "tiny-1", FILES)
    write_artifact(tmp_path / "elsewhere", FILES)
    for name in ("tiny-1", str(tmp_path / "elsewhere")):
        artifacts.delete(name)
    assert ((root / "tiny-1").exists(), (tmp_path / "elsewhere").exists()) == (False, True)


@pytest.mark.parametrize("name", ["../secret", "link"])
def test_a_file_outside_of_the_artifact_is_refused(root, name) -> None:
    (root.parent / "secret").write_bytes(b"secret")
    write_artifact(root / "tiny-1", {"link": b"secret"})
    manifest = (root / "tiny-1/manifest.json").read_text().replace('"link"', f'"{name}"')
    (root / "tiny-1/manifest.json").write_text(manifest)
    (root / "tiny-1/link").unlink()
    (root / "tiny-1/link").symlink_to(root.parent / "secret")
    with pytest.raises(InvalidArtifact, match=f"{name} lies outside of"):
        artifacts.read("tiny-1")


def test_an_artifact_of_a_bucket_is_read_and_deleted(store) -> None:
    address, digest = store.add("tiny-1", FILES)
    manifest, found = artifacts.read("tiny-1")
    assert (found, sorted(manifest["files"])) == (digest, sorted(FILES))
    assert artifacts.address("tiny-1") == address
    artifacts.delete("tiny-1")
    assert store.keys() == []


@pytest.mark.parametrize(
    ("key", "body", "message"),
    [
        ("tiny-1/model.onnx", b"m", r"model\.onnx is not the file that the manifest lists: its size is another"),
        ("tiny-1/manifest.json", b'{"task": "t", "files": {"gone": {"bytes": 1}}}', "gone is listed .* but missing"),
        ("tiny-1/manifest.json", b'{"task": "t", "files": {"../evil": {"bytes": 1}}}', "evil lies outside of"),
        ("tiny-1/manifest.json", b"{", "cannot be read"),
    ],
)
def test_a_damaged_artifact_of_a_bucket_is_refused(store, key, body, message) -> None:
    store.add("tiny-1", FILES)
    store.put(key, body)
    with pytest.raises(InvalidArtifact, match=message):
        artifacts.read("tiny-1")


@pytest.mark.parametrize("change", ["missing", "no server"])
def test_what_cannot_be_had_is_named(store, monkeypatch, change) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    if change == "no server":
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(InvalidArtifact, match=r"models/tiny-1/manifest\.json cannot be read"):
        artifacts.read("tiny-1")


@pytest.mark.django_db
def test_a_folder_is_copied_into_the_bucket_when_it_is_registered(store, tmp_path) -> None:
    digest = write_artifact(tmp_path / "made", FILES, name="tiny")
    version = register_version(artifact=tmp_path / "made", name="tiny", title="Tiny")
    assert register_version(artifact=tmp_path / "made", name="tiny", title="Tiny") == version
    name = f"tiny-{digest[:16]}"
    assert (version.artifact, version.digest) == (name, digest)
    assert store.keys() == [key.replace("tiny-1", name) for key in KEYS]
    revision = Deployment.objects.create(name="live").revisions.create(number=1, version=version)
    assert (spec_of(revision).artifact, spec_of(revision).digest) == (f"{store.address}/{name}", digest)


@pytest.mark.django_db(transaction=True)
def test_an_import_into_the_bucket_is_registered_and_deleted(store, owner, settings, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "_send_message", lambda job: None)
    settings.IMPORT_ROOTS = [str(tmp_path)]
    (tmp_path / "source").mkdir()
    job: Job = start_import(actor=owner, source="source", name="tiny", title="Tiny")
    assert job.arguments["store"] == store.address
    _address, digest = store.add("tiny-1", FILES)
    job.result = {"artifact": "tiny-1", "digest": digest}
    version = register_made(job=job)
    assert (version.artifact, ModelVersion.objects.count()) == ("tiny-1", 1)
    delete_version(actor=owner, version=version)
    assert store.keys() == []


@pytest.mark.django_db(transaction=True)
def test_the_command_takes_a_path_from_where_it_is_called(store, tmp_path, monkeypatch) -> None:
    write_artifact(tmp_path / "made", FILES, name="tiny")
    monkeypatch.chdir(tmp_path)
    call_command("register_model", "--artifact", "made", "--name", "tiny", "--title", "Tiny")
    assert len(store.keys()) == 3


def test_without_a_bucket_its_client_is_not_loaded(root) -> None:
    write_artifact(root / "tiny-1", FILES)
    code = (
        "import sys, django; django.setup(); from apps.registry import artifacts\n"
        f"from django.conf import settings; settings.ARTIFACTS_DIR = {str(root)!r}\n"
        "artifacts.read('tiny-1'); artifacts.delete('tiny-1'); print(sorted({'boto3', 'storages'} & set(sys.modules)))"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (asked.stdout.strip(), (root / "tiny-1").exists()) == ("[]", False), asked.stderr
