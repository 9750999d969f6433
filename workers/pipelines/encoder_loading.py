"""An encoder is brought to life: how it uses the cores and what its runs cost is measured, or found again."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import onnxruntime

from contracts.messages import RevisionSpec
from workers.backends.base import BackendError
from workers.backends.encoder import EncoderBackend, OrtEncoder
from workers.engine.cores import Cores
from workers.engine.cost_table import CostTable, Identity, Layout, load, measure, store
from workers.engine.encoder import EncoderEngine, EncoderTask, Lane, Lanes
from workers.engine.output import Sink

log = logging.getLogger(__name__)
_LANES_BYTES = 2 * 2**30  # each lane has weights of its own; more lanes than fit in this are not tried
_ROUND_SECONDS = 0.25
# How much faster a session with all threads has to answer than a lane that has the machine to itself. Sessions share no
# weights: it takes as much memory again as a lane.
_EXPRESS_GAIN = 1.2


class Pipeline(EncoderTask, Protocol):
    manifest: dict[str, Any]
    max_length: int  # longest item, 1 where items have no length

    def lane(self, backend: EncoderBackend) -> Lane: ...
    def probe(self, length: int) -> Any: ...


@dataclass(slots=True)
class Machine:
    """Where the engines of a worker run. `cores` is shared by all of them."""

    device: str = "cpu"
    cores: Cores = field(default_factory=lambda: Cores(len(os.sched_getaffinity(0))))
    budget: float = 8.0  # seconds of timing at the first start of a model

    @property
    def name(self) -> str:
        """What timings depend on."""
        return f"{_processor()}, {self.cores.count} cores, {self.device}, onnxruntime {onnxruntime.__version__}"


Progress = Callable[[str, float], None]  # state and how much is done, 0 to 1


def silent(state: str, fraction: float) -> None:
    """Progress that nobody hears."""


def load_encoder(
    pipeline: Pipeline, artifact: Path, spec: RevisionSpec, sink: Sink, machine: Machine, progress: Progress = silent
) -> EncoderEngine:
    """A warm engine, not yet started. Raises BackendError."""
    progress("LOADING", 0.0)
    path = _table_path(artifact, pipeline.manifest, machine)
    digest = _model_digest(pipeline.manifest) or spec.digest
    identity = Identity(digest, machine.name, pipeline.max_length, spec.max_batch_size)
    known = load(path, identity)
    layout = known[0] if known else _fastest_layout(pipeline, artifact, machine)
    lanes = _open_lanes(pipeline, artifact, layout, machine)
    express = _open_express(pipeline, artifact, layout, machine)
    progress("WARMING", 0.4)
    _run_together(pipeline, [*lanes, *express], 1, min(16, pipeline.max_length))
    table = known[1] if known else _measure(pipeline, lanes, spec, machine)
    if not known:
        _keep(path, identity, layout, table)
    together = Lanes(
        lanes,
        next(iter(express), None),
        turn=partial(machine.cores.turn, spec.key, layout.threads),
        express_turn=partial(machine.cores.turn, spec.key, layout.lanes * layout.threads),
    )
    return EncoderEngine(pipeline, together, table, sink)


def layouts(cores: int, model_bytes: int) -> list[Layout]:
    """Ways to use the cores: 1 x all, 2 x half and so on; several lanes also pinned."""
    counts = [lanes for lanes in range(1, cores + 1) if cores % lanes == 0]
    counts = [lanes for lanes in counts if lanes == 1 or lanes * model_bytes <= _LANES_BYTES]
    return [
        Layout(lanes, cores // lanes, pinned) for lanes in counts for pinned in (False, True) if lanes > 1 or not pinned
    ]


def _fastest_layout(pipeline: Pipeline, artifact: Path, machine: Machine) -> Layout:
    """The one with the most items a second, by several short rounds in turn so that all share what else the
    machine does. A simpler layout has to be beaten by a twentieth. Of several lanes one is also timed by itself."""
    if machine.device != "cpu" or machine.cores.count == 1:
        return Layout(1, machine.cores.count)
    model_bytes = sum(entry.get("bytes", 0) for entry in pipeline.manifest.get("files", {}).values())
    candidates = layouts(machine.cores.count, model_bytes)
    rates: dict[Layout, list[float]] = {layout: [] for layout in candidates}
    alone: dict[Layout, list[float]] = {layout: [] for layout in candidates}
    opened = {layout: _open_lanes(pipeline, artifact, layout, machine) for layout in candidates}
    for _ in range(4):
        for layout, lanes in opened.items():
            rates[layout].append(_rate(pipeline, lanes))
            alone[layout].append(_rate(pipeline, lanes[:1]) if len(lanes) > 1 else rates[layout][-1])
    for lanes in opened.values():
        _close(lanes)
    best = whole = candidates[0]
    for layout in candidates[1:]:
        if max(rates[layout][1:]) > 1.05 * max(rates[best][1:]):
            best = layout
    fits = (best.lanes + 1) * model_bytes <= _LANES_BYTES
    express = fits and max(alone[whole][1:]) > _EXPRESS_GAIN * max(alone[best][1:])
    log.info("%s runs best as %s, express: %s", pipeline.manifest.get("name"), best, express)
    return replace(best, express=express)


def _rate(pipeline: Pipeline, lanes: Sequence[Lane]) -> float:
    """Items a second, one at a time in each lane, each in a thread of its own."""
    payload = pipeline.probe(min(48, pipeline.max_length))
    counts = [0] * len(lanes)
    ends = time.perf_counter() + _ROUND_SECONDS

    def work(number: int) -> None:
        lanes[number].pin()
        while time.perf_counter() < ends:
            lanes[number].run([payload])
            counts[number] += 1

    started = time.perf_counter()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(lanes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


def _measure(pipeline: Pipeline, lanes: Sequence[Lane], spec: RevisionSpec, machine: Machine) -> CostTable:
    """With every lane at work, as it is when it matters. Raises BackendError when the model cannot run."""
    try:
        with ThreadPoolExecutor(len(lanes)) as pool:
            return measure(
                partial(_run_together, pipeline, lanes, pool=pool),
                max_length=pipeline.max_length,
                max_batch_size=spec.max_batch_size,
                budget=machine.budget,
            )
    except Exception as error:
        raise BackendError(f"The model could not be run: {error}") from error


def _run_together(
    pipeline: Pipeline, lanes: Sequence[Lane], size: int, length: int, *, pool: ThreadPoolExecutor | None = None
) -> None:
    payloads = [pipeline.probe(length)] * size
    run = pool.map if pool else map
    list(run(lambda lane: lane.run(payloads), lanes))


def _open_lanes(pipeline: Pipeline, artifact: Path, layout: Layout, machine: Machine) -> list[Lane]:
    cores = sorted(os.sched_getaffinity(0))
    backends = [
        OrtEncoder(
            artifact / pipeline.manifest["model"],
            output=next(iter(pipeline.manifest.get("outputs", [])), ""),
            threads=layout.threads,
            cores=tuple(cores[number * layout.threads : (number + 1) * layout.threads]) if layout.pinned else (),
            device=machine.device,
        )
        for number in range(layout.lanes)
    ]
    return [pipeline.lane(backend) for backend in backends]


def _open_express(pipeline: Pipeline, artifact: Path, layout: Layout, machine: Machine) -> list[Lane]:
    """One lane with all threads, or none."""
    whole = Layout(1, layout.lanes * layout.threads)
    return _open_lanes(pipeline, artifact, whole, machine) if layout.express else []


def _close(lanes: Sequence[Lane]) -> None:
    for lane in lanes:
        lane.close()


def _keep(path: Path, identity: Identity, layout: Layout, table: CostTable) -> None:
    try:
        store(path, identity, layout, table)
    except OSError as error:
        log.info("the cost table is not kept: %s", error)


def _table_path(artifact: Path, manifest: dict[str, Any], machine: Machine) -> Path:
    """Of an artifact with several graphs each has a table of its own."""
    graph = f".{Path(manifest['model']).stem}" if "models" in manifest else ""
    return artifact / f"cost-table{graph}.{hashlib.sha256(machine.name.encode()).hexdigest()[:12]}.json"


def _model_digest(manifest: dict[str, Any]) -> str:
    return str(manifest.get("files", {}).get(manifest["model"], {}).get("sha256", ""))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
