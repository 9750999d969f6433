"""Adapting a tiny imported model: the whole job to an artifact that the chat engine serves, and what it refuses."""

import io
import json
import os
import time
from pathlib import Path

import pytest
import redis
from safetensors.numpy import load_file

from contracts import names
from contracts.messages import InferenceRequest, JobRequest, RevisionSpec
from tests.workers import tiny_models, toy_conversations
from tests.workers.jobs.running import entries, points, start
from tests.workers.toy_conversations import ANSWER
from workers.engine.output import ListSink
from workers.jobs import adapt_model
from workers.jobs.folder import has_kept
from workers.jobs.report import JobError, Report
from workers.pipelines.text_generation import load_engine

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return toy_conversations.base(tmp_path_factory.mktemp("imports") / "tiny")


def heard(pipe: io.StringIO, event: str) -> list[dict]:
    return [data for said, data in map(json.loads, pipe.getvalue().splitlines()) if said == event]


def adapt(folder: Path, wish: dict, job: str = "j1", memory: int = 8 * 2**30) -> tuple[dict, io.StringIO]:
    pipe = io.StringIO()
    (folder / f"job-{job}").mkdir()
    request = JobRequest(job, "adapt_model", wish, memory_limit=memory)
    return adapt_model.run(request, folder / f"job-{job}", Report(pipe)), pipe


@pytest.mark.slow
def test_a_model_learns_an_answer_and_is_served(source, tmp_path) -> None:
    content = (
        toy_conversations.lines() + b'{"prompt": "x"}\n' + json.dumps({"prompt": "x" * 300, "completion": "y"}).encode()
    )
    result, pipe = adapt(tmp_path, toy_conversations.wish(source, content))

    artifact = tmp_path / result["artifact"]
    manifest = json.loads((artifact / "manifest.json").read_text())
    metrics, data = manifest["metrics"], manifest["source"]["data"]
    assert metrics == result["metrics"]
    assert (metrics["before"]["score"] < 0.2, metrics["after"]["score"]) == (True, 1.0)
    assert metrics["merge_error"] < 1e-4 and metrics["parity"]["top1_agreement"] == 1.0
    assert (data["train"], data["validation"], data["refused"]) == (11, 1, 2)
    (compared,) = manifest["compared"]
    assert (compared["wanted"], compared["after"].strip()) == (ANSWER, ANSWER)
    assert ANSWER not in compared["before"] and compared["served"] == compared["after"]
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md"} <= manifest["files"].keys()
    assert load_file(artifact / "adapter_model.safetensors")
    card = (artifact / "README.md").read_text()
    assert data["sha256"] in card and "tiny v1" in card and "license: MIT" in card
    assert list(tmp_path.glob(".run-*")) == []

    told = heard(pipe, "progress")
    assert [one["fraction"] for one in told] == sorted(one["fraction"] for one in told)
    (recipe,) = [one["recipe"] for one in told if "recipe" in one]
    assert (recipe["rank"], recipe["options"]["steps"]) == (8, 40)
    assert len([one for one in told if one.get("figures")]) == 10

    sink = ListSink()
    engine = load_engine(
        artifact, RevisionSpec("m@1", "m", "text-generation", str(artifact), "", context_length=256), sink
    )
    engine.start()
    inputs = {"messages": [{"role": "user", "content": compared["question"]}]}
    asked = InferenceRequest("r1", "m", "text-generation", inputs, {"temperature": 0, "max_tokens": 40})
    engine.submit(asked).result(60)
    engine.close()
    assert sink.text("r1").strip() == ANSWER


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"settings": {"rank": 0}}, "rank: must be between"),
        ({"base": {"version": "tiny v1", "sha256": "0" * 64, "origin": "tiny"}}, "was changed since it was imported"),
        ({"source": "/etc/hostname"}, "is not below"),
        ({"data_sha256": "0" * 64}, "are not those that were sent"),
        ({"data": "/etc/hostname"}, "is not below"),
        ({"data": "/nowhere"}, "no longer there"),
    ],
)
def test_what_cannot_be_adapted_is_said_in_a_sentence(source, tmp_path, change, said) -> None:
    with pytest.raises(JobError, match=said):
        adapt(tmp_path, toy_conversations.wish(source, toy_conversations.lines(), **change))


def test_too_few_conversations_are_refused_with_the_reasons_in_the_log(source, tmp_path, capsys) -> None:
    wish = toy_conversations.wish(source, toy_conversations.lines(9) + b"{\n")
    with pytest.raises(JobError, match="has 9 conversations"):
        adapt(tmp_path, wish)
    assert "Line 10 is left out: it is not JSON" in capsys.readouterr().out


def test_what_does_not_fit_into_memory_is_refused_before_it_begins(source, tmp_path) -> None:
    with pytest.raises(JobError, match="Adapting it needs at least"):
        adapt(tmp_path, toy_conversations.wish(source, toy_conversations.lines()), memory=2**20)


def test_an_encoder_is_no_chat_model(tmp_path) -> None:
    source = tiny_models.encoder(tmp_path / "imports")
    with pytest.raises(JobError, match="is a model for feature-extraction"):
        adapt(tmp_path, toy_conversations.wish(source, toy_conversations.lines()))


@pytest.fixture
def client() -> redis.Redis:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.flushdb()
    return client


def adapting(wish: dict, job: str, attempt: int = 1) -> JobRequest:
    return JobRequest(job_id=job, kind="adapt_model", arguments=wish, attempt=attempt)


@pytest.mark.slow
def test_a_cancelled_job_goes_on_to_the_same_curve(client, source, tmp_path) -> None:
    settings = {"learning_rate": 1e-2, "epochs": 40, "longest": 256}
    wish = toy_conversations.wish(source, toy_conversations.lines(), settings=settings)
    runner = start(client, tmp_path, adapting(wish, "j1"))
    while len(points(client, "j1")) < 15:
        assert runner.is_alive(), entries(client, "j1", "error") or entries(client, "j1", "log")[-5:]
        time.sleep(0.05)
    client.hset(names.job_key("j1"), "cancel", "1")
    runner.join(30)
    assert [one["type"] for one in entries(client, "j1", "error")] == ["cancelled"]
    assert len(points(client, "j1")) < 80 and has_kept(tmp_path, "j1")

    for job, attempt in (("j1", 2), ("j2", 1)):
        start(client, tmp_path, adapting(wish, job, attempt)).join(400)
        assert entries(client, job, "error") == []
    assert points(client, "j1") == points(client, "j2")
    assert any("Goes on from step" in one["line"] for one in entries(client, "j1", "log"))
    results = [entries(client, job, "result")[0]["metrics"] for job in ("j1", "j2")]
    assert results[0]["after"] == results[1]["after"]
