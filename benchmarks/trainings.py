"""Runs of a trainer under names of their own: trained where they are missing, and their figures kept over sessions.

A result file keeps the figures of every run under `runs`. What an earlier session has put there stays as long as the
recipe is the same, so that seeds add up; a run of another configuration is left out.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workers.training.recipe import changed, load_recipe

SEEDS = (0, 1, 2)
_DROPPED = ("losses", "evaluations")


@dataclass(frozen=True, slots=True)
class Trainings:
    """`contenders`: name to recipe and changes, each with every seed."""

    module: str
    contenders: dict[str, tuple[str, ...]]
    seeds: tuple[int, ...] = SEEDS

    @property
    def names(self) -> list[str]:
        """The first seed of all before the second of any."""
        return [f"{contender}-{seed}" for seed in self.seeds for contender in self.contenders]

    def _asked(self, name: str) -> tuple[str, list[str]]:
        contender, _, seed = name.rpartition("-")
        recipe, *changes = self.contenders[contender]
        return recipe, [f"seed={seed}", *changes]

    def digest(self, name: str) -> str:
        """Of what config.json says when the recipe is as it is now."""
        recipe, changes = self._asked(name)
        return _digest(asdict(changed(load_recipe(recipe), dict(one.split("=", 1) for one in changes))))

    def train(self, runs: Path, names: list[str]) -> None:
        """One after the other, on one thread; an interrupted one goes on."""
        for name in names:
            print(f"training {name}", flush=True)
            recipe, changes = self._asked(name)
            command = [sys.executable, "-m", self.module, "--recipe", recipe, "--out", str(runs / name), "--progress",
                       "none", "--threads", "1", "--set", *changes]  # fmt: skip
            subprocess.run(command, check=True)

    def collect(self, runs: Path, before: dict[str, Any]) -> dict[str, Any]:
        """Figures by run: those in the folder, and of `before` those that are not there; of present recipes only."""
        found = {}
        for name in self.names:
            wanted, folder = self.digest(name), runs / name
            if (folder / "metrics.json").exists():
                if _digest(json.loads((folder / "config.json").read_text())["training"]) == wanted:
                    metrics = json.loads((folder / "metrics.json").read_text())
                    found[name] = {key: one for key, one in metrics.items() if key not in _DROPPED} | {"recipe": wanted}
                    continue
                print(f"{name} is a run of another configuration: left out.", file=sys.stderr)
            if before.get(name, {}).get("recipe") == wanted:
                found[name] = before[name]
        return found

    def of(self, runs: dict[str, Any], contender: str) -> list[dict[str, Any]]:
        """The runs of one contender, by seed."""
        return [runs[name] for seed in self.seeds if (name := f"{contender}-{seed}") in runs]


def _digest(of: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(json.loads(json.dumps(of)), sort_keys=True).encode()).hexdigest()[:16]
