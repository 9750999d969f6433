"""Trains V2 to find pictures by words: vectors that agree first, then the bridge, which tells near misses apart.

python -m workers.training.retrieval --recipe v2.emoji --out FOLDER [--set seed=1 begins=scratch]
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from workers.data import emoji, imagenet, minilm, vocabulary
from workers.data.emoji import LANGUAGES, VENDORS, Emoji
from workers.zoo.bert_weights import load_bert
from workers.zoo.mobilenet import MobileNetConfig, load_imagenet
from workers.zoo.v2_cmab import CMAB, DEPTHS, V2Config, conflict

from .checkpoint import describe, read_checkpoint
from .command import run
from .concepts import LONGEST, Batch, Concepts, encoded
from .fusion import opened
from .loop import Options, State, fit, parameters_of
from .photos import Photos
from .progress import Say
from .recall import both_ways, recalls
from .towards import send, tell_apart
from .variety import varied

BEGINNINGS = ("pretrained", "scratch")
_LISTEN = 20  # steps between two looks at whether the losses pull apart
_KEPT = 0.8  # of what was known of it before
RERANKED = 16
_DRAWN = 8  # times that each picture is varied before the first step, where `drawings` does not say it


@dataclass(frozen=True, slots=True)
class RetrievalConfig:
    name: str
    model: dict[str, Any]
    """Fields of V2Config, but the vocabulary's size and the picture tower, which is MobileNetV2."""
    begins: str = "pretrained"
    """With ImageNet's MobileNetV2 and layers of MiniLM, or from scratch."""
    layers_kept: tuple[int, ...] = ()
    vocab_size: int = 6000
    """Pieces of MiniLM's vocabulary; the Chinese characters of the training come on top."""
    vendor: str = VENDORS[0]
    """Whose pictures are trained on; the others' are the test."""
    size: int = emoji.SIZE
    """Pixels a side that the tower reads."""
    drawings: int = 0
    """How many times each picture is drawn again before the training, of a picture tower that stays as it is; 0 draws
    anew in every step."""
    texts: int = 0
    """Texts in a step, when fewer than pictures: they vary less, and cost more."""
    remembers: bool = True
    """Compare with all that was seen before too, not within a batch alone."""
    classes: int = 0
    """Names of ImageNet's classes in a step, each with what a photo of it would look like to the last stage (pretended
    in workers/training/photos.py): what ImageNet's weights know of photos, in the same space."""
    fuse_from: float = 0.5
    """The share of the steps in which the vectors alone are trained; then the bridge too. 1 trains no bridge."""
    opens_by: float = 0.7
    """All depths of the bridge are open from this share of the steps on."""
    match_weight: float = 0.5
    options: Options = field(default_factory=Options)


class Finding(nn.Module):
    """What is trained, with what a run has to remember beside the weights."""

    def __init__(self, config: V2Config, concepts: int) -> None:
        super().__init__()
        self.cmab = CMAB(config)
        self.register_buffer("seen", torch.zeros(concepts, config.space))
        """The picture's vector of each concept as it was the last time; nothing before the first."""
        self.register_buffer("read", torch.zeros(concepts, config.space))
        """Of its text, in whichever language."""
        self.register_buffer("agreement", torch.ones(()))
        """Cosine between the gradients of the two losses, smoothed."""


