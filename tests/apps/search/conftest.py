"""A worker that sees pictures and words as shares of eight colours (tests/workers/toy_towers.py), without a model."""

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from celery import current_app
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from apps.accounts.models import User
from apps.registry.models import Model, ModelVersion
from apps.search import collections, sending, tasks, uploads  # noqa: F401  tasks are run by name
from apps.search.models import Collection, Upload
from apps.serving import deployments
from contracts.messages import Event, InferenceRequest, Outcome
from tests.apps.conftest import ready
from tests.fakes import EchoEngine, FakeWorker
from tests.workers.toy_towers import CHINESE, COLOURS

PALETTE = np.array(list(COLOURS.values()), np.float32) / 255
TASK = "zero-shot-image-classification"


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def words_vector(text: str) -> np.ndarray:
    row = np.full(8, 1e-3, np.float32)
    for word in text.split():
        for place, names in enumerate(zip(COLOURS, CHINESE, strict=True)):
            row[place] += word in names
    return row


def picture_vector(content: str, crop: Any) -> np.ndarray:
    image = Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")
    if crop:
        sides = [round(share * side) for share, side in zip(crop, image.size * 2, strict=True)]
        image = image.crop(tuple(sides))
    pixels = np.asarray(image.resize((16, 16), 0), np.float32).reshape(-1, 1, 3) / 255
    closeness = -60.0 * ((pixels - PALETTE) ** 2).sum(-1)
    choice = np.exp(closeness - closeness.max(1, keepdims=True))
    return (choice / choice.sum(1, keepdims=True)).mean(0)


def bridged(images: list[str], texts: list[str], explain: bool = False, **_: Any) -> dict[str, Any]:
    """What a bridge on a 1 x 1 grid might say: the fewer colours a picture has, the better it fits; "large" looks at
    nothing and counts for nothing. Asked as a question, the answer is yes."""
    matches = [30 * float((picture_vector(one, None) ** 2).sum()) - 15 for one in images]
    found: dict[str, Any] = {"matches": matches, "answers": [[["yes", 0.9], ["no", 0.1]]]}
    if explain:
        words, place = [], 0
        for word in texts[0].split():
            start = texts[0].index(word, place)
            place = start + len(word)
            words.append(
                {"start": start, "end": place, "weight": 0.0 if word == "large" else 1.5, "map": [0.7, 0.1, 0.1, 0.1]}
            )
        found |= {"grid": 2, "words": words}
    return found


class ColourEngine(EchoEngine):
    """`fail_with` fails all; a picture whose main colour is purple is refused when `refuses_purple`."""

    refuses_purple = False

    def _answer(self, request: InferenceRequest) -> Outcome:
        self.gate.wait(10)
        inputs = request.inputs
        if {"images", "texts"} <= inputs.keys() and not self.fail_with:
            return self._end(request, bridged(**inputs), len(inputs["images"]))
        if "images" in inputs:
            crops = inputs.get("crops") or [None] * len(inputs["images"])
            rows = np.stack([picture_vector(*one) for one in zip(inputs["images"], crops, strict=True)])
        else:
            rows = np.stack([words_vector(text) for text in inputs["texts"]])
        error = self.fail_with
        if self.refuses_purple and (purple := np.flatnonzero(rows.argmax(1) == list(COLOURS).index("purple"))).size:
            error = {"type": "invalid_request", "message": "is purple", "index": int(purple[0])}
        if error:
            self._write(request, Event.ERROR, error)
            return Outcome("error")
        content = base64.b64encode(unit(rows).astype("<f4").tobytes()).decode()
        result = {"embeddings": content, "count": len(rows), "dimensions": 8, "logit_scale": 10.0, "logit_bias": 0.0}
        return self._end(request, result, len(rows))

    def _end(self, request: InferenceRequest, result: dict[str, Any], size: int) -> Outcome:
        self._write(request, Event.RESULT, result)
        outcome = Outcome("stop", batch_size=size)
        self._write(request, Event.DONE, asdict(outcome))
        return outcome


class ColourWorker(FakeWorker):
    def _load(self, spec: Any, streams: Any, progress: Any) -> ColourEngine:
        self.engine = ColourEngine(streams)
        self.engine.gate.set()
        return self.engine

    def drain(self, rounds: int = 200) -> None:
        """Answer and settle until nothing is sent any more."""
        for _ in range(rounds):
            if not self.sent:
                return
            sent = list(self.sent)
            self.sent.clear()
            self.wait()
            for request in sent:
                self.settle(request.request_id)


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks run where they are sent from."""
    monkeypatch.setattr(sending, "send", lambda name, *arguments: current_app.tasks[name](*arguments))


def colour_version(number: int = 1, **manifest: Any) -> ModelVersion:
    model, _ = Model.objects.get_or_create(name="colours", defaults={"title": "Colours", "task": TASK})
    manifest = {"dimensions": 8, "logit_scale": 10.0, **manifest}
    digest = f"{number}" * 64
    return ModelVersion.objects.create(
        model=model, number=number, artifact=f"c{number}", digest=digest, manifest=manifest
    )


@pytest.fixture
def seer(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[ColourWorker]:
    """A ready worker for the deployment `colours`; requests reach it without a broker."""
    deployments.create_deployment(actor=None, name="colours", version=colour_version())
    with ready(ColourWorker, monkeypatch) as worker:
        yield worker


@pytest.fixture
def collection(owner: User, seer: ColourWorker) -> Collection:
    return collections.create(owner=owner, name="Colours", deployment="colours")


def png(*colours: str, size: tuple[int, int] = (40, 20)) -> bytes:
    """Stripes of these colours, left to right."""
    image = Image.new("RGB", size, COLOURS[colours[0]])
    for place, colour in enumerate(colours):
        image.paste(COLOURS[colour], (place * size[0] // len(colours), 0, *size))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def files(named: dict[str, bytes]) -> list[SimpleUploadedFile]:
    return [SimpleUploadedFile(name, content) for name, content in named.items()]


def fill(collection: Collection, worker: ColourWorker, named: dict[str, bytes]) -> Upload:
    """Upload, read, embed."""
    upload = uploads.begin(collection=collection)
    uploads.receive(upload=upload, files=files(named))
    worker.drain()
    return upload


@pytest.fixture
def filled(collection: Collection, seer: ColourWorker) -> Collection:
    """Nine pictures: each colour alone, and red beside blue."""
    fill(collection, seer, {f"{one}.png": png(one) for one in COLOURS} | {"both.png": png("red", "blue")})
    return collection


Named = Callable[..., list[str]]
