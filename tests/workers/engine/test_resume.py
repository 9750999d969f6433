"""A request cut off anywhere and continued elsewhere reads as if nothing had happened."""

from __future__ import annotations

import pytest

from workers.backends.fake import FakeBackend
from workers.engine.engine import Engine, EngineConfig

from .conftest import EOS, Bench

PARAMS = [
    {"max_tokens": 12},
    {"max_tokens": 12, "temperature": 1.5, "seed": 7, "top_p": 0.95},
    {"max_tokens": 12, "temperature": 1.2},
    {"max_tokens": 12, "temperature": 1.0, "frequency_penalty": 1.0, "repetition_penalty": 1.4, "seed": 3},
    {"max_tokens": 12, "stop": ["GH"]},
]


def emoji(token_ids: list[int]) -> int:
    """Bytes of a smiling face again and again."""
    return "🙂好".encode()[(len(token_ids) - 1) % 7]


def deltas(bench: Bench, request_id: str) -> list[dict]:
    return [event.data for event in bench.sink.of(request_id) if event.event == "delta"]


@pytest.mark.parametrize("params", PARAMS)
@pytest.mark.parametrize("next_token", [None, emoji])
def test_resumed_after_any_delta_equals_undisturbed(make_bench, params, next_token):
    whole = make_bench(next_token=next_token)
    whole.submit("r", [64], params=params)
    whole.run()
    parts = deltas(whole, "r")

    for cut in range(1, len(parts) + 1):
        ids = [token for part in parts[:cut] for token in part["token_ids"]]
        shown = "".join(part["text"] for part in parts[:cut])
        rest = make_bench(next_token=next_token)
        rest.submit("r", [64], params=params, attempt=2, resume_token_ids=ids, resume_text_length=len(shown))
        rest.run()

        assert ids + rest.token_ids("r") == whole.token_ids("r")
        assert shown + rest.sink.text("r") == whole.sink.text("r")
        assert "started" not in rest.kinds("r")
        expected = {key: whole.last("r")[key] for key in ("finish_reason", "prompt_tokens", "completion_tokens")}
        assert {key: rest.last("r")[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("ids", "params", "reason"),
    [([65, EOS], {}, "stop"), ([65, 66], {"max_tokens": 2}, "length"), ([65, 66, 67], {"stop": ["BC"]}, "stop")],
)
def test_a_request_that_had_ended_ends_at_once(bench, ids, params, reason):
    bench.submit("a", [64], params=params, attempt=2, resume_token_ids=ids, resume_text_length=1)
    bench.run()

    assert bench.last("a")["finish_reason"] == reason
    assert bench.last("a")["completion_tokens"] == len(ids)
    assert bench.token_ids("a") == []
    assert bench.backend.calls == []


def test_text_the_earlier_attempt_held_back_is_sent(bench):
    """Two of four bytes were streamed as ids, without text."""
    face = list("🙂".encode())
    backend = FakeBackend(vocab_size=260, next_token=lambda ids: face[len(ids) - 1] if len(ids) < 5 else EOS)
    bench.engine = Engine(backend, bench.engine._intake._encoder, bench.sink, EngineConfig(context_length=64))
    bench.submit("a", [64], attempt=2, resume_token_ids=face[:2], resume_text_length=0)
    bench.run()

    assert bench.sink.text("a") == "🙂"
    assert bench.token_ids("a") == [*face[2:], EOS]
