"""What crosses the border between app and detectors arrives as it left; thresholds keep the budget."""

import math
import random

import pytest

from contracts.anomaly import BacktestRow, Budget, FitArguments, FitReport, ScoreInputs, ScoreItem, ScoreResult
from contracts.conformal import (
    MOST_SCORES,
    Calibration,
    alarms_a_day,
    calibrated,
    rate_above,
    recalibrated,
    renewed,
    threshold,
)

HOUR = 3600.0
MESSAGES = [
    Budget(2.0, "day"),
    FitArguments("/data/a.npz", ["pressure"], "pump-1", "Pump 1", anomalies=[[1.0, 2.0]]),
    BacktestRow("pca", vus_pr=0.5),
    ScoreItem("/artifacts/pump-1", "0" * 64, [1.0], [[None, 2.5]], explain_above=1.0),
    ScoreResult([1.0], [[2.5]], [None], contributions=[None], state="AA=="),
    calibrated([0.5, None, 0.25], HOUR),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_round_trip(message):
    assert type(message).from_json(message.to_json()) == message


def test_a_report_keeps_its_calibration():
    calibration = calibrated([1.0, 3.0, 2.0], HOUR)
    report = FitReport("pca", "why", "labels", [], 60.0, 10, 3, 0.0, 2.0, calibration.to_dict())

    assert FitReport.from_json(report.to_json()).as_calibration() == calibration


def test_items_are_plain_values():
    item = ScoreItem("/a", "d", [1.0], [[2.0]])
    assert ScoreInputs([item]).to_dict()["items"][0]["values"] == [[2.0]]


@pytest.mark.parametrize("wrong", [{"alarms": 0}, {"alarms": math.nan}, {"alarms": 60}, {"per": "year"}])
def test_a_budget_that_means_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match="budget"):
        Budget(**wrong)


def test_the_threshold_is_the_conformal_quantile():
    calibration = calibrated([float(n) for n in range(1, 100)], HOUR)

    # Of 99 scores the 95th: the 100th, which is to come, is above it with 5 per cent.
    assert threshold(calibration, 5, "cent") == 95.0
    assert rate_above(calibration, 95.0) == pytest.approx(4 / 99)
    assert threshold(calibration, 1, "cent") == 99.0
    assert threshold(calibration, 0.5, "cent") == math.inf


@pytest.mark.parametrize("cent", [1, 3, 5])
def test_new_normal_steps_keep_the_budget(cent):
    source = random.Random(cent)
    rates = []
    for _ in range(40):
        limit = threshold(calibrated([source.gauss(0, 1) for _ in range(500)], HOUR), cent, "cent")
        rates.append(sum(source.gauss(0, 1) > limit for _ in range(500)) / 5)

    assert 0.8 * cent <= sum(rates) / len(rates) <= 1.1 * cent


def test_alarms_a_day_are_counted_until_the_score_is_calm():
    scores = [1.0, 5.0, 4.5, 6.0, 1.0, 1.0, 8.0, *[1.0] * 5] * 8  # two stretches in each twelve hours, four days
    calibration = calibrated(scores, HOUR)

    assert (calibration.calm, calibration.days, len(calibration.peaks)) == (1.0, 4.0, 16)
    assert alarms_a_day(calibration, 6.0) == 2.0
    assert threshold(calibration, 2.25, "day") == 6.0  # 9 in four days: 8 and the one to come
    assert threshold(calibration, 0.25, "day") == 8.0
    assert threshold(calibration, 0.2, "day") == math.inf


def test_a_long_calibration_is_kept_small_and_promises_no_less():
    source = random.Random(0)
    scores = [source.expovariate(1) for _ in range(50_000)]
    kept, known = calibrated(scores, 1.0), sorted(scores)

    assert len(kept.scores) <= MOST_SCORES and kept.total == 50_000
    for cent in (0.1, 1, 3, 20):
        exact = known[math.ceil(50_001 * (1 - cent / 100)) - 1]
        assert exact <= threshold(kept, cent, "cent") <= exact * 1.01


def test_false_alarms_raise_the_threshold():
    calibration = calibrated([float(n) for n in range(1, 100)], HOUR)
    after = recalibrated(calibration, [[97.5, 98.5, 98.7], [99.5], []])

    assert threshold(after, 5, "cent") > threshold(calibration, 5, "cent")
    assert after.total == 103
    assert len(after.peaks) == len(calibration.peaks) + 2


@pytest.mark.parametrize("budget", [1, 3, 5])
def test_a_calibration_that_is_renewed_keeps_the_budget_while_scores_drift(budget: float):
    source = random.Random(0)
    scores = [source.expovariate(1) * (1 + step / 4000) for step in range(20_000)]
    first = calibrated(scores[:2000], 1.0)
    fixed = sum(score > threshold(first, budget, "cent") for score in scores[2000:]) / 18_000
    above = 0
    for begin in range(2000, 20_000, 100):
        limit = threshold(renewed(first, scores[begin - 2000 : begin], 1.0), budget, "cent")
        above += sum(score > limit for score in scores[begin : begin + 100])

    assert fixed > 0.04 * budget
    assert 0.005 * budget < above / 18_000 < 0.015 * budget


def test_what_stays_of_a_calibration_is_what_new_steps_do_not_fill():
    calibration = calibrated([float(n % 10) for n in range(100)], HOUR)
    after = renewed(calibration, [1.0, None, 1.0, 20.0] * 10, HOUR)

    assert after.total == pytest.approx(100)
    assert rate_above(after, 15.0) == pytest.approx(0.1)
    assert (after.days, len(after.peaks)) == (pytest.approx(calibration.days), 10 + 7)
    assert renewed(calibration, [3.0] * 100, HOUR) == calibrated([3.0] * 100, HOUR)
    assert renewed(calibration, [], HOUR).scores == calibration.scores


def test_an_empty_calibration_promises_nothing():
    assert threshold(Calibration(), 5, "cent") == math.inf
    assert threshold(calibrated([], HOUR), 5, "day") == math.inf
