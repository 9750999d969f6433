"""The embedded chat model, from the weights in its package to an artifact folder.

python -m workers.export.chat_model --out DIR --precision int4 [--progress tty|json|none]

prints the artifact folder as its last line. The result is cached by source, precision and exporter
version; it is made in a hidden folder and renamed, so an interrupted run leaves nothing to trip over.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import parity
from .manifest import write_manifest
from .source import SMOLLM2, ExportError, Source
from .stages import BUILD, CHECK, FINISH, LOAD, Progress, run_stage

EXPORTER_VERSION = 1
_DISK = 2 * 10**9  # bytes that the fp32 intermediate and the result need
# Measured on two Zen 4 cores; see docs/architecture.md. Plain int4 loses a third of the likeliest tokens of a model
# this small, so the output layer and the most sensitive layers stay at int8.
_OPTIONS: dict[str, tuple[str, ...]] = {
    "fp32": ("fuse_mlp_gate_up=true",),
    "fp16": ("fuse_mlp_gate_up=true",),
    "int8": ("fuse_mlp_gate_up=true",),
    "int4": (
        "fuse_mlp_gate_up=true",
        "algo_config=k_quant",
        "is_symmetric=false",
        "matmul_mixed_precision=last_matmul:int8,mixed_layers:int8",
    ),
}


def prepare_chat_model(
    out: Path,
    precision: str,
    progress: Progress = lambda stage, fraction: None,
    *,
    source: Source = SMOLLM2,
    all_logits: bool = False,
) -> Path:
    """Folder of the artifact inside `out`; made when it is not there yet. Raises ExportError.

    `all_logits` keeps the logits of every position, which other runtimes want and ours does not.
    """
    weights = source.locate()
    options = builder_options(precision, all_logits=all_logits)
    folder = out / f"{source.name}-{precision}-{_cache_key(source, precision, options)}"
    if (folder / "manifest.json").exists():
        progress("ready", 1.0)
        return folder
    _check_space(out)
    with _partial_folder(out) as partial:
        _export(weights, precision, options, source, partial, progress)
        _publish(partial / "artifact", folder)
    progress("ready", 1.0)
    return folder


def builder_options(precision: str, *, all_logits: bool = False) -> tuple[str, ...]:
    pruned = () if all_logits else ("prune_lm_head=true",)
    return ("hf_token=false", *pruned, *_OPTIONS[precision])


def _export(
    weights: Path, precision: str, options: tuple[str, ...], source: Source, partial: Path, progress: Progress
) -> None:
    original, artifact, result = partial / "original", partial / "artifact", partial / "parity.json"
    log = partial / "log.txt"
    run_stage(LOAD, ["workers.export.gguf_to_transformers", str(weights), str(original)], log, progress)
    run_stage(BUILD, builder_arguments(original, artifact, precision, options), log, progress)
    run_stage(CHECK, ["workers.export.parity", str(original), str(artifact), str(result)], log, progress)
    measured = parity.Parity(**json.loads(result.read_text()))
    parity.check(measured, precision)
    progress(FINISH.name, FINISH.begin)
    shutil.copy(original / "generation_config.json", artifact)
    write_manifest(artifact, source, precision, measured, exporter=EXPORTER_VERSION, options=options)


def builder_arguments(original: Path, artifact: Path, precision: str, options: tuple[str, ...]) -> list[str]:
    cache = str(artifact.parent / "cache")
    paths = ["-i", str(original), "-o", str(artifact), "-c", cache]
    # For fp16 on the processor the builder takes MultiHeadAttention, whose cache grows; the graph it makes for CUDA
    # has GroupQueryAttention like the others, needs no GPU to be built, and onnxruntime runs it on both.
    device = "cuda" if precision == "fp16" else "cpu"
    return ["onnxruntime_genai.models.builder", *paths, "-p", precision, "-e", device, "--extra_options", *options]


def _cache_key(source: Source, precision: str, options: tuple[str, ...]) -> str:
    recipe = json.dumps([source.sha256, precision, EXPORTER_VERSION, options])
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def _check_space(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(out).free
    except OSError as error:
        raise ExportError(f"The folder {out} cannot be written: {error.strerror}.") from error
    if free < _DISK:
        raise ExportError(f"The disk of {out} has {free / 1e9:.1f} GB free, {_DISK / 1e9:.0f} GB are needed.")


@contextmanager
def _partial_folder(out: Path) -> Iterator[Path]:
    """A hidden folder that is gone afterwards, whatever happens. Also removes those of killed runs."""
    for old in out.glob(".partial-*"):
        if not _is_alive(int(old.name.removeprefix(".partial-"))):
            shutil.rmtree(old, ignore_errors=True)
    partial = out / f".partial-{os.getpid()}"
    partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _publish(artifact: Path, folder: Path) -> None:
    try:
        artifact.rename(folder)
    except OSError:
        if not (folder / "manifest.json").exists():  # otherwise another process was faster
            raise


def _show(kind: str) -> Progress:
    def tty(stage: str, fraction: float) -> None:
        bar = "#" * round(fraction * 30)
        end = "\n" if fraction >= 1 else ""
        print(f"\r[{bar:<30}] {fraction:4.0%} {stage:<32}", end=end, file=sys.stderr, flush=True)

    def lines(stage: str, fraction: float) -> None:
        print(json.dumps({"stage": stage, "fraction": round(fraction, 3)}), flush=True)

    return {"tty": tty, "json": lines}.get(kind, lambda stage, fraction: None)


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes the embedded chat model.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the artifacts")
    parser.add_argument("--precision", choices=sorted(_OPTIONS), default="int4")
    parser.add_argument("--all-logits", action="store_true", help="for other runtimes")
    parser.add_argument("--progress", choices=["tty", "json", "none"], default="tty")
    arguments = parser.parse_args()
    try:
        show = _show(arguments.progress)
        print(prepare_chat_model(arguments.out, arguments.precision, show, all_logits=arguments.all_logits))
    except ExportError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; nothing was left behind.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
