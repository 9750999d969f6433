"""What a worker process has loaded: it follows the desired deployments, keeps its lease and serves requests.

Deployments are pulled, not pushed: each second the host compares what Redis says should run with what does.
A worker that starts late, or a Redis that lost its data, needs no special case.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import redis
import structlog

from contracts import names
from contracts.messages import ErrorType, Event, RevisionSpec, StreamEvent, WorkerLease
from workers.engine.mailbox import EngineClosed
from workers.streams import RedisStreams

log = structlog.get_logger()


class Engine(Protocol):
    def submit(self, request: Any) -> Any: ...
    def abort(self, request_id: str) -> None: ...
    def stats(self) -> Any: ...
    def close(self, drain: bool = True) -> None: ...


Loader = Callable[[RevisionSpec, RedisStreams], Engine]


@dataclass(slots=True)
class Loaded:
    spec: RevisionSpec
    state: str = "LOADING"
    reason: str = ""
    engine: Engine | None = None


@dataclass(slots=True)
class Host:
    """Start with `start`, from then on `infer` may be called from any thread."""

    client: redis.Redis
    load: Loader
    listen: Callable[[str], None]  # begin to take messages from this queue
    unlisten: Callable[[str], None]
    worker_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    loaded: dict[str, Loaded] = field(default_factory=dict)
    streams: RedisStreams = field(init=False)
    _running: dict[str, threading.Event] = field(default_factory=dict)
    _draining: threading.Event = field(default_factory=threading.Event)
    _closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.streams = RedisStreams(self.client, self.worker_id)

    def start(self) -> None:
        """Take over what dead processes of this machine left, then follow, lease and listen in threads."""
        self._bury_the_dead()
        for job in (self._follow, self._keep_lease, self._hear_stops):
            threading.Thread(target=self._repeat, args=(job,), name=job.__name__, daemon=True).start()

    def close(self) -> None:
        """Take no more messages and give the lease back. What runs is left where it is: another worker, or
        this one when it starts again, goes on with it."""
        self._draining.set()
        for name in list(self.loaded):
            self._unload(name, drain=False)
        self._closed.set()
        self.client.hdel(names.WORKERS_KEY, self.worker_id)

    def infer(self, request_id: str, attempt: int) -> bool:
        """Serve one request to its end; False when another worker has it or it is over."""
        self._end_earlier_attempt(request_id)
        request = self.streams.claim(request_id, attempt)
        if request is None:
            return False
        ended = self._running[request_id] = threading.Event()
        try:
            engine = self._engine_of(request.revision)
            answer = engine.submit(request)
            # Asked only now: a stop that was published before the engine had the request went unheard.
            if self.streams.is_stopped(request_id):
                engine.abort(request_id)
            answer.result()
        except EngineClosed:
            return False
        except Exception as error:
            log.exception("request failed", request_id=request_id)
            data = {"type": ErrorType.INTERNAL, "message": f"The worker failed: {type(error).__name__}."}
            self.streams.write([StreamEvent(request_id, Event.ERROR, data)])
        finally:
            self.streams.release(request_id)
            del self._running[request_id]
            ended.set()
        return True

    def _end_earlier_attempt(self, request_id: str) -> None:
        """This worker may have been taken for dead and now get its own request back: only one may write."""
        if ended := self._running.get(request_id):
            self._abort(request_id)
            ended.wait()

    def _engine_of(self, revision: str) -> Engine:
        loaded = self.loaded.get(revision)
        if loaded is None or loaded.engine is None:
            raise LookupError(f"{revision} is not loaded here")
        return loaded.engine

    def _repeat(self, job: Callable[[], None]) -> None:
        """Run the job each second; losing Redis for a while must not end the worker."""
        while not self._closed.is_set():
            try:
                job()
            except redis.ConnectionError as error:
                log.warning("no Redis, trying again", job=job.__name__, error=str(error))
            except Exception:
                log.exception("trying again", job=job.__name__)
            self._closed.wait(names.LEASE_REFRESH)

    def _follow(self) -> None:
        if self._draining.is_set():
            return
        rows = self.client.hgetall(names.REVISIONS_KEY)
        wanted = {spec.key: spec for spec in map(RevisionSpec.from_json, rows.values())}
        for name, loaded in list(self.loaded.items()):
            if wanted.get(name) != loaded.spec:
                self._unload(name)
        for name, spec in wanted.items():
            if name not in self.loaded:
                self._load(spec)

    def _load(self, spec: RevisionSpec) -> None:
        loaded = self.loaded[spec.key] = Loaded(spec)
        started = time.monotonic()
        try:
            loaded.engine = self.load(spec, self.streams)
        except Exception as error:
            loaded.state, loaded.reason = "FAILED", f"{type(error).__name__}: {error}"
            log.exception("deployment failed to load", revision=spec.key)
            return
        loaded.state = "READY"
        self.listen(names.queue_name(spec.key))
        self._keep_lease()
        log.info("deployment ready", revision=spec.key, seconds=round(time.monotonic() - started, 2))

    def _unload(self, name: str, *, drain: bool = True) -> None:
        loaded = self.loaded[name]
        loaded.state = "DRAINING"
        if loaded.engine is not None:
            self.unlisten(names.queue_name(name))
            loaded.engine.close(drain=drain)
        del self.loaded[name]

    def _keep_lease(self) -> None:
        # A copy: the follower changes the dictionary meanwhile.
        loaded = dict(self.loaded)
        stats = [each.engine.stats() for each in loaded.values() if each.engine is not None]
        lease = WorkerLease(
            worker_id=self.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            expires=time.time() + names.LEASE_TTL,
            deployments={name: each.state for name, each in loaded.items()},
            running=sum(each.running for each in stats),
            waiting=sum(each.waiting for each in stats),
            slots=sum(each.slots for each in stats),
            reasons={name: each.reason for name, each in loaded.items() if each.reason},
        )
        self.client.hset(names.WORKERS_KEY, self.worker_id, lease.to_json())

    def _hear_stops(self) -> None:
        with self.client.pubsub(ignore_subscribe_messages=True) as channel:
            channel.subscribe(names.STOP_CHANNEL)
            while not self._closed.is_set():
                message = channel.get_message(timeout=1)
                if message is not None:
                    self._abort(message["data"].decode())

    def _abort(self, request_id: str) -> None:
        for loaded in list(self.loaded.values()):
            if loaded.engine is not None:
                loaded.engine.abort(request_id)

    def _bury_the_dead(self) -> None:
        """A killed process of this machine need not be waited for: its lease ends now."""
        for worker_id, row in self.client.hgetall(names.WORKERS_KEY).items():
            lease = WorkerLease.from_json(row)
            here = lease.host == socket.gethostname() and not Path(f"/proc/{lease.pid}").exists()
            if here or lease.expires < time.time() - 60:
                self.client.hdel(names.WORKERS_KEY, worker_id)
