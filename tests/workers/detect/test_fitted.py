"""A detector as a worker asks it: states, gaps, wrong items; and the backtest that chooses one."""

import json
from dataclasses import replace

import numpy as np
import pytest

from contracts.anomaly import Budget, ScoreItem, ScoreResult
from contracts.conformal import rate_above, threshold
from workers.detect import fitted as fitting
from workers.detect.backtest import History, backtest, finish, reason, simple_makers
from workers.detect.faults import injected
from workers.detect.fitted import BadItem, Fitted
from workers.detect.metrics import alarmed, best_f1, spans_of, vus_pr

from .histories import broken, plant

INTERVAL, ORIGIN = 60.0, 1000


def history(values, anomalies=()):
    is_anomaly = np.zeros(len(values), bool)
    for begin, end in anomalies:
        is_anomaly[begin:end] = True
    return History(values, INTERVAL, ORIGIN, is_anomaly, np.zeros(len(values), bool))


def made(name, values):
    past = history(values)
    detector = simple_makers(past, 0)[name](values[:600], past.is_normal[:600])
    track = detector.track(values)
    detector.calibrate(track, values, np.arange(len(values)) >= 600)
    return detector, track


def item(values, begin, end, **more):
    rows = [[None if np.isnan(one) else float(one) for one in row] for row in values[begin:end]]
    times = [(ORIGIN + step) * INTERVAL for step in range(begin, end)]
    return ScoreItem("/a", "d", times, rows, **more)


@pytest.mark.parametrize("name", ["seasonal", "subsequence_pca", "isolation_forest"])
def test_a_stream_says_what_the_history_says(name):
    values = plant()
    detector, track = made(name, values)
    state, scores, times = "", [], []
    for begin in range(0, 300, 11):
        result = detector.respond(item(values, begin, min(begin + 11, 300), state=state, until=0.0))
        state = result.state
        scores += result.scores
        times += result.times

    known = np.array([np.nan if one is None else one for one in scores])
    assert times == [(ORIGIN + step) * INTERVAL for step in range(len(times))]
    assert len(times) >= 298
    assert np.allclose(known, track.scores[: len(known)] / detector.unit, atol=1e-5, equal_nan=True)


def test_the_same_item_again_has_the_same_result():
    values = plant()
    detector, _ = made("seasonal", values)
    asked = item(values, 0, 50)

    assert detector.respond(asked) == detector.respond(asked)


def test_a_lost_state_is_made_again():
    values = plant(holes=False)
    detector, _ = made("subsequence_pca", values)
    first = detector.respond(item(values, 0, 400))
    wanted = detector.respond(item(values, 400, 420, state=first.state))
    again = item(values, 400 - detector.context, 420, from_time=(ORIGIN + 400) * INTERVAL)
    found = detector.respond(again)

    assert found.times == wanted.times
    assert found.scores == pytest.approx(wanted.scores, abs=1e-4)


def test_a_fault_is_explained():
    values = broken(plant(holes=False), 700, sensor=2, by=5.0)
    detector, _ = made("seasonal", plant(holes=False))
    state = detector.respond(item(values, 600, 699)).state
    result = detector.respond(item(values, 699, 705, state=state, explain_above=2.0))

    assert result.scores[0] < 2 < result.scores[1]
    assert result.contributions[0] is None
    assert max(range(3), key=lambda sensor: result.contributions[1][sensor]) == 2
    assert sum(result.contributions[1]) == pytest.approx(1.0)
    assert len(result.expected) == 6 and len(result.spread) == 3
    assert abs(result.expected[0][0] - values[699, 0]) < 3 * result.spread[0]


def test_after_a_long_gap_everything_begins_anew():
    values = plant()
    detector, _ = made("subsequence_pca", values)
    state = detector.respond(item(values, 0, 300)).state
    far = replace(item(values, 0, 2), times=[1e7, 1e7 + INTERVAL], state=state)
    result = detector.respond(far)

    assert result.scores[-1] is None


def test_what_came_late_is_counted():
    values = plant(holes=False)
    detector, _ = made("seasonal", values)
    state = detector.respond(item(values, 10, 20)).state

    result = detector.respond(item(values, 12, 14, state=state))
    assert (result.times, result.late) == ([], 6)


@pytest.mark.parametrize(("change", "message"), [
    ({"values": [[1.0]]}, "rows of 3 numbers"), ({"values": [["a", 1, 2]]}, "rows of 3 numbers"),
    ({"times": [float("nan")]}, "finite"), ({"state": "AAAA"}, "state"), ({"state": "?"}, "state"),
])  # fmt: skip
def test_what_is_wrong_with_an_item_is_said(change, message):
    values = plant()
    detector, _ = made("seasonal", values)
    with pytest.raises(BadItem, match=message):
        detector.respond(replace(ScoreItem("/a", "d", [1.0], [[1.0, 2.0, 3.0]]), **change))


