"""Tasks of texts and pictures, and a run on them to the artifact that is served."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from contracts.messages import JobRequest
from workers.data.emoji import Emoji
from workers.export import few_shot
from workers.jobs import train
from workers.jobs.report import JobError, Report
from workers.recipes import v5
from workers.training import meta
from workers.training.learners import Prototypes, RankSpace
from workers.training.lessons import Drawings, Topics
from workers.training.loop import Options


def groups(source: int = 0) -> list[list[torch.Tensor]]:
    """Ids that say which corpus and label they are of."""
    torch.manual_seed(source)
    return [[torch.randint(1, 4, (9, 8)) + 4 * label + 8 * corpus for label in range(2)] for corpus in range(2)]


def emoji(count: int) -> list[Emoji]:
    pictures = [{vendor: np.full((64, 64, 3), (5 * n + place) % 256, np.uint8)
                 for place, vendor in enumerate(("twitter", "google"))} for n in range(count)]  # fmt: skip
    return [Emoji(f"{n:X}", {}, {}, one) for n, one in enumerate(pictures)]


def test_labels_of_a_task_are_of_one_corpus_and_no_text_is_asked_that_was_shown() -> None:
    tasks = Topics(groups(), 2, 3, 2).draw(np.random.default_rng(0), 20)
    assert tasks.x.shape == (20, 6, 8) and tasks.queries.shape == (20, 4, 8)
    for x, y, classes in zip(tasks.x, tasks.y, tasks.classes, strict=True):
        assert len({int(one) // 2 for one in classes}) == 1
        of = (x[:, 0] - 1) // 4
        assert torch.equal(of, classes[y.argmax(-1)])
    again = Topics(groups(), 2, 3, 2).draw(np.random.default_rng(0), 20)
    assert torch.equal(tasks.x, again.x)
    with pytest.raises(ValueError, match="no corpus has the texts"):
        Topics(groups(), 2, 8, 2)


def test_an_emoji_is_asked_by_the_other_vendor() -> None:
    drawings = Drawings(emoji(8), 5, 32, is_varied=False)
    tasks = drawings.draw(np.random.default_rng(0), 3)
    assert tasks.x.shape == tasks.queries.shape == (3, 5, 3, 32, 32)
    difference = (tasks.x - tasks.queries).abs().flatten(2).mean(-1)
    assert (difference > 0).all() and (difference < 0.05).all()
    varied = Drawings(emoji(8), 5, 32, is_varied=True).draw(np.random.default_rng(0), 3)
    assert not torch.equal(varied.x, tasks.x)


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> meta.MetaConfig:
    """Of three steps on made-up texts."""
    parts = [Topics(groups(seed), 2, 2, 2) for seed in range(3)]
    about = {"name": "toy", "source": "made up", "licence": "MIT"}
    monkeypatch.setattr(meta, "load", lambda config: meta.Parts(parts[0], parts[1], {"news": parts[2]}, 4, about))
    return replace(
        v5.topics(), pretrained=False, shots=2, queries=2, rank=2, embedding=8, validation_tasks=4, test_tasks=4,
        model={"vocab_size": 40, "width": 16, "layers": 1, "heads": 2, "hidden": 32, "positions": 16},
        options=Options(steps=3, batch_size=2, evaluate_every=3, checkpoint_every=3),
    )  # fmt: skip


def test_a_job_trains_what_classifiers_are_taught_with(
    config: meta.MetaConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "load_recipe", lambda name: config)
    arguments = {"recipe": "v5.topics", "name": "lessons", "title": "Lessons", "precision": "fp32"}
    (tmp_path / "job").mkdir()
    pipe = io.StringIO()
    result = train.run(JobRequest("1", "train", arguments), tmp_path / "job", Report(pipe))
    manifest = json.loads((tmp_path / result["artifact"] / "manifest.json").read_text())
    assert (manifest["name"], manifest["title"], manifest["task"]) == ("lessons", "Lessons", "few-shot-classification")
    told = [data for _, data in map(json.loads, pipe.getvalue().splitlines()) if data.get("figures")]
    assert [one["step"] for one in told] == [3] and 0 <= told[0]["figures"]["score"] <= 1
    (tmp_path / "again").mkdir()
    with pytest.raises(JobError, match="exported in fp32"):
        train.run(JobRequest("2", "train", {**arguments, "precision": "int8"}), tmp_path / "again", Report(pipe))


def test_a_run_on_texts_becomes_an_artifact(config: meta.MetaConfig, tmp_path: Path) -> None:
    figures = meta.train(config, tmp_path / "run", lambda said: None)
    assert figures["without_gradients"]["news"]["tasks"] == 4
    artifact = few_shot.export_run(tmp_path / "run", tmp_path / "artifacts")
    manifest = json.loads((artifact / "manifest.json").read_text())
    assert (manifest["name"], manifest["ranks"], manifest["features"]) == ("teach-texts", 8, 16)
    assert manifest["inputs"] == ["input_ids", "strengths"] and manifest["modulate"] == "modulate.onnx"
    assert set(manifest["metrics"]["parity"]["max_error"]) == {"model.onnx", "modulate.onnx"}
    card = (artifact / "README.md").read_text()
    assert "| news |" in card and "--recipe v5.topics" in card


def test_training_begins_at_the_prototypes_with_adapters_at_full_strength(config: meta.MetaConfig) -> None:
    learner = meta.learner_of(config, 4).eval()
    assert isinstance(learner, RankSpace)
    tasks = next(meta.drawn(Topics(groups(2), 2, 2, 2), 20, 0))
    plain = meta.answers(Prototypes(learner.model.base), tasks, 0)
    torch.testing.assert_close(meta.answers(learner, tasks, 0), plain)
    s, *_ = learner.model(tasks.x[0], tasks.y[0])
    assert s.min() > 0.5 and s.max() < 1.5


def test_concepts_that_validate_are_of_all_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    found = emoji(300)
    monkeypatch.setattr(meta.emoji, "load", lambda: found)
    parts = meta.load(replace(v5.emoji(), model={"size": 32}, ways=5))
    seen = [one for one in found if not one.is_unseen]
    validation = parts.validation
    assert isinstance(validation, Drawings) and validation.classes + parts.classes == len(seen)
    assert int(validation.pictures[1, 0, 0, 0, 0]) == 5 * int(seen[10].code, 16) % 256
    assert {name: some.ways for name, some in parts.tests.items()} == {"unseen_5": 5, "unseen_20": 20}


def test_towers_are_compared_with_prototypes_only() -> None:
    with pytest.raises(ValueError, match="on a frozen base learner is meta_lora or prototypes, not maml"):
        replace(v5.emoji(), learner="maml")
