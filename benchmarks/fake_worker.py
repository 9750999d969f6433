"""A worker that is ours in everything but the model: `celery -A benchmarks.fake_worker worker`.

Celery, claim, engine, output and streams are those of `workers.app`; the backend computes nothing. The manifest's
`step_seconds` says how long it sleeps for each token of an answer but the first (0: not at all).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contracts.messages import RevisionSpec
from tests.workers.tokenizers import byte_tokenizer
from workers.app import app
from workers.backends.base import Logits
from workers.backends.fake import FakeBackend
from workers.engine.detokenizer import Vocabulary
from workers.engine.engine import Engine, EngineConfig
from workers.loaded import Progress
from workers.streams import RedisStreams
from workers.tasks import infer

__all__ = ["app"]

SLOTS = 128
CONTEXT = 256
PROMPT = list(b"What is the capital of France?")
LETTERS = 26


class FixedPrompt:
    """Every request has the same prompt: tokenising is the model's work, not the gateway's."""

    eos_ids: frozenset[int] = frozenset()

    def __init__(self) -> None:
        self.vocabulary = Vocabulary(byte_tokenizer())

    def encode(self, inputs: dict[str, Any]) -> list[int]:
        return list(PROMPT)


class PacedBackend(FakeBackend):
    """Prompts take no time: a request that comes does not hold up those that run."""

    def _begin(self, kind: str, size: int) -> None:
        super()._begin(kind, size)
        self.calls.clear()  # kept for tests; here it would grow for ever

    def prefill(self, slot: int, token_ids: Sequence[int], offset: int) -> Logits:
        pace, self._step_seconds = self._step_seconds, 0.0
        try:
            return super().prefill(slot, token_ids, offset)
        finally:
            self._step_seconds = pace


def letter(token_ids: list[int]) -> int:
    """The alphabet, again and again."""
    return ord("a") + len(token_ids) % LETTERS


def load(spec: RevisionSpec, streams: RedisStreams, progress: Progress) -> Engine:
    manifest = json.loads((Path(spec.artifact) / "manifest.json").read_text())
    backend = PacedBackend(
        slots=2 * SLOTS,
        context_length=CONTEXT,
        vocab_size=258,
        next_token=letter,
        step_seconds=manifest["step_seconds"],
    )
    engine = Engine(backend, FixedPrompt(), streams, EngineConfig(max_batch_size=SLOTS, context_length=CONTEXT))
    engine.start()
    return engine


infer.load = load  # type: ignore[assignment]
