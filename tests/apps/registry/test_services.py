"""Registering artifacts: versions are added, never changed; broken folders are refused with a reason."""

import hashlib
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.registry.artifacts import InvalidArtifact
from apps.registry.models import ModelVersion
from apps.registry.services import register_version
from apps.serving import queries
from apps.serving.models import Deployment

pytestmark = pytest.mark.django_db


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    return write(
        tmp_path,
        {
            "task": "text-generation",
            "context_length": 8192,
            "files": {"model.onnx": {"sha256": hashlib.sha256(b"onnx").hexdigest()}},
        },
    )


def write(folder: Path, manifest: object) -> Path:
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_same_artifact_is_one_version(artifact: Path) -> None:
    first = register_version(artifact=artifact, name="chat", title="Chat")
    assert register_version(artifact=artifact, name="chat", title="Chat") == first
    write(artifact, {"task": "text-generation", "files": {}})
    second = register_version(artifact=artifact, name="chat", title="Chat")
    assert (first.number, second.number, ModelVersion.objects.count()) == (1, 2, 2)


@pytest.mark.parametrize("manifest", ["[]", "{}", "{not json", '{"task": ""}'])
def test_unusable_manifest_is_refused(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(InvalidArtifact):
        register_version(artifact=tmp_path, name="chat", title="Chat")


def test_missing_file_is_named(artifact: Path) -> None:
    (artifact / "model.onnx").unlink()
    with pytest.raises(InvalidArtifact, match=r"model\.onnx is listed"):
        register_version(artifact=artifact, name="chat", title="Chat")


@pytest.mark.django_db(transaction=True)
def test_command_deploys_what_it_registers(artifact: Path) -> None:
    call_command("register_model", "--artifact", str(artifact), "--name", "chat", "--title", "Chat")
    deployment = Deployment.objects.get()
    spec = queries.spec_of(deployment.revisions.get())
    assert (spec.key, spec.task, spec.artifact) == ("chat@1", "text-generation", str(artifact))
    assert queries.published_specs() == {"chat@1": spec.to_json()}
    assert [(state.name, state.state) for state in queries.deployment_states()] == [("chat", "PENDING")]


def test_command_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("register_model", "--artifact", str(tmp_path), "--name", "chat", "--title", "Chat")
