"""Trains a text classifier with dyadic range attention, or the same with another attention beside it.

python -m workers.training.classify --recipe v1.sst2 --out FOLDER [--set seed=1 attention=full]

The folder has checkpoint.pt and best.pt, config.json, tokenizer.json and metrics.json. Started again, it goes on
where it was.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from workers.data import corpus as corpora
from workers.data import listops, minilm, needle, vocabulary
from workers.data.corpus import Corpus
from workers.zoo.bert_weights import load_bert
from workers.zoo.trained import ATTENTIONS
from workers.zoo.v1_dynamic_attention import Classifier, V1Config

from .checkpoint import describe
from .command import run
from .loop import Options, State, fit, parameters_of
from .progress import Say
from .texts import Texts


@dataclass(frozen=True, slots=True)
class ClassifyConfig:
    name: str
    corpus: str
    """Module in workers.data."""
    model: dict[str, Any]
    """Fields of V1Config, but the sizes of vocabulary and labels."""
    tokenizer: str = "words"
    """`minilm` is MiniLM's with vocab_size pieces, `byte_pairs` is learned from the texts, `words` has each token of
    a generated data set."""
    vocab_size: int = 6000
    layers_kept: tuple[int, ...] = ()
    """Layers of MiniLM to begin with; none begins from scratch."""
    attention: str = "dynamic"
    longest: int = 512
    """Tokens of a training text; what follows is cut."""
    train_examples: int = 0
    validation_examples: int = 1000
    test_examples: int = 0
    range_penalty: float = 0.0
    """Times the mean range, as a share of all levels, added to the loss."""
    options: Options = field(default_factory=Options)


class Classification:
    """The task that the loop trains."""

    def __init__(self, config: ClassifyConfig, model: Classifier, train: Texts, validation: Texts) -> None:
        self.config, self.model, self.train, self.validation = config, model, train, validation

    def loss(self, step: int) -> Tensor:
        options = self.config.options
        batch = self.train.batch_of_step(step, options.batch_size, options.seed)
        logits, reach = self.model(batch.ids, batch.mask)
        loss = F.cross_entropy(logits.float(), batch.labels)
        if not self.config.range_penalty:
            return loss
        share = (reach * batch.mask[:, None, None]).sum() / (batch.mask.sum() * reach.shape[1] * reach.shape[2])
        return loss + self.config.range_penalty * share / self.model.config.levels

    def validate(self) -> dict[str, float]:
        return score(self.model, self.validation)


def score(model: Classifier, texts: Texts) -> dict[str, float]:
    """Share of right answers, mean loss, and the share of all levels that the tokens ask for."""
    right, loss, asked, tokens = 0, 0.0, 0.0, 0
    for batch in texts.in_order(64):
        logits, reach = model(batch.ids, batch.mask)
        right += int((logits.argmax(-1) == batch.labels).sum())
        loss += float(F.cross_entropy(logits, batch.labels, reduction="sum"))
        asked += float((reach.mean((1, 2)) * batch.mask).sum()) / max(1, model.config.levels)
        tokens += int(batch.mask.sum())
    return {"score": right / len(texts), "loss": loss / len(texts), "range": asked / tokens}


def setup(config: ClassifyConfig, corpus: Corpus) -> tuple[Classifier, Tokenizer]:
    """A model and its tokenizer, before the first step. Raises DataMissing, ValueError."""
    if config.attention not in ATTENTIONS:
        raise ValueError(f"attention is one of {', '.join(ATTENTIONS)}, not {config.attention}")
    torch.manual_seed(config.options.seed)
    tokenizer, kept = _tokenizer(config, corpus)
    sizes = {"vocab_size": tokenizer.get_vocab_size(), "labels": len(corpus.labels)}
    model = Classifier(V1Config(**sizes, **config.model), ATTENTIONS[config.attention])
    if config.layers_kept:
        load_bert(model.encoder, load_file(minilm.file("model.safetensors")), config.layers_kept, kept)
    model.encoder.checkpointing = config.options.checkpointing
    return model, tokenizer


def _tokenizer(config: ClassifyConfig, corpus: Corpus) -> tuple[Tokenizer, list[int] | None]:
    texts = [text for text, _ in corpus.train]
    if config.tokenizer == "minilm":
        return vocabulary.pruned(minilm.file("tokenizer.json"), texts, config.vocab_size)
    if config.tokenizer == "byte_pairs":
        return vocabulary.byte_pairs(texts, config.vocab_size), None
    tokens = {"listops": listops.TOKENS, "needle": needle.TOKENS}[config.corpus]
    return vocabulary.words(tokens), None


def load_corpus(config: ClassifyConfig) -> Corpus:
    """Raises DataMissing."""
    return corpora.load(config.corpus).some(config.train_examples, config.validation_examples, config.test_examples)


def train(config: ClassifyConfig, folder: Path, say: Say, stop_at: int = 0) -> dict[str, Any]:
    """From the beginning, or on from the folder's checkpoint; the figures. Raises DataMissing, ValueError."""
    corpus = load_corpus(config)
    model, tokenizer = setup(config, corpus)
    folder.mkdir(parents=True, exist_ok=True)
    written = {
        "training": asdict(config), "model": asdict(model.config), "labels": list(corpus.labels),
        "data": {"name": corpus.name, "source": corpus.source, "licence": corpus.licence},
    }  # fmt: skip
    describe(folder, written, tokenizer)
    pad = model.config.pad_id
    parts = (corpus.train, corpus.validation, corpus.test)
    training, validation, test = (Texts(part, tokenizer, config.longest, pad) for part in parts)
    state = fit(Classification(config, model, training, validation), config.options, folder, say, stop_at)
    if state.step == stop_at:
        return {}
    model.eval()
    with torch.inference_mode():
        figures = _figures(config, state, score(model, test), model, corpus)
    (folder / "metrics.json").write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def _figures(
    config: ClassifyConfig, state: State, test: dict[str, float], model: Classifier, corpus: Corpus
) -> dict[str, Any]:
    return {
        "accuracy": test["score"], "test": test, "best": state.best, "evaluations": state.evaluations,
        "losses": [round(loss, 4) for loss in state.losses], "steps": state.step, "seconds": round(state.seconds, 1),
        "examples": {"train": len(corpus.train), "validation": len(corpus.validation), "test": len(corpus.test)},
        "parameters": parameters_of(model), "attention": config.attention,
        "threads": torch.get_num_threads(), "torch": torch.__version__,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(run("Trains a text classifier.", "v1.sst2", train))
