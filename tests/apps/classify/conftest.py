"""A worker that finds `good` in texts that say so."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from apps.registry.models import Model, ModelVersion
from apps.serving import deployments
from contracts.messages import Event, InferenceRequest, Outcome
from tests.apps.conftest import ready
from tests.fakes import EchoEngine, FakeWorker


class LabelEngine(EchoEngine):
    """A text that says "refuse" is refused as too long; `fail_with` fails all."""

    def _answer(self, request: InferenceRequest) -> Outcome:
        self.gate.wait(10)
        texts = request.inputs["texts"]
        refused = next((place for place, text in enumerate(texts) if "refuse" in text), None)
        error = self.fail_with or (
            {"type": "context_length_exceeded", "message": "too long", "index": refused}
            if refused is not None
            else None
        )
        if error:
            self._write(request, Event.ERROR, error)
            return Outcome("error")
        result: dict[str, Any] = {"labels": [_labels("good" in text) for text in texts]}
        if request.inputs.get("explain"):
            result["explanation"] = {
                "label": result["labels"][0][0]["label"],
                "method": "occlusion",
                "spans": [{"start": 0, "end": 3, "weight": 2.0}, {"start": 4, "end": 8, "weight": -1.0}],
            }
        self._write(request, Event.RESULT, result)
        outcome = Outcome("stop", prompt_tokens=3 * len(texts), prepare_time=0.001, queue_time=0.003, batch_size=2)
        self._write(request, Event.DONE, asdict(outcome))
        return outcome


def _labels(is_good: bool) -> list[dict[str, Any]]:
    best, other = ("good", "bad") if is_good else ("bad", "good")
    return [{"label": best, "score": 0.75}, {"label": other, "score": 0.25}]


class LabelWorker(FakeWorker):
    def _load(self, spec: Any, streams: Any, progress: Any) -> LabelEngine:
        self.engine = LabelEngine(streams)
        self.engine.gate.set()
        return self.engine


@pytest.fixture
def labeller(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabelWorker]:
    """A ready worker for the deployment `mood`; requests reach it without a broker."""
    model = Model.objects.create(name="mood", title="Mood", task="text-classification")
    version = ModelVersion.objects.create(model=model, number=1, artifact="mood", digest="d" * 64)
    deployments.create_deployment(actor=None, name="mood", version=version)
    with ready(LabelWorker, monkeypatch) as worker:
        yield worker
