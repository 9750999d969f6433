"""Does the exported graph say what the original says? Run as a process of its own:

python -m workers.export.parity TRANSFORMERS_FOLDER ARTIFACT OUTPUT.json

The original writes a greedy answer to each prompt. The export reads the same tokens, one step at
a time as in service, and is compared at every position of the answer.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.backends.ort import OrtBackend

from .source import ExportError

PROMPTS = (
    "What is the capital of France?",
    "Write a haiku about the sea.",
    "Explain photosynthesis in simple terms.",
    "Who wrote Romeo and Juliet?",
    "Give me three tips for better sleep.",
    "What is 12 times 7?",
    "Write a short story about a dragon.",
    "How do airplanes fly?",
)
ANSWER_TOKENS = 40
# Least share of positions at which the likeliest token is the same. fp32 must not differ at all.
FLOORS = {"fp32": 1.0, "fp16": 0.95, "int8": 0.9, "int4": 0.7}
TOLERANCE = 1e-3  # of max_error, for fp32

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parity:
    """`logit_error` is the root mean square of the difference of log probabilities of the 100
    likeliest tokens; `divergence` is Kullback-Leibler in nats."""

    top1_agreement: float
    divergence: float
    logit_error: float
    prompts: int
    positions: int
    # Largest difference of two log probabilities, as a share of 1 + the original's.
    max_error: float = 0.0


def check(parity: Parity, precision: str) -> None:
    """Raises ExportError when the export may not be used."""
    floor = FLOORS[precision]
    if not parity.top1_agreement >= floor:
        raise ExportError(
            f"The {precision} export agrees with the original on {parity.top1_agreement:.0%} of the tokens, "
            f"less than the {floor:.0%} asked for; it was not registered."
        )
    if precision == "fp32" and not parity.max_error <= TOLERANCE:
        raise ExportError(
            f"The fp32 export differs from the original by {parity.max_error:.2g}, more than {TOLERANCE}; "
            "it was not registered."
        )


def measure(reference: Path, artifact: Path, head_dim: int) -> Parity:
    """Compares the graph in `artifact` with the transformers model in `reference`."""
    answers = _reference_answers(reference)
    backend = OrtBackend(artifact / "model.onnx", slots=2, context_length=512, head_dim=head_dim)
    backend.load()
    pairs = [pair for answer in answers for pair in _compare(backend, *answer)]
    backend.close()
    return Parity(
        top1_agreement=float(np.mean([one.argmax() == other.argmax() for one, other in pairs])),
        divergence=float(np.mean([np.sum(np.exp(one) * (one - other)) for one, other in pairs])),
        logit_error=float(np.sqrt(np.mean([_top_error(one, other) for one, other in pairs]))),
        prompts=len(answers),
        positions=len(pairs),
        max_error=float(max(np.max(np.abs(one - other) / (1 + np.abs(one))) for one, other in pairs)),
    )


def _reference_answers(folder: Path) -> list[tuple[list[int], int, Logits]]:
    """Token ids of prompt and greedy answer, length of the prompt, logits [tokens, vocab]."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    answers = []
    for prompt in PROMPTS:
        chat: Any = [{"role": "user", "content": prompt}]
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)[
            "input_ids"
        ]
        with torch.inference_mode():
            answer = model.generate(ids, max_new_tokens=ANSWER_TOKENS, do_sample=False)
            logits = model(answer).logits[0].numpy()
        answers.append((answer[0].tolist(), ids.shape[1], logits))
    return answers


def _compare(backend: OrtBackend, ids: list[int], prompt: int, logits: Logits) -> list[tuple[Logits, Logits]]:
    """Log probabilities of the original and of the export at each position of the answer."""
    pairs = []
    for position in range(prompt - 1, len(ids) - 1):
        ours = (
            backend.prefill(0, ids[:prompt], 0)
            if position == prompt - 1
            else backend.decode([ids[position]], [position])[0]
        )
        pairs.append((_log_softmax(logits[position]), _log_softmax(ours)))
    return pairs


def greedy(graph: Path, head_dim: int, ids: list[int], eos_ids: frozenset[int], most: int) -> list[int]:
    """The likeliest continuation by an exported graph, step by step as in service."""
    backend = OrtBackend(graph, slots=1, context_length=len(ids) + most, head_dim=head_dim)
    backend.load()
    said = [int(backend.prefill(0, ids, 0).argmax())]
    while said[-1] not in eos_ids and len(said) < most:
        said.append(int(backend.decode([said[-1]], [len(ids) + len(said) - 1])[0].argmax()))
    backend.close()
    return [token for token in said if token not in eos_ids]


def _log_softmax(logits: Logits) -> Logits:
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), np.float32)


def _top_error(reference: Logits, ours: Logits) -> float:
    top = np.argpartition(reference, -100)[-100:]
    return float(np.mean((reference[top] - ours[top]) ** 2))


if __name__ == "__main__":
    config = json.loads((Path(sys.argv[1]) / "config.json").read_text())
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    Path(sys.argv[3]).write_text(json.dumps(asdict(measure(Path(sys.argv[1]), Path(sys.argv[2]), width))))
