"""The job that trains a model and makes an artifact of it.

Arguments: recipe, changes (fields of the recipe), name, title, precision (int8 or fp32), tolerance (points), store,
mesh ({dp, pp, ep, micro_batches}; empty or left out: one process).
Its first progress entry carries the recipe as it is used; those of the training step, steps, loss, rate and
seconds_left, and figures (score, loss, range) after an evaluation. An attempt that goes on from a checkpoint tells the
curve before it once more, so that each attempt tells all of it. Its result is {artifact, digest, metrics}.
"""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch

from contracts.messages import JobRequest
from workers.artifacts.bucket import ArtifactError
from workers.artifacts.store import store_at
from workers.data.corpus import DataMissing
from workers.export.few_shot import LessonExporter
from workers.export.moe import MixtureExporter
from workers.export.source import ExportError, sha256_of
from workers.export.trained import Exporter, Wish
from workers.jobs import mesh
from workers.jobs.curve import TRAINING, Curve, run_name
from workers.jobs.export_bridge import BridgeExporter
from workers.jobs.folder import kept_folder
from workers.jobs.report import JobError, Report, main
from workers.training import classify, meta, moe, questions, retrieval
from workers.training.classify import ClassifyConfig
from workers.training.memory import Plan, free_memory, require
from workers.training.meta import MetaConfig
from workers.training.moe import MoeConfig
from workers.training.questions import QuestionsConfig
from workers.training.recipe import changed, load_recipe
from workers.training.retrieval import RetrievalConfig
from workers.zoo.v1_dynamic_attention import V1Config

Config = ClassifyConfig | MetaConfig | MoeConfig | QuestionsConfig | RetrievalConfig


class Trainer(NamedTuple):
    """How a run of a recipe is made, and the artifact of a run."""

    train: Callable[..., dict[str, Any]]
    exporter: type[Exporter] | type[BridgeExporter] | type[LessonExporter] | type[MixtureExporter]


_TRAINERS: dict[type[Config], Trainer] = {
    ClassifyConfig: Trainer(classify.train, Exporter),
    MetaConfig: Trainer(meta.train, LessonExporter),
    MoeConfig: Trainer(moe.train, MixtureExporter),
    QuestionsConfig: Trainer(questions.train, BridgeExporter),
    RetrievalConfig: Trainer(retrieval.train, BridgeExporter),
}


def run(request: JobRequest, folder: Path, report: Report) -> dict[str, Any]:
    """The artifact's folder, a sibling of `folder`. Raises JobError."""
    wanted = request.arguments
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0))))
    try:
        config = changed(load_recipe(wanted["recipe"]), wanted.get("changes", {}))
        report.progress("estimating the memory", 0.0, recipe=asdict(config))
        if isinstance(config, ClassifyConfig):
            _check_memory(config, request.memory_limit)
        if wanted.get("mesh"):
            _check_mesh(config, wanted["mesh"], request.memory_limit)
        with kept_folder(folder.parent, request.job_id) as kept:
            _train(config, kept / run_name(config), Curve(config, report), wanted)
            return _publish(config, kept / run_name(config), folder, wanted, report)
    except (DataMissing, ValueError, TypeError, ArithmeticError, ExportError, ArtifactError, MemoryError) as error:
        raise JobError(str(error) or "The job needs more memory than this machine gives it.") from error


def _check_memory(config: ClassifyConfig, limit: int) -> None:
    """Raises MemoryError, before anything is begun, with what would fit."""
    sizes = V1Config(vocab_size=config.vocab_size, labels=2, **config.model)
    options = config.options
    plan = Plan(config.attention, config.longest, options.batch_size, options.checkpointing)
    require(sizes, plan, _free(limit))


def _check_mesh(config: Config, given: dict[str, int], limit: int) -> None:
    if not isinstance(config, MoeConfig):
        raise JobError("Only mixtures of experts are trained on a mesh: leave the mesh out.")
    mesh.check(config, mesh.Wanted.of(given), len(os.sched_getaffinity(0)), _free(limit))


def _free(limit: int) -> int:
    return min(free_memory(), limit - psutil.Process().memory_info().rss)


def _train(config: Config, run: Path, curve: Curve, wanted: dict[str, Any]) -> None:
    if wanted.get("mesh") and isinstance(config, MoeConfig):
        given = mesh.Wanted.of(wanted["mesh"])
        mesh.train(config, wanted["recipe"], wanted.get("changes", {}), given, run, curve)
        return
    curve.go_on(run)
    _TRAINERS[type(config)].train(config, run, curve.say)


def _publish(config: Config, run: Path, folder: Path, wanted: dict[str, Any], report: Report) -> dict[str, Any]:
    work = folder / "work"
    work.mkdir()
    wish = Wish(wanted["name"], wanted["title"], wanted.get("precision", "int8"), wanted.get("tolerance", 0.5))
    exporter = _TRAINERS[type(config)].exporter(
        run, work, lambda stage, fraction: report.progress(stage, TRAINING + 0.18 * fraction)
    )
    manifest = exporter.export(wish, folder / "artifact")
    digest = sha256_of(folder / "artifact" / "manifest.json")
    name = f"{wish.name}-{digest[:16]}"
    store = store_at(wanted.get("store", ""), folder.parent, partial(report.share, "uploading", 0.98, 1.0))
    store.put(folder / "artifact", name)
    shutil.rmtree(work)
    return {"artifact": name, "digest": digest, "metrics": manifest["metrics"]}


if __name__ == "__main__":
    sys.exit(main(run))
