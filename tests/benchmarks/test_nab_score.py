"""The scorer says of published raw scores what their makers published, and of simple cases what it must."""

import csv
import io
import json
import tarfile

import numpy as np
import pytest

from benchmarks.nab_score import PROFILES, best
from workers.data import nab
from workers.data.corpus import data_dir
from workers.data.nab import Labelled

RAW = data_dir() / "nab/results_windowedGaussian_null.tar.xz"


def file(windows=((50, 59),)):
    return Labelled("a.csv", np.arange(100.0), np.zeros(100), windows)


def scored(rows):
    scores = np.zeros(100)
    scores[list(rows)] = 1.0
    return {"a.csv": scores}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_all_windows_at_their_first_row_is_100_and_nothing_is_0(profile):
    assert best([file()], scored([50]), profile).score == pytest.approx(100.0)
    assert best([file()], scored([]), profile).score == 0.0


def test_an_early_alarm_is_worth_more_and_counts_once():
    early, late, both = (best([file()], scored(rows), PROFILES["standard"]).score for rows in ([50], [58], [50, 58]))

    assert late < early == pytest.approx(both)


def test_false_alarms_cost_less_behind_a_window_and_nothing_in_the_probation():
    far, near, before = (
        best([file()], scored([50, row]), PROFILES["standard"]).score for row in (95, 61, 5)
    )  # fmt: skip

    assert far == pytest.approx(100 - 100 * 0.11 / 2)
    assert far < near < before == pytest.approx(100.0)


def test_the_threshold_is_the_best_of_all():
    scores = np.linspace(0, 0.5, 100)
    scores[50] = 0.9
    found = best([file()], {"a.csv": scores}, PROFILES["standard"])

    assert (found.score, found.threshold) == (pytest.approx(100.0), 0.9)


@pytest.mark.slow
@pytest.mark.skipif(not RAW.exists(), reason="DATA_DIR has no nab")
def test_published_raw_scores_get_their_published_figures():
    files = nab.load()
    published = json.loads((data_dir() / "nab/results/final_results.json").read_text())
    for detector in ("windowedGaussian", "null"):
        scores = raw(detector)
        for ours, theirs in (
            ("standard", "standard"),
            ("low_fp", "reward_low_FP_rate"),
            ("low_fn", "reward_low_FN_rate"),
        ):
            assert best(files, scores, PROFILES[ours]).score == pytest.approx(published[detector][theirs], abs=0.05)


def raw(detector):
    found = {}
    with tarfile.open(RAW) as archive:
        for member in archive.getmembers():
            if member.name.count("/") == 3 and f"/{detector}/" in member.name:
                folder, name = member.name.split("/")[-2:]
                rows = csv.DictReader(io.TextIOWrapper(archive.extractfile(member)))
                scores = np.array([float(row["anomaly_score"]) for row in rows])
                found[f"{folder}/{name.removeprefix(f'{detector}_')}"] = scores
    return found
