"""A job in Redis, as its worker sees it: claim it, keep it alive, write its stream.

As with requests, every script checks the attempt that the job's hash names: a worker that was taken for dead
is refused, and what it does not own any more it does not write.
"""

import json
import time
from typing import Any

import redis

from contracts import names
from contracts.messages import Event, JobRequest

# KEYS job; ARGV attempt, worker, now. Answers the payload.
_CLAIM = """
local row = redis.call('HMGET', KEYS[1], 'attempt', 'state', 'payload')
if row[1] ~= ARGV[1] or row[2] ~= 'queued' then return nil end
redis.call('HSET', KEYS[1], 'worker', ARGV[2], 'state', 'running', 'seen', ARGV[3])
return row[3]
"""

# KEYS job, stream; ARGV attempt, now, time to live, last (0 or 1), then event and data in turn.
# Answers 'mine', 'cancel', or nil when the job is not ours any more.
_WRITE = """
local row = redis.call('HMGET', KEYS[1], 'attempt', 'state', 'cancel')
if row[1] ~= ARGV[1] or row[2] ~= 'running' then return nil end
redis.call('HSET', KEYS[1], 'seen', ARGV[2])
for i = 5, #ARGV, 2 do
  local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
  redis.call('XADD', KEYS[2], seq .. '-0', 'event', ARGV[i], 'data', ARGV[i + 1])
  if ARGV[i] == 'progress' then redis.call('HSET', KEYS[1], 'progress', ARGV[i + 1]) end
end
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[1], 'state', 'done')
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  redis.call('EXPIRE', KEYS[2], ARGV[3])
end
return row[3] and 'cancel' or 'mine'
"""

Entry = tuple[Event, dict[str, Any]]


class NotOurs(RuntimeError):
    """The job was given to another attempt, or Redis has lost it."""


class Journal:
    """The hash and the stream of one claimed job."""

    def __init__(self, client: redis.Redis, job_id: str, attempt: int, worker: str) -> None:
        self._keys = [names.job_key(job_id), names.job_stream_key(job_id)]
        self._attempt = attempt
        self._worker = worker
        self._claim = client.register_script(_CLAIM)
        self._write = client.register_script(_WRITE)
        self._unsent: list[Entry] = []

    def claim(self) -> JobRequest | None:
        """The job; None when it is not ours to do."""
        payload = self._claim(keys=self._keys[:1], args=[self._attempt, self._worker, time.time()])
        return None if payload is None else JobRequest.from_json(payload)

    def write(self, entries: list[Entry], *, is_last: bool = False) -> bool:
        """Append the entries and renew the heartbeat; True when the job shall be cancelled. Raises NotOurs.

        While Redis is away the entries are kept for the next call.
        """
        self._unsent += entries
        args: list[Any] = [self._attempt, time.time(), names.STREAM_TTL, int(is_last)]
        for event, data in self._unsent:
            args += [event, json.dumps(data, ensure_ascii=False, separators=(",", ":"))]
        try:
            answer = self._write(keys=self._keys, args=args)
        except redis.ConnectionError:
            if is_last:
                raise
            return False
        self._unsent.clear()
        if answer is None:
            raise NotOurs(self._keys[0])
        return bool(answer == b"cancel")