class Retrieval:
    """The task that the loop trains."""

    def __init__(self, config: RetrievalConfig, model: Finding, concepts: Concepts) -> None:
        self.config, self.model, self.concepts = config, model, concepts
        self.photos = Photos() if config.classes else None
        self.drawn = [self._drawn(number) for number in range(config.drawings)]
        tower = model.cmab.texts
        self._shared = [*tower.layers[-1].parameters(), *model.cmab.pictures.parts.parameters()]

    def loss(self, step: int) -> Tensor:
        options, cmab = self.config.options, self.model.cmab
        if self.config.begins == "pretrained":
            cmab.pictures.network.eval()  # its norms count as ImageNet's pictures had them: those of a batch know less
        batch = self.concepts.batch_of_step(step, options.batch_size, options.seed, self.config.texts)
        seen = self._seen(batch)
        places, (mean, finer) = cmab.pictures.tell(seen), cmab.pictures.summary(seen)
        vectors, text = cmab.pictures.vector_of(mean, finer), cmab.texts(batch.ids, batch.mask)
        alignment = cmab.alignment(vectors, text.vector, batch.same)
        if self.config.remembers:
            alignment = alignment + self._against_all(batch, vectors, text.vector)
        if self.photos is not None:
            alignment = alignment + self._of_photos(step, mean.detach(), finer.detach())
        if step < self.config.fuse_from * options.steps:
            return alignment
        cmab.bridge.opened = opened(
            step - int(self.config.fuse_from * options.steps),
            options.steps,
            self.config.opens_by - self.config.fuse_from,
        )
        matching = self._matching(batch, vectors, places, text.vector, text.parts)
        if step % _LISTEN == 0:
            found = conflict(alignment, matching, self._shared)
            self.model.agreement.mul_(_KEPT).add_((1 - _KEPT) * found)
        return alignment_weight(self.model.agreement.item()) * alignment + self.config.match_weight * matching

    @torch.no_grad()
    def _drawn(self, number: int) -> list[Tensor]:
        """What the network sees of every concept, drawn again the so manieth time; fp16, as it is large."""
        torch.manual_seed(number)
        pictures = self.model.eval().cmab.pictures
        found = [pictures.see(self._shown(pixels.float() / 255)) for pixels in self.concepts.pixels.split(64)]
        return [torch.cat(depth).half() for depth in zip(*found, strict=True)]

    def _shown(self, pixels: Tensor) -> Tensor:
        return normalised(varied(pixels), self.config.size)

    def _seen(self, batch: Batch) -> list[Tensor]:
        if not self.drawn:
            found: list[Tensor] = self.model.cmab.pictures.see(self._shown(batch.pixels))
            return found
        numbers = torch.randint(len(self.drawn), (len(batch.places),)).tolist()
        return [
            torch.stack([self.drawn[number][depth][place] for number, place in zip(numbers, batch.places, strict=True)])
            .float() for depth in range(DEPTHS)
        ]  # fmt: skip

    def _against_all(self, batch: Batch, pictures: Tensor, texts: Tensor) -> Tensor:
        """Each picture with every text, each text with every picture, as they were when they were seen last: the whole
        gallery at the price of a product."""
        model, told = self.model, batch.places[: len(texts)]
        found = torch.zeros(())
        for memory, vectors, places in ((model.read, pictures, batch.places), (model.seen, texts, told)):
            known = memory.any(1)
            if known.any():
                same = self.concepts.same[known][:, places]
                found = found + 0.5 * model.cmab.alignment(memory[known], vectors, same)
        model.seen[batch.places], model.read[told] = pictures.detach().float(), texts.detach().float()
        return found

    def _of_photos(self, step: int, mean: Tensor, finer: Tensor) -> Tensor:
        """Apart from the drawings: a cat among them and a class that is a cat are not to be told from each other."""
        assert self.photos is not None
        chosen, names = self.photos.of_step(step, self.config.classes, self.config.options.seed)
        ids, mask = encoded(self.concepts.tokenizer, names)
        pretended = self.photos.pretended(chosen, mean)
        vectors = self.model.cmab.pictures.vector_of(pretended, finer[torch.arange(len(chosen)) % len(finer)])
        texts = self.model.cmab.texts(ids[:, :LONGEST], mask[:, :LONGEST]).vector
        return self.model.cmab.alignment(vectors, texts, torch.eye(len(chosen)).bool())

    def _matching(self, batch: Batch, pictures: Tensor, places: Tensor, texts: Tensor, words: Tensor) -> Tensor:
        """Each text with its picture and with the one that is hardest to tell from it."""
        cmab = self.model.cmab
        own = batch.same.float().argmax(0)
        other = cmab.hardest(pictures, texts, batch.same)
        chosen, mask = torch.cat([own, other]), batch.mask.repeat(2, 1)
        match = cmab.bridge(words.repeat(2, 1, 1, 1), places[chosen], mask).match
        return F.binary_cross_entropy_with_logits(match, (torch.arange(len(match)) < len(own)).float())

    def validate(self) -> dict[str, float]:
        """Names to pictures that were varied once more, always the same way: nothing of the test is looked at."""
        torch.manual_seed(0)
        pictures = vectors_of_pictures(self.model.cmab, self.concepts, self.config.size, is_varied=True)[0]
        found = {language: recalls(self._vectors(language) @ pictures.T, self.concepts.same) for language in LANGUAGES}
        figures = {f"{language}_r1": found[language]["r1"] for language in LANGUAGES}
        return {"score": sum(figures.values()) / len(figures), **figures, "agreement": self.model.agreement.item()}

    def _vectors(self, language: str) -> Tensor:
        return vectors_of_texts(self.model.cmab, *self.concepts.names(language))[0]


