"""What worker-train puts into a bucket: the manifest last, nothing of what fails, nothing left of what was killed."""

from pathlib import Path

import pytest

from contracts.artifacts import addressing_style, split
from tests.buckets import write_artifact
from workers.artifacts import bucket as module
from workers.artifacts.bucket import Bucket, Unreachable
from workers.artifacts.store import Folder, InBucket

pytestmark = pytest.mark.integration
FILES = {"model.onnx": b"m" * 3000, "tokenizer.json": b"{}"}


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_what_is_put_is_listed(bucket, tmp_path: Path, kind) -> None:
    made, told = tmp_path / "job" / "artifact", []
    write_artifact(made, FILES)
    raw = (made / "manifest.json").read_bytes()
    store = Folder(tmp_path) if kind == "folder" else InBucket(bucket.address, told.append)
    store.put(made, "tiny-1")
    assert list(store.manifests()) == [("tiny-1", raw)]
    assert not made.exists()
    assert told[-1:] == ([1.0] if kind == "bucket" else [])


def test_nothing_is_left_of_an_upload_that_fails(bucket, tmp_path: Path, monkeypatch) -> None:
    made = tmp_path / "artifact"
    write_artifact(made, FILES)
    store = Bucket(bucket.address)
    (made / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError):
        store.upload(made, "tiny-1", lambda count: None)
    assert bucket.keys() == []


def test_what_a_killed_upload_left_is_removed_after_a_day(bucket, monkeypatch) -> None:
    bucket.add("whole", FILES)
    bucket.put("half/model.onnx", b"m")
    store = Bucket(bucket.address)
    assert store.sweep() == []
    monkeypatch.setattr(module, "_ABANDONED", -60)
    assert store.sweep() == ["half"]
    assert bucket.keys() == [f"models/whole/{name}" for name in ("manifest.json", "model.onnx", "tokenizer.json")]


def test_a_bucket_that_refuses_is_unreachable(bucket, monkeypatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nonexistent")
    with pytest.raises(Unreachable, match="credentials"):
        Bucket(bucket.address).read("tiny-1/manifest.json")


@pytest.mark.parametrize(
    ("address", "parts"),
    [("s3://b", ("b", "")), ("s3://b/p/", ("b", "p")), ("s3://b/p/q", ("b", "p/q"))],
)
def test_addresses(address, parts) -> None:
    assert split(address) == parts


@pytest.mark.parametrize("address", ["s3://", "/var/artifacts", "gs://b/p"])
def test_other_addresses_are_refused(address) -> None:
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        split(address)


def test_servers_of_ones_own_are_addressed_by_path(monkeypatch) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "ARTIFACT_STORE_ADDRESSING"):
        monkeypatch.delenv(name, raising=False)
    assert addressing_style() == "auto"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio:9000")
    assert addressing_style() == "path"
    monkeypatch.setenv("ARTIFACT_STORE_ADDRESSING", "virtual")
    assert addressing_style() == "virtual"
