"""A job as worker-train runs it: the real runner in a thread, its journal in Redis."""

import json
import threading
from pathlib import Path

import redis

from contracts import names
from contracts.messages import JobRequest
from workers.jobs.journal import Journal
from workers.jobs.runner import run_job


def start(client: redis.Redis, root: Path, request: JobRequest) -> threading.Thread:
    job, attempt = request.job_id, request.attempt
    client.delete(names.job_stream_key(job))
    client.hdel(names.job_key(job), "cancel", "seq")
    client.hset(names.job_key(job), mapping={"payload": request.to_json(), "attempt": attempt, "state": "queued"})
    runner = threading.Thread(target=run_job, args=(Journal(client, job, attempt, "worker"), root))
    runner.start()
    return runner


def entries(client: redis.Redis, job: str, event: str) -> list[dict]:
    rows = client.xrange(names.job_stream_key(job))
    return [json.loads(row[b"data"]) for _, row in rows if row[b"event"].decode() == event]


def points(client: redis.Redis, job: str) -> list[tuple]:
    """Of the curve: step, loss, figures."""
    told = [one for one in entries(client, job, "progress") if "step" in one]
    return [(one["step"], one["loss"], one["figures"]) for one in told]
