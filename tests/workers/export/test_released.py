"""The weights that the repository carries are whole, small, and say where they come from."""

import json
from pathlib import Path

import pytest

from workers.export.source import sha256_of

ROOT = Path(__file__).parents[3] / "artifacts"
RELEASED = sorted(path.parent for path in ROOT.glob("*/manifest.json"))


@pytest.mark.parametrize("artifact", RELEASED, ids=lambda path: path.name)
def test_a_released_model_is_what_its_manifest_says(artifact):
    manifest = json.loads((artifact / "manifest.json").read_text())

    for name, entry in manifest["files"].items():
        assert (sha256_of(artifact / name), (artifact / name).stat().st_size) == (entry["sha256"], entry["bytes"])
    graphs = manifest.get("models", {"model": "model.onnx"}).values()
    assert all(manifest["files"][graph]["bytes"] <= 10_000_000 for graph in graphs)
    for key in ("command", "licence", "metrics", "source"):
        assert manifest[key]


def test_all_released_models_are_at_most_40_megabytes():
    assert RELEASED
    assert sum(path.stat().st_size for artifact in RELEASED for path in artifact.iterdir()) <= 40_000_000
