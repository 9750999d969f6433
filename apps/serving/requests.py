"""A request in Redis: its hash, its stream, the set of requests that are not settled yet.

The hash has the fields payload (InferenceRequest as JSON), owner, attempt, worker, state (queued, running,
done), stop, queued_at, seq. Only the attempt that the hash names may write to the stream, so a worker that was
taken for dead and comes back can do no harm.
"""

import json
import time
from dataclasses import dataclass, field, replace
from typing import Any

from apps.serving.connection import client
from contracts import names
from contracts.messages import ErrorType, Event, InferenceRequest

# KEYS request; ARGV attempt that is given up, now. From here on the old worker may not write.
_FENCE = """
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] or redis.call('HGET', KEYS[1], 'state') == 'done' then
  return 0
end
redis.call('HSET', KEYS[1], 'attempt', ARGV[1] + 1, 'state', 'queued', 'queued_at', ARGV[2])
redis.call('HDEL', KEYS[1], 'worker')
return 1
"""

# KEYS request, stream; ARGV data of the error event, time to live.
_FAIL = """
if redis.call('HGET', KEYS[1], 'state') == 'done' then return 0 end
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
redis.call('HINCRBY', KEYS[1], 'attempt', 1)
redis.call('HSET', KEYS[1], 'state', 'done')
redis.call('XADD', KEYS[2], seq .. '-0', 'event', 'error', 'data', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Record:
    """The hash of a request, without its payload."""

    request_id: str
    state: str
    attempt: int
    worker: str
    queued_at: float


@dataclass(slots=True)
class Transcript:
    """What the stream of a request says so far."""

    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    outcome: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    seq: int = 0

    @property
    def is_finished(self) -> bool:
        return bool(self.outcome or self.error)


def save(request: InferenceRequest, *, owner: str) -> None:
    """Store a new request. Nothing is sent yet."""
    key = names.request_key(request.request_id)
    fields = {
        "payload": request.to_json(),
        "owner": owner,
        "attempt": request.attempt,
        "state": "queued",
        "queued_at": request.arrival_time,
    }
    with client().pipeline() as pipe:
        pipe.hset(key, mapping=fields)
        pipe.expire(key, names.STREAM_TTL + int(request.deadline - time.time()))
        pipe.zadd(names.LIVE_REQUESTS_KEY, {request.request_id: request.arrival_time})
        pipe.execute()


def owner_of(request_id: str) -> str | None:
    return client().hget(names.request_key(request_id), "owner")


def payload_of(request_id: str) -> InferenceRequest | None:
    payload = client().hget(names.request_key(request_id), "payload")
    return InferenceRequest.from_json(payload) if payload else None


def exists(request_ids: list[str]) -> list[bool]:
    with client().pipeline() as pipe:
        for request_id in request_ids:
            pipe.exists(names.request_key(request_id))
        return [bool(found) for found in pipe.execute()]


def live_records() -> list[Record]:
    """Requests that are not settled, oldest first. Those whose hash has expired are forgotten."""
    request_ids = client().zrange(names.LIVE_REQUESTS_KEY, 0, -1)
    with client().pipeline() as pipe:
        for request_id in request_ids:
            pipe.hmget(names.request_key(request_id), "state", "attempt", "worker", "queued_at")
        rows = pipe.execute()
    if lost := [request_id for request_id, row in zip(request_ids, rows, strict=True) if row[0] is None]:
        client().zrem(names.LIVE_REQUESTS_KEY, *lost)
    return [
        Record(request_id, state=row[0], attempt=int(row[1]), worker=row[2] or "", queued_at=float(row[3]))
        for request_id, row in zip(request_ids, rows, strict=True)
        if row[0] is not None
    ]


def ask_to_stop(request_id: str) -> None:
    """Tell whichever worker has the request, or will get it, to stop."""
    with client().pipeline() as pipe:
        pipe.hset(names.request_key(request_id), "stop", "1")
        pipe.publish(names.STOP_CHANNEL, request_id)
        pipe.execute()


def transcript(request_id: str) -> Transcript:
    """Everything streamed so far, put together."""
    result = Transcript()
    for entry_id, fields in client().xrange(names.stream_key(request_id)):
        result.seq = int(entry_id.partition("-")[0])
        data = json.loads(fields["data"])
        match fields["event"]:
            case Event.DELTA:
                result.text += data["text"]
                result.token_ids += data["token_ids"]
                result.logprobs += data.get("logprobs") or []
            case Event.DONE:
                result.outcome = data
            case Event.ERROR:
                result.error = data
    return result


def retry(record: Record) -> InferenceRequest | None:
    """Give the request to the next worker, with what was streamed as its prefix.

    Returns None when another process did so first, or when the request has ended meanwhile.
    """
    key = names.request_key(record.request_id)
    if not client().register_script(_FENCE)(keys=[key], args=[record.attempt, time.time()]):
        return None
    request = payload_of(record.request_id)
    if request is None:
        return None
    streamed = transcript(record.request_id)
    resumed = replace(
        request,
        attempt=record.attempt + 1,
        resume_token_ids=streamed.token_ids,
        resume_text_length=len(streamed.text),
        resume_seq=streamed.seq,
    )
    client().hset(key, "payload", resumed.to_json())
    return resumed


def fail(request_id: str, error: ErrorType, message: str) -> None:
    """End a request from this side; whatever a worker still writes is refused."""
    client().register_script(_FAIL)(
        keys=[names.request_key(request_id), names.stream_key(request_id)],
        args=[json.dumps({"type": error, "message": message}), names.STREAM_TTL],
    )


def forget(request_id: str) -> None:
    """The request is settled: recovery need not look at it again. Its stream stays for its time to live."""
    client().zrem(names.LIVE_REQUESTS_KEY, request_id)
