"""Emoji by their names, in English and Chinese: pictures of a vendor and concepts that no training has seen.

python -m benchmarks.v2_retrieval --runs FOLDER [--train] [--only bridge scratch]

Trained on Twitter's pictures of four fifths of the concepts. `unseen vendor`: Google's pictures of these, all in one
gallery; `unseen concepts`: Google's pictures of the other fifth, so vendor and concept are both new; the same with
Twitter's is beside it. Names that share one picture to the byte are each right. Contenders: `bridge`; `scratch`, a dual
encoder of equal size from random weights, without the bridge's loss; and without training of either tower, bag of words
(ridge regression from ImageNet's features to the words) and ConSE. `photos` is the model of drawings and photos in one
space; the photos of scikit-image are searched with it and with ConSE, by queries written beforehand.

Augmentations were looked at on Twitter's pictures; which of ImageNet's layers to read from was chosen by how well they
find Google's picture by Twitter's, and the loss was chosen while a short run's figures on all of these were in sight.
The start (workers/training/towards.py), the learning rates and which layers stay were chosen on Facebook's pictures,
which stand in no row. `scratch` does not get that start, and learns in every layer.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from benchmarks import photos as photo_queries
from benchmarks.conse import Conse
from benchmarks.environment import environment
from benchmarks.trainings import Trainings
from workers.data import emoji, imagenet
from workers.data.emoji import LANGUAGES, VENDORS, Emoji
from workers.pipelines.image_processor import ImageProcessor
from workers.training.concepts import encoded
from workers.training.recall import both_ways, recalls
from workers.training.retrieval import normalised
from workers.zoo.mobilenet import MobileNet, load_imagenet
from workers.zoo.trained import load_cmab

TRAININGS = Trainings(
    "workers.training.retrieval",
    {
        "bridge": ("v2.emoji",),
        "scratch": ("v2.emoji", "begins=scratch", "fuse_from=1"),
        "photos": ("v2.photos",),
    },
)
_ROWS = {
    "unseen_vendor": ("google", False), "unseen_concept": ("google", True), "unseen_concept_seen_vendor":
    ("twitter", True), "seen": ("twitter", False),
}  # fmt: skip


def galleries(everything: list[Emoji]) -> dict[str, tuple[Tensor, list[Emoji], Tensor]]:
    """Pixels between 0 and 1, the concepts, and which name is right for which picture."""
    found = {}
    for row, (vendor, is_unseen) in _ROWS.items():
        some = [one for one in everything if one.is_unseen is is_unseen]
        pictures = [one.pictures[vendor] for one in some]
        seen: dict[bytes, int] = {}
        kind = torch.tensor([seen.setdefault(picture.tobytes(), len(seen)) for picture in pictures])
        pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
        found[row] = (pixels, some, kind[:, None] == kind)
    return found


def conse(everything: list[Emoji]) -> dict[str, Any]:
    model, found = Conse(), {}
    for row, (pixels, some, same) in galleries(everything).items():
        if row != "seen":
            pictures = torch.cat([model.pictures(normalised(_large(part))) for part in pixels.split(64)])
            found[row] = {
                language: both_ways(model.texts([one.names[language] for one in some]) @ pictures.T, same)
                for language in LANGUAGES
            }
    return found


def _large(pixels: Tensor) -> Tensor:
    return F.interpolate(pixels, size=(224, 224), mode="bicubic", align_corners=False).clamp(0, 1)


def bag_of_words(everything: list[Emoji]) -> dict[str, Any]:
    """Words in English, characters and pairs of them in Chinese."""
    rows = galleries(everything)
    network = MobileNet().eval()
    load_imagenet(network, torch.load(imagenet.weights(), weights_only=True))
    features = {row: _features(network, pixels) for row, (pixels, _, _) in rows.items()}
    mean, deviation = features["seen"].mean(0), features["seen"].std(0) + 1e-3
    found: dict[str, Any] = {row: {} for row in rows if row != "seen"}
    for language, units in (("en", {}), ("zh", {"analyzer": "char", "ngram_range": (1, 2)})):
        words = TfidfVectorizer(sublinear_tf=True, **units)
        texts = [" ".join((one.names[language], *one.tags[language])) for one in rows["seen"][1]]
        model = Ridge(alpha=_RIDGE).fit(
            ((features["seen"] - mean) / deviation).numpy(), words.fit_transform(texts).toarray()
        )
        for row, (_, some, same) in rows.items():
            if row != "seen":
                pictures = torch.from_numpy(model.predict(((features[row] - mean) / deviation).numpy())).float()
                names = torch.from_numpy(words.transform([one.names[language] for one in some]).toarray()).float()
                scores = F.normalize(names, dim=-1) @ F.normalize(pictures, dim=-1).T
                found[row][language] = both_ways(scores, same)
    return found


_RIDGE = 3000.0


@torch.inference_mode()
def _features(network: MobileNet, pixels: Tensor) -> Tensor:
    """What the emoji model's picture tower reads, before any training: three depths on 4 x 4 places."""
    found = []
    for part in pixels.split(64):
        stages = network(normalised(part))
        found.append(torch.cat([F.adaptive_avg_pool2d(stage, 4 if stage.shape[-1] >= 4 else 1).flatten(1)
                                for stage in stages], 1))  # fmt: skip
    return torch.cat(found)


