"""V2 as an artifact, with random weights: small enough to be made within a test, whole enough to be served."""

import json
import shutil
from pathlib import Path

import onnx
import torch
from onnx.utils import Extractor

from workers.data import vocabulary
from workers.export import cmab
from workers.export.source import sha256_of
from workers.zoo.resnet import ResNetConfig
from workers.zoo.v2_cmab import CMAB, V2Config

SIDE, GRID = 16, 4
WORDS = ("a", "red", "blue", "thing", "is", "the", "left", "on", "红", "蓝")
ANSWERS = ("yes", "no", "square", "circle")


def model(answers: int = 0) -> CMAB:
    """Its gates are open: both sides hear of each other."""
    torch.manual_seed(0)
    made = CMAB(V2Config(
        len(vocabulary.SPECIAL) + len(WORDS), ResNetConfig((1, 1, 1), 8, 1, (2, 2, 1), is_pooled=False), text_width=16,
        text_layers=3, text_heads=2, text_hidden=32, positions=16, dropout=0.0, space=12, width=24, heads=3, grid=GRID,
        answers=answers,
    )).eval()  # fmt: skip
    for crossing in made.bridge.crossings:
        torch.nn.init.normal_(crossing.gates)
    return made


def build(folder: Path, *, has_answers: bool = False) -> Path:
    """The artifact: of the task visual-question-answering with answers, else of zero-shot-image-classification."""
    folder.mkdir(parents=True, exist_ok=True)
    made = model(len(ANSWERS) if has_answers else 0)
    parity = cmab.write_graphs(made, folder, SIDE)
    vocabulary.words(WORDS).save(str(folder / "tokenizer.json"))
    task = "visual-question-answering" if has_answers else "zero-shot-image-classification"
    manifest = {
        "format": 1, "name": "toy-bridge", "title": "Bridge", "task": task, "licence": "Apache-2.0",
        **cmab.values(made, SIDE, [0.5] * 3, [0.5] * 3), **({"labels": ANSWERS} if has_answers else {}),
        "metrics": {"parity": parity},
        "files": {path.name: {"sha256": sha256_of(path), "bytes": path.stat().st_size}
                  for path in sorted(folder.iterdir())},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def without_answers(source: Path, folder: Path) -> Path:
    """An artifact with answers as one for pairs, of the same weights: writing graphs takes long."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("cost-table*"))
    manifest = json.loads((source / "manifest.json").read_text()) | {"task": "zero-shot-image-classification"}
    del manifest["labels"]
    manifest["outputs"]["bridge"].remove("answers")
    path = folder / manifest["models"]["bridge"]
    names = manifest["inputs"]["bridge"], manifest["outputs"]["bridge"]
    onnx.save(Extractor(onnx.load(path)).extract_model(*names), path)
    manifest["files"][path.name] = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
