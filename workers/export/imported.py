"""A checked source to an artifact: what each kind of source needs, step by step."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workers.sources import onnx_file
from workers.sources.kind import ModelSource

from . import parity
from .chat_model import builder_arguments, builder_options
from .manifest import decoder_values, seal
from .source import ExportError, sha256_of
from .stages import BUILD, CHECK, LOAD, Progress, Stage, run_stage

IMPORTER_VERSION = 1
PRECISIONS = ("fp32", "fp16", "int8", "int4")
_EXPORT = Stage("exporting and checking against the original", 0.05, 0.95, 60)
_COMPARE = Stage("checking the graph", 0.3, 0.95, 20)
_LICENCE = re.compile(r"^license:\s*['\"]?([\w.+-]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the administrator asked for. `precision` is `auto` or one of PRECISIONS."""

    name: str
    title: str
    precision: str = "auto"


class Importer:
    """Works inside `folder`, which its owner removes; `artifact` is the result."""

    def __init__(self, source: ModelSource, wish: Wish, folder: Path, progress: Progress,
                 echo: Callable[[str], None]) -> None:  # fmt: skip
        self.source, self.wish, self.folder = source, wish, folder
        self.artifact = folder / "artifact"
        self._progress, self._echo = progress, echo
        self.precision = choose_precision(source, wish.precision)

    def provenance(self) -> dict[str, Any]:
        """Where the model comes from, by the content of its files."""
        files, digest = content_of(self.source)
        recipe = [digest, self.source.task, self.source.kind, self.precision, IMPORTER_VERSION]
        return {
            "origin": self.source.path.name, "kind": self.source.kind, "files": files, "sha256": digest,
            "recipe": hashlib.sha256(json.dumps(recipe).encode()).hexdigest(),
        }  # fmt: skip

    def run(self, provenance: dict[str, Any]) -> str:
        """Make the artifact; the sha256 of its manifest. Raises ExportError."""
        make = {"gguf": self._generation, "genai": self._as_it_is, "onnx": self._as_it_is}.get(self.source.kind)
        is_generation = self.source.task == "text-generation"
        values = (make or (self._generation if is_generation else self._encoder))()
        self._progress("writing the manifest", 0.97)
        return seal(self.artifact, {
            "name": self.wish.name, "title": self.wish.title, "task": self.source.task, "precision": self.precision,
            "licence": _licence(self.source.path), "source": provenance, "importer": IMPORTER_VERSION,
            "command": f"manage.py import_model {provenance['origin']} --name {self.wish.name} "
            f"--task {self.source.task} --precision {self.precision}",
            **values,
        })  # fmt: skip

    def _generation(self) -> dict[str, Any]:
        original = self.source.path
        if self.source.kind == "gguf":
            original = self.folder / "original"
            self._step(LOAD, "workers.export.gguf_to_transformers", self.source.path, original)
        return export_generation(original, self.artifact, self.precision, self._step)

    def _encoder(self) -> dict[str, Any]:
        result = self.folder / "encoder.json"
        self._step(_EXPORT, "workers.export.encoder", self.source.path, self.artifact, self.source.task, result)
        return dict(json.loads(result.read_text()))

    def _as_it_is(self) -> dict[str, Any]:
        """A finished graph is copied, and compared with itself: its original is not here."""
        self._progress("copying", 0.05)
        self.artifact.mkdir()
        for file in self.source.files:
            if file.parent == self.source.path:
                shutil.copy(file, self.artifact)
        if not (self.artifact / "tokenizer.json").exists():
            raise ExportError("The tokenizer has no fast form (tokenizer.json), which serving needs.")
        graph = next(file.name for file in self.source.files if file.suffix == ".onnx")
        if self.source.kind == "genai":
            graph = self.source.config["model"]["decoder"]["filename"]
        result = self.folder / "consistency.json"
        self._step(_COMPARE, "workers.export.consistency", self.artifact, self.source.task, graph, result)
        measured = json.loads(result.read_text())
        metrics = {"metrics": {"consistency": {key: measured[key] for key in ("cosine", "max_error")}}}
        if self.source.kind == "genai":
            return {**decoder_values(self.artifact), "tokenizer": "tokenizer.json", **metrics}
        return {"model": graph, **_encoder_values(self.source, graph, measured), **metrics}

    def _step(self, stage: Stage, *arguments: str | Path) -> None:
        run_stage(stage, [str(one) for one in arguments], self.folder / "log.txt", self._progress, self._echo)


