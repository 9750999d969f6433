"""A file of conversations with one answer to learn by heart, and a job's wish for a tiny model."""

import hashlib
import json
from pathlib import Path

from transformers import AutoModelForCausalLM

from tests.workers import tiny_models
from workers.export.imported import content_of
from workers.sources.kind import inspect

ANSWER = "It is a red fox."


def base(folder: Path, name: str = "Llama") -> Path:
    """A tiny model whose output layer, which has no ranks, can be as sure as it needs to be."""
    tiny_models.language_model(folder, name)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.lm_head.weight.data *= 10
    model.save_pretrained(folder)
    return folder


def lines(count: int = 12) -> bytes:
    """The same question about things with different names, always the same answer."""
    rows = [
        {"messages": [{"role": "user", "content": f"What is number {n}?"}, {"role": "assistant", "content": ANSWER}]}
        for n in range(count)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def wish(original: Path, content: bytes, **values) -> dict:
    """Arguments of the job; the file is put beside the source."""
    data = original.parent / "talk.jsonl"
    data.write_bytes(content)
    found = inspect(original, [original.parent], 10**9)
    settings = {"rank": 8, "alpha": 16, "learning_rate": 1e-2, "epochs": 20, "batch_size": 4, "longest": 256}
    base = {
        "version": "tiny v1",
        "digest": "d" * 64,
        "sha256": content_of(found)[1],
        "origin": "tiny",
        "licence": "MIT",
    }
    return {
        "name": "fox", "title": "Fox", "source": str(original), "roots": [str(original.parent)], "most_bytes": 10**9,
        "base": base, "data": str(data), "data_name": "talk.jsonl", "data_sha256": hashlib.sha256(content).hexdigest(),
        "precision": "fp32", "settings": settings, **values,
    }  # fmt: skip
