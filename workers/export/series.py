"""A run of V4 to an artifact: the graph with what predicts beside it, measured, with a card.

python -m workers.export.series RUN OUT [--title TITLE]

The artifact stands for the task `anomaly-detection` without being a detector: a deployment of it serves all of them.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from contracts.anomaly import TASK
from workers.zoo.trained import load_dc_cpc

from . import command, dc_cpc
from .manifest import seal
from .source import ExportError

_COLDEST = 50.0  # as in workers/zoo/v4_dc_cpc.py


def scale_of_run(run: Path) -> float:
    """What cosines are multiplied by, as it was learned."""
    weights = torch.load(run / "best.pt", weights_only=True)
    return float(weights["log_scale"].exp().clamp(max=_COLDEST))


def export(run: Path, out: Path, title: str) -> dict[str, Any]:
    """The manifest of the artifact that was made. Raises ExportError."""
    if out.exists():
        raise ExportError(f"{out} exists: choose another folder.")
    model, config = load_dc_cpc(run)
    trained = json.loads((run / "metrics.json").read_text())
    with tempfile.TemporaryDirectory(dir=out.parent) as work:
        folder = Path(work) / "artifact"
        folder.mkdir()
        parity = dc_cpc.write_graph(model, folder)
        values = _values(model, config, trained, run, title) | {"name": out.name}
        values["metrics"] |= {"parity": parity}
        (folder / "README.md").write_text(_card(values))
        seal(folder, values)
        shutil.move(folder, out)
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return manifest


def _values(model: Any, config: dict[str, Any], trained: dict[str, Any], run: Path, title: str) -> dict[str, Any]:
    training = config["training"]
    graph = dc_cpc.values(model, scale_of_run(run))
    return {
        "title": title, "task": TASK, "precision": "fp32", "licence": "Apache-2.0", "model": graph["model"],
        "inputs": graph["inputs"], "outputs": graph["outputs"], "graph": graph,
        "source": {
            "origin": "Trained from scratch, without labels", "data": config["data"], "steps": trained["steps"],
            "seconds": trained["seconds"], "parameters": trained["parameters"], "seed": training["options"]["seed"],
            "training": f"python -m workers.training.cpc --recipe v4.{training['data']} --out RUN",
        },
        "metrics": {"validation": trained["evaluations"][-1], "best": trained["best"]},
        "command": "python -m workers.export.series RUN OUT",
    }  # fmt: skip


def _card(values: dict[str, Any]) -> str:
    source, graph = values["source"], values["graph"]
    return "\n".join([
        f"---\nlicense: {values['licence']}\npipeline_tag: {values['task']}\n---\n",
        f"# {values['title']}\n",
        "Dynamic-context contrastive predictive coding, without labels: a series of "
        f"{graph['sensors']} sensor(s) to contexts, a token each {graph['stride']} steps. {source['parameters']:,} "
        "parameters. It is no detector by itself: thresholds and what is normal come from a history.\n",
        f"## Data\n\n{source['data']['source']}. Licence: {source['data']['licence']}.\n",
        f"## Measured\n\nInfoNCE of the validation, negative: {values['metrics']['best']['score']:.3f}. Largest "
        f"difference between graph and original: {values['metrics']['parity']['max_error']:.1e}.\n",
        f"## Made with\n\n```\n{source['training']}\n{values['command']}\n```\n\n{source['steps']:,} steps, seed "
        f"{source['seed']}, {source['seconds'] / 60:.0f} minutes on one core.\n",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(command.main("Makes an artifact of a run of V4.", "Anomalies in series", export))
