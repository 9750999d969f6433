"""A training as the process that worker-train starts: to its artifact, cancelled and gone on, refused for memory."""

import json
import os
import threading
import time
from collections.abc import Callable

import pytest
import redis

from contracts import names
from contracts.messages import JobRequest
from tests.workers.jobs.running import entries, points, start
from workers.jobs.folder import forget, has_kept, kept_folder

pytestmark = pytest.mark.integration

TINY = {
    "steps": 120, "batch_size": 8, "evaluate_every": 40, "checkpoint_every": 10, "longest": 64, "train_examples": 400,
    "validation_examples": 40, "test_examples": 40,
    "model": {"width": 16, "layers": 1, "heads": 2, "hidden": 16, "window": 8, "summaries": 4, "levels": 1,
              "global_tokens": 1},
}  # fmt: skip
WISH = {"recipe": "v1.needle", "changes": TINY, "name": "tiny", "title": "Tiny", "precision": "fp32"}
KEPT = "The job was cancelled. Its last checkpoint is kept: tried again, it goes on from there."


@pytest.fixture
def client() -> redis.Redis:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.flushdb()
    return client


def training(job: str, attempt: int = 1, **values) -> JobRequest:
    return JobRequest(**{"job_id": job, "kind": "train", "arguments": WISH, "attempt": attempt, **values})


def cancel(client: redis.Redis, job: str, runner: threading.Thread, when: Callable[[], bool]) -> None:
    """As soon as `when` holds."""
    while not when():
        assert runner.is_alive(), entries(client, job, "error") or entries(client, job, "log")[-5:]
        time.sleep(0.05)
    client.hset(names.job_key(job), "cancel", "1")
    runner.join(30)


@pytest.mark.slow
def test_a_cancelled_training_goes_on_to_the_same_curve_and_an_artifact(client, tmp_path) -> None:
    runner = start(client, tmp_path, training("j1"))
    cancel(client, "j1", runner, lambda: len(points(client, "j1")) > 20)
    stopped_at = len(points(client, "j1"))
    assert entries(client, "j1", "error") == [{"type": "cancelled", "message": KEPT}]
    assert 20 < stopped_at < 120
    assert has_kept(tmp_path, "j1")

    runner = start(client, tmp_path, training("j1", attempt=2))
    runner.join(400)
    assert entries(client, "j1", "error") == []
    whole = start(client, tmp_path, training("j2"))
    cancel(client, "j2", whole, lambda: len(points(client, "j2")) == 120)

    assert points(client, "j1") == points(client, "j2")
    assert [step for step, _, figures in points(client, "j1") if figures] == [40, 80, 120]
    assert any("Goes on from step" in one["line"] for one in entries(client, "j1", "log"))
    (result,) = entries(client, "j1", "result")
    manifest = json.loads((tmp_path / result["artifact"] / "manifest.json").read_text())
    assert (manifest["name"], manifest["precision"]) == ("tiny", "fp32")
    assert [path.name for path in tmp_path.glob(".run-*")] == [".run-j2"]


def test_what_does_not_fit_into_memory_is_refused_before_it_begins(client, tmp_path) -> None:
    changes = {**TINY, "longest": 4096, "batch_size": 512, "attention": "full"}
    runner = start(client, tmp_path, training("j1", arguments={**WISH, "changes": changes}, memory_limit=2 * 2**30))
    runner.join(200)
    (error,) = entries(client, "j1", "error")
    assert error["type"] == "refused"
    assert "full attention, batch 512, 4,096 tokens needs about" in error["message"]
    assert "What fits: " in error["message"]
    assert points(client, "j1") == []
    assert list(tmp_path.glob(".run-*")) == []


def test_what_attempts_leave_goes_when_one_succeeds_or_a_week_has_passed(tmp_path) -> None:
    with pytest.raises(ValueError), kept_folder(tmp_path, "j1") as folder:  # noqa: PT011
        (folder / "run").mkdir()
        (folder / "run" / "checkpoint.pt").touch()
        raise ValueError
    assert has_kept(tmp_path, "j1")
    forget(tmp_path)
    assert has_kept(tmp_path, "j1")
    forget(tmp_path, now=time.time() + 8 * 86400)
    assert list(tmp_path.glob(".run-*")) == []
    with kept_folder(tmp_path, "j2") as folder:
        (folder / "checkpoint.pt").touch()
    assert not has_kept(tmp_path, "j2")
