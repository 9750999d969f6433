"""Artifacts in an S3 bucket.

Endpoint and credentials are boto3's own settings: AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_DEFAULT_REGION, or a role of the machine. boto3 is loaded by the first Bucket, not by importing this module.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contracts import artifacts
from contracts.artifacts import MANIFEST

Heard = Callable[[int], None]  # bytes since the last call

# An artifact whose manifest did not come is that of an upload that was killed, once it is this old (seconds).
_ABANDONED = 24 * 3600


class ArtifactError(RuntimeError):
    """The artifact cannot be had; the message is one sentence for the administrator."""


class Unreachable(ArtifactError):
    """The store does not answer, or not to us: worth another try later."""


class Bucket:
    """What is below `s3://bucket/prefix`. Every method raises ArtifactError. Thread-safe."""

    def __init__(self, address: str) -> None:
        import boto3
        from botocore.config import Config

        self.address = address
        self._bucket, self._prefix = artifacts.split(address)
        config = Config(
            connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 4},
            s3={"addressing_style": artifacts.addressing_style()},
        )  # fmt: skip
        with self._told():
            self._client: Any = boto3.session.Session().client("s3", config=config)

    def read(self, name: str) -> bytes:
        with self._told(name):
            found: bytes = self._client.get_object(Bucket=self._bucket, Key=self._key(name))["Body"].read()
        return found

    def download(self, name: str, path: Path, heard: Heard) -> None:
        with self._told(name):
            self._client.download_file(self._bucket, self._key(name), str(path), Callback=heard)

    def upload(self, folder: Path, name: str, heard: Heard) -> None:
        """The files that the folder's manifest lists, then the manifest. Nothing is left of an upload that fails."""
        files = [*sorted(json.loads((folder / MANIFEST).read_text())["files"]), MANIFEST]
        try:
            for file in files:
                with self._told(name):
                    key = self._key(f"{name}/{file}")
                    self._client.upload_file(str(folder / file), self._bucket, key, Callback=heard)
        except BaseException:
            self._delete(self._key(f"{name}/{file}") for file in files)
            raise

    def manifests(self) -> Iterator[tuple[str, bytes]]:
        """Name and manifest of every artifact."""
        for name, files in self._listed().items():
            if MANIFEST in files:
                yield name, self.read(f"{name}/{MANIFEST}")

    def sweep(self) -> list[str]:
        """Remove what uploads left that were killed long ago; returns their names."""
        limit = time.time() - _ABANDONED
        found = {
            name: files
            for name, files in self._listed().items()
            if MANIFEST not in files and max(files.values()) < limit
        }
        self._delete(self._key(f"{name}/{file}") for name, files in found.items() for file in files)
        return sorted(found)

    def _listed(self) -> dict[str, dict[str, float]]:
        """Name -> file -> when it was written, in seconds since the epoch."""
        listed: dict[str, dict[str, float]] = defaultdict(dict)
        root = self._key("")
        with self._told():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=root)
            for one in (one for page in pages for one in page.get("Contents", [])):
                name, _, file = one["Key"].removeprefix(root).partition("/")
                if file:
                    listed[name][file] = one["LastModified"].timestamp()
        return listed

    def _delete(self, keys: Iterator[str]) -> None:
        with self._told():
            for key in keys:
                self._client.delete_object(Bucket=self._bucket, Key=key)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    @contextmanager
    def _told(self, name: str = "") -> Iterator[None]:
        """boto3's errors as ours, with the address in them."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        where = f"{self.address}/{name}" if name else self.address
        try:
            yield
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if status == 404:
                raise ArtifactError(f"{where} is not there.") from error
            raise Unreachable(f"{where} cannot be read or written: {error}") from error
        except (BotoCoreError, Boto3Error) as error:
            raise Unreachable(f"{where} cannot be reached: {error}") from error
