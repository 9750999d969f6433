"""The tables of V4's benchmarks, from runs that nobody trained."""

from typing import Any

import numpy as np
import pytest

from benchmarks import v4_nab, v4_probes
from benchmarks.v4_false_alarm import _counts, _joined, _renewed, summary
from workers.data.nab import Labelled


def engine_run(accuracy: float, rate: float) -> dict[str, Any]:
    row = {"accuracy": accuracy, "false_alarm_rate": rate, "recall": 0.9, "precision": 0.8}
    table = {f"budget_{n}": {**row, "false_alarm_rate": rate * n, "last_cycle": row} for n in (1, 2, 3)}
    table |= {"at_even_odds": row, "never": {"accuracy": 0.85, "cycles": 10}}
    return {"test": {"v4": table, "last": table, "smoothed": table, "untrained": table}}


def test_engines_are_told_at_the_largest_budget_that_was_kept() -> None:
    runs = {
        "dynamic-0": engine_run(0.96, 0.011),
        "dynamic-1": engine_run(0.98, 0.013),
        "first-0": engine_run(0.9, 0.01),
        "last-0": engine_run(0.8, 0.01),
    }
    found = v4_probes.cmapss(runs)

    assert list(found) == ["dynamic", "readings", "smoothed", "untrained", "first", "last"]
    assert found["last"]["budget_3"]["accuracy"]["mean"] == 0.8  # the ablation, not the rival of that name
    assert found["dynamic"]["budget_3"]["accuracy"] == {"mean": 0.97, "least": 0.96, "most": 0.98, "seeds": 2}
    assert v4_probes.cmapss_summary(found) == {"accuracy": 0.97, "false_alarm_rate": 0.024, "recall": 0.9}


def test_errors_are_compared_with_the_network_that_had_labels() -> None:
    found = {
        "dynamic": {"labels_100": {"mean": 0.98}, "labels_10": {"mean": 0.95}},
        "supervised": {"accuracy": {"mean": 0.99}}, "supervised_few": {"accuracy": {"mean": 0.9}},
    }  # fmt: skip

    assert v4_probes.speech_summary(found) == {"probe_error_ratio_to_supervised": 2.0, "few_labels_error_ratio": 0.5}


def test_bits_are_told_for_what_was_trained() -> None:
    found = v4_probes.text({"cpc-0": {"bits": 2.0}, "cpc-1": {"bits": 2.2}, "none-0": {"bits": 2.4}})

    assert v4_probes.text_summary(found) == {"bits_cpc": 2.1, "bits_none": 2.4}


def test_every_contender_has_three_seeds_and_a_recipe() -> None:
    for part in v4_probes.PARTS.values():
        for trainings in part.trainings:
            assert len(trainings.names) == 3 * len(trainings.contenders)
            for name in trainings.names[: len(trainings.contenders)]:
                assert trainings.config(name)["options"]["seed"] == 0
    assert v4_nab.TRAININGS.config("no_baseline-2")["has_baseline"] is False


def labelled() -> list[Labelled]:
    return [Labelled("a.csv", 300.0 * np.arange(400), np.zeros(400), ((200, 219),))]


def test_nab_s_figures_of_a_perfect_and_of_a_silent_detector() -> None:
    files = labelled()
    perfect = v4_nab.figures(files, {"a.csv": files[0].is_anomaly.astype(float)})
    silent = v4_nab.figures(files, {"a.csv": np.zeros(400)})

    assert (perfect["standard"], perfect["f1"], perfect["event_recall"], perfect["delay_rows"]) == (
        100.0,
        1.0,
        1.0,
        0.0,
    )
    assert perfect["false_alarms_a_day"] == 0.0
    assert silent["standard"] == 0.0 and silent["event_recall"] == 0.0


def test_an_alarm_that_goes_on_is_told_once() -> None:
    scores = np.array([1.0, 0, 0, 5, 5, 4, 6, 0, 0, 0, 3])

    assert v4_nab.once(scores, 3).tolist() == [1, 0, 0, 5, 0, 0, 6, 0, 0, 0, 3]
    assert v4_nab.once(scores[:7], 3).tolist() == v4_nab.once(scores, 3)[:7].tolist()


def test_the_summary_of_nab_is_of_the_dynamic_horizons() -> None:
    row = {"once": {"standard": 20.0, "low_fp": 10.0, "vus_pr": 0.1}, "raw": {"standard": 1.0, "vus_pr": 0.2}}
    other = {"once": {"standard": 30.0}, "raw": {"vus_pr": 0.3}}
    chance = {"once": {"standard": 5.0}, "raw": {"vus_pr": 0.1}}
    found = {"v4 dynamic": {"0": row}, "random": chance, "seasonal": other}

    assert v4_nab.summary(found) == {
        "standard": 20.0, "low_fp": 10.0, "vus_pr": 0.2, "best_simple": "seasonal", "best_simple_standard": 30.0,
        "best_simple_vus_pr": 0.3, "random_standard": 5.0, "random_vus_pr": 0.1,
    }  # fmt: skip


def test_ratios_far_below_the_budget_are_as_bad_as_those_above() -> None:
    details = {
        "engines_renewed": {"pca": {"1": {"ratio": 1.2}, "3": {"ratio": 0.5}}},
        "nab_renewed": {"pca": {"1": {"ratio": 1.7}}},
        "nab_fixed": {"pca": {"1": {"ratio": 3.0}}},
    }
    assert summary(details) == {
        "worst_ratio_to_budget": 0.5, "engines_renewed_worst_ratio": 0.5, "nab_renewed_worst_ratio": 1.7,
        "nab_fixed_worst_ratio": 3.0,
    }  # fmt: skip


def test_a_calibration_that_is_renewed_follows_what_drifts() -> None:
    history = _joined([np.zeros((8000, 1))])
    scores = np.random.default_rng(0).exponential(1, len(history.values)) * np.linspace(1, 1.3, len(history.values))
    _, second = history.cuts()
    renewed = _counts(scores, _renewed(scores, history, second), history, second)

    for budget, (alarms, steps) in renewed.items():
        assert 0.5 < 100 * alarms / steps / float(budget) < 1.5, budget


def test_engines_are_joined_by_gaps_that_are_not_normal() -> None:
    history = _joined([np.zeros((100, 2)), np.ones((100, 2))])

    assert len(history.values) == 280
    assert history.is_normal.sum() == 100 + 60  # the first engine has nothing before it
    assert not history.is_normal[100:180].any()


@pytest.mark.parametrize("name", ["never", "speach"])
def test_a_part_that_is_none_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["v4_probes", name])
    assert v4_probes.main() == 2
