"""A run of V2 to an artifact that a worker can serve: three graphs with weights in int8, measured, with a card.

python -m workers.jobs.export_bridge RUN OUT [--title TITLE] [--precision int8|fp32] [--tolerance POINTS]

What measures the graphs is what measures the model while it trains, so this stands above both training and export.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from workers.data import emoji, imagenet, sort_of_clevr
from workers.data.corpus import DataMissing
from workers.export import cmab, quantise
from workers.export.bridged_card import model_card
from workers.export.compact import compact
from workers.export.manifest import seal
from workers.export.source import ExportError
from workers.export.trained import Progress, Wish
from workers.training import questions, retrieval
from workers.training.concepts import Concepts
from workers.zoo.trained import load_cmab

Figures = dict[str, float]
QUESTIONS, RETRIEVAL = "visual-question-answering", "zero-shot-image-classification"
_TEST_PICTURES = 200
_TEST_SEED = 2  # of the trainer's parts the third


class BridgeExporter:
    """Works inside `work`, which its owner removes."""

    def __init__(self, run: Path, work: Path, progress: Progress = lambda stage, fraction: None) -> None:
        self.run, self.work, self._progress = run, work, progress
        self.model, self.config = load_cmab(run)
        self.tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
        self.trained = json.loads((run / "metrics.json").read_text())
        self.task = QUESTIONS if self.model.config.answers else RETRIEVAL

    def export(self, wish: Wish, artifact: Path) -> dict[str, Any]:
        """The manifest of the artifact that was made. Raises ExportError, DataMissing."""
        if artifact.exists():
            raise ExportError(f"{artifact} exists: choose another folder.")
        plain, small = self.work / "fp32", self.work / "int8"
        plain.mkdir(), small.mkdir()
        self._progress("building the graphs", 0.05)
        values = self._graph_values()
        parity = cmab.write_graphs(self.model, plain, values["processor"]["size"]["height"])
        for file in cmab.FILES.values():
            compact(plain / file, small / file)
        self._progress("measuring on the test", 0.6)
        measured = {name: self._measured(folder, values) for name, folder in (("fp32", plain), ("int8", small))}
        lost = max(100 * (measured["fp32"][name] - measured["int8"][name]) for name in measured["fp32"])
        if wish.precision == "int8" and lost > wish.tolerance:
            raise ExportError(f"int8 weights lose {lost:.1f} points, more than {wish.tolerance}. Export fp32.")
        metrics = {"parity": parity, "test": measured[wish.precision], "test_fp32": measured["fp32"], "lost": lost}
        return self._write(artifact, small if wish.precision == "int8" else plain, wish, {**values, "metrics": metrics})

    def _graph_values(self) -> dict[str, Any]:
        if self.task == QUESTIONS:
            found = cmab.values(self.model, sort_of_clevr.SIZE, [0.5] * 3, [0.5] * 3)
            return found | {"labels": self.config["labels"]}
        return cmab.values(self.model, self.config["training"]["size"], imagenet.MEAN, imagenet.DEVIATION)

    def _measured(self, folder: Path, values: dict[str, Any]) -> Figures:
        """Shares of the test that are right."""
        graphs = cmab.Graphs(folder, values["logit_scale"], values["logit_bias"])
        if self.task == QUESTIONS:
            test = questions.Questions(sort_of_clevr.load(_TEST_PICTURES, _TEST_SEED), self.tokenizer)
            found = questions.score(lambda batch: questions.answers(graphs, batch), test)
            return {kind: found[kind] for kind in ("relational", "non_relational")}
        other = next(vendor for vendor in emoji.VENDORS if vendor != self.config["training"]["vendor"])
        seen = Concepts([one for one in emoji.load() if not one.is_unseen], other, self.tokenizer)
        measured = retrieval.measured(graphs, seen, self.config["training"]["size"])
        return {
            f"unseen_vendor_{depth}_{language}": measured[language]["text_to_picture"][depth]
            for language in emoji.LANGUAGES for depth in ("r1", "r10")
        }  # fmt: skip

    def _write(self, artifact: Path, graphs: Path, wish: Wish, values: dict[str, Any]) -> dict[str, Any]:
        partial = self.work / "artifact"
        shutil.copytree(graphs, partial)
        shutil.copy(self.run / "tokenizer.json", partial)
        whole = self._values(wish) | values
        seal(partial, whole)
        manifest: dict[str, Any] = json.loads((partial / "manifest.json").read_text())
        (partial / "README.md").write_text(model_card(manifest))
        seal(partial, whole)  # once more, with the card among the files
        artifact.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(partial, artifact)
        return manifest

    def _values(self, wish: Wish) -> dict[str, Any]:
        training = self.config["training"]
        trainer = "questions" if self.task == QUESTIONS else "retrieval"
        recipe = training["name"].removeprefix("v2-").replace("-", "_")
        return {
            "name": wish.name, "title": wish.title, "task": self.task, "precision": wish.precision,
            "licence": "Apache-2.0",
            "source": {
                "origin": _origin(training), "data": self.config["data"], "parameters": self.trained["parameters"],
                "seed": training["options"]["seed"], "seconds": self.trained["seconds"], "steps": self.trained["steps"],
                "photos": bool(training.get("classes")),
                "training": f"python -m workers.training.{trainer} --recipe v2.{recipe} --out RUN",
            },
            "command": f"python -m workers.jobs.export_bridge RUN {wish.name}",
        }  # fmt: skip


def _origin(training: dict[str, Any]) -> str:
    if training.get("begins") == "pretrained":
        return f"Begun with MobileNetV2 of ImageNet and layers of all-MiniLM-L6-v2 ({imagenet.LICENCE}; Apache-2.0)"
    return "Trained from scratch"


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes an artifact of a run of V2.")
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--title")
    parser.add_argument("--precision", choices=["int8", "fp32"], default="int8")
    parser.add_argument("--tolerance", type=float, default=quantise.TOLERANCE, help="points that int8 may lose")
    arguments = parser.parse_args()
    name = arguments.out.name
    wish = Wish(name, arguments.title or name, arguments.precision, arguments.tolerance)
    try:
        with tempfile.TemporaryDirectory() as work:
            manifest = BridgeExporter(arguments.run, Path(work)).export(wish, arguments.out)
    except (ExportError, DataMissing, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(manifest["metrics"], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
