"""Jobs as processes: what they say arrives, their limits hold, nothing is left behind."""

import json
import os
import threading
import time
from pathlib import Path

import psutil
import pytest
import redis

from contracts import names
from contracts.messages import JobRequest
from workers.jobs.folder import job_folder, sweep
from workers.jobs.journal import Journal, NotOurs
from workers.jobs.runner import run_job

pytestmark = pytest.mark.integration


@pytest.fixture
def client() -> redis.Redis:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.flushdb()
    return client


def queue(client: redis.Redis, **values) -> Journal:
    request = JobRequest(**{"job_id": "j1", "kind": "probe", **values})
    client.hset(names.job_key("j1"), mapping={"payload": request.to_json(), "attempt": 1, "state": "queued"})
    return Journal(client, "j1", 1, "worker")


def entries(client: redis.Redis) -> list[tuple[str, dict]]:
    rows = client.xrange(names.job_stream_key("j1"))
    return [(row[b"event"].decode(), json.loads(row[b"data"])) for _, row in rows]


def child_of(client: redis.Redis) -> int:
    for _ in range(100):
        if numbers := [data["line"] for event, data in entries(client) if event == "log" and data["line"].isdigit()]:
            return int(numbers[0])
        time.sleep(0.1)
    raise AssertionError("no child")


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_job_is_done_once(client: redis.Redis, tmp_path: Path) -> None:
    journal = queue(client)
    assert [run_job(journal, tmp_path), run_job(journal, tmp_path)] == [True, False]
    assert sorted(entries(client)) == sorted([
        ("progress", {"stage": "trying", "fraction": 0.5}),
        ("log", {"line": "a line of the log"}),
        ("result", {"answer": 42}),
        ("done", {}),
    ])  # fmt: skip
    assert [name for name, _ in entries(client)][-2:] == ["result", "done"]
    assert list(tmp_path.glob(".job-*")) == []


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        ({"arguments": {"error": "No such thing."}}, "refused", "No such thing."),
        ({"arguments": {"seconds": 60}, "time_limit": 1.0}, "time_limit", "not done after 1 seconds"),
        ({"arguments": {"bytes": 3 * 10**8, "seconds": 60}, "memory_limit": 2 * 10**8}, "memory_limit", "JOB_MEMORY"),
        ({"arguments": {"bytes": "many"}}, "internal", "exit code 1"),
        ({"kind": "os"}, "refused", "knows no job 'os'"),
    ],
)
def test_a_job_that_fails_says_why(client, tmp_path, values, kind, words) -> None:
    started = time.monotonic()
    assert run_job(queue(client, **values), tmp_path)
    event, data = entries(client)[-1]
    assert (event, data["type"]) == ("error", kind)
    assert words in data["message"]
    assert time.monotonic() - started < 10
    assert list(tmp_path.glob(".job-*")) == []


def test_cancelling_ends_the_whole_tree_within_two_seconds(client, tmp_path) -> None:
    journal = queue(client, arguments={"seconds": 60, "child": True})
    runner = threading.Thread(target=run_job, args=(journal, tmp_path))
    runner.start()
    child = child_of(client)
    asked = time.monotonic()
    client.hset(names.job_key("j1"), "cancel", "1")
    runner.join(10)
    assert time.monotonic() - asked < 2
    assert entries(client)[-1] == ("error", {"type": "cancelled", "message": "The job was cancelled."})
    assert is_gone(child)
    assert list(tmp_path.glob(".job-*")) == []


def test_a_worker_whose_job_was_taken_away_writes_no_more(client, tmp_path) -> None:
    journal = queue(client, arguments={"seconds": 60})
    runner = threading.Thread(target=run_job, args=(journal, tmp_path))
    runner.start()
    time.sleep(1)
    client.hset(names.job_key("j1"), "attempt", 2)
    runner.join(10)
    assert not runner.is_alive()
    with pytest.raises(NotOurs):
        journal.write([])


def test_sweep_removes_what_nobody_works_in(tmp_path) -> None:
    (tmp_path / ".job-dead").mkdir()
    with job_folder(tmp_path, "live"):
        assert sweep(tmp_path) == [".job-dead"]
        assert [folder.name for folder in tmp_path.glob(".job-*")] == [".job-live"]
