"""What the repository brings along is whole, small and copied once."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from deepseek_web.env import BASE_DIR
from deepseek_web.launch.released import unpack

pytestmark = pytest.mark.unit
MB = 2**20


def test_released_models_are_what_their_manifests_say_and_small() -> None:
    total = 0
    for path in (BASE_DIR / "artifacts").glob("*/manifest.json"):
        for name, said in json.loads(path.read_text())["files"].items():
            content = (path.parent / name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == said["sha256"], f"{path.parent.name}/{name}"
            assert len(content) <= 10 * MB, f"{path.parent.name}/{name}"
            total += len(content)
    assert 0 < total <= 40 * MB


def test_a_copy_is_kept_until_another_is_released(tmp_path: Path) -> None:
    first = list(unpack(tmp_path))
    assert ("v1-sst2", "Sentiment (SST-2)") in [(name, title) for _, name, title in first]
    folder = first[0][0]
    measured = folder / "cost-table.x.json"
    measured.write_text("{}")
    assert list(unpack(tmp_path)) == first
    assert measured.exists()
    (folder / "manifest.json").write_text("{}")
    list(unpack(tmp_path))
    assert not measured.exists()
    shutil.rmtree(tmp_path)