def photos(runs: Path, before: dict[str, Any]) -> dict[str, Any]:
    """Of ConSE, and of each run in the folder; what an earlier session measured of others stays."""
    shown = photo_queries.load()
    names = list(shown)
    same = torch.tensor([[name in files for name in names] for files, _, _ in photo_queries.QUERIES])
    queries = {language: [one[place] for one in photo_queries.QUERIES] for place, language in ((1, "en"), (2, "zh"))}
    model = Conse()
    seen = model.pictures(_pixels(shown, 224))
    found = {"photos": len(names), "queries": len(same), **before}
    found["conse"] = {language: recalls(model.texts(texts) @ seen.T, same) for language, texts in queries.items()}
    for name in (f"photos-{seed}" for seed in TRAININGS.seeds if (runs / f"photos-{seed}" / "metrics.json").exists()):
        trained, config = load_cmab(runs / name)
        tokenizer = Tokenizer.from_file(str(runs / name / "tokenizer.json"))
        with torch.inference_mode():
            pictures = trained.pictures(_pixels(shown, config["training"]["size"])).vector
            found[name] = {
                language: recalls(trained.texts(*encoded(tokenizer, texts)).vector @ pictures.T, same)
                for language, texts in queries.items()
            }
    return found


def _pixels(shown: dict[str, Image.Image], size: int) -> Tensor:
    """As a worker reads them (workers/pipelines/image_processor.py)."""
    processor = ImageProcessor({
        "size": {"height": size, "width": size}, "image_mean": imagenet.MEAN, "image_std": imagenet.DEVIATION,
    })  # fmt: skip
    return torch.from_numpy(np.stack([processor(picture) for picture in shown.values()]))


def by_contender(runs: dict[str, Any]) -> dict[str, Any]:
    """Per cent: mean over the seeds that are there, and each of them."""
    found: dict[str, Any] = {}
    for contender in TRAININGS.contenders:
        if entries := list(TRAININGS.of(runs, contender).values()):
            found[contender] = {
                "seeds": len(entries), "parameters": entries[0]["parameters"], "steps": entries[0]["steps"],
                "minutes": [round(one["seconds"] / 60, 1) for one in entries],
                **{row: _over_seeds([one["test"][f"{vendor}_{'un' * is_unseen}seen"] for one in entries])
                   for row, (vendor, is_unseen) in _ROWS.items()},
            }  # fmt: skip
    return found


def _over_seeds(tests: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"pictures": tests[0]["pictures"]}
    for language in LANGUAGES:
        found[language] = {
            way: {depth: [round(100 * one[language][way][depth], 2) for one in tests] for depth in depths}
            for way, depths in tests[0][language].items()
        }
    return found


def summary(found: dict[str, Any], searched: dict[str, Any]) -> dict[str, float]:
    """Per cent, mean over the seeds; only what was measured."""

    def of(contender: str, row: str, language: str, depth: str, way: str = "text_to_picture") -> float | None:
        entry = found.get(contender, {}).get(row)
        if entry is None:
            return None
        value = entry[language][way][depth]
        return statistics.mean(value) if isinstance(value, list) else 100 * value

    result: dict[str, float | None] = {}
    for language in LANGUAGES:
        result[f"unseen_vendor_r1_{language}"] = of("bridge", "unseen_vendor", language, "r1")
        result[f"unseen_vendor_r1_{language}_reranked"] = of("bridge", "unseen_vendor", language, "r1", "reranked")
        result[f"unseen_concept_r10_{language}"] = of("bridge", "unseen_concept", language, "r10")
    for contender in ("scratch", "bag_of_words", "conse"):
        result[f"{contender}_unseen_vendor_r1_en"] = of(contender, "unseen_vendor", "en", "r1")
        result[f"{contender}_unseen_concept_r10_en"] = of(contender, "unseen_concept", "en", "r10")
    ours, theirs = result["unseen_concept_r10_en"], result["scratch_unseen_concept_r10_en"]
    result["unseen_concept_r10_ratio"] = ours / theirs if ours and theirs else None
    for name in ("conse", "photos-0"):
        for language, depths in searched.get(name, {}).items():
            result |= {
                f"{name.removesuffix('-0')}_photos_{depth}_{language}": 100 * depths[depth] for depth in ("r1", "r5")
            }
    return {name: round(value, 2) for name, value in result.items() if value is not None}


def main() -> int:
    arguments = TRAININGS.parser("Emoji by their names.", "v2_retrieval.json").parse_args()
    before, runs = TRAININGS.gather(arguments)
    everything = emoji.load()
    found = by_contender(runs) | {"bag_of_words": bag_of_words(everything), "conse": conse(everything)}
    searched = photos(arguments.runs, before.get("photos", {}))
    content = {
        "summary": summary(found, searched), "details": found, "photos": searched,
        "concepts": {kind: sum(one.is_unseen is is_unseen for one in everything)
                     for kind, is_unseen in (("seen", False), ("unseen", True))},
        "data": {"source": emoji.SOURCE, "licence": emoji.LICENCE, "vendors": list(VENDORS)},
        "command": "python -m benchmarks.v2_retrieval --runs FOLDER --train",
        "environment": environment(("torch", "scikit-learn")),
    }  # fmt: skip
    TRAININGS.write(arguments, runs, content)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
