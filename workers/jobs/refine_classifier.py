"""The job that goes on with gradient steps on a classifier's examples (workers/training/refining.py).

Arguments are those of contracts.few_shot.RefineArguments, what it results in is told there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from contracts.few_shot import LEAST_REFINED, TASK, RefineArguments
from contracts.messages import InferenceRequest, JobRequest, RevisionSpec
from workers.artifacts.bucket import ArtifactError
from workers.artifacts.cache import hold
from workers.backends.base import BackendError
from workers.backends.encoder import OrtEncoder
from workers.data.corpus import DataMissing
from workers.engine.intake import Refused
from workers.export import few_shot
from workers.jobs.report import JobError, Report, main
from workers.pipelines import prototypes
from workers.pipelines.few_shot_classification import FewShotClassification, FewShotLane, Lesson
from workers.training.refining import Examples, Refined, refine
from workers.zoo.v5_meta_lora import Base

_STEPS = (0.05, 0.95)  # shares of the job
_OLD = "The model of this classifier has no adapters to refine. Deploy its newest version, and teach again."


def run(request: JobRequest, folder: Path, report: Report) -> dict[str, Any]:
    """Raises JobError."""
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0))))
    try:
        wanted = RefineArguments.from_dict(request.arguments)
        report.progress("reading the examples", 0.01)
        said = json.loads(Path(wanted.lesson).read_text())
        held = hold(wanted.artifact, wanted.digest)
        try:
            return _refined(Path(held.folder), wanted, said, report)
        finally:
            held.release()
    except (OSError, ValueError, TypeError, KeyError, Refused, BackendError, ArtifactError, DataMissing) as error:
        raise JobError(str(error)) from error


def _refined(artifact: Path, wanted: RefineArguments, said: dict[str, Any], report: Report) -> dict[str, Any]:
    began = time.perf_counter()
    spec = RevisionSpec("", "", TASK, str(artifact), wanted.digest)
    pipeline = FewShotClassification(artifact, spec)
    if "adapters" not in pipeline.manifest:
        raise JobError(_OLD)
    lesson = _lesson(pipeline, said)
    if np.bincount(lesson.labels).min() < LEAST_REFINED:
        raise JobError(f"Every class needs {LEAST_REFINED} examples at least.")
    lane = FewShotLane(OrtEncoder(artifact / pipeline.manifest["model"]), pipeline.reader, pipeline.modulate)
    plain = _learned(lane, lesson, pipeline)
    examples = Examples(lesson.payloads, lesson.labels, lesson.classes, pipeline.manifest["sharpness"])
    begin, end = _STEPS
    found = refine(
        base_of(pipeline, artifact), lambda payloads: _collated(pipeline, payloads), examples, plain.strengths,
        lambda share: report.share("gradient steps", begin, end, share),
    )  # fmt: skip
    return _told(lane, lesson, found, pipeline, time.perf_counter() - began)


def _told(lane: FewShotLane, lesson: Lesson, found: Refined, pipeline: FewShotClassification, seconds: float
          ) -> dict[str, Any]:  # fmt: skip
    before, right = (int((far.argmin(1) == lesson.labels).sum()) for far in (found.before, found.left_out))
    told = {"adapter": None, "report": None, "steps": found.steps, "before": before, "right": right,
            "judged": len(lesson.labels)}  # fmt: skip
    if not found.steps:
        return told
    features = lane.features(lesson.payloads, found.strengths)
    task, judged = prototypes.learned(
        features, lesson.labels, lesson.classes, found.strengths, pipeline.manifest["sharpness"], found.left_out
    )
    judged = replace(judged, seconds=round(seconds, 1), steps=found.steps, before=before)
    return told | {"adapter": asdict(prototypes.written(task, pipeline.digest)), "report": asdict(judged)}


def _lesson(pipeline: FewShotClassification, said: dict[str, Any]) -> Lesson:
    """Raises Refused for what a worker would refuse, too."""
    inputs = {pipeline.reads: said[pipeline.reads], "adapt": {"labels": said["labels"], "classes": said["classes"]}}
    items = pipeline.prepare(InferenceRequest("", "", TASK, inputs))
    lesson = items[0].payload.lesson
    assert isinstance(lesson, Lesson)
    return lesson


def _learned(lane: FewShotLane, lesson: Lesson, pipeline: FewShotClassification) -> Any:
    """What the strengths are before any gradient."""
    nothing = np.zeros(pipeline.ranks, np.float32)
    return lane.learn(lesson, lane.features(lesson.payloads, nothing), nothing)


def base_of(pipeline: FewShotClassification, artifact: Path) -> Base:
    """The same network as in the graph, with gradients. Raises DataMissing, JobError."""
    manifest = pipeline.manifest
    size = manifest.get("processor", {}).get("size", {}).get("height", 0)
    base = few_shot.bare(pipeline.reads, manifest["rank"], size)
    kept = base.layers.state_dict() | load_file(artifact / manifest["adapters"])
    base.layers.load_state_dict(kept)
    return base.requires_grad_(False)


def _collated(pipeline: FewShotClassification, payloads: Sequence[Any]) -> Tensor:
    (values,) = pipeline.reader.feeds(payloads).values()
    return torch.from_numpy(np.ascontiguousarray(values))


if __name__ == "__main__":
    sys.exit(main(run))
