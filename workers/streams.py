"""The worker's end of a request in Redis: claim it, write its stream, hear that it shall stop.

Every script checks the attempt that the request's hash names. A worker that was taken for dead, and whose
requests were given to another, finds its own attempt outdated and is refused: nothing is written twice.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import redis

from contracts import names
from contracts.messages import Event, InferenceRequest, StreamEvent

# KEYS request; ARGV attempt, worker. Answers the payload, the last seq and whether it is to stop.
_CLAIM = """
local row = redis.call('HMGET', KEYS[1], 'attempt', 'state', 'payload', 'seq', 'stop')
if row[1] ~= ARGV[1] or row[2] ~= 'queued' then return nil end
local now = redis.call('TIME')
local claimed_at = now[1] .. '.' .. string.format('%06d', now[2])
redis.call('HSET', KEYS[1], 'worker', ARGV[2], 'state', 'running', 'claimed_at', claimed_at)
return {row[3], row[4] or '0', row[5]}
"""

# KEYS request, stream, list of the ended, live requests of the revision; ARGV attempt, time to live, last (0 or 1), seq
# so far, then event and data in turn. Answers 0 when refused, else 1, or 2 when the settler has to be woken.
# The last write gives the request's place back and puts it on the list of those to be settled. It is published to the
# process that waits for the answer, if the hash names one, with the seq so far; nobody waits for such a request to be
# settled: that is done once a second. The hash may say for how long the answer is kept, and of which leases (sorted
# sets) the request holds one until then.
# A write whose answer was lost with the connection comes again: it is known by its seq.
_WRITE = r"""
local row = redis.call('HMGET', KEYS[1], 'attempt', 'state', 'seq', 'reply', 'keep', 'leases')
local stays = row[5] or ARGV[2]
local seq, base, count = tonumber(row[3] or '0'), tonumber(ARGV[4]), (#ARGV - 4) / 2
if row[1] ~= ARGV[1] then return 0 end
if seq == base + count then return 1 end
if row[2] ~= 'running' or seq ~= base then return 0 end
for i = 1, count do
  redis.call('XADD', KEYS[2], (seq + i) .. '-0', 'event', ARGV[3 + 2 * i], 'data', ARGV[4 + 2 * i])
end
redis.call('HSET', KEYS[1], 'seq', seq + count)
if ARGV[3] == '1' then
  local now = redis.call('TIME')
  local ended_at = now[1] .. '.' .. string.format('%06d', now[2])
  redis.call('HSET', KEYS[1], 'state', 'done', 'ended_at', ended_at, 'last', ARGV[#ARGV - 1], 'said', ARGV[#ARGV])
end
if seq == 0 or ARGV[3] == '1' then
  redis.call('EXPIRE', KEYS[1], math.max(stays, __TIMELINE_TTL__))
  redis.call('EXPIRE', KEYS[2], stays)
end
if ARGV[3] ~= '1' then return 1 end
local id = string.match(KEYS[1], '{(.*)}')
redis.call('ZREM', KEYS[4], id)
for lease in string.gmatch(row[6] or '', '%S+') do redis.call('ZREM', lease, id) end
local waiting = redis.call('RPUSH', KEYS[3], id)
if row[4] then
  redis.call('PUBLISH', row[4], id .. '\31' .. table.concat(ARGV, '\31', 4))
  return 1
end
return waiting == 1 and 2 or 1
""".replace("__TIMELINE_TTL__", str(names.TIMELINE_TTL))

# KEYS request; ARGV attempt. A request that nobody has is sent again by recovery within a second.
_HAND_BACK = """
local row = redis.call('HMGET', KEYS[1], 'attempt', 'state')
if row[1] == ARGV[1] and row[2] == 'running' then redis.call('HDEL', KEYS[1], 'worker') end
"""

_LAST = (Event.DONE, Event.ERROR)
_WAKE = 2

# How long a write waits for a Redis that is being restarted, in seconds.
_PATIENCE = 30.0


@dataclass(slots=True)
class _Claim:
    attempt: int
    seq: int  # of the last entry
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Claimed:
    request: InferenceRequest
    is_stopped: bool
    size: int  # of the request, in bytes


class RedisStreams:
    """The sink of every engine of this worker. Thread-safe."""

    def __init__(self, client: redis.Redis, worker_id: str, wake_settler: Callable[[], None] = lambda: None) -> None:
        self._redis = client
        self._worker_id = worker_id
        self._wake_settler = wake_settler
        self._claims: dict[str, _Claim] = {}
        self._claim = client.register_script(_CLAIM)
        self._write = client.register_script(_WRITE)
        self._hand_back = client.register_script(_HAND_BACK)

    def claim(self, request_id: str, attempt: int) -> Claimed | None:
        """The request; None when it is not ours to serve (any more)."""
        row = self._claim(keys=[names.request_key(request_id)], args=[attempt, self._worker_id])
        if row is None:
            return None
        payload, seq, stop = row
        request = InferenceRequest.from_json(payload)
        self._claims[request_id] = _Claim(attempt, int(seq), request.revision)
        return Claimed(request, is_stopped=stop is not None, size=len(payload))

    def hand_back(self, request_id: str) -> None:
        """We cannot serve what we have claimed."""
        claim = self._claims.get(request_id)
        self._hand_back(keys=[names.request_key(request_id)], args=[claim.attempt if claim else 0])

    def release(self, request_id: str) -> None:
        """Forget the claim, once nothing will be written any more."""
        self._claims.pop(request_id, None)

    def write(self, events: list[StreamEvent]) -> set[str]:
        """Append the events in order, in one round trip; returns the requests that are not ours any more. Those
        whose last event is among them are on the list of those to be settled.

        Waits a while for a Redis that does not answer, then raises its ConnectionError.
        """
        by_request: dict[str, list[StreamEvent]] = defaultdict(list)
        for event in events:
            by_request[event.request_id].append(event)
        written = self._patiently(by_request)
        for (request_id, own), kept in zip(by_request.items(), written, strict=True):
            if kept and (claim := self._claims.get(request_id)):
                claim.seq += len(own)
        if _WAKE in written:
            self._wake_settler()
        return {request_id for request_id, kept in zip(by_request, written, strict=True) if not kept}

    def _patiently(self, by_request: dict[str, list[StreamEvent]]) -> list[int]:
        give_up = time.monotonic() + _PATIENCE
        while True:
            try:
                with self._redis.pipeline(transaction=False) as pipe:
                    for request_id, own in by_request.items():
                        self._append(pipe, request_id, own)
                    return pipe.execute()
            except redis.exceptions.NoScriptError:  # a Redis that was started again; nothing was written twice
                self._redis.script_load(_WRITE)
            except (redis.ConnectionError, redis.TimeoutError):
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.2)

    def _append(self, pipe: "redis.client.Pipeline", request_id: str, events: list[StreamEvent]) -> None:
        claim = self._claims.get(request_id) or _Claim(0, 0)
        stays = names.RESULT_TTL if any(event.event == Event.RESULT for event in events) else names.STREAM_TTL
        args: list[str | int] = [claim.attempt, stays, int(events[-1].event in _LAST), claim.seq]
        for event in events:
            args += [event.event, json.dumps(event.data, ensure_ascii=False, separators=(",", ":"))]
        # Not through the script object: in a pipeline it asks the server each time whether it knows the script.
        keys = [names.request_key(request_id), names.stream_key(request_id)]
        keys += [names.ENDED_KEY, names.live_key(claim.revision)]
        pipe.evalsha(self._write.sha, len(keys), *keys, *args)
