"""The graph of V3 says token by token what the model says, in the chat engine too."""

import json

import numpy as np
import pytest
import torch

from contracts.messages import InferenceRequest, RevisionSpec
from workers.backends.ort import OrtBackend
from workers.engine.output import ListSink
from workers.export import moe as exported
from workers.export.source import ExportError
from workers.pipelines.text_generation import load_engine
from workers.training import moe
from workers.training.loop import Options
from workers.training.moe import MoeConfig, Text
from workers.zoo.trained import load_v3
from workers.zoo.v3_moe import FEED_FORWARD, V3, V3Config, routers

pytestmark = pytest.mark.slow
SIZES = {"width": 32, "layers": 2, "heads": 2, "kv_heads": 1, "hidden": 16, "context": 96}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A model that has hardly begun to read."""
    folder = tmp_path_factory.mktemp("run")
    letters = np.frombuffer(b"to be or not to be, that is the question. " * 20, np.uint8).astype(np.int64)
    options = Options(steps=20, batch_size=4, learning_rate=1e-2, evaluate_every=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moe, "load_text", lambda: Text(letters, letters[:200], letters[:200]))
        moe.train(MoeConfig("tiny", SIZES | {"shared": 1}, length=48, options=options), folder, lambda said: None)
    return folder


@pytest.fixture(scope="module")
def artifact(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("artifacts") / "v3-tiny"
    exported.export(run, out, "Tiny")
    return out


def test_the_manifest_says_what_the_engine_needs(artifact):
    manifest = json.loads((artifact / "manifest.json").read_text())

    assert (manifest["task"], manifest["name"], manifest["context_length"]) == ("text-generation", "v3-tiny", 96)
    assert manifest["kv"] == {"layers": 2, "heads": 1, "head_dim": 16}
    assert manifest["eos_ids"] == [256]
    assert sorted(manifest["files"]) == ["README.md", "model.onnx", "tokenizer.json", "tokenizer_config.json"]
    assert manifest["metrics"]["parity"]["top1_agreement"] == 1.0


def test_the_engine_says_what_the_model_says_alone_and_in_a_batch(run, artifact):
    model, _ = load_v3(run)
    sink = ListSink()
    engine = load_engine(
        artifact, RevisionSpec("m@1", "m", "text-generation", str(artifact), "", max_batch_size=4, context_length=96),
        sink, threads=1,
    )  # fmt: skip
    engine.start()
    prompts = ["to be", "or not to be, that", "question: ü", "t"]

    def submit(name, prompt):
        inputs = {"messages": [{"role": "user", "content": prompt}]}
        return engine.submit(
            InferenceRequest(name, "m", "text-generation", inputs, {"temperature": 0, "max_tokens": 20, "logprobs": 0})
        )

    for name, prompt in enumerate(prompts):
        submit(f"alone-{name}", prompt).result(60)
    for future in [submit(f"both-{name}", prompt) for name, prompt in enumerate(prompts)]:
        future.result(60)
    engine.close()

    for name, prompt in enumerate(prompts):
        wanted = greedy(model, list(prompt.encode()), 20)
        for kind in ("alone", "both"):
            events = sink.of(f"{kind}-{name}")
            assert [token for event in events for token in event.data.get("token_ids", [])] == wanted, prompt
            told = [entry["experts"] for event in events for entry in event.data.get("logprobs", [])]
            assert [[sorted(layer) for layer in one] for one in told] == picked(model, list(prompt.encode()), wanted), (
                prompt
            )
        assert sink.text(f"alone-{name}") == bytes(wanted).decode(errors="replace")


@torch.no_grad()
def greedy(model, ids, count):
    begin = len(ids)
    for _ in range(count):
        ids = [*ids, int(model(torch.tensor([ids]))[0, -1].argmax())]
    return ids[begin:]


@torch.no_grad()
def picked(model, prompt, answer):
    """For each token of the answer the experts of each layer that the token before went to, in rising order."""
    found = []
    handles = [
        router.register_forward_hook(lambda _, __, routed: found.append(routed.picks.sort(-1).values.tolist()))
        for router in routers(model)
    ]
    model(torch.tensor([[*prompt, *answer[:-1]]]))
    for handle in handles:
        handle.remove()
    return [[layer[place] for layer in found] for place in range(len(prompt) - 1, len(prompt) + len(answer) - 1)]


@pytest.mark.parametrize("kind", FEED_FORWARD)
def test_another_model_is_noticed(tmp_path, kind):
    torch.manual_seed(0)
    sizes = V3Config(vocab_size=40, **SIZES)
    model = V3(sizes, FEED_FORWARD[kind]).eval()
    exported.write_graph(model, tmp_path)

    parity = exported.compare(model, tmp_path / "model.onnx")
    assert parity["max_error"] <= 1e-4
    assert parity.get("picks_agreement", 0.0) == (kind == "moe")
    with pytest.raises(ExportError, match="differs from the original"):
        exported.compare(V3(sizes, FEED_FORWARD[kind]).eval(), tmp_path / "model.onnx", tolerance=1e-6)


def test_heads_that_the_operator_cannot_have_are_refused(tmp_path):
    model = V3(V3Config(vocab_size=40, **SIZES | {"heads": 4}))
    with pytest.raises(ExportError, match="8 wide"):
        exported.write_graph(model, tmp_path)


def test_an_artifact_is_not_overwritten(run, artifact):
    with pytest.raises(ExportError, match="exists"):
        exported.export(run, artifact, "Tiny")


@pytest.mark.parametrize(("kind", "shape"), [("moe", (2, 2)), ("dense", None)])
def test_the_backend_tells_picks_where_there_are_experts(tmp_path, kind, shape):
    torch.manual_seed(0)
    exported.write_graph(V3(V3Config(vocab_size=40, **SIZES), FEED_FORWARD[kind]).eval(), tmp_path)
    backend = OrtBackend(tmp_path / "model.onnx", slots=3, context_length=32, head_dim=16, threads=1)
    backend.load()
    found = []
    for call in (lambda: backend.prefill(0, [1, 2, 3], 0), lambda: backend.decode([4, 5], [3, 1])):
        call()
        found.append(None if backend.picks is None else backend.picks.shape)
    backend.close()

    assert found == ([(1, *shape), (2, *shape)] if shape else [None, None])
