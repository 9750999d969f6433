"""What V4 is trained on without labels, and what it is measured by afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from workers.data import cmapss, fsdd, nab
from workers.data.series import Series
from workers.detect.scale import scale_of
from workers.zoo.v4_dc_cpc import DCCPC

from . import engines, spoken

Measure = Callable[[DCCPC], dict[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Set:
    name: str
    source: str
    licence: str
    train: Sequence[Series]
    validation: Sequence[Series]
    measured: Measure = lambda model: {}

    def about(self) -> dict[str, str]:
        return {"name": self.name, "source": self.source, "licence": self.licence}

    @torch.no_grad()
    def measure(self, model: DCCPC) -> dict[str, Any]:
        """On the test, which nothing before has looked at."""
        return self.measured(model)


def load(name: str, seed: int) -> Set:
    """Raises DataMissing, ValueError."""
    if name not in _SETS:
        raise ValueError(f"data is one of {', '.join(_SETS)}, not {name}")
    return _SETS[name](seed)


def _nab(seed: int) -> Set:
    """The beginnings of all files, which no detector is judged by; every sixth validates."""
    found = [
        Series(one.name, scale_of(one.values).apply(one.values).astype("float32"), group=one.group)
        for one in nab.beginnings()
    ]
    return Set("nab", nab.SOURCE, nab.LICENCE, [one for n, one in enumerate(found) if n % 6], found[::6])


def _cmapss(seed: int) -> Set:
    """Seventy engines to learn from, ten for the threshold, twenty to judge by: others with each seed."""
    learned, judged = cmapss.folds(cmapss.train(), 5, seed)[0]
    learned, kept = learned[:-10], learned[-10:]
    scaled = engines.Scaled(learned)
    parts = [[scaled.apply(one) for one in part] for part in (learned, kept, judged, cmapss.test())]

    def measured(model: DCCPC) -> dict[str, Any]:
        ours = engines.measured(engines.contexts(model), *parts)
        torch.manual_seed(seed)
        drawn = DCCPC(model.config).eval()  # what the architecture gives away
        peers = {"last": engines.last, "smoothed": engines.smoothed, "untrained": engines.contexts(drawn)}
        measures = {name: engines.measured(one, *parts) for name, one in peers.items()}
        return {"accuracy": ours["budget_3"]["accuracy"], "v4": ours, **measures}

    train, validation = ([one.series for one in part] for part in parts[:2])
    return Set("cmapss", cmapss.SOURCE, cmapss.LICENCE, train, validation, measured)


def _fsdd(split: str) -> Callable[[int], Set]:
    def load_split(seed: int) -> Set:
        found = spoken.load(split)
        return Set(f"fsdd, {split}", fsdd.SOURCE, fsdd.LICENCE, found.train, found.validation,
                   lambda model: spoken.probed(model, found, seed))  # fmt: skip

    return load_split


_SETS: dict[str, Callable[[int], Set]] = {
    "nab": _nab, "cmapss": _cmapss, "fsdd": _fsdd("official"), "fsdd_speakers": _fsdd("speakers"),
}  # fmt: skip