@pytest.mark.parametrize("name", list(fitting.SIMPLE))
def test_it_is_the_same_from_its_folder(tmp_path, name):
    values = plant()
    detector, _ = made(name, values)
    fitting.save(detector, tmp_path)
    manifest = json.loads(json.dumps({"detector": detector.values()}))
    again = fitting.load(tmp_path, manifest, graph=lambda path: None)

    asked = item(values, 0, 300, explain_above=1.0)
    assert isinstance(again, Fitted)
    assert again.respond(asked) == detector.respond(asked)
    assert ScoreResult.from_json(again.respond(asked).to_json()) == again.respond(asked)


def test_a_detector_of_another_release_is_refused(tmp_path):
    detector, _ = made("seasonal", plant())
    fitting.save(detector, tmp_path)
    with pytest.raises(BadItem, match="no detector oracle"):
        fitting.load(tmp_path, {"detector": detector.values() | {"name": "oracle"}}, graph=lambda path: None)


def test_the_backtest_puts_who_finds_most_first():
    values = broken(plant(2000), 1700, 20, by=30)
    found, basis = backtest(history(values, [(1700, 1720)]), simple_makers(history(values), 0), Budget(2.0), 0)
    names = [one.row.detector for one in found]

    assert basis == "labels"
    assert names[-2:] == ["random", "always"]
    best, chance, always = found[0].row, found[-2].row, found[-1].row
    assert best.vus_pr > 0.6 > chance.vus_pr
    assert best.event_recall == 1.0 and best.delay <= 10 * INTERVAL
    assert always.false_alarm_rate == 1.0
    # Nobody but the choice of the simplest among equals may stand before a better one.
    rest = [one.row.vus_pr for one in found[1:-2]]
    assert rest == sorted(rest, reverse=True)
    assert reason(found, "auto", basis).startswith(f"{best.detector} is best on the known anomalies")


def test_without_known_anomalies_faults_are_put_in():
    values = plant(2400)
    found, basis = backtest(history(values), simple_makers(history(values), 0), Budget(2.0), 0)

    assert basis == "injected"
    assert found[0].row.vus_pr > 2 * found[-2].row.vus_pr
    assert all(one.row.false_alarm_rate < 0.06 for one in found[:-1])
    # The history itself was not changed, and is what the detector is calibrated on.
    calibration = finish(found[0], history(values))
    assert rate_above(calibration, threshold(calibration, 2.0, "cent")) <= 0.02


def test_a_detector_that_cannot_be_fitted_is_left_out_and_says_why():
    values = plant(600, sensors=1)
    found, _ = backtest(history(values), simple_makers(history(values), 0, ("pca", "seasonal")), Budget(), 0)

    assert [one.row.detector for one in found] == ["seasonal", "pca", "random", "always"]
    assert "One sensor" in found[1].row.error


def test_faults_are_apart_and_among_normal_steps():
    rows = np.random.default_rng(0).normal(size=(1500, 3))
    is_normal = np.ones(1500, bool)
    is_normal[200:400] = False
    values, truth = injected(rows, is_normal, 0)

    assert 4 <= len(spans_of(truth)) <= 60
    assert not truth[200:400].any()
    assert np.array_equal(values[~truth], rows[~truth])
    assert all((values[begin:end] != rows[begin:end]).any() for begin, end in spans_of(truth))
    assert np.array_equal(injected(rows, is_normal, 0)[0], values)


def test_alarms_are_counted_without_adjustment():
    truth = np.array([0, 0, 1, 1, 1, 0, 0, 1, 1, 0], bool)
    scores = np.array([0, 9, 0, 9, 0, 0, np.nan, 0, 0, 0.0])
    found = alarmed(scores, truth, 5.0)

    assert (found.precision, found.recall) == (0.5, 0.2)
    assert (found.event_recall, found.delay, found.false_alarm_rate) == (0.5, 1.0, 0.2)
    assert best_f1(truth.astype(float), truth) == 1.0


def test_vus_pr_of_perfect_chance_and_wrong_scores():
    truth = np.zeros(2000, bool)
    truth[500:540] = truth[1500:1540] = True
    chance = np.random.default_rng(0).random(2000)

    assert vus_pr(truth.astype(float), truth, 0) == pytest.approx(1.0)
    assert vus_pr(chance, truth, 40) < 0.15
    near = np.roll(truth, 10).astype(float)  # a little late: the slopes forgive some
    assert vus_pr(near, truth, 0) < vus_pr(near, truth, 40) < 1.0


def test_the_area_is_average_precision_without_slopes():
    metrics = pytest.importorskip("sklearn.metrics")
    source = np.random.default_rng(0)
    truth = np.zeros(199, bool)
    truth[source.permutation(199)[:40]] = True
    truth[1::2] = False  # events of one step: existence and recall fall together
    scores = source.random(199) + truth
    ours = vus_pr(scores, truth, 0)
    precision, recall, _ = metrics.precision_recall_curve(truth, scores)

    # Recall counts twice here, once as the share of events found.
    wanted = np.sum(np.diff(np.square(recall[::-1])) * precision[::-1][1:])
    assert ours == pytest.approx(wanted, abs=0.01)
