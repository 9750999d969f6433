"""Detectors as they are served: several a request, each for itself, loaded when asked for."""

import hashlib
import json
from dataclasses import asdict

import numpy as np
import pytest

from contracts.anomaly import TASK, ScoreItem, ScoreResult
from contracts.messages import InferenceRequest, RevisionSpec
from tests.workers.detect.histories import plant
from tests.workers.detect.test_fitted import INTERVAL, ORIGIN, item, made
from workers.backends.base import BackendError
from workers.detect import fitted
from workers.engine.cores import Cores
from workers.engine.output import ListSink
from workers.pipelines import anomaly_detection
from workers.pipelines.anomaly_detection import BadItem, Shelf
from workers.pipelines.encoder_loading import Machine

pytestmark = pytest.mark.integration
VALUES = plant()


def artifact(folder, name):
    folder.mkdir()
    detector, _ = made(name, VALUES)
    fitted.save(detector, folder)
    (folder / "manifest.json").write_text(json.dumps({"task": TASK, "name": name, "detector": detector.values()}))
    return detector


def digest(folder):
    return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A deployment whose artifact is no detector, and two detectors."""
    root = tmp_path_factory.mktemp("artifacts")
    (root / "service").mkdir()
    (root / "service/manifest.json").write_text(json.dumps({"task": TASK, "name": "service"}))
    return root, {name: artifact(root / name, name) for name in ("seasonal", "subsequence_pca")}


def ask(root, *inputs):
    sink = ListSink()
    spec = RevisionSpec("m@1", "m", TASK, str(root / "service"), "d" * 64)
    engine = anomaly_detection.load_engine(root / "service", spec, sink, Machine(cores=Cores(2)))
    engine.start()
    outcomes = [
        engine.submit(InferenceRequest(str(number), "m", TASK, one)).result(30) for number, one in enumerate(inputs)
    ]
    engine.close()
    return [sink.of(str(number))[0].data for number in range(len(inputs))], outcomes


def items(root, *names, **more):
    return [asdict(item(VALUES, 0, 60, **more)) | {"artifact": str(root / name), "digest": digest(root / name)}
            for name in names]  # fmt: skip


def test_each_item_gets_what_its_detector_says(service):
    root, detectors = service
    (answer,), (outcome,) = ask(root, {"items": items(root, "seasonal", "subsequence_pca", explain_above=1.0)})

    for found, name in zip(answer["items"], ("seasonal", "subsequence_pca"), strict=True):
        wanted = detectors[name].respond(ScoreItem.from_dict(items(root, name, explain_above=1.0)[0]))
        assert ScoreResult.from_dict(json.loads(json.dumps(found, allow_nan=False))) == wanted
    assert outcome.prompt_tokens == 120


def test_a_state_goes_on_in_another_request(service):
    root, detectors = service
    (first,), _ = ask(root, {"items": items(root, "seasonal")})
    state = first["items"][0]["state"]
    more = asdict(item(VALUES, 60, 70, state=state)) | {"artifact": str(root / "seasonal"),
                                                        "digest": digest(root / "seasonal")}  # fmt: skip
    (second,), _ = ask(root, {"items": [more]})
    whole = detectors["seasonal"].respond(item(VALUES, 0, 70))

    assert first["items"][0]["scores"] + second["items"][0]["scores"] == pytest.approx(whole.scores, nan_ok=True)


def test_one_bad_item_harms_no_other(service):
    root, _ = service
    good, other, wrong, gone = items(root, "seasonal", "seasonal", "subsequence_pca", "seasonal")
    other["digest"] = "0" * 64
    wrong["values"] = [[1.0]] * len(wrong["times"])
    gone |= {"artifact": str(root / "nowhere"), "digest": "1" * 64}
    (answer,), _ = ask(root, {"items": [good, other, wrong, gone]})
    errors = [one["error"] for one in answer["items"]]

    assert errors[0] == "" and len(answer["items"][0]["times"]) >= 58
    assert errors[1:] == [
        "The detector is not the one that was asked for. Fit it again.",
        "The readings are not rows of 3 numbers, one for each time.",
        "The detector's files are gone. Fit it again.",
    ]


@pytest.mark.parametrize(("inputs", "message"), [
    ({}, "items: must be a list of 1 to 256 items"), ({"items": []}, "items: must be a list of 1 to 256 items"),
    ({"items": [{"colour": 1}]}, "items: ScoreItem does not know colour"),
    ({"items": [{"artifact": "a", "digest": "d", "times": [0.0] * 20_001, "values": []}]}, "at most 20000 times"),
])  # fmt: skip
def test_a_request_that_is_none_is_refused(service, inputs, message):
    (answer,), _ = ask(service[0], inputs)

    assert answer["type"] == "invalid_request" and message in answer["message"]


def test_a_deployment_of_another_task_is_not_loaded(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"task": "text-classification", "name": "x"}))
    spec = RevisionSpec("m@1", "m", TASK, str(tmp_path), "d" * 64)
    with pytest.raises(BackendError, match="made for text-classification"):
        anomaly_detection.load_engine(tmp_path, spec, ListSink(), Machine())


def test_the_shelf_keeps_the_latest(service):
    root, _ = service
    shelf = Shelf(room=1)
    first = shelf.take(str(root / "seasonal"), digest(root / "seasonal"))
    assert shelf.take(str(root / "seasonal"), digest(root / "seasonal")) is first
    shelf.take(str(root / "subsequence_pca"), digest(root / "subsequence_pca"))

    assert len(shelf) == 1
    assert shelf.take(str(root / "seasonal"), digest(root / "seasonal")) is not first
    with pytest.raises(BadItem, match="not the one"):
        shelf.take(str(root / "seasonal"), "0" * 64)


def test_moments_are_the_middles_of_steps(service):
    root, _ = service
    (answer,), _ = ask(root, {"items": items(root, "seasonal")})

    assert answer["items"][0]["times"][:2] == [ORIGIN * INTERVAL, (ORIGIN + 1) * INTERVAL]
    assert np.isfinite([one for one in answer["items"][0]["scores"] if one is not None]).all()
