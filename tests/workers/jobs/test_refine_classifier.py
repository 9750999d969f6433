"""The job that refines a classifier: what it makes is served by the model that it was made for."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from contracts.few_shot import REFINE_JOB, RefineArguments, Report
from contracts.messages import JobRequest
from tests.workers import toy_lessons
from tests.workers.pipelines.test_few_shot_classification import array, said
from tests.workers.training.test_refining import CLASSES, drawn
from workers.data import vocabulary
from workers.export import few_shot
from workers.jobs import refine_classifier
from workers.jobs.report import JobError
from workers.jobs.report import Report as Told

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setattr(few_shot, "bare", lambda reads, rank, size: toy_lessons.base(rank))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    return toy_lessons.build(tmp_path_factory.mktemp("drawn"), toy_lessons.drawn())


def texts(each, seed=0):
    rows, labels = drawn(each, seed)
    first = len(vocabulary.SPECIAL)
    return [" ".join(toy_lessons.WORDS[token - first] for token in row) for row in rows], labels.tolist()


def run(artifact: Path, path: Path, rows, labels, classes=CLASSES):
    path.write_text(json.dumps({"texts": rows, "labels": labels, "classes": classes}))
    asked = RefineArguments(str(artifact), "d" * 64, str(path))
    pipe = io.StringIO()
    result = refine_classifier.run(JobRequest("1", REFINE_JOB, asked.to_dict()), path.parent, Told(pipe))
    return result, [json.loads(line)[1]["fraction"] for line in pipe.getvalue().splitlines()]


def test_what_it_makes_answers_and_tells_more(untrained, tmp_path):
    rows, labels = texts(10)
    asked, wanted = texts(100, seed=1)
    result, fractions = run(untrained, tmp_path / "lesson.json", rows, labels)
    report = Report.from_dict(result["report"])

    assert 0 < report.steps == result["steps"] and report.right == result["right"] > result["before"] == report.before
    assert result["judged"] == report.judged == len(rows)
    assert sum(map(sum, report.confusion)) == len(rows)
    assert sum(row[place] for place, row in enumerate(report.confusion)) == report.right
    assert fractions == sorted(fractions) and fractions[-1] <= 0.95

    plain = {"texts": rows, "adapt": {"labels": labels, "classes": CLASSES}}
    (taught,) = said(untrained, plain)
    answers = said(untrained, *({"texts": asked[at : at + 100], "adapter": adapter}
                                for adapter in (taught["adapter"], result["adapter"])
                                for at in range(0, len(asked), 100)))  # fmt: skip
    told = [np.argmax(one["shares"]) for answer in answers for one in answer["items"]]
    before, after = np.array(told).reshape(2, -1)
    assert (after == wanted).mean() > (before == wanted).mean()


def test_strengths_begin_where_the_model_puts_them(tmp_path, monkeypatch):
    """Of a model whose adapters were trained: without a step they are those of the lesson."""
    artifact = toy_lessons.build(tmp_path / "adapts")
    begun = []

    def refined(base, collate, examples, strengths, say):
        begun.append(strengths)
        nothing = np.zeros((len(examples.labels), examples.classes))
        return refine_classifier.Refined(0, strengths, nothing, nothing)

    rows, labels = texts(4)
    monkeypatch.setattr(refine_classifier, "refine", refined)
    run(artifact, tmp_path / "lesson.json", rows, labels)
    (taught,) = said(artifact, {"texts": rows, "adapt": {"labels": labels, "classes": CLASSES}})
    np.testing.assert_allclose(begun[0], array(taught["adapter"], "strengths", "<f4"), rtol=1e-5, atol=1e-6)
    assert begun[0].any()


def test_where_nothing_is_gained_there_is_no_adapter(untrained, tmp_path):
    rows = [f"{word} {word}" for word in toy_lessons.WORDS[:CLASSES] for _ in range(4)]
    result, _ = run(untrained, tmp_path / "lesson.json", rows, [0] * 4 + [1] * 4 + [2] * 4)
    assert result == {"adapter": None, "report": None, "steps": 0, "before": 12, "right": 12, "judged": 12}


def test_what_cannot_be_refined_is_told(untrained, tmp_path):
    rows, labels = texts(3)
    with pytest.raises(JobError, match="needs 4 examples"):
        run(untrained, tmp_path / "lesson.json", rows, labels)
    with pytest.raises(JobError, match="labels: must be a class for each"):
        run(untrained, tmp_path / "lesson.json", rows, labels[1:])
    plain = toy_lessons.build(tmp_path / "plain", toy_lessons.base(0))
    with pytest.raises(JobError, match="has no adapters"):
        run(plain, tmp_path / "lesson.json", *texts(4))
    asked = RefineArguments(str(untrained), "d" * 64, str(tmp_path / "gone.json"))
    with pytest.raises(JobError, match=r"gone\.json"):
        refine_classifier.run(JobRequest("1", REFINE_JOB, asked.to_dict()), tmp_path, Told(io.StringIO()))
