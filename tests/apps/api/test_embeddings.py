"""Embeddings and classification: the forms, every refusal, and what the worker is told."""

import base64
import json
import threading
from array import array
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.test import AsyncClient
from redis import Redis

from apps.accounts.keys import create_api_key
from apps.accounts.models import User
from apps.registry.models import Model, ModelVersion
from apps.serving import deployments, reconcile, requests, services
from contracts import names
from contracts.messages import Event, InferenceRequest, Outcome
from tests.fakes import EchoEngine, FakeWorker

pytestmark = pytest.mark.django_db(transaction=True)


class VectorEngine(EchoEngine):
    """A vector of three numbers, or three labels, for each input."""

    def _answer(self, request: InferenceRequest) -> Outcome:
        if self.fail_with:
            self._write(request, Event.ERROR, self.fail_with)
            return Outcome("error")
        count = len(request.inputs.get("texts") or request.inputs["token_ids"])
        vectors = array("f", [value + place for place in range(count) for value in (0.25, -0.5, 1.0)])
        result: dict[str, Any] = {
            "embeddings": base64.b64encode(vectors.tobytes()).decode(),
            "count": count,
            "dimensions": 3,
        }
        if request.task == "text-classification":
            result = {"labels": [[{"label": "good", "score": 0.75}]] * count}
        self._write(request, Event.RESULT, result)
        outcome = Outcome("stop", prompt_tokens=4 * count)
        self._write(request, Event.DONE, asdict(outcome))
        return outcome


class VectorWorker(FakeWorker):
    """Makes vectors and labels."""

    def _load(self, spec: Any, streams: Any, progress: Any) -> VectorEngine:
        self.engine = VectorEngine(streams)
        self.engine.gate.set()
        return self.engine


@pytest.fixture
def headers(owner: User) -> dict[str, str]:
    return {"authorization": f"Bearer {create_api_key(owner=owner, name='test')[1]}"}


@pytest.fixture
def served(db: None) -> Iterator[VectorWorker]:
    for name, task in (("vectors", "feature-extraction"), ("labels", "text-classification")):
        model = Model.objects.create(name=name, title=name, task=task)
        version = ModelVersion.objects.create(model=model, number=1, artifact=name, digest=name.ljust(64, "d"))
        deployments.create_deployment(actor=None, name=name, version=version)
    client = Redis.from_url(settings.REDIS_URL)
    worker = VectorWorker(client, lambda request_id: services.settle(request_id=request_id))
    worker.start()
    reconcile.reconcile()
    worker.follow()
    reconcile.reconcile()
    stop = threading.Event()
    thread = threading.Thread(target=worker.serve_queues, args=(stop,))
    thread.start()
    yield worker
    stop.set()
    thread.join(5)


async def post(path: str, body: Any, headers: dict[str, str]) -> Any:
    return await AsyncClient().post(path, json.dumps(body), content_type="application/json", headers=headers)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("hello", {"texts": ["hello"]}),
        (["hello", "你好"], {"texts": ["hello", "你好"]}),
        ([1, 2, 3], {"token_ids": [[1, 2, 3]]}),
        ([[1, 2], [3]], {"token_ids": [[1, 2], [3]]}),
    ],
)
async def test_every_form_of_input(served: VectorWorker, headers: dict[str, str], given: Any, told: Any) -> None:
    response = await post("/v1/embeddings", {"model": "vectors", "input": given}, headers)
    assert response.status_code == 200, response.content
    count = len(next(iter(told.values())))
    assert response.json() == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": place, "embedding": [0.25 + place, -0.5 + place, 1.0 + place]}
            for place in range(count)
        ],
        "model": "vectors",
        "usage": {"prompt_tokens": 4 * count, "total_tokens": 4 * count},
    }
    engine = served.host.loaded["vectors@1"].engine
    assert [request.inputs for request in engine.seen] == [told]
    assert (await sync_to_async(requests.live_count)("vectors@1")) == 0  # its place is given back at once


