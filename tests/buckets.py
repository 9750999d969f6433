"""A real S3 server in this process (moto's), and artifacts to put there."""

import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

_NUMBERS = itertools.count(1)


@contextmanager
def s3_server() -> Iterator[str]:
    """Its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


class TestBucket:
    """`address` is s3://bucket/models."""

    __test__ = False

    def __init__(self, endpoint: str, patch: pytest.MonkeyPatch) -> None:
        import boto3

        environment = {
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        self.name = f"bucket-{next(_NUMBERS)}"
        self.address = f"s3://{self.name}/models"
        self.client: Any = boto3.session.Session().client("s3")
        self.client.create_bucket(Bucket=self.name)

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=f"models/{key}", Body=body)

    def keys(self) -> list[str]:
        listed = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return [one["Key"] for one in listed]

    def add(self, name: str, files: dict[str, bytes]) -> tuple[str, str]:
        """Address and digest of an artifact with these files."""
        raw = manifest_of(files)
        for file, body in {**files, "manifest.json": raw}.items():
            self.put(f"{name}/{file}", body)
        return f"{self.address}/{name}", hashlib.sha256(raw).hexdigest()


def manifest_of(files: dict[str, bytes], **values: Any) -> bytes:
    listed = {name: {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)} for name, body in files.items()}
    return json.dumps({"task": "feature-extraction", "licence": "MIT", "files": listed, **values}).encode()


def write_artifact(folder: Path, files: dict[str, bytes], **values: Any) -> str:
    """Its digest."""
    folder.mkdir(parents=True)
    raw = manifest_of(files, **values)
    for name, body in {**files, "manifest.json": raw}.items():
        (folder / name).write_bytes(body)
    return hashlib.sha256(raw).hexdigest()


def environment() -> dict[str, str]:
    """What another process needs to find the server."""
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
