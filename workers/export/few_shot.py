"""Artifacts that classifiers are taught with (task few-shot-classification), from V5 or from a base without adapters.

python -m workers.export.few_shot ARTIFACTS [--run RUN] [--reads texts images clips windows]

Without a run each is the baseline: prototypes on MiniLM L6 (texts) and on MobileNetV2 of ImageNet (pictures), out of
installed packages, with adapters as they were drawn, which do nothing until a classifier is refined
(workers/training/refining.py), and on what nobody has trained and has no adapters: cepstra (spoken clips) and kernels
(windows of a sensor). With one, `python -m workers.training.meta` has trained the adapters.

Letters as in workers/zoo/v5_meta_lora.py: N examples, K classes, D features, R ranks; B rows of a batch,
T tokens or values.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.export import Dim

from contracts.few_shot import CLIPS, PICTURES, TASK, TEXTS, WINDOWS
from workers.data import imagenet, minilm, towers
from workers.zoo.trained import load_meta_lora
from workers.zoo.v5_meta_lora import SHARP, Classifying
from workers.zoo.v5_spoken import BANDS, FRAMES, Spoken
from workers.zoo.v5_towers import Photos, Texts, begin_as_drawn
from workers.zoo.v5_windows import LENGTH, Windows

from .classifier import strip
from .few_shot_card import model_card
from .manifest import seal
from .source import ExportError
from .trained import Progress, Wish

TOLERANCE = 1e-4  # largest absolute difference of any output, over the largest number of it
GRAPH, MODULATE, ADAPTERS = "model.onnx", "modulate.onnx", "adapters.safetensors"
NAMES = {TEXTS: "teach-texts", PICTURES: "teach-pictures", CLIPS: "teach-clips", WINDOWS: "teach-windows"}
TITLES = {
    TEXTS: "Teach: texts", PICTURES: "Teach: pictures", CLIPS: "Teach: spoken clips", WINDOWS: "Teach: sensor windows",
}  # fmt: skip
# [B, T], [B, 3, Y, X], [B, T, bands], [B, T + 2]
_INPUT = {TEXTS: "input_ids", PICTURES: "pixel_values", CLIPS: "clips", WINDOWS: "windows"}
_ORIGINS = {
    TEXTS: f"all-MiniLM-L6-v2 ({minilm.PACKAGE}), frozen",
    PICTURES: f"MobileNetV2 of ImageNet ({imagenet.WEIGHTS}), frozen",
    CLIPS: "Cepstra of mel bands around their mean (Davis and Mermelstein 1980), which nobody trained",
    WINDOWS: "Kernels and biases as MiniROCKET has them (arXiv:2012.08791), which nobody trained",
}
_LICENCES = {TEXTS: minilm.LICENCE, PICTURES: "BSD-3-Clause", CLIPS: "Apache-2.0", WINDOWS: "Apache-2.0"}
_LONGEST = 256  # tokens, as MiniLM was trained
_RANK = 8  # of adapters that nobody has trained
_EXAMPLE = (3, 7)  # rows, tokens
_SHAPES = ((1, 3), (2, 16), (5, 33))  # the same, of what is compared
_LESSONS = ((2, 2), (7, 3), (33, 5))  # examples, classes

Tower = Texts | Photos | Spoken | Windows
_KINDS = {TEXTS: Texts, PICTURES: Photos, CLIPS: Spoken, WINDOWS: Windows}


def prepare(reads: str, artifacts: Path) -> Path:
    """The baseline's folder, made when it is not there yet. Raises ExportError, DataMissing."""
    artifact = artifacts / NAMES[reads]
    if not (artifact / "manifest.json").exists():
        export(tower_of(reads), artifact)
    return artifact


def tower_of(reads: str) -> Tower:
    """The frozen base with adapters as they were drawn. Raises DataMissing."""
    base = bare(reads, _RANK)
    if base.rank:
        begin_as_drawn(base)
    return base


def bare(reads: str, rank: int, size: int = 224) -> Tower:
    """With adapters that are nothing yet, where it can have any; `size` is of pictures. Raises DataMissing."""
    if reads == WINDOWS:
        return Windows().eval()
    if reads == CLIPS:
        return Spoken().eval()
    return towers.texts(rank) if reads == TEXTS else towers.photos(rank, size)


