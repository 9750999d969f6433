"""The adapter of a version that was adapted, as a ZIP of what peft reads."""

import tempfile
import zipfile
from collections.abc import AsyncIterator
from typing import IO

from asgiref.sync import sync_to_async
from django.http import Http404, StreamingHttpResponse

from apps.registry import artifacts
from apps.registry.adapting import has_adapter
from apps.registry.models import ModelVersion
from contracts.adaptation import FILES

_CHUNK = 2**20  # bytes


def download(version: ModelVersion) -> StreamingHttpResponse:
    """Raises Http404 when it has none."""
    if not has_adapter(version):
        raise Http404
    response = StreamingHttpResponse(_parts(_packed(version)), content_type="application/zip")
    name = f"{version.model.name}-v{version.number}-adapter.zip"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _packed(version: ModelVersion) -> IO[bytes]:
    """Weights do not get smaller: they are stored as they are."""
    files = artifacts.storage(version.artifact)
    packed = tempfile.TemporaryFile()  # noqa: SIM115  # who sends it closes it
    with zipfile.ZipFile(packed, "w") as archive:
        for name in (*FILES, "README.md"):
            if name in version.manifest["files"]:
                with files.open(name) as source, archive.open(name, "w", force_zip64=True) as target:
                    while part := source.read(_CHUNK):
                        target.write(part)
    packed.seek(0)
    return packed


async def _parts(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while part := await sync_to_async(file.read)(_CHUNK):
            yield part
