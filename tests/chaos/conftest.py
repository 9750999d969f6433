"""One installation for the whole matrix, and what came of each cell.

CHAOS_VAR names its folder (var/chaos), which keeps the converted chat model; CHAOS_OUT a file for the outcomes;
CHAOS_SLOWNESS (1) is what the times to recover are multiplied with on a busy machine.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.site import Site
from tests.e2e.stack import ROOT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/chaos/" in item.nodeid:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def outcomes() -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = {}
    yield found
    if out := os.environ.get("CHAOS_OUT"):
        Path(out).write_text(json.dumps(found, indent=1) + "\n")


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with Site(Path(os.environ.get("CHAOS_VAR", ROOT / "var" / "chaos"))) as running:
        yield running