async def test_base64_is_the_same_numbers(served: VectorWorker, headers: dict[str, str]) -> None:
    body = {"model": "vectors", "input": ["a", "b"], "encoding_format": "base64", "user": "u"}
    data = (await post("/v1/embeddings", body, headers)).json()["data"]
    assert [list(array("f", base64.b64decode(one["embedding"]))) for one in data] == [[0.25, -0.5, 1], [1.25, 0.5, 2]]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"input": ""}, 400, "input"),
        ({"input": []}, 400, "input"),
        ({"input": ["a", ""]}, 400, "input"),
        ({"input": [[]]}, 400, "input"),
        ({"input": [1, -1]}, 400, "input"),
        ({"input": [1.5]}, 400, "input"),
        ({"input": {"a": 1}}, 400, "input"),
        ({"input": ["a"] * 2049}, 400, "input"),
        ({"encoding_format": "hex"}, 400, "encoding_format"),
        ({"dimensions": 0}, 400, "dimensions"),
        ({"model": ""}, 400, "model"),
        ({"model": "gpt-9"}, 404, "model"),
        ({"model": "labels"}, 400, "model"),
    ],
)
async def test_bad_input_names_the_field(
    served: VectorWorker, headers: dict[str, str], change: dict[str, Any], status: int, field: str
) -> None:
    response = await post("/v1/embeddings", {"model": "vectors", "input": "a", **change}, headers)
    assert response.status_code == status
    assert response.json()["error"]["param"].split(".")[0] == field


async def test_wrong_task_is_named(served: VectorWorker, headers: dict[str, str]) -> None:
    error = (await post("/v1/embeddings", {"model": "labels", "input": "a"}, headers)).json()["error"]
    assert error["task"] == "text-classification"
    assert "text-classification" in error["message"]


async def test_too_long_is_400_with_counts(served: VectorWorker, headers: dict[str, str]) -> None:
    for engine in (loaded.engine for loaded in served.host.loaded.values()):
        engine.fail_with = {
            "type": "context_length_exceeded",
            "message": "Input 1 has 900 tokens; this model reads at most 256.",
            "prompt_tokens": 900,
            "context_length": 256,
            "index": 1,
        }
    response = await post("/v1/embeddings", {"model": "vectors", "input": ["a", "b"]}, headers)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"], error["prompt_tokens"], error["context_length"], error["index"]) == ("input", 900, 256, 1)


async def test_no_worker_is_503_with_retry_after(served: VectorWorker, headers: dict[str, str]) -> None:
    served.lose_lease()
    response = await post("/v1/embeddings", {"model": "vectors", "input": "a"}, headers)
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0


async def test_full_queue_is_503(served: VectorWorker, headers: dict[str, str]) -> None:
    def fill() -> None:
        members = {f"other{place}": place for place in range(1000)}
        served.host.client.zadd(names.live_key("vectors@1"), members)

    await sync_to_async(fill)()
    response = await post("/v1/embeddings", {"model": "vectors", "input": "a"}, headers)
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0


@pytest.mark.parametrize("path", ["/v1/embeddings", "/api/v1/classify"])
async def test_without_a_key_401(served: VectorWorker, path: str) -> None:
    response = await post(path, {"model": "vectors", "input": "a", "text": "a"}, {})
    assert response.status_code == 401


async def test_classify(served: VectorWorker, headers: dict[str, str]) -> None:
    best = [{"label": "good", "score": 0.75}]
    response = await post("/api/v1/classify", {"model": "labels", "texts": ["a", "b"], "top_k": 1}, headers)
    assert response.json() == {"model": "labels", "results": [best, best], "usage": {"prompt_tokens": 8}}
    response = await post("/api/v1/classify", {"model": "labels", "text": "a"}, headers)
    assert response.json()["results"] == [best]


@pytest.mark.parametrize("body", [{}, {"text": "a", "texts": ["a"]}, {"text": ""}, {"text": "a", "top_k": 0}])
async def test_classify_refuses(served: VectorWorker, headers: dict[str, str], body: dict[str, Any]) -> None:
    response = await post("/api/v1/classify", {"model": "labels", **body}, headers)
    assert response.status_code == 400
