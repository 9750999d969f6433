"""V5 on a frozen encoder as an artifact, with random weights: small enough to be made within a test."""

import json
from pathlib import Path

import torch

from contracts.few_shot import TASK, TEXTS
from workers.data import vocabulary
from workers.export import few_shot
from workers.export.source import sha256_of
from workers.zoo.v5_meta_lora import SHARP, Adapted, Classifying, V5Config
from workers.zoo.v5_towers import Texts, TextsConfig, begin_as_drawn

WORDS = ("red", "blue", "green", "square", "circle", "dot", "large", "small", "one", "two", "left", "right")
RANK, LONGEST = 3, 24
CONFIG = TextsConfig(len(vocabulary.SPECIAL) + len(WORDS), 16, 2, 2, 32, LONGEST)


def base(rank: int = RANK) -> Texts:
    """Its adapters are something: what they do must be seen."""
    torch.manual_seed(0)
    made = Texts(CONFIG, rank)
    for table in (made.encoder.embeddings.word, made.encoder.embeddings.position):
        torch.nn.init.normal_(table.weight)
    for layer in made.layers:
        assert isinstance(layer, Adapted)
        if layer.up is not None:
            torch.nn.init.normal_(layer.up.weight)
    return made.eval()


def model() -> Classifying:
    made = base()
    torch.manual_seed(1)
    return Classifying(V5Config(RANK, 8), made).eval()


def drawn() -> Texts:
    """With adapters that nobody has trained."""
    made = base()
    begin_as_drawn(made)
    return made


def build(folder: Path, made: Classifying | Texts | None = None) -> Path:
    """The artifact, of one that adapts when it is not said."""
    folder.mkdir(parents=True, exist_ok=True)
    made = made or model()
    tower = made.base if isinstance(made, Classifying) else made
    parity = few_shot.write_graphs(made, folder)
    few_shot.write_adapters(tower, folder)
    vocabulary.words(WORDS).save(str(folder / "tokenizer.json"))
    sharpness = made.sharpness.exp().item() if isinstance(made, Classifying) else SHARP / tower.features
    manifest = {
        "format": 1, "name": "toy-lessons", "title": "Lessons", "task": TASK, "licence": "Apache-2.0",
        "precision": "fp32", "model": few_shot.GRAPH, "reads": TEXTS, "inputs": few_shot.input_names(tower),
        "outputs": ["features"], "tokenizer": "tokenizer.json", "pad_id": 0, "max_length": LONGEST,
        "ranks": tower.ranks, "features": tower.features, "sharpness": sharpness, "metrics": {"parity": parity},
        **({"modulate": few_shot.MODULATE} if isinstance(made, Classifying) else {}),
        **({"adapters": few_shot.ADAPTERS, "rank": tower.rank} if tower.rank else {}),
        "files": {path.name: {"sha256": sha256_of(path), "bytes": path.stat().st_size}
                  for path in sorted(folder.iterdir())},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