def content_of(source: ModelSource) -> tuple[dict[str, str], str]:
    """sha256 of each file, and of the list of them."""
    root = source.path if source.path.is_dir() else source.path.parent
    files = {str(path.relative_to(root)): sha256_of(path) for path in source.files}
    return files, hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def export_generation(original: Path, artifact: Path, precision: str, step: Callable[..., None]) -> dict[str, Any]:
    """The graph of a transformers folder, and what a manifest says of it. `step` runs a stage with its arguments.

    Raises ExportError when the graph does not say what the original says.
    """
    options, result = builder_options(precision), artifact.parent / "parity.json"
    step(BUILD, *builder_arguments(original, artifact, precision, options))
    step(CHECK, "workers.export.parity", original, artifact, result)
    measured = parity.Parity(**json.loads(result.read_text()))
    parity.check(measured, precision)
    if (original / "generation_config.json").exists():
        shutil.copy(original / "generation_config.json", artifact)
    return {**decoder_values(artifact), "tokenizer": "tokenizer.json", "builder_options": list(options),
            "metrics": {"parity": asdict(measured)}}  # fmt: skip


def choose_precision(source: ModelSource, wanted: str) -> str:
    """Raises ExportError when the source cannot be had in the precision that is wanted."""
    if source.kind in ("onnx", "genai"):
        found = _precision_of(next(file for file in source.files if file.suffix == ".onnx"))
        if wanted not in ("auto", found):
            raise ExportError(f"The graph is {found} and stays so. Choose auto, or import the original for {wanted}.")
        return found
    if source.task == "text-generation":
        return "int4" if wanted == "auto" else wanted
    if wanted not in ("auto", "fp32"):
        raise ExportError(f"Encoders are exported in fp32, not in {wanted}. Choose fp32.")
    return "fp32"


def _precision_of(graph: Path) -> str:
    model = onnx_file.check(graph)
    kinds = {node.op_type for node in model.graph.node}
    if "MatMulNBits" in kinds:
        return "int4"
    if kinds & {"MatMulInteger", "DynamicQuantizeLinear", "QuantizeLinear", "QLinearMatMul"}:
        return "int8"
    return "fp16" if any(tensor.data_type == 10 for tensor in model.graph.initializer) else "fp32"


def _encoder_values(source: ModelSource, graph: str, measured: dict[str, Any]) -> dict[str, Any]:
    from .pooling import pooling

    config, model = source.config, onnx_file.check(source.path / graph)
    tokenizer = source.path / "tokenizer_config.json"
    limit = json.loads(tokenizer.read_text()).get("model_max_length") if tokenizer.exists() else None
    positions = int(config.get("max_position_embeddings", 512))
    names = config.get("architectures") or [""]
    found = {
        "architecture": names[0], "tokenizer": "tokenizer.json", "pad_id": config.get("pad_token_id") or 0,
        "max_length": min(positions, int(limit or positions)),
        "inputs": [value.name for value in model.graph.input], "outputs": [value.name for value in model.graph.output],
    }  # fmt: skip
    if source.task == "feature-extraction":
        pooled = {"pooling": "none"} if measured["rank"] == 2 else {}
        return {**found, **pooling(source.path), **pooled, "dimensions": measured["width"]}
    named = config.get("id2label") or {}
    labels = [named.get(str(index), f"LABEL_{index}") for index in range(measured["width"])]
    return {**found, "labels": labels, "problem_type": config.get("problem_type") or "single_label_classification"}


def _licence(path: Path) -> str:
    """From the head of the model card."""
    card = path / "README.md"
    if not card.is_file():
        return ""
    found = _LICENCE.search(card.read_text(errors="replace")[:20_000])
    return found[1] if found else ""
