"""Jobs in Redis, as this side sees them."""

import json
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import redis
from django.conf import settings

from contracts import names
from contracts.messages import Event, JobRequest

# KEYS job, stream; ARGV attempt, error. Ends a job from this side; its worker is refused from then on.
_FAIL = """
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[1], 'state') == 'done' then return 0 end
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
redis.call('XADD', KEYS[2], seq .. '-0', 'event', 'error', 'data', ARGV[2])
redis.call('HSET', KEYS[1], 'state', 'done')
return 1
"""


@dataclass(slots=True)
class Record:
    """The hash of a job."""

    state: str
    attempt: int
    seen: float
    progress: dict[str, Any]


@dataclass(slots=True)
class Details:
    """What an attempt tells besides stage and fraction: the recipe of a training, and its curve."""

    recipe: dict[str, Any] = field(default_factory=dict)
    points: list[dict[str, Any]] = field(default_factory=list)  # step, steps, loss, figures; rate and seconds_left
    ranks: list[dict[str, Any]] = field(default_factory=list)  # newest of each process: workers/training/watch.py

    def add(self, progress: dict[str, Any]) -> None:
        if "recipe" in progress:
            self.recipe = progress["recipe"]
        if "step" in progress:
            apart = ("stage", "fraction", "ranks")
            self.points.append({name: value for name, value in progress.items() if name not in apart})
            self.ranks = progress.get("ranks", self.ranks)


@dataclass(slots=True)
class Ending:
    """How a job ended; `error` is empty when it succeeded."""

    result: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    details: Details = field(default_factory=Details)
    is_over: bool = False


@cache
def client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, decode_responses=True)


def save(request: JobRequest) -> None:
    """Make the attempt known. The stream of earlier attempts goes on, so that its readers miss nothing."""
    key = names.job_key(request.job_id)
    with client().pipeline() as pipe:
        pipe.persist(key)
        pipe.persist(names.job_stream_key(request.job_id))
        pipe.hdel(key, "cancel", "progress", "worker")
        pipe.hset(key, mapping={"payload": request.to_json(), "attempt": request.attempt, "state": "queued",
                                "seen": time.time()})  # fmt: skip
        pipe.hincrby(key, "seq", 1)
        pipe.execute()
    seq = client().hget(key, "seq")
    client().xadd(
        names.job_stream_key(request.job_id), {"event": Event.STARTED, "data": f'{{"attempt":{request.attempt}}}'},
        id=f"{seq}-0",
    )  # fmt: skip


def record(job_id: str) -> Record | None:
    row = client().hgetall(names.job_key(job_id))
    if "state" not in row:
        return None
    return Record(row["state"], int(row["attempt"]), float(row["seen"]), json.loads(row.get("progress", "{}")))


def ask_to_cancel(job_id: str) -> None:
    client().hset(names.job_key(job_id), "cancel", "1")


def fail(job_id: str, attempt: int, kind: str, message: str) -> bool:
    """End the job from here; False when it has ended already."""
    keys = [names.job_key(job_id), names.job_stream_key(job_id)]
    script = client().register_script(_FAIL)
    return bool(script(keys=keys, args=[attempt, json.dumps({"type": kind, "message": message})]))


def ending(job_id: str) -> Ending:
    """What the newest attempt wrote."""
    found = Ending()
    for _, fields in client().xrange(names.job_stream_key(job_id)):
        data = json.loads(fields["data"])
        match fields["event"]:
            case Event.STARTED:
                found = Ending()
            case Event.PROGRESS:
                found.details.add(data)
            case Event.LOG:
                found.lines.append(data["line"])
            case Event.RESULT:
                found.result = data
            case Event.ERROR:
                found.error, found.is_over = data, True
            case Event.DONE:
                found.is_over = True
    return found


def expire(job_id: str) -> None:
    for key in (names.job_key(job_id), names.job_stream_key(job_id)):
        client().expire(key, names.STREAM_TTL)


def queue_length() -> int:
    return int(client().llen(names.TRAIN_QUEUE))
