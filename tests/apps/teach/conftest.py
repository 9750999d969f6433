"""A worker that sees texts and pictures as shares of eight colours, windows as their slopes, clips as their pitch, and
learns as the pipeline does, without a model."""

import base64
import io
import wave
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from celery import current_app

from apps.accounts.models import User
from apps.registry.models import Model, ModelVersion
from apps.serving import deployments
from apps.teach import classifiers, examples, sending, tasks, teaching  # noqa: F401  tasks are run by name
from apps.teach.models import Classifier, Label, Version
from contracts import clips
from contracts.few_shot import CLIPS, PICTURES, TASK, TEXTS, WINDOWS
from contracts.messages import Event, InferenceRequest, Outcome
from tests.apps.conftest import ready
from tests.apps.search.conftest import ColourWorker, picture_vector, unit, words_vector
from tests.fakes import EchoEngine
from workers.pipelines import prototypes

REDS = ["red", "red one", "a red thing"]
BLUES = ["blue", "blue two", "the blue sky"]


def features(inputs: dict[str, Any]) -> np.ndarray:
    if PICTURES in inputs:
        return np.stack([picture_vector(one, None) for one in inputs[PICTURES]]).astype(np.float32)
    if CLIPS in inputs:
        return np.array([pitch(clips.read(base64.b64decode(one))) for one in inputs[CLIPS]], np.float32)
    if WINDOWS in inputs:
        return np.array(
            [[np.polyfit(range(len(one)), one, 1)[0], np.ptp(one) / 50] for one in inputs[WINDOWS]], np.float32
        )
    rows = unit(np.stack([words_vector(text) for text in inputs[TEXTS]]))
    longer = [[0.02 * (len(text) % 7)] for text in inputs[TEXTS]]  # no two are quite alike
    return (rows + np.array(longer)).astype(np.float32)


def pitch(samples: np.ndarray) -> list[float]:
    """In kHz, and how loud."""
    return [
        float((np.diff(np.signbit(samples)).sum() / 2) / (len(samples) / clips.RATE) / 1000),
        np.abs(samples).mean(),
    ]


def tone(hertz: float, seconds: float = 0.3, rate: int = 16000) -> bytes:
    """A WAV file of 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        loud = 9000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
        out.writeframes(loud.astype("<i2").tobytes())
    return file.getvalue()


class LessonEngine(EchoEngine):
    """`fail_with` fails all. An adapter of `model` is the only one that fits."""

    model = "m" * 64

    def _answer(self, request: InferenceRequest) -> Outcome:
        self.gate.wait(10)
        try:
            result = self._result(request.inputs)
        except prototypes.BadAdapter as error:
            self._write(request, Event.ERROR, {"type": "invalid_request", "message": str(error)})
            return Outcome("error")
        if self.fail_with:
            self._write(request, Event.ERROR, self.fail_with)
            return Outcome("error")
        self._write(request, Event.RESULT, result)
        outcome = Outcome("stop", prompt_tokens=3)
        self._write(request, Event.DONE, asdict(outcome))
        return outcome

    def _result(self, inputs: dict[str, Any]) -> dict[str, Any]:
        seen = features(inputs)
        if "adapt" not in inputs:
            task = prototypes.read(inputs["adapter"], self.model, 0)
            return {"items": [asdict(one) for one in prototypes.told(task, seen)]}
        labels = np.array(inputs["adapt"]["labels"])
        task, report = prototypes.learned(seen, labels, inputs["adapt"]["classes"], np.zeros(0, np.float32), 4.0)
        return {"adapter": asdict(prototypes.written(task, self.model)), "report": asdict(report)}


class LessonWorker(ColourWorker):
    """`engine` is that of texts."""

    def _load(self, spec: Any, streams: Any, progress: Any) -> LessonEngine:
        engine = LessonEngine(streams)
        engine.gate.set()
        if spec.key.startswith(f"teach-{TEXTS}@"):
            self.engine = engine
        return engine


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks run where they are sent from."""
    monkeypatch.setattr(sending, "send", lambda name, *arguments: current_app.tasks[name](*arguments))


@pytest.fixture
def teacher(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[LessonWorker]:
    """A ready worker for a model of texts, of pictures, of clips and of windows; requests reach it without a broker."""
    for reads in (TEXTS, PICTURES, CLIPS, WINDOWS):
        model = Model.objects.create(name=f"teach-{reads}", title=reads, task=TASK)
        version = ModelVersion.objects.create(
            model=model, number=1, artifact=reads, digest=reads[0] * 64, manifest={"reads": reads}
        )
        deployments.create_deployment(actor=None, name=f"teach-{reads}", version=version)
    with ready(LessonWorker, monkeypatch) as worker:
        yield worker


@pytest.fixture
def classifier(owner: User, teacher: LessonWorker) -> Classifier:
    """Reds and blues, not taught yet."""
    made = classifiers.create(owner=owner, name="Colours", reads=TEXTS, labels=["red", "blue"])
    for name, texts in (("red", REDS), ("blue", BLUES)):
        examples.add_texts(classifier=made, texts=texts, label=label_of(made, name))
    return made


def label_of(classifier: Classifier, name: str) -> Label:
    return classifier.labels.get(name=name)


def teach(classifier: Classifier, worker: LessonWorker) -> Version:
    """To its end."""
    version = teaching.teach(classifier=Classifier.objects.get(pk=classifier.pk), who=classifier.owner)
    worker.drain()
    version.refresh_from_db()
    return version


@pytest.fixture
def taught(classifier: Classifier, teacher: LessonWorker) -> Classifier:
    teach(classifier, teacher)
    return Classifier.objects.get(pk=classifier.pk)
