"""The real model, exported once and found again: ARTIFACTS_DIR, or var/artifacts; and one thread for each test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Jobs take every processor, in the process that they are tried in as well."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def artifacts() -> Path:
    return Path(os.environ.get("ARTIFACTS_DIR", "var/artifacts"))


@pytest.fixture(scope="session")
def fp32(artifacts: Path) -> Path:
    return _prepare(artifacts, "fp32")


@pytest.fixture(scope="session")
def int4(artifacts: Path) -> Path:
    return _prepare(artifacts, "int4")


def _prepare(artifacts: Path, precision: str) -> Path:
    from workers.export.chat_model import prepare_chat_model
    from workers.export.source import SMOLLM2, ExportError

    try:
        SMOLLM2.locate()
    except ExportError as error:
        pytest.skip(str(error))
    return prepare_chat_model(artifacts, precision)