def export(made: Tower | Classifying, artifact: Path, about: dict[str, Any] | None = None) -> dict[str, Any]:
    """The manifest of the artifact that was made. `about` is what a run says of itself. Raises ExportError,
    DataMissing."""
    base = made.base if isinstance(made, Classifying) else made
    assert isinstance(base, Tower)
    artifact.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=artifact.parent, prefix=".") as work:
        folder = Path(work) / "artifact"
        folder.mkdir()
        parity = write_graphs(made, folder)
        write_adapters(base, folder)
        if isinstance(base, Texts):
            shutil.copyfile(minilm.file("tokenizer.json"), folder / "tokenizer.json")
        values = {**_values(made, base), "metrics": {"parity": parity, **(about or {}).get("metrics", {})}}
        values |= {name: about[name] for name in ("name", "title") if about and name in about}
        values["source"] |= (about or {}).get("source", {})
        seal(folder, values)
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        (folder / "README.md").write_text(model_card(manifest))
        seal(folder, values)  # once more, with the card among the files
        if artifact.exists():
            shutil.rmtree(artifact)
        folder.rename(artifact)
    return manifest


def write_graphs(made: Tower | Classifying, folder: Path) -> dict[str, Any]:
    """The base and, of a model that adapts, the graph of its strengths; what was compared. Raises ExportError."""
    rows, tokens = Dim("rows"), Dim("tokens", max=_LONGEST)
    for name, part in _parts(made).items():
        if name == MODULATE:
            axes: Any = ({0: rows}, {0: rows, 1: Dim("classes")})
        else:
            first = {0: rows, 1: tokens} if isinstance(part, Texts) else {0: rows}
            axes = (first, {0: rows}) if part.rank else (first,)
        inputs = _inputs(part, *_EXAMPLE)
        torch.onnx.export(
            part, inputs, folder / name, dynamo=True, dynamic_shapes=axes, input_names=input_names(part),
            output_names=["strengths" if name == MODULATE else "features"], external_data=False, verbose=False,
        )  # fmt: skip
        strip(folder / name)
    return compare(made, folder)


def write_adapters(base: Tower, folder: Path) -> None:
    """What gradient steps need besides the base, which is in a package (workers/jobs/refine_classifier.py)."""
    if base.rank:
        save_file({name: one.contiguous() for name, one in adapters_of(base).items()}, folder / ADAPTERS)


def adapters_of(base: Tower) -> dict[str, Tensor]:
    """By layer: `0.down.weight`."""
    return {name: one for name, one in base.layers.state_dict().items() if ".layer." not in name}


class Modulating(nn.Module):
    """Features of the examples without adapters, and their classes, to the strengths of their own."""

    def __init__(self, model: Classifying) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        return self.model.strengths(features, targets)


def input_names(part: nn.Module) -> list[str]:
    if isinstance(part, Modulating):
        return ["features", "targets"]
    assert isinstance(part, Tower)
    return [_INPUT[_reads(part)], *(["strengths"] if part.rank else [])]


@torch.no_grad()
def compare(made: Tower | Classifying, folder: Path, tolerance: float = TOLERANCE) -> dict[str, Any]:
    """Largest difference of each graph over shapes that the export did not see. Raises ExportError."""
    found = {}
    for name, part in _parts(made).items():
        session = ort.InferenceSession(str(folder / name), providers=["CPUExecutionProvider"])
        shapes = _LESSONS if name == MODULATE else _SHAPES
        found[name] = max(_difference(session, part, _inputs(part, *shape)) for shape in shapes)
        if not found[name] <= tolerance:
            raise ExportError(f"{name} differs from the original by {found[name]:.2g}, more than {tolerance}.")
    return {"max_error": found, "tolerance": tolerance}


def _parts(made: Tower | Classifying) -> dict[str, Any]:
    if isinstance(made, Classifying):
        return {GRAPH: made.base, MODULATE: Modulating(made).eval()}
    return {GRAPH: made}


def _inputs(part: nn.Module, rows: int, more: int) -> tuple[Tensor, ...]:
    """`more` is how many tokens, or classes."""
    generator = torch.Generator().manual_seed(rows)
    if isinstance(part, Modulating):
        labels = torch.arange(rows) % more
        return torch.randn(rows, part.model.base.features, generator=generator), torch.eye(more)[labels]
    assert isinstance(part, Tower)
    if isinstance(part, Texts):
        x = torch.randint(1, part.config.vocab_size, (rows, more), generator=generator)
        for row in range(1, rows):  # all but the first end in padding
            x[row, max(1, more - row) :] = 0
    else:
        x = torch.randn(rows, *part.example, generator=generator)
    return (x, torch.randn(rows, part.ranks, generator=generator)) if part.rank else (x,)


