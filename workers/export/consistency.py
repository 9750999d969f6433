"""A graph that comes without its original is compared with itself. Run as a process of its own:

python -m workers.export.consistency FOLDER TASK GRAPH RESULT.json

A decoder must say the same token by token as at once; an encoder the same alone as in a padded batch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from workers.backends.ort import OrtBackend

from .source import ExportError

_LEAST = 0.98  # cosine; quantised graphs differ a little with their batch


def decoder(folder: Path, graph: str) -> dict[str, Any]:
    config = json.loads((folder / "genai_config.json").read_text())["model"]
    backend = OrtBackend(folder / graph, slots=2, context_length=min(256, config["context_length"]),
                         head_dim=config["decoder"]["head_size"])  # fmt: skip
    backend.load()
    ids = np.random.default_rng(0).integers(3, backend.vocab_size, 40).tolist()
    whole = backend.prefill(0, ids, 0).copy()
    backend.prefill(0, ids[:7], 0)
    steps = [backend.decode([token], [7 + place])[0].copy() for place, token in enumerate(ids[7:])]
    backend.close()
    return _judge([(whole, steps[-1])], "token by token and at once")


def encoder(folder: Path, graph: str) -> dict[str, Any]:
    """[B, ...] of a batch against its rows alone; for [B, T, width] the real tokens."""
    session = ort.InferenceSession(str(folder / graph), providers=["CPUExecutionProvider"])
    types = {entry.name: np.int32 if entry.type == "tensor(int32)" else np.int64 for entry in session.get_inputs()}
    vocabulary = json.loads((folder / "config.json").read_text()).get("vocab_size", 1000)
    ids = np.random.default_rng(0).integers(3, vocabulary, (3, 19))
    lengths = [19, 11, 5]
    mask = (np.arange(19) < np.asarray(lengths)[:, None]).astype(np.int64)

    def run(rows: Any, real: Any) -> Any:
        feed = {"input_ids": rows, "attention_mask": real, "token_type_ids": np.zeros_like(rows)}
        return session.run(None, {name: feed[name].astype(kind) for name, kind in types.items()})[0]

    together = run(ids * mask, mask)
    pairs = []
    for row, length in enumerate(lengths):
        alone = run(ids[row : row + 1, :length], mask[row : row + 1, :length])[0]
        pairs.append((alone, together[row, :length] if together.ndim == 3 else together[row]))
    return {**_judge(pairs, "alone and in a batch"), "rank": together.ndim, "width": int(together.shape[-1])}


def _judge(pairs: list[tuple[Any, Any]], how: str) -> dict[str, Any]:
    cosines, worst = [], 0.0
    for one, other in pairs:
        if one.shape != other.shape or not np.isfinite([np.abs(one).sum(), np.abs(other).sum()]).all():
            raise ExportError("The graph answers with numbers or shapes that cannot be used.")
        a, b = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
        cosines.append(float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12)))
        worst = max(worst, float(np.abs(a - b).max()))
    if min(cosines) < _LEAST:
        raise ExportError(f"The graph answers differently {how} (cosine {min(cosines):.3f}): it cannot be served.")
    return {"cosine": min(cosines), "max_error": worst}


if __name__ == "__main__":
    check = decoder if sys.argv[2] == "text-generation" else encoder
    try:
        Path(sys.argv[4]).write_text(json.dumps(check(Path(sys.argv[1]), sys.argv[3])))
    except ExportError as error:
        sys.exit(str(error))
