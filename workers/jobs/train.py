"""The job that trains a model and makes an artifact of it.

Arguments: recipe, changes (fields of the recipe), name, title, precision (int8 or fp32), tolerance (points), store.
Progress entries carry step, steps, loss, rate and seconds_left, and figures (score, loss, range) after an evaluation.
Its result is {artifact, digest, metrics}.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from contracts.messages import JobRequest
from workers.artifacts.bucket import ArtifactError
from workers.artifacts.store import Folder, InBucket, Store
from workers.data.corpus import DataMissing
from workers.export.source import ExportError, sha256_of
from workers.export.trained import Exporter, Wish
from workers.jobs.report import JobError, Report, main
from workers.training.classify import train
from workers.training.progress import Said
from workers.training.recipe import changed, load_recipe

_TRAINING = 0.8  # of the whole job


def run(request: JobRequest, folder: Path, report: Report) -> dict[str, Any]:
    """The artifact's folder, a sibling of `folder`. Raises JobError."""
    wanted = request.arguments
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0))))
    try:
        config = changed(load_recipe(wanted["recipe"]), wanted.get("changes", {}))
        train(config, folder / "run", _curve(report))
        return _publish(folder, wanted, report)
    except (DataMissing, ValueError, ArithmeticError, ExportError, ArtifactError) as error:
        raise JobError(str(error)) from error


def _curve(report: Report) -> Callable[[Said], None]:
    """Every step while there are few of them, then about 500 in all, and every evaluation."""

    def say(said: Said) -> None:
        if said.figures or said.step % max(1, said.steps // 500) == 0:
            more = {"step": said.step, "steps": said.steps, "loss": round(said.loss, 5), "rate": round(said.rate, 3),
                    "seconds_left": round(said.seconds_left), "figures": said.figures}  # fmt: skip
            report.progress("training", _TRAINING * said.step / said.steps, **more)

    return say


def _publish(folder: Path, wanted: dict[str, Any], report: Report) -> dict[str, Any]:
    work = folder / "work"
    work.mkdir()
    wish = Wish(wanted["name"], wanted["title"], wanted.get("precision", "int8"), wanted.get("tolerance", 0.5))
    exporter = Exporter(folder / "run", work, _second_part(report))
    manifest = exporter.export(wish, folder / "artifact")
    digest = sha256_of(folder / "artifact" / "manifest.json")
    name = f"{wish.name}-{digest[:16]}"
    _store(wanted.get("store", ""), folder.parent, report).put(folder / "artifact", name)
    shutil.rmtree(work)
    return {"artifact": name, "digest": digest, "metrics": manifest["metrics"]}


def _second_part(report: Report) -> Callable[[str, float], None]:
    return lambda stage, fraction: report.progress(stage, _TRAINING + (0.98 - _TRAINING) * fraction)


def _store(address: str, folder: Path, report: Report) -> Store:
    if not address:
        return Folder(folder)
    return InBucket(address, lambda fraction: report.progress("uploading", 0.98 + 0.02 * fraction))


if __name__ == "__main__":
    sys.exit(main(run))
