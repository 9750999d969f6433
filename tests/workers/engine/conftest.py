"""An engine on the fake backend: no model, no threads unless asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contracts.messages import InferenceRequest
from tests.workers.tokenizers import byte_tokenizer
from workers.backends.fake import FakeBackend, NextToken
from workers.engine.detokenizer import Vocabulary
from workers.engine.engine import Engine, EngineConfig
from workers.engine.output import ListSink

EOS = 257


class FakeEncoder:
    """Prompts are lists of token ids."""

    eos_ids = frozenset({EOS})

    def __init__(self) -> None:
        self.vocabulary = Vocabulary(byte_tokenizer())

    def encode(self, inputs: dict[str, Any]) -> list[int]:
        if not isinstance(inputs.get("ids"), list):
            raise ValueError("inputs: needs ids")
        return list(inputs["ids"])


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """An engine that is stepped by hand, and everything around it."""

    def __init__(self, backend: FakeBackend, config: EngineConfig) -> None:
        self.backend = backend
        self.sink = ListSink()
        self.clock = Clock()
        self.engine = Engine(backend, FakeEncoder(), self.sink, config, clock=self.clock)

    def submit(self, request_id: str, ids: list[int], **options: Any) -> Any:
        params = {"temperature": 0.0, "max_tokens": 8, **options.pop("params", {})}
        return self.engine.submit(request(request_id, ids, params, **options))

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            self.engine.step()
            self.engine._output.flush()

    def run(self, limit: int = 1000) -> None:
        """Until nothing is left to do."""
        for _ in range(limit):
            busy = self.engine.step()
            self.engine._output.flush()
            if not busy and not self.engine._mailbox.live():
                return
        raise AssertionError("the engine did not come to rest")

    def kinds(self, request_id: str) -> list[str]:
        return [str(event.event) for event in self.sink.of(request_id)]

    def token_ids(self, request_id: str) -> list[int]:
        return [token for event in self.sink.of(request_id) for token in event.data.get("token_ids", [])]

    def last(self, request_id: str) -> dict[str, Any]:
        return self.sink.of(request_id)[-1].data


def request(request_id: str, ids: list[int], params: dict[str, Any], **options: Any) -> InferenceRequest:
    return InferenceRequest(request_id, "fake", "text-generation", {"ids": ids}, params, **options)


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    def make(
        *,
        slots: int = 8,
        context_length: int = 256,
        next_token: NextToken | None = None,
        experts: int = 0,
        **config: Any,
    ) -> Bench:
        options: dict[str, Any] = {"experts": experts, **({"next_token": next_token} if next_token else {})}
        backend = FakeBackend(slots=slots, context_length=context_length, vocab_size=260, **options)
        config = {"max_batch_size": 4, "context_length": context_length, **config}
        return Bench(backend, EngineConfig(**config))

    return make


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()
