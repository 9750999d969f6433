"""A run of V3 to an artifact that chats: the graph with the cache of the chat engine, compared token by token.

python -m workers.export.moe RUN OUT [--title TITLE]

Names and shapes are those of onnxruntime-genai's builder, attention is its GroupQueryAttention, which writes keys and
values into the memory that it reads them from (workers/backends/ort.py). The model has learned to go on with a text,
not to answer, so its chat template only joins the contents.

Letters as in workers/zoo/v3_moe.py: B batch, T tokens, N = B T, C width, G heads of keys and values, D head width, E
experts; P places of the cache, S tokens of the mask.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional as F
from torch.onnx.ops import symbolic_multi_out

from workers.zoo.trained import load_v3
from workers.zoo.v3_moe import V3, Attention, Mixture, active_parameters, routers

from . import command
from .classifier import strip
from .manifest import seal
from .source import ExportError
from .trained import Progress, Wish

GRAPH = "model.onnx"
PICKS = "picks"  # output [B, layers, K]: the experts that each row's last token went to
TOLERANCE = 1e-4  # largest difference of any logit
_HEAD = 16  # GroupQueryAttention has no other widths
_TOKENS = 48  # that are compared one by one
_END = "<|end|>"
_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% if not loop.last %}\n\n{% endif %}{% endfor %}"


class Decoding(nn.Module):
    """The last token's logits, the cache with this call's keys and values in it, and the last token's experts."""

    def __init__(self, model: V3) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, past: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        """input_ids [B, T], attention_mask [B, S] of ones up to each row's length, past a pair [B, G, P, D] a layer."""
        last = (attention_mask.sum(1) - 1).to(torch.int32)  # (B,)
        total = torch.tensor(attention_mask.shape[1], dtype=torch.int32)
        x, present, picks = self.model.embed(input_ids), [], []
        for layer, (keys, values) in zip(self.model.layers, past, strict=True):
            looked, *pair = _look(layer.attention, layer.first(x), keys, values, last, total)
            x = x + looked
            thought, picked = _think(layer.feed_forward, layer.second(x))
            x = x + thought
            present += pair
            picks += picked
        used = [torch.stack(picks, 1)] if picks else []  # (B, L, K)
        return [self.model.head(self.model.norm(x[:, -1:])), *present, *used]


