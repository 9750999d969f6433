"""What a worker process has loaded: it follows its placements, keeps its lease and serves requests.

Revisions are pulled, not pushed: several times a second the host compares what Redis says it should have with
what it has. A worker that starts late, or a Redis that lost its data, needs no special case: placements that were
made without knowing this worker are not followed.
"""

import json
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import redis
import structlog

from contracts import names
from contracts.messages import ErrorType, Event, RevisionSpec, StreamEvent
from workers import hardware
from workers.artifacts.cache import hold
from workers.engine.mailbox import EngineClosed
from workers.leases import Leases
from workers.loaded import Engine, Loaded, Loader
from workers.loads import Loads
from workers.running import Place, Running
from workers.streams import Claimed, RedisStreams

log = structlog.get_logger()

FOLLOW_SECONDS = 0.25
# Web processes route by a snapshot that may be this old: until then requests still come.
DRAIN_GRACE = 1.0
# A step that takes longer hangs: the process ends itself and is started again.
STEP_LIMIT = float(os.environ.get("WORKER_STEP_LIMIT", "120"))
# Requests that one worker takes at a time. More wait in the broker's queue, where another worker may take them.
ROOM = int(os.environ.get("WORKER_CONCURRENCY", "64"))
# Characters of a request whose tokens take longer to make than a thread takes to start.
_LONG = 4096
_FETCHED = 0.5  # how much of the way to READY a download is

Job = Callable[[], None]


def spawn(job: Job) -> None:
    threading.Thread(target=job, daemon=True).start()


