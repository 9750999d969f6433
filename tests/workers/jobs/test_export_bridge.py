"""Runs of V2 to artifacts: what is measured there is what the trainer measures, and the card says it."""

import json
from pathlib import Path

import pytest

from tests.workers.training.test_questions import tiny
from workers.export.source import ExportError
from workers.export.trained import Wish
from workers.jobs import export_bridge
from workers.jobs.export_bridge import BridgeExporter
from workers.training import questions

pytestmark = pytest.mark.slow
ANYTHING = 100.0  # points that may be lost: what hardly learned guesses


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    questions.train(tiny(), folder, lambda said: None)
    return folder


@pytest.fixture(scope="module")
def artifact(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    (folder / "work").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_bridge, "_TEST_PICTURES", 4)  # as many as the tiny run has
        BridgeExporter(run, folder / "work").export(Wish("q", "Questions", tolerance=ANYTHING), folder / "artifact")
    return folder / "artifact"


def test_the_graphs_answer_as_the_model_did(run: Path, artifact: Path) -> None:
    manifest, trained = (json.loads(path.read_text()) for path in (artifact / "manifest.json", run / "metrics.json"))
    assert manifest["task"] == "visual-question-answering" and manifest["labels"] == list(questions.ANSWERS)
    assert manifest["metrics"]["test_fp32"] == pytest.approx(
        {kind: trained["test"][kind] for kind in ("relational", "non_relational")}
    )
    assert max(manifest["metrics"]["parity"]["max_error"].values()) < 1e-4


def test_the_card_says_what_was_measured(artifact: Path) -> None:
    manifest, card = json.loads((artifact / "manifest.json").read_text()), (artifact / "README.md").read_text()
    for kind, share in manifest["metrics"]["test"].items():
        assert f"| {kind.replace('_', ' ')} | {100 * share:.1f} % |" in card
    assert set(manifest["files"]) == {
        "README.md", "bridge_model.onnx", "text_model.onnx", "tokenizer.json", "vision_model.onnx",
    }  # fmt: skip


def test_an_artifact_is_never_overwritten(run: Path, artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="exists"):
        BridgeExporter(run, tmp_path).export(Wish("q", "Questions"), artifact)