def _difference(session: ort.InferenceSession, part: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    wanted = part(*inputs).numpy()
    (got,) = session.run(None, {name: one.numpy() for name, one in zip(input_names(part), inputs, strict=True)})
    if got.shape != wanted.shape:
        return np.inf
    difference = float(np.abs(got - wanted).max() / max(1.0, np.abs(wanted).max()))
    return difference if np.isfinite(difference) else np.inf


def _reads(base: Tower) -> str:
    return next(reads for reads, kind in _KINDS.items() if isinstance(base, kind))


def _values(made: Tower | Classifying, base: Tower) -> dict[str, Any]:
    reads = _reads(base)
    adapts = isinstance(made, Classifying)
    sharpness = made.sharpness.exp().item() if isinstance(made, Classifying) else SHARP / base.features
    return {
        "name": NAMES[reads], "title": TITLES[reads], "task": TASK, "precision": "fp32", "licence": _LICENCES[reads],
        "architecture": "V5MetaLoRA" if adapts else "Prototypes", "model": GRAPH, "reads": reads,
        "inputs": input_names(base), "outputs": ["features"], "ranks": base.ranks, "features": base.features,
        "sharpness": sharpness, **({"modulate": MODULATE} if adapts else {}),
        **({"adapters": ADAPTERS, "rank": base.rank} if base.rank else {}), **_reader(base),
        "source": {"origin": _ORIGINS[reads]}, "command": "python -m workers.export.few_shot ARTIFACTS",
    }  # fmt: skip


def _reader(base: Tower) -> dict[str, Any]:
    if isinstance(base, Texts):
        return {"tokenizer": "tokenizer.json", "pad_id": 0, "max_length": min(_LONGEST, base.config.positions)}
    if isinstance(base, Windows):
        return {"length": LENGTH}
    if isinstance(base, Spoken):
        return {"frames": FRAMES, "bands": BANDS}
    return {
        "processor": {
            "do_resize": True, "size": {"height": base.size, "width": base.size}, "do_rescale": True,
            "do_normalize": True, "image_mean": imagenet.MEAN, "image_std": imagenet.DEVIATION,
        }
    }  # fmt: skip


class LessonExporter:
    """As the other exporters are, for the job that trains (workers/jobs/train.py)."""

    def __init__(self, run: Path, work: Path, progress: Progress) -> None:
        self.run, self._progress = run, progress

    def export(self, wish: Wish, artifact: Path) -> dict[str, Any]:
        """Raises ExportError, DataMissing."""
        if wish.precision != "fp32":
            raise ExportError("What classifiers are taught with is exported in fp32: a batch has inputs of many.")
        self._progress("building the graphs", 0.1)
        model, about = _of_run(self.run)
        return export(model, artifact, {**about, "name": wish.name, "title": wish.title})


def export_run(run: Path, artifacts: Path) -> Path:
    """The artifact of a run of `python -m workers.training.meta`. Raises ExportError, DataMissing, ValueError."""
    model, about = _of_run(run)
    artifact = artifacts / NAMES[_reads(model.base)]
    export(model, artifact, about)
    return artifact


def _of_run(run: Path) -> tuple[Classifying, dict[str, Any]]:
    """The model, and what its run says of itself."""
    model, config = load_meta_lora(run)
    if not isinstance(model, Classifying) or not isinstance(model.base, Tower):
        raise ExportError(f"{run} has a run on another base than texts or pictures.")
    figures = json.loads((run / "metrics.json").read_text())
    training = config["training"]
    return model, {
        "metrics": {name: figures[name] for name in ("test", "without_gradients")},
        "source": {"data": config["data"], "seed": training["options"]["seed"], "steps": figures["steps"],
                   "training": f"python -m workers.training.meta --recipe {training['name'].replace('-', '.', 1)}"},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--reads", nargs="+", choices=NAMES, default=list(NAMES))
    options = parser.parse_args()
    if options.run:
        print(export_run(options.run, options.artifacts))
        return
    for reads in options.reads:
        print(prepare(reads, options.artifacts), flush=True)


if __name__ == "__main__":
    main()