@dataclass(slots=True)
class Host:
    """Start with `start`, from then on `infer` may be called from any thread."""

    client: redis.Redis
    load: Loader
    listen: Callable[[str], None]  # take messages from this queue; may be called again, and may come to nothing
    unlisten: Callable[[str], None]
    worker_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    spawn: Callable[[Job], None] = spawn
    told: Callable[[], None] = lambda: None  # called when the reconciler should look
    wake_settler: Callable[[], None] = lambda: None
    drain_grace: float = DRAIN_GRACE
    loaded: dict[str, Loaded] = field(default_factory=dict)
    streams: RedisStreams = field(init=False)
    loads: Loads = field(init=False)
    leases: Leases = field(init=False)
    running: Running = field(default_factory=lambda: Running(ROOM))
    _one_load: threading.Lock = field(default_factory=threading.Lock)
    _draining: threading.Event = field(default_factory=threading.Event)
    _closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.streams = RedisStreams(self.client, self.worker_id, lambda: self.spawn(self._wake_settler))
        self.loads = Loads(self.client, self.worker_id)
        self.leases = Leases(self.client, self.worker_id)

    def start(self) -> None:
        """Take over what dead processes of this machine left, then follow, lease and listen in threads."""
        jobs = {
            self._bury_and_lease: names.LEASE_REFRESH,
            self._follow: FOLLOW_SECONDS,
            self._watch: names.LEASE_REFRESH,
            self._hear_stops: names.LEASE_REFRESH,
        }
        for job, seconds in jobs.items():
            threading.Thread(target=self._repeat, args=(job, seconds), name=job.__name__, daemon=True).start()

    def close(self) -> None:
        """Take no more messages and give the lease back. What runs is left where it is: another worker, or
        this one when it starts again, goes on with it."""
        self._draining.set()
        for loaded in list(self.loaded.values()):
            self._unload(loaded, drain=False)
        self._closed.set()
        self.leases.give_back()

    # -- requests --------------------------------------------------------------------------------

    def infer(self, request_id: str, attempt: int, *, may_wait: bool = True) -> bool:
        """Hand one request to its engine, which ends it; False when another worker has it, is to have it, or it is
        over. Waits while as many as `room` are being served, or raises WouldWait.

        Who may not wait is not kept by a long text either: its tokens are made in a thread of its own.
        """
        place = self.running.enter(request_id, attempt, self._abort, may_wait=may_wait)
        if place is None:
            return False
        try:
            claimed = self.streams.claim(request_id, attempt)
        except Exception:
            self._leave(request_id)
            raise
        if claimed is None:
            self._leave(request_id)
            return False
        if not may_wait and claimed.size > _LONG:
            self.spawn(lambda: self._serve(claimed, place))
            return True
        return self._serve(claimed, place)

    def _serve(self, claimed: Claimed, place: Place) -> bool:
        request, request_id = claimed.request, claimed.request.request_id
        log.info("request taken", request_id=request_id, attempt=place.attempt, revision=request.revision)
        try:
            engine = self._engine_of(request.revision)
            answer = engine.submit(request)
        except Exception as error:  # noqa: BLE001  told to whoever waits for the answer
            self._give_up(request_id, error)
            return not isinstance(error, EngineClosed)
        if place.is_stopped or claimed.is_stopped:
            engine.abort(request_id)
        answer.add_done_callback(lambda future: self._end(request_id, future.exception()))
        return True

    def _end(self, request_id: str, error: BaseException | None) -> None:
        if error is None:
            self._leave(request_id)
        else:  # not in the engine's thread: Redis may keep us waiting, and others have answers to be written
            self.spawn(lambda: self._give_up(request_id, error))

    def _give_up(self, request_id: str, error: BaseException) -> None:
        """The engine has not ended the request; it is given back or ended with an error."""
        try:
            if isinstance(error, EngineClosed):
                self.streams.hand_back(request_id)
            else:
                log.error("request failed", request_id=request_id, exc_info=error)
                data = {"type": ErrorType.INTERNAL, "message": f"The worker failed: {type(error).__name__}."}
                self.streams.write([StreamEvent(request_id, Event.ERROR, data)])
        finally:
            self._leave(request_id)

    def _leave(self, request_id: str) -> None:
        self.streams.release(request_id)
        self.running.leave(request_id)

    def _wake_settler(self) -> None:
        """In a thread of its own: a broker that does not answer must not keep, or end, those who write."""
        try:
            self.wake_settler()
        except Exception as error:  # noqa: BLE001  what has ended is settled within a second anyway
            log.warning("settler not woken", error=str(error))

    def _engine_of(self, revision: str) -> Engine:
        """Raises EngineClosed when the revision was let go meanwhile: the request goes to another worker."""
        loaded = self.loaded.get(revision)
        if loaded is None or loaded.engine is None:
            raise EngineClosed(f"{revision} is not loaded here")
        return loaded.engine

    # -- what is loaded --------------------------------------------------------------------------

    def _follow(self) -> None:
        if self._draining.is_set():
            return
        with self.client.pipeline() as pipe:
            pipe.get(names.RECONCILED_KEY)
            pipe.hgetall(names.PLACEMENTS_KEY)
            pipe.hgetall(names.REVISIONS_KEY)
            known, placements, rows = pipe.execute()
        if known is None or self.worker_id not in json.loads(known):
            return  # made without us
        mine = {key for key, workers in placements.items() if self.worker_id in json.loads(workers)}
        wanted = {
            spec.key: spec for key, spec in ((key, RevisionSpec.from_json(rows[key])) for key in mine & set(rows))
        }
        for key, loaded in list(self.loaded.items()):
            if loaded.state in {"READY", "FAILED"} and (key not in wanted or not loaded.is_same(wanted[key])):
                self._let_go(loaded)
        for spec in sorted(wanted.values(), key=lambda spec: (-spec.weight, spec.key)):
            if spec.key not in self.loaded or self.loaded[spec.key].is_worth_a_try():
                self._begin(spec)

    def _begin(self, spec: RevisionSpec) -> None:
        loaded = self.loaded[spec.key] = Loaded(spec)
        self.spawn(lambda: self._load(loaded))

    def _let_go(self, loaded: Loaded) -> None:
        loaded.state = "DRAINING"
        self.spawn(lambda: self._unload(loaded))

    def _load(self, loaded: Loaded) -> None:
        started = time.monotonic()
        try:
            self._fetch(loaded)
            with self._one_load:
                self._bring_up(loaded)
        except Exception as error:  # noqa: BLE001  whatever a model raises, the others go on
            self._fail(loaded, error)
        else:
            log.info("revision ready", revision=loaded.spec.key, seconds=round(time.monotonic() - started, 2))
        self._keep_lease()
        self.told()

    def _fetch(self, loaded: Loaded) -> None:
        """Not in turn: a long download keeps no other revision from being loaded."""

        def say(fraction: float) -> None:
            loaded.progress = _FETCHED * fraction

        loaded.held = hold(loaded.spec.artifact, loaded.spec.digest, say)

    def _bring_up(self, loaded: Loaded) -> None:
        assert loaded.held is not None
        spec, start = loaded.spec, loaded.progress
        self.loads.begin(spec)
        before = hardware.resident()

        def say(state: str, fraction: float) -> None:
            loaded.state, loaded.progress = state, start + (1 - start) * fraction

        loaded.engine = self.load(replace(spec, artifact=str(loaded.held.folder)), self.streams, say)
        loaded.memory_bytes = max(0, hardware.resident() - before)
        loaded.state, loaded.progress, loaded.ready_at = "READY", 1.0, time.monotonic()
        self._listen(spec.key)

    def _fail(self, loaded: Loaded, error: Exception) -> None:
        loaded.fail(error)
        self.loads.ended(loaded.spec)
        log.error("revision failed to load", revision=loaded.spec.key, reason=loaded.reason, exc_info=error)

    def _unload(self, loaded: Loaded, *, drain: bool = True) -> None:
        """What it has is finished first; what comes while web processes still route here, too."""
        key = loaded.spec.key
        loaded.state = "DRAINING"
        if loaded.engine is not None:
            if drain:
                self._keep_lease()
                time.sleep(self.drain_grace)
            for queue in self._queues(key):
                self.unlisten(queue)
            loaded.engine.close(drain=drain)
            loaded.engine = None
        loaded.release()
        self.loads.ended(loaded.spec)
        if self.loaded.get(key) is loaded:
            del self.loaded[key]
        log.info("revision let go", revision=key, drained=drain)

    def _listen(self, key: str) -> None:
        for queue in self._queues(key):
            self.listen(queue)

    def _queues(self, key: str) -> list[str]:
        """The queue that all workers of a revision share, and the one of this worker."""
        return [names.queue_name(key), names.queue_name(key, self.worker_id)]

    # -- being alive -----------------------------------------------------------------------------

    def _repeat(self, job: Job, seconds: float) -> None:
        """Run the job again and again; losing Redis for a while must not end the worker."""
        while not self._closed.is_set():
            try:
                job()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                log.warning("no Redis, trying again", job=job.__name__, error=str(error))
            except Exception:
                log.exception("trying again", job=job.__name__)
            self._closed.wait(seconds)

    def _bury_and_lease(self) -> None:
        is_first = self.leases.bury_the_dead()
        self._keep_lease()
        if is_first:
            self.told()

    def _keep_lease(self) -> None:
        if not self._closed.is_set():
            # A copy: other threads change the dictionary meanwhile.
            self.leases.keep({key: each.report() for key, each in dict(self.loaded).items()})

    def _watch(self) -> None:
        """End the process when a step hangs; forget what is held against revisions that work; go on listening: what
        was said to a broker that was just being started again is lost."""
        for loaded in list(self.loaded.values()):
            if loaded.state == "READY":
                self._listen(loaded.spec.key)
            if loaded.hangs(STEP_LIMIT):
                log.critical("a step hangs, ending this process", revision=loaded.spec.key, seconds=STEP_LIMIT)
                os._exit(70)  # nothing can be closed in order: the thread that owns the model does not answer
            if not loaded.is_proven and loaded.has_worked():
                self.loads.worked(loaded.spec)
                loaded.is_proven = True

    def _hear_stops(self) -> None:
        with self.client.pubsub(ignore_subscribe_messages=True) as channel:
            channel.subscribe(names.STOP_CHANNEL)
            while not self._closed.is_set():
                message = channel.get_message(timeout=1)
                if message is not None:
                    self._abort(message["data"].decode())

    def _abort(self, request_id: str) -> None:
        self.running.stop(request_id)
        for loaded in list(self.loaded.values()):
            if loaded.engine is not None:
                loaded.engine.abort(request_id)
