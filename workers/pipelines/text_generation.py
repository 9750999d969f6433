"""Brings an artifact to life: manifest, backend, tokenizer, engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from contracts.messages import RevisionSpec
from workers.backends.base import BackendError
from workers.backends.ort import OrtBackend
from workers.engine.engine import Engine, EngineConfig
from workers.engine.intake import ChatEncoder
from workers.engine.output import Sink

from .chat_tokenizer import ChatTokenizer
from .manifest import read_manifest

TASK = "text-generation"
_KEPT_SLOTS = 8  # finished conversations whose prefix stays findable, beside the running ones


def load_engine(
    artifact: Path,
    spec: RevisionSpec,
    sink: Sink,
    *,
    threads: int = 0,
    device: str = "cpu",
    device_id: int = 0,
    progress: Callable[[str, float], None] = lambda state, fraction: None,
    wrap_encoder: Callable[[ChatTokenizer], ChatEncoder] = lambda encoder: encoder,
) -> Engine:
    """A warm engine, not yet started. `threads` 0 is one per core; `progress` hears the state and how much is done.

    Raises BackendError with a sentence for the administrator.
    """
    manifest = read_manifest(artifact, TASK)
    context_length = min(spec.context_length, manifest["context_length"])
    backend = OrtBackend(
        artifact / manifest["model"],
        slots=spec.max_batch_size + _KEPT_SLOTS,
        context_length=context_length,
        head_dim=manifest["kv"]["head_dim"],
        threads=threads,
        device=device,
        device_id=device_id,
        fp16=spec.fp16,
        engine_cache=artifact.parent / ".engines" / spec.digest,
    )
    progress("LOADING", 0.0)
    backend.load()
    progress("WARMING", 0.6)
    backend.warm_up()
    config = EngineConfig(max_batch_size=spec.max_batch_size, context_length=context_length)
    return Engine(backend, wrap_encoder(load_tokenizer(artifact)), sink, config)


def load_tokenizer(artifact: Path) -> ChatTokenizer:
    """Raises BackendError."""
    eos_ids = read_manifest(artifact, TASK)["eos_ids"]
    try:
        return ChatTokenizer(artifact, eos_ids)
    except Exception as error:  # the Rust side raises plain Exception
        raise BackendError(f"The tokenizer of {artifact.name} could not be read: {error}") from error
