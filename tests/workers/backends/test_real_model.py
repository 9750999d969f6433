"""SmolLM2 itself: what the engine makes of it equals transformers, however it is batched."""

from __future__ import annotations

import pytest

from contracts.messages import InferenceRequest, RevisionSpec
from workers.engine.output import ListSink
from workers.pipelines.text_generation import load_engine

pytestmark = pytest.mark.slow

TOKENS = 24
PROMPTS = [
    "What is the capital of France?", "Write a haiku about the sea.", "Who wrote Romeo and Juliet?",
    "Explain photosynthesis in one sentence.", "What is 12 times 7?", "Name three kinds of bread.",
    "How do airplanes fly?", "Translate 'good morning' into Spanish.", "What is a prime number?",
    "Write a short story about a dragon and a clockmaker who become friends in winter.", "Why is the sky blue?",
    "Give me three tips for better sleep.", "What does a lighthouse keeper do all day?", "List five colours.",
    "Who painted the Mona Lisa?", "What is the boiling point of water in Fahrenheit?", "Say hello.",
    "Summarise the plot of Hamlet for a child of ten, with all the important people in it.", "What is DNA?",
    "How many legs does a spider have?",
]  # fmt: skip


class Service:
    """A started engine and its events."""

    def __init__(self, artifact, **spec):
        self.sink = ListSink()
        spec = {"max_batch_size": 16, "context_length": 512} | spec
        self.engine = load_engine(
            artifact, RevisionSpec("d@1", "d", "text-generation", str(artifact), "", **spec), self.sink
        )
        self.engine.start()

    def submit(self, request_id, prompt, *, resume=None, shown=0, **params):
        params = {"temperature": 0, "max_tokens": TOKENS, **params}
        inputs = {"messages": [{"role": "user", "content": prompt}]}
        return self.engine.submit(
            InferenceRequest(
                request_id, "d", "text-generation", inputs, params,
                resume_token_ids=resume or [], resume_text_length=shown, attempt=2 if resume else 1,
            )
        )  # fmt: skip

    def token_ids(self, request_id):
        return [token for event in self.sink.of(request_id) for token in event.data.get("token_ids", [])]

    def one(self, request_id, prompt, **params):
        outcome = self.submit(request_id, prompt, **params).result(120)
        return self.token_ids(request_id), outcome


@pytest.fixture(scope="module")
def service(fp32):
    service = Service(fp32)
    yield service
    service.engine.close()


@pytest.fixture(scope="module")
def alone(service):
    """Every prompt by itself, the reference of the tests below."""
    return [service.one(f"alone-{index}", prompt)[0] for index, prompt in enumerate(PROMPTS)]


def test_greedy_equals_transformers_on_twenty_prompts(service, alone, tmp_path):
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    from workers.export.gguf_to_transformers import convert
    from workers.export.source import SMOLLM2

    convert(SMOLLM2.locate(), tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    encode = service.engine._intake._encoder.encode
    for prompt, ours in zip(PROMPTS, alone, strict=True):
        ids = encode({"messages": [{"role": "user", "content": prompt}]})
        with torch.inference_mode():
            answer = model.generate(torch.tensor([ids]), max_new_tokens=TOKENS, do_sample=False)
        assert ours == answer[0, len(ids) :].tolist(), prompt


def test_sixteen_at_once_equal_each_alone(service, alone):
    futures = [service.submit(f"ragged-{index}", prompt) for index, prompt in enumerate(PROMPTS[:16])]
    for future in futures:
        future.result(120)

    assert [service.token_ids(f"ragged-{index}") for index in range(16)] == alone[:16]


def test_small_chunks_equal_the_whole_prompt(fp32, alone):
    service = Service(fp32)
    service.engine._budget.tokens = lambda *, decoding: 32
    chunked = [service.one(f"chunked-{index}", prompt)[0] for index, prompt in enumerate(PROMPTS)]
    service.engine.close()

    assert chunked == alone


@pytest.mark.parametrize("cut", [1, 7, 20])
@pytest.mark.parametrize("params", [{}, {"temperature": 0.9, "seed": 5, "top_p": 0.95, "repetition_penalty": 1.2}])
def test_resumed_equals_undisturbed(service, fp32, cut, params):
    whole, _ = service.one(f"whole-{cut}-{len(params)}", PROMPTS[9], **params)
    text = service.sink.text(f"whole-{cut}-{len(params)}")
    other = Service(fp32, max_batch_size=2)
    shown = other.engine._intake._encoder.decode(whole[:cut])

    rest, _ = other.one("rest", PROMPTS[9], resume=whole[:cut], shown=len(shown), **params)
    rest_text = other.sink.text("rest")
    other.engine.close()

    assert whole[:cut] + rest == whole
    assert shown + rest_text == text


def test_a_reused_prefix_changes_nothing(service, alone):
    again, outcome = service.one("again", PROMPTS[17])

    assert again == alone[17]
    assert outcome.cached_tokens > 20


def test_int4_serves_ragged_batches(int4):
    service = Service(int4)
    futures = [service.submit(f"r{index}", prompt, max_tokens=8) for index, prompt in enumerate(PROMPTS[:6])]
    outcomes = [future.result(120) for future in futures]
    service.engine.close()

    assert all(outcome.finish_reason in ("length", "stop") for outcome in outcomes)
    assert all(service.sink.text(f"r{index}") for index in range(6))
