"""V4 for one history: trained on its normal steps, exported, and fitted on the graph that it will be served by."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workers.data.series import Series
from workers.detect.backtest import History
from workers.detect.base import CannotFit, Steps
from workers.detect.fitted import Fitted, sizes_of
from workers.detect.graph import Session
from workers.detect.scale import Values, scale_of
from workers.detect.v4 import V4
from workers.export import dc_cpc
from workers.jobs.report import Report
from workers.recipes import v4 as recipes
from workers.training.cpc import pretrain
from workers.training.progress import Said

_VALIDATED = 0.2  # share of the steps to fit on, its end
_MOST_SHARE, _LEAST_SHARE = 0.7, 0.1  # of the job's progress while it trains


class Trainer:
    """Trains once; `make` is what the backtest asks for."""

    def __init__(self, history: History, seed: int, folder: Path, report: Report) -> None:
        self._history, self._seed, self._folder, self._report = history, seed, folder, report
        self._manifest: dict[str, Any] = {}

    def make(self, values: Values, is_normal: Steps) -> Fitted:
        """Raises CannotFit."""
        scale = scale_of(np.where(is_normal[:, None], values, np.nan))
        scaled = scale.apply(values)
        self._train(np.where(is_normal[:, None], scaled, np.nan).astype(np.float32))
        with np.load(self._folder / dc_cpc.HEADS, allow_pickle=False) as file:
            heads = {name: file[name] for name in file.files}
        graph = Session(self._folder / dc_cpc.GRAPH)
        detector = V4.fit(scaled, is_normal, self._seed, heads, sizes_of({"graph": self._manifest}), graph)
        return Fitted(detector, scale, self._history.interval, self._history.origin, values.shape[1])

    def files_to(self, artifact: Path) -> dict[str, Any]:
        """The graph beside the detector; what the manifest says of it."""
        shutil.copy(self._folder / dc_cpc.GRAPH, artifact)
        return {"model": dc_cpc.GRAPH, "graph": self._manifest}

    def _train(self, rows: np.ndarray) -> None:
        config = recipes.series(rows.shape[1])
        config = replace(config, options=replace(config.options, seed=self._seed))
        stride = config.model["strides"][0]
        cut = int((1 - _VALIDATED) * len(rows))
        if cut < 2 * config.length * stride:
            raise CannotFit(f"The history has {len(rows)} steps to learn from; V4 needs more.")
        series = [Series("learned", rows[:cut])], [Series("validated", rows[cut:])]
        self._folder.mkdir(parents=True, exist_ok=True)
        objective, _ = pretrain(config, *series, self._folder / "run", self._say)
        model = objective.model.eval()
        parity = dc_cpc.write_graph(model, self._folder)
        scale = float(objective.log_scale.detach().exp().clamp(max=50.0))
        self._manifest = dc_cpc.values(model, scale) | {"parity": parity}

    def _say(self, said: Said) -> None:
        share = _LEAST_SHARE + (_MOST_SHARE - _LEAST_SHARE) * said.step / said.steps
        if said.figures or said.step % 20 == 0:
            self._report.progress("training V4", share, step=said.step, steps=said.steps, loss=round(said.loss, 5),
                                  rate=round(said.rate, 3), seconds_left=round(said.seconds_left),
                                  figures=said.figures)  # fmt: skip
