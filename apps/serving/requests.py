"""A request in Redis: its hash, its stream, the sets of requests that are not settled yet.

The hash has the fields payload (InferenceRequest as JSON), owner, attempt, worker, state (reserved, queued,
running, done), revision, queue, stop, arrival_time, queued_at, ended_at, wasted, seq, and once it has ended last and
said (its last event and that event's data); of a request of an API also reply (channel of the process that waits) and
keep (seconds the answer can be had again); leases (sorted sets that it is taken out of by its last event). Only the
attempt that the hash names may write to the stream, so a worker that was taken for dead and comes back can do no harm.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from apps.serving.broker import infer_message
from apps.serving.connection import client
from apps.serving.gates import OPEN, Gate
from apps.serving.replies import replies
from contracts import names
from contracts.messages import ErrorType, Event, InferenceRequest

# KEYS request, live requests of the revision, all live requests, the broker's queue if it is sent at once; ARGV request
# id, arrival time, limit (0: none), time to live, message for the broker, number of arguments of the gate, those, then
# fields and values of the hash. A request that is there already is left as it is, and its payload is the answer.
# 0: there was no place, 1: saved, a list: what the gate says, saved or not.
_SAVE = """
local known = redis.call('HGET', KEYS[1], 'payload')
if known then return known end
if tonumber(ARGV[3]) > 0 and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then return 0 end
local last = 6 + ARGV[6]
local is_admitted, said = admit({unpack(ARGV, 7, last)})
if not is_admitted then return said end
redis.call('HSET', KEYS[1], unpack(ARGV, last + 1))
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
if KEYS[4] then redis.call('LPUSH', KEYS[4], ARGV[5]) end
return said or 1
"""

# KEYS request.
_PAYLOAD = "return redis.call('HGET', KEYS[1], 'payload')"

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
redis.call('HSET', KEYS[1], 'state', 'done', 'last', 'error', 'said', ARGV[1])
redis.call('XADD', KEYS[2], seq .. '-0', 'event', 'error', 'data', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
local leases = redis.call('HGET', KEYS[1], 'leases') or ''
for lease in string.gmatch(leases, '%S+') do redis.call('ZREM', lease, string.match(KEYS[1], '{(.*)}')) end
return 1
"""

