"""Runs of a trainer under names of their own: trained where they are missing, and their figures kept over sessions.

A result file keeps the figures of every run under `runs`. What an earlier session has put there stays as long as the
recipe is the same, so that seeds add up; a run of another configuration is left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.environment import commit
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

    def parser(self, description: str, out: str, groups: Sequence[str] = ()) -> argparse.ArgumentParser:
        """--runs, --train, --only and --out. `groups` are beginnings of contenders' names, should those be too many."""
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--runs", type=Path, default=Path("var/runs"))
        parser.add_argument("--train", action="store_true", help="train what is missing: hours on one core")
        chosen = list(groups or self.contenders)
        parser.add_argument("--only", nargs="+", choices=chosen, default=chosen, help="what to train")
        parser.add_argument("--out", type=Path, default=Path("benchmarks/results") / out)
        return parser

    def gather(self, arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the result file says so far, and the runs: trained now where they are missing and that is asked for."""
        before = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
        runs = self.collect(arguments.runs, before.get("runs", {}))
        if arguments.train:
            asked = tuple(f"{one}-" for one in arguments.only)
            self.train(arguments.runs, [name for name in self.names if name not in runs and name.startswith(asked)])
            runs = self.collect(arguments.runs, before.get("runs", {}))
        return before, runs

    def write(self, arguments: argparse.Namespace, runs: dict[str, Any], content: dict[str, Any]) -> None:
        """`content` with the runs and the names of those that are missing, as the result file."""
        missing = [name for name in self.names if name not in runs]
        content = content | {"missing": missing, "runs": runs, "seeds": list(self.seeds), "commit": commit()}
        arguments.out.write_text(json.dumps(content, indent=1) + "\n")
        print(json.dumps(content["summary"], indent=1))
        print(f"{len(runs)} runs, {len(missing)} missing{': ' * bool(missing)}{' '.join(missing)}")

    def _asked(self, name: str) -> tuple[str, list[str]]:
        contender, _, seed = name.rpartition("-")
        recipe, *changes = self.contenders[contender]
        return recipe, [f"seed={seed}", *changes]

    def config(self, name: str) -> dict[str, Any]:
        """What config.json of this run says when the recipe is as it is now."""
        recipe, changes = self._asked(name)
        return asdict(changed(load_recipe(recipe), dict(one.split("=", 1) for one in changes)))

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
            wanted, folder = _digest(self.config(name)), runs / name
            if (folder / "metrics.json").exists():
                if _digest(json.loads((folder / "config.json").read_text())["training"]) == wanted:
                    metrics = json.loads((folder / "metrics.json").read_text())
                    found[name] = {key: one for key, one in metrics.items() if key not in _DROPPED} | {"recipe": wanted}
                    continue
                print(f"{name} is a run of another configuration: left out.", file=sys.stderr)
            if before.get(name, {}).get("recipe") == wanted:
                found[name] = before[name]
        return found

    def of(self, runs: dict[str, Any], contender: str) -> dict[int, dict[str, Any]]:
        """The runs of one contender, by seed."""
        return {seed: runs[name] for seed in self.seeds if (name := f"{contender}-{seed}") in runs}


def _digest(of: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(json.loads(json.dumps(of)), sort_keys=True).encode()).hexdigest()[:16]