def alignment_weight(agreement: float) -> float:
    """1 when both losses pull one way, 2 when they pull against each other: vectors come before the bridge."""
    return 1.5 - 0.5 * agreement


def normalised(pixels: Tensor, size: int = emoji.SIZE) -> Tensor:
    """Between 0 and 1 to what ImageNet's networks read, size x size."""
    if pixels.shape[-1] != size:
        pixels = F.interpolate(pixels, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 1)
    mean, deviation = (torch.tensor(value)[:, None, None] for value in (imagenet.MEAN, imagenet.DEVIATION))
    return ((pixels - mean) / deviation).contiguous(memory_format=torch.channels_last)


def vectors_of_pictures(model: Any, concepts: Concepts, size: int, *, is_varied: bool = False) -> tuple[Tensor, Tensor]:
    """Vectors [N, E] and parts [N, S, P, C]."""
    found = []
    for pixels in concepts.pixels.split(64):
        shown = pixels.float() / 255
        found.append(model.pictures(normalised(varied(shown) if is_varied else shown, size)))
    return torch.cat([one.vector for one in found]), torch.cat([one.parts for one in found])


def vectors_of_texts(model: Any, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors [N, E] and parts [N, S, T, C]."""
    found = [model.texts(*part) for part in zip(ids.split(256), mask.split(256), strict=True)]
    return torch.cat([one.vector for one in found]), torch.cat([one.parts for one in found])


def measured(model: Any, concepts: Concepts, size: int = emoji.SIZE) -> dict[str, Any]:
    """Recall of V2, or of its graphs, both ways in each language: of the vectors alone, and with the first 16 in the
    bridge's order."""
    pictures, places = vectors_of_pictures(model, concepts, size)
    figures = {}
    for language in LANGUAGES:
        ids, mask = concepts.names(language)
        texts, words = vectors_of_texts(model, ids, mask)
        scores = texts @ pictures.T
        figures[language] = {
            **both_ways(scores, concepts.same),
            "reranked": recalls(reranked(model, scores, words, places, mask), concepts.same),
        }
    return {"pictures": len(concepts), **figures}


def reranked(model: Any, scores: Tensor, words: Tensor, places: Tensor, mask: Tensor) -> Tensor:
    """The scores [texts, pictures] with the match's logit added to the best of each text, which all stay first."""
    best = scores.topk(min(RERANKED, scores.shape[1]), 1)
    logits = best.values * model.log_scale.exp() + model.bias
    match = torch.cat([
        model.bridge(
            part.repeat_interleave(chosen.shape[1], 0), places[chosen.flatten()],
            shown.repeat_interleave(chosen.shape[1], 0),
        ).match.view(chosen.shape)
        for part, chosen, shown in zip(words.split(32), best.indices.split(32), mask.split(32), strict=True)
    ])  # fmt: skip
    above = scores.amax() + 1
    return scores.scatter(1, best.indices, above + (logits + match).sigmoid())


def checked(config: RetrievalConfig) -> RetrievalConfig:
    """Raises ValueError."""
    if config.begins not in BEGINNINGS or config.vendor not in VENDORS:
        raise ValueError(f"begins is one of {', '.join(BEGINNINGS)}, vendor one of {', '.join(VENDORS)}")
    return config


def setup(config: RetrievalConfig, seen: list[Emoji]) -> tuple[Finding, Tokenizer]:
    """Before the first step. Raises DataMissing."""
    torch.manual_seed(config.options.seed)
    texts = {language: [" ".join((one.names[language], *one.tags[language])) for one in seen] for language in LANGUAGES}
    pruned, kept = vocabulary.pruned(minilm.file("tokenizer.json"), texts["en"], config.vocab_size)
    tokenizer = vocabulary.extended(pruned, {letter for text in texts["zh"] for letter in text if letter > "\u2e80"})
    sizes = V2Config(vocab_size=tokenizer.get_vocab_size(), picture=MobileNetConfig(), **config.model)
    model = Finding(sizes, len(seen))
    if config.begins == "pretrained":
        _begin(model.cmab, config, kept)
    return model.to(memory_format=torch.channels_last), tokenizer


def _begin(model: CMAB, config: RetrievalConfig, kept: list[int]) -> None:
    """The two networks as others trained them; characters that MiniLM lacks stay as they are."""
    load_imagenet(model.pictures.network, torch.load(imagenet.weights(), weights_only=True))
    weights, own = load_file(minilm.file("model.safetensors")), model.texts.embeddings.word.weight.detach()
    words = weights["embeddings.word_embeddings.weight"]
    weights["embeddings.word_embeddings.weight"] = torch.cat([words[kept], own[len(kept) :] / own.std() * words.std()])
    load_bert(model.texts, weights, config.layers_kept)


@torch.no_grad()
def _approach(model: CMAB, concepts: Concepts, size: int, times: int) -> None:
    """What all pictures have in common, as the norms count it; pictures apart from each other, texts to pictures."""
    torch.manual_seed(0)
    tower = model.train().pictures
    tower.network.eval()
    drawn = []
    for _ in range(times):
        found = [tower.see(normalised(varied(pixels.float() / 255), size)) for pixels in concepts.pixels.split(128)]
        for seen in found:
            tower.tell(seen)
        drawn.append([torch.cat(side) for side in zip(*map(tower.summary, found), strict=True)])
    model.eval()
    tell_apart(tower, *(torch.stack(side) for side in zip(*drawn, strict=True)))
    send(model, vectors_of_pictures(model, concepts, size)[0], [concepts.names(language) for language in LANGUAGES])


def train(config: RetrievalConfig, folder: Path, say: Say, stop_at: int = 0) -> dict[str, Any]:
    """From the beginning, or on from the folder's checkpoint; the figures. Raises DataMissing, ValueError."""
    checked(config)
    everything = emoji.load()
    seen, unseen = ([one for one in everything if one.is_unseen is kind] for kind in (False, True))
    model, tokenizer = setup(config, seen)
    folder.mkdir(parents=True, exist_ok=True)
    written = {
        "training": asdict(config), "model": asdict(model.cmab.config),
        "data": {"name": "emoji", "source": emoji.SOURCE, "licence": emoji.LICENCE},
    }  # fmt: skip
    describe(folder, written, tokenizer)
    concepts = Concepts(seen, config.vendor, tokenizer)
    if config.begins == "pretrained" and read_checkpoint(folder) is None:
        _approach(model.cmab, concepts, config.size, config.drawings or _DRAWN)
    options = config.options
    if config.begins == "scratch":
        options = replace(options, frozen=())  # there is nothing that could stay as it is
    state = fit(Retrieval(config, model, concepts), options, folder, say, stop_at)
    if state.step == stop_at:
        return {}
    model.eval()
    with torch.inference_mode():
        found = {
            f"{vendor}_{kind}": measured(model.cmab, Concepts(some, vendor, tokenizer), config.size)
            for vendor in VENDORS for kind, some in (("seen", seen), ("unseen", unseen))
        }  # fmt: skip
    figures = _figures(config, state, found, model)
    (folder / "metrics.json").write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def _figures(config: RetrievalConfig, state: State, test: dict[str, Any], model: Finding) -> dict[str, Any]:
    other = next(vendor for vendor in VENDORS if vendor != config.vendor)
    return {
        "accuracy": test[f"{other}_seen"]["en"]["text_to_picture"]["r1"], "test": test, "best": state.best,
        "evaluations": state.evaluations, "losses": [round(loss, 4) for loss in state.losses], "steps": state.step,
        "seconds": round(state.seconds, 1), "parameters": parameters_of(model.cmab), "begins": config.begins,
        "vendor": config.vendor, "threads": torch.get_num_threads(), "torch": torch.__version__,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(run("Trains a model that finds pictures by words.", "v2.emoji", train))