# KEYS request, stream; ARGV data of the progress event, time to live. Only while nobody serves it.
_TELL = """
if redis.call('HGET', KEYS[1], 'state') ~= 'queued' then return 0 end
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
redis.call('XADD', KEYS[2], seq .. '-0', 'event', 'progress', 'data', ARGV[1])
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
    revision: str = ""
    queue: str = ""
    wasted: int = 0  # attempts in a row that ended with their worker and had written nothing


@dataclass(slots=True)
class Transcript:
    """What the stream of a request says so far."""

    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)  # of a task that does not stream
    outcome: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    seq: int = 0

    @property
    def is_finished(self) -> bool:
        return bool(self.outcome or self.error)


@dataclass(frozen=True, slots=True)
class Ended:
    """A request whose stream is complete."""

    revision: str
    arrival_time: float
    ended_at: float  # seconds since the epoch; the settling, when the worker did not say
    transcript: Transcript
    is_awaited: bool = False  # by who has sent it: nothing of it is stored


def save(
    request: InferenceRequest,
    *,
    owner: str,
    queue: str = "",
    limit: int = 0,
    reserve: bool = False,
    gate: Gate | None = None,
) -> bool:
    """Store a new request unless `limit` of its revision are live already (0 is no limit); one round trip.

    With `reserve` it keeps its place, but is not to be served before `release`. Nothing is sent. False when
    there was no place: then nothing is stored. Raises what the gate raises; then nothing is stored either.
    """
    fields = _fields_of(request, owner, queue, "reserved" if reserve else "queued")
    args = [*_place_of(request, limit), "", *_gated(gate, fields)]
    answer = client().register_script(_script(gate.lua if gate else OPEN))(keys=_keys_of(request), args=args)
    return bool(_read(gate, answer))


async def save_and_send(
    request: InferenceRequest,
    *,
    owner: str,
    queue: str,
    limit: int,
    reply: str,
    keep: int = 0,
    gate: Gate | None = None,
) -> InferenceRequest | None:
    """Store a new request and leave it in the broker's queue, in one round trip; its answer is published to the
    channel `reply` and kept for `keep` seconds (0: as long as any). None when there was no place: then nothing is
    stored or sent. When a request of this id is there already, that one. Raises what the gate raises."""
    fields = [*_fields_of(request, owner, queue, "queued"), "reply", reply, *(("keep", keep) if keep else ())]
    message = infer_message(request.request_id, request.attempt, queue)
    args = [*_place_of(request, limit), message, *_gated(gate, fields)]
    script = _script(gate.lua if gate else OPEN)
    answer = _read(gate, await replies().run(script, [*_keys_of(request), queue], args))
    if isinstance(answer, str):
        return InferenceRequest.from_json(answer)
    return request if answer else None


@cache
def _script(admit: str) -> str:
    return admit + _SAVE


def _gated(gate: Gate | None, fields: list[str | float]) -> list[str | float]:
    return [len(gate.args), *gate.args, *fields, *gate.fields] if gate else [0, *fields]


def _read(gate: Gate | None, answer: Any) -> Any:
    if gate is None or not isinstance(answer, list):
        return answer
    gate.read(answer)
    return True


async def known(request_id: str) -> InferenceRequest | None:
    """A request that was sent before, as long as its answer can be had."""
    payload = await replies().run(_PAYLOAD, [names.request_key(request_id)], [])
    return InferenceRequest.from_json(payload) if payload else None


def _keys_of(request: InferenceRequest) -> list[str]:
    return [names.request_key(request.request_id), names.live_key(request.revision), names.LIVE_REQUESTS_KEY]


def _place_of(request: InferenceRequest, limit: int) -> list[str | float]:
    stays = names.STREAM_TTL + max(0, int(min(request.deadline - time.time(), 86_400)))
    return [request.request_id, request.arrival_time, limit, stays]


def _fields_of(request: InferenceRequest, owner: str, queue: str, state: str) -> list[str | float]:
    return [
        *("payload", request.to_json(), "owner", owner, "attempt", request.attempt),
        *("state", state, "queued_at", request.arrival_time, "arrival_time", request.arrival_time),
        *("revision", request.revision, "queue", queue or names.queue_name(request.revision)),
    ]


def release(request_id: str) -> None:
    """What was reserved may be served."""
    client().hset(names.request_key(request_id), "state", "queued")


def live_count(revision: str) -> int:
    """Requests of the revision that have not ended."""
    return int(client().zcard(names.live_key(revision)))


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


_FIELDS = ("state", "attempt", "worker", "queued_at", "revision", "queue", "wasted")


def live_records() -> list[Record]:
    """Requests that are not settled, oldest first. Those whose hash is gone are forgotten."""
    request_ids = client().zrange(names.LIVE_REQUESTS_KEY, 0, -1)
    with client().pipeline(transaction=False) as pipe:
        for request_id in request_ids:
            pipe.hmget(names.request_key(request_id), *_FIELDS)
        rows = dict(zip(request_ids, pipe.execute(), strict=True))
    if lost := [request_id for request_id, row in rows.items() if row[0] is None]:
        client().zrem(names.LIVE_REQUESTS_KEY, *lost)
    return [_record(request_id, row) for request_id, row in rows.items() if row[0] is not None]


def _record(request_id: str, row: list[str | None]) -> Record:
    state, attempt, worker, queued_at, revision, queue, wasted = row
    return Record(
        request_id,
        state=state or "",
        attempt=int(attempt or 1),
        worker=worker or "",
        queued_at=float(queued_at or 0),
        revision=revision or "",
        queue=queue or "",
        wasted=int(wasted or 0),
    )


def drop_strays(revisions: list[str], live: set[str]) -> None:
    """Take ids out of the sets of revisions that are not live any more: a place must not stay taken for ever."""
    with client().pipeline(transaction=False) as pipe:
        for revision in revisions:
            pipe.zrange(names.live_key(revision), 0, -1)
        found = pipe.execute()
        for revision, request_ids in zip(revisions, found, strict=True):
            if strays := set(request_ids) - live:
                pipe.zrem(names.live_key(revision), *strays)
        pipe.execute()


def ask_to_stop(request_id: str) -> None:
    """Tell whichever worker has the request, or will get it, to stop."""
    with client().pipeline() as pipe:
        pipe.hset(names.request_key(request_id), "stop", "1")
        pipe.publish(names.STOP_CHANNEL, request_id)
        pipe.execute()


def ended(request_ids: Iterable[str]) -> dict[str, Ended]:
    """Those of the requests that have ended, with all that was streamed; one round trip."""
    request_ids = list(request_ids)
    with client().pipeline(transaction=False) as pipe:
        for request_id in request_ids:
            pipe.hmget(names.request_key(request_id), "revision", "arrival_time", "ended_at", "reply")
            pipe.xrange(names.stream_key(request_id))
        answers = pipe.execute()
    found = {}
    for request_id, row, entries in zip(request_ids, answers[::2], answers[1::2], strict=True):
        whole = _put_together(entries)
        if whole.is_finished:
            ended_at = float(row[2] or time.time())
            found[request_id] = Ended(row[0] or "", float(row[1] or 0), ended_at, whole, is_awaited=bool(row[3]))
    return found


def transcript(request_id: str) -> Transcript:
    """Everything streamed so far, put together."""
    return _put_together(client().xrange(names.stream_key(request_id)))


def _put_together(entries: list[tuple[str, dict[str, str]]]) -> Transcript:
    result = Transcript()
    for entry_id, fields in entries:
        result.seq = int(entry_id.partition("-")[0])
        data = json.loads(fields["data"])
        match fields["event"]:
            case Event.DELTA:
                result.text += data["text"]
                result.token_ids += data["token_ids"]
                result.logprobs += data.get("logprobs") or []
            case Event.DONE:
                result.outcome = data
            case Event.RESULT:
                result.result = data
            case Event.ERROR:
                result.error = data
    return result


def retry(record: Record, *, revision: str = "", queue: str = "") -> InferenceRequest | None:
    """Give the request to the next worker, perhaps of another revision, with what was streamed as its prefix.

    Returns None when another process did so first, or when the request has ended meanwhile.
    """
    key = names.request_key(record.request_id)
    if not client().register_script(_FENCE)(keys=[key], args=[record.attempt, time.time()]):
        return None
    request = payload_of(record.request_id)
    if request is None:
        return None
    streamed = transcript(record.request_id)
    revision = revision or request.revision
    resumed = replace(
        request,
        attempt=record.attempt + 1,
        revision=revision,
        resume_token_ids=streamed.token_ids,
        resume_text_length=len(streamed.text),
        resume_seq=streamed.seq,
    )
    is_wasted = bool(record.worker) and len(streamed.token_ids) == len(request.resume_token_ids)
    with client().pipeline() as pipe:
        fields = {"payload": resumed.to_json(), "revision": revision, "queue": queue or names.queue_name(revision)}
        pipe.hset(key, mapping={**fields, "wasted": record.wasted + 1 if is_wasted else 0})
        if revision != record.revision:
            pipe.zrem(names.live_key(record.revision), record.request_id)
            pipe.zadd(names.live_key(revision), {record.request_id: request.arrival_time})
        pipe.execute()
    return resumed


def tell_waiting(request_id: str, *, position: int, seconds: float | None) -> None:
    """PROGRESS for a request that no worker has taken yet; `seconds` is the estimated wait."""
    data = {"position": position} | ({} if seconds is None else {"seconds": round(seconds, 1)})
    client().register_script(_TELL)(
        keys=[names.request_key(request_id), names.stream_key(request_id)], args=[json.dumps(data), names.STREAM_TTL]
    )


def fail(request_id: str, error: ErrorType, message: str) -> None:
    """End a request from this side; whatever a worker still writes is refused."""
    client().register_script(_FAIL)(
        keys=[names.request_key(request_id), names.stream_key(request_id)],
        args=[json.dumps({"type": error, "message": message}), names.STREAM_TTL],
    )


def take_ended(count: int) -> list[str]:
    """Requests that workers have ended and nobody has settled; they are then ours to settle."""
    return client().lpop(names.ENDED_KEY, count) or []


def forget(revisions: Mapping[str, str]) -> set[str]:
    """These requests (id to revision) are settled: recovery need not look at them again. Their streams stay for their
    time to live. One round trip; returns those that nobody had settled before.
    """
    with client().pipeline() as pipe:
        for request_id, revision in revisions.items():
            pipe.zrem(names.LIVE_REQUESTS_KEY, request_id)
            pipe.zrem(names.live_key(revision), request_id)
        return {request_id for request_id, was_live in zip(revisions, pipe.execute()[::2], strict=True) if was_live}


def discard(request_id: str, revision: str) -> None:
    """The transaction that reserved a place never happened."""
    client().delete(names.request_key(request_id))
    forget({request_id: revision})
