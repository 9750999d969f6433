"""A worker whose models take the bytes that their manifests name: `celery -A tests.workers.greedy_worker worker`."""

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fake_worker import CONTEXT, FixedPrompt, app
from contracts.messages import RevisionSpec
from workers.backends.base import Logits
from workers.backends.fake import FakeBackend
from workers.engine.engine import Engine, EngineConfig
from workers.loaded import Progress
from workers.streams import RedisStreams
from workers.tasks import infer

__all__ = ["app"]


class GreedyBackend(FakeBackend):
    def __init__(self, at_load: int, at_step: int) -> None:
        super().__init__(slots=4, context_length=CONTEXT, vocab_size=258)
        self._at_load, self._at_step = at_load, at_step

    def load(self) -> None:
        super().load()
        self._taken = take(self._at_load)

    def prefill(self, slot: int, token_ids: Sequence[int], offset: int) -> Logits:
        take(self._at_step)
        return super().prefill(slot, token_ids, offset)


def take(size: int) -> bytes:
    """Memory that is really used: every page is written."""
    return b"\x01" * size


def load(spec: RevisionSpec, streams: RedisStreams, progress: Progress) -> Engine:
    manifest = json.loads((Path(spec.artifact) / "manifest.json").read_text())
    backend = GreedyBackend(manifest.get("at_load", 0), manifest.get("at_step", 0))
    backend.load()
    engine = Engine(backend, FixedPrompt(), streams, EngineConfig(max_batch_size=4, context_length=CONTEXT))
    engine.start()
    return engine


infer.load = load  # type: ignore[assignment]
