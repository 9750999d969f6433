"""The worker's end of a request in Redis: claim it, write its stream, hear that it shall stop.

Every script checks the attempt that the request's hash names. A worker that was taken for dead, and whose
requests were given to another, finds its own attempt outdated and is refused: nothing is written twice.
"""

import json
from collections import defaultdict

import redis

from contracts import names
from contracts.messages import Event, InferenceRequest, StreamEvent

# KEYS request; ARGV attempt, worker. Answers the payload.
_CLAIM = """
local row = redis.call('HMGET', KEYS[1], 'attempt', 'state', 'payload')
if row[1] ~= ARGV[1] or row[2] ~= 'queued' then return nil end
redis.call('HSET', KEYS[1], 'worker', ARGV[2], 'state', 'running')
return row[3]
"""

# KEYS request, stream; ARGV attempt, time to live, last (0 or 1), then event and data in turn.
_WRITE = """
local row = redis.call('HMGET', KEYS[1], 'attempt', 'state')
if row[1] ~= ARGV[1] or row[2] ~= 'running' then return 0 end
local count = (#ARGV - 3) / 2
local seq = redis.call('HINCRBY', KEYS[1], 'seq', count) - count
for i = 1, count do
  redis.call('XADD', KEYS[2], (seq + i) .. '-0', 'event', ARGV[2 + 2 * i], 'data', ARGV[3 + 2 * i])
end
if ARGV[3] == '1' then redis.call('HSET', KEYS[1], 'state', 'done') end
if seq == 0 or ARGV[3] == '1' then
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end
return 1
"""

_LAST = (Event.DONE, Event.ERROR)


class RedisStreams:
    """The sink of every engine of this worker. Thread-safe."""

    def __init__(self, client: redis.Redis, worker_id: str) -> None:
        self._redis = client
        self._worker_id = worker_id
        self._attempts: dict[str, int] = {}
        self._claim = client.register_script(_CLAIM)
        self._write = client.register_script(_WRITE)

    def claim(self, request_id: str, attempt: int) -> InferenceRequest | None:
        """The request; None when it is not ours to serve (any more)."""
        payload = self._claim(keys=[names.request_key(request_id)], args=[attempt, self._worker_id])
        if payload is None:
            return None
        self._attempts[request_id] = attempt
        return InferenceRequest.from_json(payload)

    def is_stopped(self, request_id: str) -> bool:
        return self._redis.hget(names.request_key(request_id), "stop") is not None

    def release(self, request_id: str) -> None:
        """Forget the claim, once nothing will be written any more."""
        self._attempts.pop(request_id, None)

    def write(self, events: list[StreamEvent]) -> set[str]:
        """Append the events in order, in one round trip; returns the requests that are not ours any more."""
        by_request: dict[str, list[StreamEvent]] = defaultdict(list)
        for event in events:
            by_request[event.request_id].append(event)
        with self._redis.pipeline(transaction=False) as pipe:
            for request_id, own in by_request.items():
                self._append(pipe, request_id, own)
            written = pipe.execute()
        return {request_id for request_id, kept in zip(by_request, written, strict=True) if not kept}

    def _append(self, pipe: "redis.client.Pipeline", request_id: str, events: list[StreamEvent]) -> None:
        args: list[str | int] = [self._attempts.get(request_id, 0), names.STREAM_TTL]
        args.append(int(events[-1].event in _LAST))
        for event in events:
            args += [event.event, json.dumps(event.data, ensure_ascii=False, separators=(",", ":"))]
        self._write(keys=[names.request_key(request_id), names.stream_key(request_id)], args=args, client=pipe)