def _look(
    attention: Attention, x: Tensor, keys: Tensor, values: Tensor, last: Tensor, total: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    config = attention.config
    given = [attention.query(x), attention.key(x), attention.value(x), keys, values, last, total]
    mixed, keys, values = symbolic_multi_out(
        "com.microsoft::GroupQueryAttention", [*given, attention.cos, attention.sin],
        {"num_heads": config.heads, "kv_num_heads": config.kv_heads, "do_rotary": 1, "rotary_interleaved": 0},
        dtypes=[x.dtype] * 3, shapes=[x.shape, keys.shape, values.shape], version=1,
    )  # fmt: skip
    return attention.out(mixed), keys, values


def _think(feed_forward: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What is added, and the experts [B, K] of each last token. All experts for every token, those that it did not pick
    by nothing: a graph has no loops over how many picked which, and copying the picked experts' matrices for each token
    would cost more."""
    if not isinstance(feed_forward, Mixture):
        out: Tensor = feed_forward(x)
        return out, []
    tokens = x.flatten(0, 1)  # (N, C)
    picks, weights = feed_forward.router(tokens)
    shares = torch.zeros_like(feed_forward.router.fit(tokens)).scatter(1, picks, weights)  # (N, E)
    gate, up = (tokens @ feed_forward.experts.w_in).chunk(2, -1)  # (E, N, F)
    out = ((F.silu(gate) * up) @ feed_forward.experts.w_out * shares.T[..., None]).sum(0)
    if feed_forward.shared is not None:
        out = out + feed_forward.shared(tokens)
    return out.view_as(x), [picks.unflatten(0, x.shape[:2])[:, -1]]


def names(layers: int) -> tuple[list[str], list[str]]:
    """Of the caches that go in and come out."""
    pairs = [f"{layer}.{part}" for layer in range(layers) for part in ("key", "value")]
    return [f"past_key_values.{pair}" for pair in pairs], [f"present.{pair}" for pair in pairs]


def _is_mixture(model: V3) -> bool:
    return isinstance(model.layers[0].feed_forward, Mixture)


def write_graph(model: V3, folder: Path) -> None:
    """model.onnx of a model in eval mode. Raises ExportError."""
    config = model.config
    if config.head_width % _HEAD:
        raise ExportError(f"A head is {config.head_width} wide; the graph needs a multiple of {_HEAD}.")
    past, present = names(config.layers)
    cache = torch.zeros(2, config.kv_heads, 24, config.head_width)
    given = (
        torch.zeros(2, 3, dtype=torch.long), torch.ones(2, 5, dtype=torch.long),
        [(cache.clone(), cache.clone()) for _ in range(config.layers)],
    )  # fmt: skip
    batch, places = Dim("batch"), {0: Dim("batch"), 2: Dim("places")}
    torch.onnx.export(
        Decoding(model).eval(), given, folder / GRAPH, dynamo=True, external_data=False, verbose=False,
        dynamic_shapes=({0: batch, 1: Dim("tokens")}, {0: batch, 1: Dim("total")},
                        [(places, places) for _ in range(config.layers)]),
        input_names=["input_ids", "attention_mask", *past],
        output_names=["logits", *present, *([PICKS] if _is_mixture(model) else [])],
    )  # fmt: skip
    strip(folder / GRAPH)


@torch.no_grad()
def compare(model: V3, path: Path, tolerance: float = TOLERANCE) -> dict[str, Any]:
    """The likeliest token after another, by the graph with its cache in parts and by the model from the beginning.
    Raises ExportError."""
    config, (past, present) = model.config, names(model.config.layers)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    shape = (1, config.kv_heads, config.context, config.head_width)
    cache = {name: np.zeros(shape, np.float32) for name in past}
    ids = torch.randint(config.vocab_size, (1, 9), generator=torch.Generator().manual_seed(0))
    outputs, same = ["logits", *present, *([PICKS] if _is_mixture(model) else [])], []
    worst, done, count = 0.0, 0, min(_TOKENS, config.context - ids.shape[1])
    for end in [4, 9, *range(10, 9 + count)]:
        mask = np.ones((1, end), np.int64)
        got, *kept = session.run(outputs, {"input_ids": ids[:, done:end].numpy(), "attention_mask": mask, **cache})
        cache, done = dict(zip(past, kept, strict=False)), end
        logits, picks = _with_picks(model, ids[:, :end])
        wanted = logits[0, -1].numpy()
        same += [np.array_equal(np.sort(kept[-1][0]), np.sort(picks.numpy()))] if _is_mixture(model) else []
        difference = float(np.abs(got[0, 0] - wanted).max())
        worst = max(worst, difference if np.isfinite(difference) else np.inf)
        if not (worst <= tolerance and got[0, 0].argmax() == wanted.argmax()):
            raise ExportError(f"{path.name} differs from the original by {worst:.2g}, more than {tolerance}.")
        if end == ids.shape[1]:
            ids = torch.cat([ids, torch.tensor([[int(wanted.argmax())]])], 1)
    found = {"max_error": worst, "tolerance": tolerance, "tokens": count, "top1_agreement": 1.0}
    return found | ({"picks_agreement": float(np.mean(same))} if same else {})


def _with_picks(model: V3, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and of each layer the experts [L, K] of the last token of one text."""
    found: list[Tensor] = []
    handles = [
        router.register_forward_hook(lambda _, __, routed: found.append(routed.picks[-1])) for router in routers(model)
    ]
    logits: Tensor = model(ids)
    for handle in handles:
        handle.remove()
    return logits, torch.stack(found) if found else torch.empty(0)


def write_tokenizer(folder: Path) -> None:
    """A token for each byte, by its value, and one more that ends a text."""
    plain = [byte for byte in range(256) if chr(byte).isprintable() and byte not in (0x20, 0xA0, 0xAD)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(others)}
    assert set(letters) == set(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([_END])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": _END, "chat_template": _TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")


class MixtureExporter:
    """Works inside `work`, which its owner removes."""

    def __init__(self, run: Path, work: Path, progress: Progress = lambda stage, fraction: None) -> None:
        self.run, self.work, self._progress = run, work, progress
        self.model, self.config = load_v3(run)
        self.trained = json.loads((run / "metrics.json").read_text())

    def export(self, wish: Wish, artifact: Path) -> dict[str, Any]:
        """The manifest of the artifact that was made. Raises ExportError."""
        if artifact.exists():
            raise ExportError(f"{artifact} exists: choose another folder.")
        if wish.precision != "fp32":
            raise ExportError("A mixture of experts is exported in fp32 only.")
        folder = self.work / "artifact"
        folder.mkdir()
        self._progress("building the graph", 0.05)
        write_graph(self.model, folder)
        write_tokenizer(folder)
        self._progress("checking against the original", 0.6)
        values = _values(self.model, self.config, self.trained, wish.title) | {"name": wish.name}
        values["metrics"]["parity"] = compare(self.model, folder / GRAPH)
        (folder / "README.md").write_text(_card(values))
        seal(folder, values)
        shutil.move(folder, artifact)
        manifest: dict[str, Any] = json.loads((artifact / "manifest.json").read_text())
        return manifest


def export(run: Path, out: Path, title: str) -> dict[str, Any]:
    """The manifest of the artifact that was made. Raises ExportError."""
    with tempfile.TemporaryDirectory(dir=out.parent) as work:
        return MixtureExporter(run, Path(work)).export(Wish(out.name, title, "fp32"), out)


def _values(model: V3, config: dict[str, Any], trained: dict[str, Any], title: str) -> dict[str, Any]:
    sizes, training = model.config, config["training"]
    return {
        "title": title, "task": "text-generation", "precision": "fp32", "licence": "Apache-2.0",
        "architecture": "V3MixtureOfExperts", "model": GRAPH, "tokenizer": "tokenizer.json",
        "context_length": sizes.context, "eos_ids": [sizes.vocab_size - 1],
        "kv": {"layers": sizes.layers, "heads": sizes.kv_heads, "head_dim": sizes.head_width},
        "source": {
            "origin": "Trained from scratch", "data": config["data"], "steps": trained["steps"],
            "seconds": trained["seconds"], "parameters": trained["parameters"],
            "parameters_active": active_parameters(model), "seed": training["options"]["seed"],
            "training": _command(training, trained),
        },
        "metrics": {name: trained[name] for name in ("bits", "load_cv") if name in trained},
        "command": "python -m workers.export.moe RUN OUT",
    }  # fmt: skip


def _command(training: dict[str, Any], trained: dict[str, Any]) -> str:
    recipe = training["name"].replace("v3-", "v3.", 1).replace("-", "_")
    if mesh := trained.get("mesh"):
        return (
            f"torchrun --nproc-per-node {math.prod(mesh)} -m workers.training.parallel --recipe {recipe} "
            f"--mesh {','.join(map(str, mesh))} --out RUN"
        )
    return f"python -m workers.training.moe --recipe {recipe} --out RUN"


def _card(values: dict[str, Any]) -> str:
    source, metrics = values["source"], values["metrics"]
    return "\n".join([
        f"---\nlicense: {values['licence']}\npipeline_tag: {values['task']}\n---\n", f"# {values['title']}\n",
        f"A mixture of experts that goes on with a text, byte by byte: {source['parameters']:,} parameters, of which a "
        f"byte meets {source['parameters_active']:,}. It has read one book and knows no answers.\n",
        f"## Data\n\n{source['data']['source']}. Licence: {source['data']['licence']}.\n",
        f"## Measured\n\n{metrics['bits']:.3f} bits a character on the test. Largest difference between graph and "
        f"original: {metrics['parity']['max_error']:.1e}.\n",
        f"## Made with\n\n```\n{source['training']}\n{values['command']}\n```\n\n{source['steps']:,} steps, seed "
        f"{source['seed']}, {source['seconds'] / 60:.0f} minutes.\n",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(command.main("Makes an artifact of a run of V3.", "Shakespeare, byte by byte", export))
