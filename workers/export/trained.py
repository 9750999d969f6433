"""A training run to an artifact that a worker can serve: graph, fusion, quantisation, manifest, model card.

Nothing is written to the artifact's place before parity and accuracy were measured and found good enough.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from workers.data import corpus as corpora
from workers.data.corpus import Corpus
from workers.zoo.trained import load_classifier
from workers.zoo.v1_dynamic_attention import Classifier

from . import classifier, fuse, measure, quantise
from .card import model_card
from .manifest import seal
from .quantise import Candidate
from .source import ExportError

Progress = Callable[[str, float], None]
_LONGEST = 4096  # tokens that a served model reads
_CALIBRATION = 128  # texts
_VALIDATION = 2000  # texts
_BENCH_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Wish:
    """`precision` is int8 or fp32, `tolerance` the points of accuracy that int8 may lose. `tiers`, a share for each
    level, asks for packed inference: only so many of the blocks may use it."""

    name: str
    title: str
    precision: str = "int8"
    tolerance: float = quantise.TOLERANCE
    tiers: tuple[float, ...] = ()


class Exporter:
    """Works inside `work`, which its owner removes."""

    def __init__(self, run: Path, work: Path, progress: Progress = lambda stage, fraction: None) -> None:
        self.run, self.work, self._progress = run, work, progress
        self.model, self.config = load_classifier(run)
        self.tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
        self.trained = json.loads((run / "metrics.json").read_text())
        self.longest = min(_LONGEST, self.model.config.longest)

    def export(self, wish: Wish, artifact: Path) -> dict[str, Any]:
        """The manifest of the artifact that was made. Raises ExportError, DataMissing."""
        if artifact.exists():
            raise ExportError(f"{artifact} exists: choose another folder.")
        self.model.pack(wish.tiers or None)
        self._progress("building the graph", 0.02)
        vocabulary = self.tokenizer.get_vocab_size()
        plain = self._plain(vocabulary)
        self._progress("checking against the original", 0.35)
        parity = classifier.compare(self.model, plain, vocabulary, self.longest)
        floats = self._float_graphs(plain, vocabulary)
        corpus = self._corpus()
        self._progress("quantising", 0.5)
        graphs, chosen, metrics = self._choose(floats, corpus, wish)
        self._progress("measuring on the test", 0.85)
        metrics |= {"parity": parity, "accuracy": self._accuracy(graphs[chosen], corpus.test)}
        metrics["accuracy_fp32"] = self._accuracy(graphs[metrics["fp32"]], corpus.test)
        return self._write(artifact, graphs[chosen], wish, metrics)

    def _plain(self, vocabulary: int) -> Path:
        """The graph; one that an interrupted export has left in `work` is taken, and compared like a new one."""
        plain, partial = self.work / "plain.onnx", self.work / "partial.onnx"
        if not plain.exists():
            classifier.write_graph(self.model, partial, vocabulary)
            partial.rename(plain)
        return plain

    def _float_graphs(self, plain: Path, vocabulary: int) -> dict[str, Path]:
        """The plain graph and its faster forms, as far as they say the same."""
        config, made = self.model.config, {"fp32": plain}
        for name, make in {
            "fp32 fused": lambda out: fuse.fused(plain, out, heads=config.heads, width=config.width),
            "fp32 optimised": lambda out: fuse.optimised(plain, out),
        }.items():
            graph = make(self.work / f"{name.replace(' ', '-')}.onnx")
            classifier.compare(self.model, graph, vocabulary, min(self.longest, 1000))
            made[name] = graph
        return made

    def _choose(
        self, floats: dict[str, Path], corpus: Corpus, wish: Wish
    ) -> tuple[dict[str, Path], str, dict[str, Any]]:
        """Every graph, the name of the best, and what was measured."""
        graphs = dict(floats)
        times = measure.latencies(floats, _BENCH_TOKENS)
        fastest = min(times, key=lambda name: times[name])
        if wish.precision == "int8":
            calibration = corpus.some(train=_CALIBRATION).train
            graphs |= quantise.make_candidates(floats[fastest], self.work, self._batches(calibration))
            times = measure.latencies(graphs, _BENCH_TOKENS)
        rows = [
            Candidate(name, self._accuracy(graph, corpus.validation), times[name], graph.stat().st_size)
            for name, graph in graphs.items()
        ]
        wanted = next(row.accuracy for row in rows if row.name == fastest)
        int8 = [row for row in rows if row.name not in floats]
        chosen = quantise.choose(int8, wanted, wish.tolerance).name if int8 else fastest
        measured = {"candidates": quantise.as_rows(rows), "chosen": chosen, "fp32": fastest,
                    "latency_tokens": _BENCH_TOKENS,
                    "validation_examples": len(corpus.validation), "machine": measure.machine()}  # fmt: skip
        return graphs, chosen, measured

    def _batches(self, examples: Sequence[corpora.Example]) -> Callable[[], Iterator[dict[str, Any]]]:
        longest = self.config["training"]["longest"]
        return lambda: (feed for feed, _ in measure.feeds(examples, self.tokenizer, longest, 8))

    def _accuracy(self, graph: Path, examples: Sequence[corpora.Example]) -> float:
        return measure.accuracy(graph, examples, self.tokenizer, self.config["training"]["longest"])

    def _corpus(self) -> Corpus:
        """More to choose by than in training: half a point of a few hundred texts is chance."""
        training = self.config["training"]
        return corpora.load(training["corpus"]).some(training["train_examples"], _VALIDATION, training["test_examples"])

    def _write(self, artifact: Path, graph: Path, wish: Wish, metrics: dict[str, Any]) -> dict[str, Any]:
        partial = self.work / "artifact"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        shutil.copy(graph, partial / "model.onnx")
        shutil.copy(self.run / "tokenizer.json", partial)
        if wish.precision == "int8":
            shutil.copy(self.work / "calibration.flatbuffers", partial)
        values = self._values(wish, metrics)
        seal(partial, values)
        manifest: dict[str, Any] = json.loads((partial / "manifest.json").read_text())
        (partial / "README.md").write_text(model_card(manifest))
        seal(partial, values)  # once more, with the card among the files
        artifact.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(partial, artifact)
        return manifest

    def _values(self, wish: Wish, metrics: dict[str, Any]) -> dict[str, Any]:
        model, training = self.model.config, self.config["training"]
        return {
            "name": wish.name, "title": wish.title, "task": "text-classification", "precision": wish.precision,
            "licence": "Apache-2.0", "architecture": "V1DynamicAttention", "model": "model.onnx",
            "tokenizer": "tokenizer.json", "pad_id": model.pad_id, "max_length": self.longest,
            "inputs": classifier.INPUTS, "outputs": classifier.OUTPUTS, "labels": self.config["labels"],
            "problem_type": "single_label_classification", "range": _range(self.model),
            "source": {
                "origin": _origin(training), "data": self.config["data"], "examples": self.trained["examples"],
                "parameters": self.trained["parameters"], "longest": training["longest"],
                "seed": training["options"]["seed"], "seconds": self.trained["seconds"],
                "training": f"python -m workers.training.classify --recipe v1.{training['corpus']} --out RUN",
            },
            "metrics": metrics, "command": f"python -m workers.export RUN OUT --name {wish.name}",
        }  # fmt: skip


def _range(model: Classifier) -> dict[str, Any]:
    """What the output `reach` means: so many levels of 2^level windows; `tiers` when not every block gets them."""
    names = ("layers", "heads", "window", "summaries", "levels", "global_tokens")
    found = {name: getattr(model.config, name) for name in names}
    return found | ({"tiers": list(model.tiers)} if model.tiers else {})


def _origin(training: dict[str, Any]) -> str:
    if training["layers_kept"]:
        return f"Begun with {len(training['layers_kept'])} layers of all-MiniLM-L6-v2 (Apache-2.0)"
    return "Trained from scratch"
