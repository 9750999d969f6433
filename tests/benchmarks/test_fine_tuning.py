"""A base is fine-tuned on one task, and its curve read."""

from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks import fine_tuning
from benchmarks.fine_tuning import HEADS, LOOKS, STEPS, Kept, Lesson, Point, converged, fine_tune, over_tasks, reached
from benchmarks.v5_tasks import bench, by_prototypes, read


def curve(*accuracies: float) -> list[Point]:
    """A look at each of some steps, half a second each."""
    return [Point(step, step / 2, float(step), one) for step, one in zip((0, 1, 48, 64), accuracies, strict=True)]


def test_what_it_converges_to_is_the_last_quarter_and_its_time_the_first_look_that_is_as_good() -> None:
    found = curve(0.5, 0.8, 0.7, 0.9)
    assert converged(found) == 0.8
    assert reached(found, 0.8) == Point(1, 0.5, 1.0, 0.8) and reached(found, 0.95) is None
    assert over_tasks([found, curve(0.3, 0.6, 0.9, 0.9)])[1] == Point(1, 0.5, 1.0, 0.7)
    assert LOOKS[-1] == STEPS and sum(step >= STEPS * 3 // 4 for step in LOOKS) >= 3


def test_the_examples_are_learned_and_the_base_stays(config) -> None:
    of = bench("topics")
    before = {name: one.clone() for name, one in of.base.state_dict().items()}
    lesson = next(of.test("news"))
    known = lesson._replace(queries=lesson.x, wanted=lesson.y)
    for head in HEADS:
        found = fine_tune(of.base, known, 1e-2, head)
        assert [point.step for point in found] == list(LOOKS) and found[-1].accuracy == 1
        assert [point.seconds for point in found] == sorted(point.seconds for point in found)
    assert all(torch.equal(one, before[name]) for name, one in of.base.state_dict().items())
    still = fine_tune(of.base, lesson, 0.0, "prototypes")
    assert {point.accuracy for point in still} == {by_prototypes(next(read(of.base, iter([lesson]))))}


def test_curves_are_kept_and_another_session_goes_on(config, tmp_path: Path, monkeypatch) -> None:
    calls = []

    def counted(base: object, lesson: Lesson, rate: float, head: str, seed: int = 0) -> list[Point]:
        calls.append((rate, seed))
        return curve(0.5, 0.5, rate, rate)

    monkeypatch.setattr(fine_tuning, "fine_tune", counted)
    of = bench("topics")

    def two() -> Iterator[Lesson]:
        return (lesson for _, lesson in zip(range(2), of.validation(), strict=False))

    kept = Kept(tmp_path / "a" / "new.json", "new", (0.1, 0.2))
    kept.try_rates(of.base, two)
    kept.go_on(of.base, "news", of.test("news"), 2)
    assert calls == [(0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1), (0.2, 0), (0.2, 1)]
    again = Kept(tmp_path / "a" / "new.json", "new", (0.1, 0.2))
    again.try_rates(of.base, two)
    again.go_on(of.base, "news", of.test("news"), 3)
    assert calls[6:] == [(0.2, 2)] and again.curves("news") == [curve(0.5, 0.5, 0.2, 0.2)] * 3
    assert again.curves("reviews") == [] and Kept(tmp_path / "a" / "new.json", "new", (0.1,)).curves("news") == []
